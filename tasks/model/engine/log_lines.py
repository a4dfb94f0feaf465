"""What an engine sends of a container's log, as lines with their time."""

from collections import Counter, deque
from collections.abc import Iterator
from datetime import datetime

from ..record import Record

SECOND = 10**9  # nanoseconds
_HEAD = 8  # bytes in front of each message: its stream, and its size
_STREAMS = {1: "stdout", 2: "stderr"}
_DATE = 19  # characters of a time without its fraction
_SLACK = 2 * SECOND  # by which two streams of a container may be written out of order


class LogLine(Record):
    """A line that a container wrote: ``time`` in nanoseconds since the epoch, as the engine noted it."""

    time: int
    stream: str
    text: str


class LogParser:
    """Turns the engine's stream of a log with time stamps into lines, however it is cut into pieces.

    https://docs.docker.com/reference/api/engine/version/v1.45/#tag/Container/operation/ContainerLogs
    The engine splits a line of more than 16 KiB into messages of the same time, only the last of which ends the line.
    ``messages`` counts them. ``terminal``: the container has a terminal, so its messages have no heads.
    """

    def __init__(self, terminal: bool) -> None:
        self.messages = 0
        self._terminal = terminal
        self._rest = b""
        self._begun: dict[str, tuple[bytes, bytes]] = {}  # the time and the text of a line that has not ended
        self._second = (b"", 0)  # the last one that was parsed

    def feed(self, piece: bytes) -> Iterator[LogLine]:
        """Yield the lines that end in a piece."""
        for stream, message in self._cut(self._rest + piece):
            self.messages += 1
            stamp, _, text = message.partition(b" ")
            begun = self._begun.pop(stream, None)
            if begun and begun[0] == stamp:
                text = begun[1] + text
            elif begun:  # the container was stopped in the middle of a line
                yield self._line(stream, *begun)
            if text.endswith(b"\n"):
                yield self._line(stream, stamp, text[:-1])
            else:
                self._begun[stream] = stamp, text

    def end(self) -> Iterator[LogLine]:
        """Yield the lines without an end."""
        if self._terminal and self._rest:
            yield from self.feed(b"\n")
        for stream, begun in self._begun.items():
            yield self._line(stream, *begun)
        self._begun.clear()

    def _cut(self, data: bytes) -> Iterator[tuple[str, bytes]]:
        if self._terminal:
            *lines, self._rest = data.split(b"\n")
            for line in lines:
                yield "stdout", _whole(line) + b"\n"
            return
        at = 0
        while len(data) - at >= _HEAD:
            end = at + _HEAD + int.from_bytes(data[at + 4 : at + _HEAD], "big")
            if end > len(data):
                break
            yield _STREAMS.get(data[at], "stdout"), data[at + _HEAD : end]
            at = end
        self._rest = data[at:]

    def _line(self, stream: str, stamp: bytes, text: bytes) -> LogLine:
        return LogLine(self._time(stamp), stream, text.removesuffix(b"\r").decode(errors="replace"))

    def _time(self, stamp: bytes) -> int:
        """Return a time such as 2026-11-29T08:00:00.123456789Z in nanoseconds since the epoch."""
        date = stamp[:_DATE]
        if date != self._second[0]:
            self._second = date, int(datetime.fromisoformat(f"{date.decode()}+00:00").timestamp())
        return self._second[1] * SECOND + int(stamp[_DATE + 1 : -1].ljust(9, b"0") or 0)


def _whole(line: bytes) -> bytes:
    """Return a line of a terminal without the times that the engine put between its parts."""
    stamp, blank, text = line.partition(b" ")
    return stamp + blank + text.replace(stamp + blank, b"")


class Resume:
    """Knows which lines of a container have been read, so that its log can be read on without a gap or a repetition.

    The engine finds a place by time only; stdout and stderr may be written out of order, and lines of the same time
    may be equal. So the log is read again from a moment earlier, and what was seen is left out.
    """

    def __init__(self, start: int) -> None:
        self.since = start  # nanoseconds since the epoch: where to read on
        self._start = start
        self._recent: deque[LogLine] = deque()
        self._again: Counter[LogLine] = Counter()

    def reopen(self) -> None:
        """Note that the log is read again, from ``since``."""
        self._again = Counter(line for line in self._recent if line.time >= self.since)

    def is_new(self, line: LogLine) -> bool:
        """Whether a line was not read before; it counts as read from now on."""
        if line.time < self._start:
            return False
        if self._again and self._again[line] > 0:
            self._again[line] -= 1
            return False
        self._recent.append(line)
        self.since = max(self.since, line.time - _SLACK)
        while self._recent and self._recent[0].time < self.since:
            self._recent.popleft()
        return True
