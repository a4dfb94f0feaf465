"""Invoke's program, with the contract's answer to a command line that does not parse: two lines and exit code 2.

The wrapper ``./inv`` and the ``inv`` that it puts into ``.venv/bin`` run this file. Invoke's own ``inv`` works
too; it answers a typo in its own words, with exit code 1. This file stands alone: importing it through the
package would load every task a second time.
"""

# Ctrl-C while modules are loaded ends this as it ends any program: without a traceback.
import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from invoke import __version__
from invoke.exceptions import Exit, ParseError
from invoke.program import Program as InvokeProgram

# The checkout that this program lies in.
_ROOT = Path(__file__).resolve().parents[2]
# The namespaces that have a task for each environment.
_PER_ENVIRONMENT = ("build", "deploy")
_INTERRUPTED = 130  # 128 + SIGINT
_PIPE_CLOSED = 141  # 128 + SIGPIPE


@contextmanager
def _mending(program: "Program") -> Iterator[None]:
    try:
        yield
    except ParseError as error:
        raise Exit(f"{error}\n  hint: {program.hint(str(error))}", code=2) from None
    except KeyboardInterrupt:
        raise Exit("stopped by SIGINT", code=_INTERRUPTED) from None


class Program(InvokeProgram):
    """Invoke's program with hints."""

    def parse_core(self, argv: list[str] | None) -> None:
        """Parse Invoke's own options."""
        with _mending(self):
            super().parse_core(argv)

    def parse_collection(self) -> None:
        """Load the tasks: those of the checkout that the program lies in, from whatever directory it is called."""
        root = self.core[0].args["search-root"]
        if not root.value:
            root.value = str(_ROOT)
        with _mending(self):
            super().parse_collection()

    def parse_tasks(self) -> None:
        """Parse the tasks and their options; a bare ``--list`` has none, and needs no parser of all tasks."""
        if self.args.list.value and not self.core.unparsed:
            return
        if asked := self._help_wanted():
            # Invoke would ask for the positional arguments first.
            self.core[0].args["help"].value = asked
            self.core.unparsed.clear()
        with _mending(self):
            super().parse_tasks()

    def _help_wanted(self) -> str:
        """Return the task in front of ``--help``, "" when there is none."""
        words = self.core.unparsed
        if not {"--help", "-h"} & set(words):
            return ""
        names = {name for primary, more in self.collection.task_names.items() for name in (primary, *more)}
        end = min(words.index(word) for word in ("--help", "-h") if word in words)
        return next((word for word in reversed(words[:end]) if word in names), "")

    def parse_cleanup(self) -> None:
        """Answer --help and --list."""
        with _mending(self):
            super().parse_cleanup()

    def hint(self, message: str) -> str:
        """Return what to do about a parse error: the nearest task, or where its options are shown."""
        collection = getattr(self, "collection", None)
        names = [] if collection is None else [n for name, more in collection.task_names.items() for n in (name, *more)]
        words = [word for word in self.argv[1:] if not word.startswith("-")]
        wrong = next((word for word in words if repr(word) in message), "")
        if wrong and wrong not in names:
            import difflib

            near = difflib.get_close_matches(wrong, names, n=3)
            suggestion = f"did you mean {' or '.join(near)}? " if near else ""
            return f"{suggestion}{_environment_hint(wrong, names)}`inv --list` shows all tasks"
        named = [word for word in words if word in names]
        return f"`inv --help {named[-1]}` shows its options" if named else "`inv --help` shows the options"


def _environment_hint(wrong: str, names: Sequence[str]) -> str:
    """Return what to do when the word may be the task of an environment that does not exist, "" when it is none."""
    namespace, _, name = wrong.partition(".")
    if namespace not in _PER_ENVIRONMENT or not name or name == "base":
        return ""
    # Each environment has a task in both namespaces; nothing else has.
    sets = [{one.partition(".")[2] for one in names if one.startswith(f"{each}.")} for each in _PER_ENVIRONMENT]
    there = ", ".join(sorted(set.intersection(*sets))) or "none"
    return f"environments: {there} (`inv env.new {name}` makes {name}); "


def _open_closed_streams() -> None:
    """Open what the caller closed (``>&-``) as nothing: else the next file would become stdout."""
    for descriptor, mode in ((0, "r"), (1, "w"), (2, "w")):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free descriptor, which is this one
            setattr(sys, ("stdin", "stdout", "stderr")[descriptor], os.fdopen(descriptor, mode))


def main() -> int:
    """Run a command line; returns the exit code of one that a closed pipe ended."""
    _open_closed_streams()
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        try:
            Program(name="inv", binary="inv", binary_names=["inv", "invoke"], version=__version__).run()
        finally:  # also when it ends by SystemExit: what is buffered meets the closed pipe here, not at exit
            sys.stdout.flush()
    except BrokenPipeError:  # `inv --list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _PIPE_CLOSED
    except OSError as error:  # `inv --list >/dev/full`: a disk that is full; tasks have said so already
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.stderr.write(f"cannot write to stdout: {error.strerror}\n  hint: free space, or write somewhere else\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
