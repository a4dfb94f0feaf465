"""A terminal for tests: a pseudo terminal, and what a person would see on it.

It knows only the sequences that Slipway may use, and refuses all others: whoever writes another one has to think about
what it leaves behind.
"""

import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import termios
import time
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_CSI = re.compile(r"\x1b\[(?P<given>[0-9;]*)(?P<what>[A-Za-z])")


@dataclass
class Emulator:
    """Rows of characters, those that have scrolled away too; ``reflows``: lines are broken anew."""

    columns: int
    lines: int
    reflows: bool = True
    rows: list[list[str]] = field(default_factory=lambda: [[]])
    wrapped: set[int] = field(default_factory=set)  # rows that go on in the next one
    row: int = 0
    column: int = 0
    rest: str = ""

    def feed(self, text: str) -> None:
        """Take what a program writes."""
        text, self.rest = self.rest + text, ""
        at = 0
        while at < len(text):
            if text[at] == "\x1b":
                match = _CSI.match(text, at)
                if not match:
                    assert len(text) - at < 12, f"unknown sequence {text[at : at + 12]!r}"
                    self.rest = text[at:]
                    return
                self._control(match["given"], match["what"])
                at = match.end()
                continue
            self._put(text[at])
            at += 1

    def _control(self, given: str, what: str) -> None:
        if what == "A":
            top = max(len(self.rows) - self.lines, 0)
            self.row, self.column = max(self.row - int(given or 1), top), self.column
        elif (given, what) in (("", "K"), ("0", "K")):
            del self.rows[self.row][self.column :]
            self.wrapped.discard(self.row)
        elif (given, what) in (("", "J"), ("0", "J")):
            del self.rows[self.row][self.column :]
            del self.rows[self.row + 1 :]
            self.wrapped = {row for row in self.wrapped if row < self.row}
        else:
            assert what == "m", f"unknown sequence {given}{what}"

    def _put(self, character: str) -> None:
        if character == "\r":
            self.column = 0
        elif character == "\n":
            self._down()
        else:
            assert character.isprintable(), f"control character {character!r}"
            wide = unicodedata.east_asian_width(character) in "WF"
            if self.column + 1 + wide > self.columns:
                self.wrapped.add(self.row)
                self.column = 0
                self._down()
            row = self.rows[self.row]
            row += [" "] * (self.column - len(row))
            row[self.column : self.column + 1 + wide] = [character, *[""] * wide]
            self.column += 1 + wide

    def _down(self) -> None:
        self.row += 1
        if self.row == len(self.rows):
            self.rows.append([])

    def resize(self, columns: int, lines: int) -> None:
        """Get another size."""
        if self.reflows:
            self._reflow(columns)
        else:
            self.rows = [row[:columns] for row in self.rows]
        self.columns, self.lines = columns, lines

    def _reflow(self, columns: int) -> None:
        rows: list[list[str]] = []
        wrapped: set[int] = set()
        text: list[str] = []
        for number, row in enumerate(self.rows):
            if number == self.row:
                at = len(rows)
            text += row
            if number in self.wrapped:
                continue
            while len(text) > columns:
                wrapped.add(len(rows))
                rows.append(text[:columns])
                text = text[columns:]
            rows.append(text)
            text = []
        self.rows, self.wrapped, self.row = rows, wrapped, at

    def text(self) -> list[str]:
        """Return all rows, those that have scrolled away too, without blanks at their ends."""
        return ["".join(row).rstrip() for row in self.rows]

    def screen(self) -> list[str]:
        """Return the rows that can be seen."""
        return self.text()[-self.lines :]


@dataclass
class Session:
    """A program on a pseudo terminal; ``raw`` is all that it wrote."""

    pid: int
    terminal: int
    emulator: Emulator
    raw: str = ""
    code: int | None = None
    seconds: float = 0.0  # of CPU that the program and its children took
    _bytes: bytes = b""

    def read(self, seconds: float = 0.1) -> bool:
        """Take what the program writes within some seconds; returns whether it still may write."""
        if not select.select([self.terminal], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.terminal, 65536)
        except OSError:  # EIO: nobody has the other end open any more
            return False
        self._bytes += data
        text = self._bytes.decode(errors="ignore")
        self._bytes = self._bytes[len(text.encode()) :]
        self.raw += text
        self.emulator.feed(text)
        return bool(data)

    def until(self, seen: Callable[[], bool], seconds: float = 90) -> None:
        """Read until something is seen; fails with the screen when it is not."""
        deadline = time.monotonic() + seconds
        while not seen():
            assert time.monotonic() < deadline and self.read(), "\n".join(self.emulator.screen())

    def sees(self, word: str, seconds: float = 90) -> None:
        """Read until a word is on the screen."""
        self.until(lambda: any(word in line for line in self.emulator.screen()), seconds)

    def type(self, text: str) -> None:
        """Type on the keyboard."""
        os.write(self.terminal, text.encode())

    def resize(self, columns: int, lines: int) -> None:
        """Give the terminal another size; the kernel tells the program."""
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.emulator.resize(columns, lines)

    def modes(self) -> list[object]:
        """Return the modes of the terminal."""
        return list(termios.tcgetattr(self.terminal))

    def end(self, seconds: float = 180) -> int:
        """Read to the end and return the exit code."""
        deadline = time.monotonic() + seconds
        while self.read():
            assert time.monotonic() < deadline, "\n".join(self.emulator.screen())
        if self.code is None:
            _, status, usage = os.wait4(self.pid, 0)
            self.code, self.seconds = os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime
        return self.code


@contextmanager
def session(
    argv: Sequence[str],
    env: Mapping[str, str],
    columns: int = 80,
    lines: int = 24,
    cwd: Path | None = None,
    reflows: bool = True,
) -> Iterator[Session]:
    """Run a program on a terminal of its own; it is killed at the end of the block if it still runs."""
    pid, terminal = pty.fork()
    if pid == 0:
        try:
            if cwd:
                os.chdir(cwd)
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
            os.execve(argv[0], list(argv), dict(env))
        finally:
            os._exit(127)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    running = Session(pid, terminal, Emulator(columns, lines, reflows))
    try:
        yield running
    finally:
        if running.code is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
            os.waitpid(pid, 0)
        os.close(terminal)
