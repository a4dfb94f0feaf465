"""What reaches the terminal: data on stdout, everything for people on stderr."""

import contextlib
import os
import select
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TextIO

# C0 and C1 control characters and the bidirectional overrides; a name from outside must not drive the terminal.
_UNSAFE = {code: "\N{REPLACEMENT CHARACTER}" for code in (*range(9), *range(11, 32), *range(127, 160))}
_UNSAFE |= {code: "\N{REPLACEMENT CHARACTER}" for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}


_masked: list[Callable[[str], str]] = []


def conceal(masked: Callable[[str], str]) -> None:
    """From now on mask what ``masked`` finds in every line for people and in the lines of a dry run."""
    _masked.append(masked)


def concealed(text: str) -> str:
    """Return text with the secrets of the profiles in use masked."""
    for masked in _masked:
        text = masked(text)
    return text


def printable(text: str) -> str:
    """Return text without the control characters that could drive a terminal."""
    return text.translate(_UNSAFE)


def emit(text: str) -> None:
    """Write one line of data to stdout."""
    sys.stdout.write(text + "\n")


def emit_json(document: Mapping[str, Any]) -> None:
    """Write the one JSON document of a task to stdout."""
    import json

    emit(json.dumps(document, indent=2, ensure_ascii=False))


def emit_table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table to stdout; nothing but a note on stderr when it has no rows."""
    cells = [[printable(str(cell)) for cell in row] for row in rows]
    if not cells:
        note("nothing to list")
        return
    from tabulate import tabulate

    emit(tabulate(cells, headers=headers, tablefmt="plain", disable_numparse=True))


def note(text: str) -> None:
    """Write one line for people to stderr; an already closed stderr is no error."""
    with contextlib.suppress(BrokenPipeError):
        sys.stderr.write(printable(concealed(text)) + "\n")
        sys.stderr.flush()


def flush() -> None:
    """Flush stdout, so that a closed pipe is met where it can be handled."""
    sys.stdout.flush()


def abandon_stdout() -> None:
    """Point stdout at nothing: its reader has gone, and the interpreter's own flush at exit must not complain."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)


def confirm(question: str, yes: bool) -> None:
    """Ask before something destructive; raises RefusedError without a yes.

    With no terminal to ask on and no ``--yes`` the answer is no.
    """
    from ..plan.errors import RefusedError

    if yes:
        return
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
        raise RefusedError(f"{question}: not confirmed, and there is no terminal to ask on", "add --yes to confirm")
    sys.stderr.write(f"{printable(question)}? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise RefusedError("not confirmed", "nothing was changed")


def at_terminal() -> bool:
    """Whether a Ctrl-C reaches our children without us: we are in the foreground of a terminal."""
    try:
        with open("/dev/tty", "rb", buffering=0) as terminal:  # noqa: PTH123 - a device, not a path of ours
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        return False


def descriptor(stream: TextIO) -> int | None:
    """Return a stream's file descriptor, None when it has none (a test's own stream)."""
    try:
        return stream.fileno()
    except (OSError, ValueError):
        return None


def reader_gone() -> bool:
    """Whether stdout is a pipe that nobody reads any more."""
    number = descriptor(sys.stdout)
    if number is None:
        return False
    watch = select.poll()
    watch.register(number, select.POLLERR)
    return any(event & select.POLLERR for _, event in watch.poll(0))
