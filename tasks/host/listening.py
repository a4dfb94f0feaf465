"""Reads what a command prints while it runs: shows it to people, and keeps the end of its error output."""

import codecs
import collections
import contextlib
import fcntl
import io
import os
import sys
import termios
import threading
import tty
from collections.abc import Callable
from typing import IO, Any, Protocol

from ..plan.quoting import cut, read_lines
from .output import descriptor, note

_TAIL = 30  # lines of error output that an error may be explained with
_DRAIN = 2.0  # seconds to read what a command that has ended left in its pipes; a child of its own may hold them
PIPE, WITH_STDOUT = -1, -2  # what Popen calls PIPE and STDOUT


class Printing(Protocol):
    """A process whose output may be pipes."""

    stdout: IO[str] | None
    stderr: IO[str] | None


class Listener:
    """Listens to nothing: the command writes to our own stderr. ``stdout`` and ``stderr`` are what Popen is given."""

    def __init__(self) -> None:
        self.stdout: int | None = descriptor(sys.stderr)
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

    def _reading(self, read: Callable[..., None], *words: Any) -> None:
        thread = threading.Thread(target=read, args=words, daemon=True)
        thread.start()
        self._threads.append(thread)


class _Pipes(Listener):
    """Shows each line, cut at a readable width and with secrets masked."""

    def __init__(self, apart: bool) -> None:
        super().__init__()
        self.stdout = PIPE
        self.stderr = PIPE if apart else WITH_STDOUT  # in one pipe the lines of both keep their order

    def start(self, process: Printing) -> None:
        # Taken from the process: closing a pipe that another thread reads would wait for whoever holds its other end.
        out, process.stdout, err, process.stderr = process.stdout, None, process.stderr, None
        for pipe, last in ((out, None), (err, self._last)):
            if pipe:
                self._reading(self._show, pipe, last)

    def _show(self, pipe: IO[str], last: "collections.deque[str] | None") -> None:
        with contextlib.suppress(ValueError, OSError), pipe:
            for line in read_lines(pipe.readline):
                note(cut(line))
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
        with contextlib.suppress(OSError):  # EIO: nobody holds the other end any more
            while data := os.read(self._ours, 65536):
                self._resize()
                with contextlib.suppress(OSError):
                    os.write(sys.stderr.fileno(), data)
                text = self._noted(text.read() + decode(data))
        self._last.extend(read_lines(text.readline))
        os.close(self._ours)

    def _noted(self, text: str) -> io.StringIO:
        """Keep the whole lines of what has come; returns what has no end yet, as much of it as a line may have."""
        whole, _, rest = text.replace("\r", "\n").rpartition("\n")
        self._last.extend(line for line in read_lines(io.StringIO(whole).readline) if line.strip())
        return io.StringIO(rest[-65536:])


def listener(wanted: bool, sink: bool) -> Listener:
    """Return what listens to a command; ``wanted`` is whether the end of its error output is.

    ``sink``: its stdout goes into a file.
    """
    if descriptor(sys.stderr) is None or not sys.stderr.isatty():
        return _Pipes(apart=wanted or sink)
    return _Terminal() if wanted else Listener()
