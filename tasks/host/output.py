"""What reaches the terminal: data on stdout, everything for people on stderr."""

import contextlib
import os
import select
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TextIO

# C0 and C1 control characters and the bidirectional overrides; a name from outside must not drive the terminal. Lone
# surrogates, as Python spells the bytes of a file name that is no UTF-8, cannot be written.
_UNSAFE = {code: "\N{REPLACEMENT CHARACTER}" for code in (*range(9), *range(11, 32), *range(127, 160))}
_UNSAFE |= {code: "\N{REPLACEMENT CHARACTER}" for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}
_UNSAFE |= dict.fromkeys(range(0xD800, 0xE000), "\N{REPLACEMENT CHARACTER}")

_BESIDE_HEADER = 2  # columns that tabulate leaves at a header (``MIN_PADDING``)

INFO, WARNING, ERROR = "info", "warning", "error"
TEXT, JSON, QUIET = "text", "json", "quiet"  # manners of speaking to people


class Speaker(Protocol):
    """What speaks to people while a task works: it keeps lines at the end of the terminal up to date."""

    def note(self, text: str, level: str) -> None:
        """Show a line."""

    def clear(self) -> None:
        """Take what is drawn away, so that other text can be written; it is drawn again a moment later."""

    def held(self) -> contextlib.AbstractContextManager[None]:
        """Draw nothing in a block: a question is asked, or a program has the terminal."""

    def hearing(self, title: str) -> contextlib.AbstractContextManager[Callable[[str], None]]:
        """Yield what takes the lines that a command prints; ``title`` names a command that belongs to no step."""


_masked: list[Callable[[str], str]] = []
_stages: list[Speaker] = []
_manner: list[str] = []


def speak(*manner: str) -> None:
    """From now on speak to people in a manner: JSON or QUIET; without one as text."""
    _manner[:] = manner


def manner() -> str:
    """Return how to speak to people: JSON, QUIET, or "" for text."""
    return _manner[0] if _manner else ""


@contextmanager
def on_stage(stage: Speaker) -> Iterator[None]:
    """Let a stage speak to people in a block."""
    _stages.append(stage)
    try:
        yield
    finally:
        _stages.remove(stage)


def current_stage() -> Speaker | None:
    """Return what speaks to people at the moment, None when lines are written as they come."""
    return _stages[-1] if _stages else None


@contextmanager
def hearing(title: str) -> Iterator[Callable[[str], None] | None]:
    """Yield what takes the lines that a command prints, None when they are shown as they come."""
    if not _stages:
        yield None
        return
    with _stages[-1].hearing(title) as hear:
        yield hear


def with_the_terminal() -> contextlib.AbstractContextManager[None]:
    """Let a block have the terminal for itself."""
    return _stages[-1].held() if _stages else contextlib.nullcontext()


def add_mask(masked: Callable[[str], str]) -> None:
    """From now on pass every line for people, and of a dry run, through ``masked``, which masks secrets."""
    _masked.append(masked)


def mask_secrets(text: str) -> str:
    """Return text with the secrets of the profiles in use masked."""
    for masked in _masked:
        text = masked(text)
    return text


def printable(text: str) -> str:
    """Return text without the control characters that could drive a terminal."""
    return text.translate(_UNSAFE)


def emit(text: str) -> None:
    """Write a line of data to stdout."""
    if _stages:
        _stages[-1].clear()
    sys.stdout.write(text + "\n")


def emit_json(document: Mapping[str, Any]) -> None:
    """Write the JSON document of a task to stdout."""
    from ..model.quoting import json_text

    emit(json_text(document, 2))


