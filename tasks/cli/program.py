"""Invoke's program, which answers a command line that does not parse with two lines and exit code 2.

The wrapper ``./inv`` and the ``inv`` that it puts into ``.venv/bin`` run this file. Invoke's own ``inv`` works
as well; it answers a typo in its own words, with exit code 1. This file imports nothing of the package: importing
it through the package would load every task a second time.
"""

# Ctrl-C while modules are loaded ends this program without a traceback.
import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import gc
import importlib
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

# A task lives for seconds: the garbage collector would run 20 times while modules are loaded, and free nothing.
gc.set_threshold(50_000)

# The checkout that this program is part of.
_ROOT = Path(__file__).resolve().parents[2]
# The namespaces that have a task for each environment.
_PER_ENVIRONMENT = ("build", "deploy")
# What the values of an option are, for completion: a kind that its scripts know, or the values themselves.
_VALUES = {
    **dict.fromkeys(("env", "environment", "first", "second", "from"), "env"),
    "only": "format,ruff,mypy,hadolint,unit,model,cluster,contract,e2e,life,platforms",
    "level": "trace,debug,info,warn,error,fatal",
    "service": "service",
    "shell": "bash,zsh,fish",
    "state": "on,off",
}
# The same for an option whose name means something else in another task.
_VALUES_OF_TASK = {
    ("db.restore", "file"): "dump",
    ("deploy.rollback", "to"): "release",
    ("image.promote", "to"): "env",
}
_INTERRUPTED = 130  # 128 + SIGINT
_PIPE_CLOSED = 141  # 128 + SIGPIPE


class _Later(ModuleType):
    """Stands in for a module until an attribute is used that it does not have itself."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # read from every module by tools that walk through sys.modules
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


def _version(distribution: str) -> str:
    """Return the version of an installed package, from the name of its metadata directory."""
    for directory in sys.path:
        if Path(directory, distribution).is_dir():
            versions = [path.stem for path in Path(directory).glob(f"{distribution}-*.dist-info")]
            if len(versions) == 1:
                return versions[0].removeprefix(f"{distribution}-")
    return str(importlib.import_module("importlib.metadata").version(distribution))


def _mock(*words: Any, **named: Any) -> Any:
    """Return a mock; only tests that use Invoke's MockContext need it."""
    return importlib.import_module("unittest.mock").Mock(*words, **named)


@contextmanager
def _without_unused_modules() -> Iterator[None]:
    """Load Invoke without modules that no task uses: that halves the time that it takes to load.

    ``invoke/__init__.py`` has ``importlib.metadata`` (with ``email``) for its own version only, ``invoke/context.py``
    has ``unittest.mock`` (with ``asyncio`` and ``ssl``) for its ``MockContext`` only, and it reads YAML with a copy of
    PyYAML that loads the installed one too. Code that uses them later gets the real modules.
    """
    stand_ins = {name: _Later(name) for name in ("importlib.metadata", "unittest.mock") if name not in sys.modules}
    for name, known in (("importlib.metadata", {"version": _version}), ("unittest.mock", {"Mock": _mock})):
        if name in stand_ins:
            vars(stand_ins[name]).update(known)
    sys.modules.update(stand_ins)
    if yaml := _yaml():
        sys.modules.setdefault("invoke.vendor.yaml", _quick_yaml(yaml))
    try:
        yield
    finally:
        for name, module in stand_ins.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


class _LaterPattern:
    """Stands in for a regular expression until it is used."""

    def __init__(self, *words: Any) -> None:
        self._words = words

    def __getattr__(self, name: str) -> Any:
        vars(self)[name] = value = getattr(re.compile(*self._words), name)
        return value


def _yaml() -> ModuleType | None:
    """Return PyYAML, loaded in half of the time; None where it is not installed.

    Its patterns are compiled when they are used: that of all characters that its own reader refuses takes as long as
    the rest of it, and the reader of libyaml has no use for it.
    """
    compiled = re.compile
    re.compile = _LaterPattern  # type: ignore[assignment]
    try:
        return importlib.import_module("yaml")
    except ImportError:
        return None
    finally:
        re.compile = compiled


def _quick_yaml(yaml: ModuleType) -> ModuleType:
    """Return PyYAML for Invoke's configuration, which it reads by ``safe_load``: with libyaml, where that is there."""
    if not yaml.__with_libyaml__:
        return yaml
    module = ModuleType(yaml.__name__)
    vars(module).update(vars(yaml), safe_load=lambda stream: yaml.load(stream, yaml.CSafeLoader))
    return module


