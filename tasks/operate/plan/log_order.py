"""The lines of several logs in one order: by time, and those of a container as it wrote them."""

import heapq
from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from ...model.engine.log_lines import LogLine
from ...model.record import Record


class Origin(Record):
    """The container that a line is from; ``order`` puts lines of the same time in order."""

    environment: str
    service: str
    container: str
    order: int


class LogEntry(Record):
    """A line and where it is from; ``key`` is its place among all lines."""

    origin: Origin
    line: LogLine
    key: tuple[int, int, int]


class Order:
    """Gives the lines of a container their places: by time, but never before a line that the container wrote earlier.

    The engine notes stdout and stderr one by one, so that a line may have an earlier time than the line before it.
    """

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self._latest = self._number = 0

    def entry(self, line: LogLine) -> LogEntry:
        """Return the next line of the container with its place."""
        self._latest, self._number = max(self._latest, line.time), self._number + 1
        return LogEntry(self.origin, line, (self._latest, self.origin.order, self._number))


def merged(logs: Iterable[Iterable[LogEntry]]) -> Iterator[LogEntry]:
    """Yield the lines of several logs in order; reads no further than it has to."""
    return heapq.merge(*logs, key=_key)


def last(logs: Iterable[Iterable[LogEntry]], number: int) -> Sequence[LogEntry]:
    """Return the last lines of several logs together, in order."""
    return tuple(merged(logs))[-number:] if number else ()


def _key(entry: LogEntry) -> tuple[int, int, int]:
    return entry.key


class Gathering:
    """Puts lines that arrive from several containers in order; each waits a moment for earlier ones, never longer."""

    def __init__(self, patience: float) -> None:
        self._patience = patience  # seconds
        self._waiting: list[tuple[tuple[int, int, int], int, LogEntry]] = []
        self._arrived: deque[tuple[float, tuple[int, int, int], int]] = deque()
        self._number = 0

    def add(self, entry: LogEntry, now: float) -> None:
        """Add a line that has arrived."""
        self._number += 1
        heapq.heappush(self._waiting, (entry.key, self._number, entry))
        self._arrived.append((now, entry.key, self._number))

    def ripe(self, now: float) -> list[LogEntry]:
        """Return the lines that have waited long enough, and those before them."""
        ready: list[LogEntry] = []
        while self._arrived and self._arrived[0][0] + self._patience <= now:
            _, key, number = self._arrived.popleft()
            while self._waiting and self._waiting[0][:2] <= (key, number):
                ready.append(heapq.heappop(self._waiting)[2])
        return ready

    def wait(self, now: float, longest: float) -> float:
        """Return for how many seconds nothing gets ripe, ``longest`` at most."""
        return max(0.0, min(longest, self._arrived[0][0] + self._patience - now)) if self._arrived else longest