def emit_table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table to stdout; without rows only a note on stderr."""
    cells = [[printable(str(cell)) for cell in row] for row in rows]
    if not cells:
        note("nothing to list")
        return
    emit(_plain_table([headers, *cells]) or _table(headers, cells))


def _plain_table(lines: Sequence[Sequence[str]]) -> str:
    """Return the table that ``_table`` makes where a cell is as wide as its text is long, "" elsewhere.

    Most tables are such, and loading tabulate takes longer than reading a whole stack from the engine.
    """
    if not all(cell.isascii() and cell.isprintable() for line in lines for cell in line):
        return ""
    lines = [lines[0], *([cell.strip() for cell in line] for line in lines[1:])]
    widths = [max(len(header) + _BESIDE_HEADER, *map(len, column)) for header, *column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def _table(headers: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    from tabulate import tabulate

    return tabulate(cells, headers=headers, tablefmt="plain", disable_numparse=True)


def note(text: str, level: str = INFO) -> None:
    """Show a line to people; ``level`` says how much it matters."""
    text = printable(mask_secrets(text))
    if _stages:
        _stages[-1].note(text, level)
    else:
        write_note(text, level)


def write_note(text: str, level: str) -> None:
    """Write a line for people to stderr in the manner that was asked for."""
    if manner() == JSON:
        write_stderr(_json_line(text, level) + "\n")
    elif manner() != QUIET or level != INFO:
        write_stderr(spelled(text) + "\n")


def _json_line(text: str, level: str) -> str:
    from ..model.quoting import json_text
    from ..model.story.events import Noted, document
    from .reports import now

    return json_text(document(Noted(text, level), now()))


def write_stderr(text: str) -> None:
    """Write text to stderr at once; a stderr that is closed already is no error."""
    with contextlib.suppress(BrokenPipeError):
        sys.stderr.write(text)
        sys.stderr.flush()


def has_unicode() -> bool:
    """Whether people can read more than ASCII: their locale names no other character set (POSIX, XBD 8.2)."""
    every, kind, language = (os.environ.get(name, "").lower() for name in ("LC_ALL", "LC_CTYPE", "LANG"))
    # Where LANG is C, Python sets LC_CTYPE for its own use (PEP 538).
    coerced = kind in ("c.utf-8", "c.utf8", "utf-8") and language in ("c", "posix")
    name = every or ("" if coerced else kind) or language
    return not name or "utf-8" in name or "utf8" in name


def spelled(text: str) -> str:
    """Return text in characters that the locale has."""
    if text.isascii() or has_unicode():
        return text
    from ..model.story.look import Look

    return Look(unicode=False).text(text)


def drawing_size() -> tuple[int, int] | None:
    """Return the columns and lines of the terminal on stderr, None when there is none that can move its cursor."""
    return _size(sys.stderr)


def data_size() -> tuple[int, int] | None:
    """Return the columns and lines of the terminal on stdout, None when there is none that can move its cursor."""
    return _size(sys.stdout)


def _size(stream: TextIO) -> tuple[int, int] | None:
    number = descriptor(stream)
    if number is None or not os.isatty(number) or os.environ.get("TERM", "dumb") in ("", "dumb", "unknown"):
        return None
    with contextlib.suppress(OSError):
        columns, lines = os.get_terminal_size(number)
        return columns or 80, lines or 24
    return None


def has_colour() -> bool:
    """Whether people want colours: https://no-color.org."""
    return not os.environ.get("NO_COLOR")


def flush() -> None:
    """Flush stdout, so that a closed pipe raises where it is handled."""
    sys.stdout.flush()


def abandon_stdout() -> None:
    """Point stdout at /dev/null: its reader is gone, and the interpreter's own flush at exit must not fail."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)


def confirm(question: str, yes: bool, command: str = "") -> None:
    """Ask before something destructive; raises RefusedError when the answer is not yes.

    Without ``--yes`` and without a terminal to ask on the answer is no, with the ``command`` as the hint.
    """
    from ..model.errors import RefusedError

    if yes:
        return
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
        raise RefusedError(
            f"{question}: not confirmed, and there is no terminal to ask on", command or "add --yes to confirm"
        )
    with with_the_terminal():
        sys.stderr.write(f"{printable(question)}? [y/N] ")
        sys.stderr.flush()
        answer = sys.stdin.readline()
    if answer.strip().lower() not in {"y", "yes"}:
        raise RefusedError("not confirmed", "nothing was changed")


def interactive() -> bool:
    """Whether stdin and stdout are a terminal, where a person types and reads."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()


def to_terminal() -> bool:
    """Whether stdout is a terminal."""
    return sys.stdout.isatty()


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
    """Whether stdout is a pipe whose reader is gone."""
    number = descriptor(sys.stdout)
    if number is None:
        return False
    watch = select.poll()
    watch.register(number, select.POLLERR)
    return any(event & select.POLLERR for _, event in watch.poll(0))