def _ask_early() -> None:
    """Let Compose begin to work for a task that waits for it, before all that the task does not need for asking it.

    The modules for it are loaded below a stand-in for the package: the package itself would load Invoke and all tasks.
    Invoke loads it later, and finds these modules loaded.
    """
    if "tasks" in sys.modules or not any(word.startswith(("deploy.", "kube.")) for word in sys.argv[1:]):
        return
    for word, value in zip(sys.argv[1:], [*sys.argv[2:], ""], strict=True):
        if word.startswith("--search-root") and os.path.realpath(word.partition("=")[2] or value) != str(_ROOT):
            return  # the tasks are those of another checkout
    _yaml()
    package = sys.modules["tasks"] = ModuleType("tasks")
    package.__path__ = [str(_ROOT / "tasks")]
    importlib.import_module("tasks.host.profile.head_start").begin()


_ask_early()


with _without_unused_modules():
    from invoke import __version__
    from invoke.exceptions import Exit, ParseError
    from invoke.parser import Argument, Parser, ParserContext
    from invoke.program import Program as InvokeProgram


@contextmanager
def _reporting_parse_errors(program: "Program") -> Iterator[None]:
    try:
        yield
    except ParseError as error:
        raise Exit(f"{error}\n  hint: {program.hint(str(error))}", code=2) from None
    except KeyboardInterrupt:
        raise Exit("stopped by SIGINT", code=_INTERRUPTED) from None


class Program(InvokeProgram):
    """Invoke's program with hints."""

    def core_args(self) -> list[Argument]:
        """Return the options that every task has: Invoke's own, and how tasks speak to people."""
        log_format = Argument(names=("log-format",), help="How tasks tell on stderr what they do: text or json.")
        quiet = Argument(names=("quiet", "q"), kind=bool, default=False, help="Tell on stderr only what goes wrong.")
        return [*super().core_args(), log_format, quiet]

    def parse_core(self, argv: list[str] | None) -> None:
        """Parse Invoke's own options."""
        unwanted = sys.dont_write_bytecode
        with _reporting_parse_errors(self):
            super().parse_core(argv)
        # Invoke turns this on: each run would compile tasks/ again, which takes 160 ms for a deploy.
        sys.dont_write_bytecode = unwanted and not self.args["write-pyc"].value

    def parse_collection(self) -> None:
        """Load the tasks of the checkout that the program is part of, from whatever directory it is called."""
        root = self.core[0].args["search-root"]
        if not root.value:
            root.value = str(_ROOT)
        with _reporting_parse_errors(self):
            super().parse_collection()

    def parse_tasks(self) -> None:
        """Parse the tasks and their options; a bare ``--list`` names none, and needs no parser."""
        if self.args.list.value and not self.core.unparsed:
            return
        if asked := self._help_wanted():
            # Invoke would ask for the positional arguments first.
            self.core[0].args["help"].value = asked
            self.core.unparsed.clear()
        self._name_shell(self.core.unparsed)
        with _reporting_parse_errors(self):
            super().parse_tasks()

    def _make_parser(self) -> Parser:
        """Return the parser of the tasks that are named: Invoke copies the options of all tasks before it parses."""
        named = set(self.core.unparsed)
        if self.args.help.value or self.args.complete.value:  # these are about tasks that other words name
            named.update(self.collection.task_names)
        return Parser(
            initial=self.initial_context,
            contexts=[
                ParserContext(name=name, aliases=aliases, args=self.collection[name].get_arguments())
                for name, aliases in self.collection.task_names.items()
                if not named.isdisjoint((name, *aliases))
            ],
        )

    def _name_shell(self, words: list[str]) -> None:
        """Let `inv completion --install` be about the user's shell: Invoke has no optional positional argument."""
        shell = os.path.basename(os.environ.get("SHELL", ""))  # noqa: PTH119 - a name, not a path to use
        if "completion" in words and "--shell" not in words and not set(words) & {"bash", "zsh", "fish"} and shell:
            words.insert(words.index("completion") + 1, shell)

    def parse_cleanup(self) -> None:
        """Answer --help, --list and --complete; completion scripts store the output of ``--complete -- @table``."""
        if self.args.complete.value and self.core.remainder == "@table":
            sys.stdout.write("".join(f"{line}\n" for line in self._table()))
            raise Exit
        with _reporting_parse_errors(self):
            super().parse_cleanup()

    def _table(self) -> Iterator[str]:
        """Yield a line of the program's own options, after "-", then a line for each task name with its options.

        ``:env --env=env --json`` is a positional argument, an option with a value, and a switch.
        """
        own = self.initial_context
        for names, context in [
            (("-",), own),
            *(((context.name, *context.aliases), context) for context in self.collection.to_contexts()),
        ]:
            places = [
                f":{_VALUES[name]}"
                for name in (argument.name for argument in context.positional_args)
                if name in _VALUES
            ]
            valued = {flag: argument.name for flag, argument in context.flags.items() if argument.takes_value}
            words = [
                f"{flag}={_kind(context.name, valued[flag])}" if flag in valued else flag
                for flag in context.flag_names()
            ]
            yield from (" ".join((str(name), *places, *words)) for name in names)

    def _help_wanted(self) -> str:
        """Return the task in front of ``--help``, "" when there is none."""
        words = self.core.unparsed
        if not {"--help", "-h"} & set(words):
            return ""
        names = {name for primary, more in self.collection.task_names.items() for name in (primary, *more)}
        end = min(words.index(word) for word in ("--help", "-h") if word in words)
        return next((word for word in reversed(words[:end]) if word in names), "")

    def hint(self, message: str) -> str:
        """Return what to do about a parse error: the nearest task, or where its options are shown."""
        collection = getattr(self, "collection", None)
        tasks = {} if collection is None else collection.task_names
        names = [name for primary, more in tasks.items() for name in (primary, *more)]
        words = [word for word in self.argv[1:] if not word.startswith("-")]
        wrong = next((word for word in words if repr(word) in message), "")
        if wrong and wrong not in names:
            import difflib

            near = difflib.get_close_matches(wrong, names, n=3)
            suggestion = f"did you mean {' or '.join(near)}? " if near else ""
            return f"{suggestion}{_environment_hint(wrong, names)}`inv --list` shows all tasks"
        named = [word for word in words if word in names]
        return f"`inv --help {named[-1]}` shows its options" if named else "`inv --help` shows the options"


