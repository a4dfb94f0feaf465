"""Reads what a command prints while it runs: shows it to people, and keeps the end of its error output."""

import codecs
import collections
import contextlib
import fcntl
import io
import os
import struct
import sys
import termios
import threading
import tty
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Protocol

from ..model.command import Command
from ..model.quoting import cut, read_lines, without_escapes
from .output import descriptor, hearing, manner, note

_TAIL = 30  # lines at the end of the error output, to explain an error with
_DRAIN = 2.0  # seconds to read the pipes of a command that has ended; a child of its own may keep them open
_COLUMNS = 200  # of a terminal that is only read by us
PIPE, WITH_STDOUT = -1, -2  # subprocess.PIPE and subprocess.STDOUT


class Printing(Protocol):
    """A process whose output may be pipes."""

    stdout: IO[str] | None
    stderr: IO[str] | None


class Listener:
    """Listens to nothing: the command writes to our own stderr. ``stdout`` and ``stderr`` are what Popen is given.

    ``data``: its stdout is the data that was asked for, and goes to ours.
    """

    def __init__(self, data: bool = False) -> None:
        self.stdout: int | None = None if data else descriptor(sys.stderr)
        self.stderr: int | None = None
        self._last: collections.deque[str] = collections.deque(maxlen=_TAIL)
        self._threads: list[threading.Thread] = []

    def start(self, process: Printing) -> None:
        """Begin to read; the pipes are ours from now on."""

    def ended(self) -> str:
        """Return the last lines of the error output of a command that has ended."""
        for thread in self._threads:
            thread.join(_DRAIN)
        return "".join(f"{line}\n" for line in self._last)

    def _reading(self, read: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=read, args=arguments, daemon=True)
        thread.start()
        self._threads.append(thread)


class _Pipes(Listener):
    """Hands each line, cut at a readable width, to ``hear``, which shows it with secrets masked."""

    def __init__(self, apart: bool, hear: Callable[[str], None]) -> None:
        super().__init__()
        self._hear = hear
        self.stdout = PIPE
        self.stderr = PIPE if apart else WITH_STDOUT  # in one pipe the lines of both keep their order

    def start(self, process: Printing) -> None:
        # Taken from the process: closing a pipe that another thread reads would wait until its other end is closed.
        out, process.stdout, err, process.stderr = process.stdout, None, process.stderr, None
        for pipe, last in ((out, None), (err, self._last)):
            if pipe:
                self._reading(self._show, pipe, last)

    def _show(self, pipe: IO[str], last: "collections.deque[str] | None") -> None:
        with contextlib.suppress(ValueError, OSError), pipe:
            for line in read_lines(pipe.readline):
                self._hear(cut(line))
                if last is not None:
                    last.append(line)


class _Terminal(Listener):
    """Lets a command draw its live progress on our terminal, and reads its error output on the way there."""

    def __init__(self) -> None:
        super().__init__()
        self._ours, self.stderr = os.openpty()
        tty.setraw(self.stderr)  # our own terminal adds the carriage returns
        self._resize()

    def _resize(self) -> None:
        with contextlib.suppress(OSError):
            size = fcntl.ioctl(sys.stderr.fileno(), termios.TIOCGWINSZ, bytes(8))
            fcntl.ioctl(self._ours, termios.TIOCSWINSZ, size)

    def start(self, process: Printing) -> None:
        if self.stderr is not None:
            os.close(self.stderr)
        self._reading(self._copy)

    def _copy(self) -> None:
        text = io.StringIO()
        decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
        with contextlib.suppress(OSError):  # EIO: the other end is closed
            while data := os.read(self._ours, 65536):
                self._resize()
                with contextlib.suppress(OSError):
                    os.write(sys.stderr.fileno(), data)
                text = self._noted(text.read() + decode(data))
        self._last.extend(read_lines(text.readline))
        os.close(self._ours)

    def _noted(self, text: str) -> io.StringIO:
        """Keep the complete lines of a text; return the incomplete last line, cut at a bounded length."""
        whole, _, rest = text.replace("\r", "\n").rpartition("\n")
        self._last.extend(line for line in read_lines(io.StringIO(whole).readline) if line.strip())
        return io.StringIO(rest[-65536:])


@contextlib.contextmanager
def copied_to(path: Path) -> Iterator[IO[bytes]]:
    """Yield a terminal; what is written to it is appended to a file, line by line and without escape sequences."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, _COLUMNS, 0, 0))
    threading.Thread(target=_copy_lines, args=(ours, path), daemon=True).start()
    with os.fdopen(theirs, "wb", buffering=0) as terminal:
        yield terminal


def _copy_lines(terminal: int, path: Path) -> None:
    decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
    rest = ""
    with contextlib.suppress(OSError), path.open("a", encoding="utf-8") as file:
        with contextlib.suppress(OSError):  # EIO: the other end is closed
            while data := os.read(terminal, 65536):
                whole, _, rest = (rest + decode(data)).replace("\r", "\n").rpartition("\n")
                file.writelines(f"{line}\n" for line in without_escapes(whole).split("\n") if line.strip())
                file.flush()
        file.write(without_escapes(rest))
    os.close(terminal)


@contextlib.contextmanager
def listening(command: Command, wanted: bool, several: bool = False) -> Iterator[Listener]:
    """Yield the listener for a command; ``wanted``: the end of its error output is needed.

    ``several``: commands run in parallel, so none may draw on the terminal. While a story is told it gets the lines.
    """
    with hearing(command.title) as hear:
        if hear or several or manner() or descriptor(sys.stderr) is None or not sys.stderr.isatty():
            yield _Pipes(wanted or bool(command.sink), hear or note)
        else:
            yield _Terminal() if wanted else Listener()