def _kind(task: str | None, option: str) -> str:
    return _VALUES_OF_TASK.get((task or "", option)) or _VALUES.get(option, "")


def _environment_hint(wrong: str, names: Sequence[str]) -> str:
    """Return what to do when a word looks like the task of an environment that does not exist, else ""."""
    namespace, _, name = wrong.partition(".")
    if namespace not in _PER_ENVIRONMENT or not name or name == "base":
        return ""
    # Only environments have a task in both namespaces.
    sets = [{task.partition(".")[2] for task in names if task.startswith(f"{kind}.")} for kind in _PER_ENVIRONMENT]
    existing = ", ".join(sorted(set.intersection(*sets))) or "none"
    return f"environments: {existing} (`inv env.new {name}` makes {name}); "


def _open_closed_streams() -> None:
    """Open the streams that the caller closed (``>&-``) as /dev/null: else the next file would become stdout."""
    for descriptor, mode in ((0, "r"), (1, "w"), (2, "w")):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free descriptor: this closed stream
            setattr(sys, ("stdin", "stdout", "stderr")[descriptor], os.fdopen(descriptor, mode))


def _end_early() -> None:
    """End what was asked of Compose and is not wanted: the command line has a fault, or the task was refused."""
    if "tasks.host.profile.head_start" in sys.modules and (
        begun := sys.modules["tasks.host.profile.head_start"].begin()
    ):
        begun.end()


def main() -> int:
    """Run a command line and return the exit code; a task that fails raises SystemExit with its own."""
    _open_closed_streams()
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        try:
            Program(name="inv", binary="inv", binary_names=["inv", "invoke"], version=__version__).run()
        finally:  # also after SystemExit: a closed pipe then raises here, not at exit
            _end_early()
            sys.stdout.flush()
            gc.freeze()  # at exit Python would look through all objects once more for what to free
    except BrokenPipeError:  # `inv --list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _PIPE_CLOSED
    except OSError as error:  # `inv --list >/dev/full`: a full disk; tasks have reported it already
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.stderr.write(f"cannot write to stdout: {error.strerror}\n  hint: free space, or write somewhere else\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
