"""Follows the logs of one or several environments, also into containers that take over from others.

Each container is read in a thread: from a moment that is the same for all of them, up to which the history is shown,
until it stops or is removed. Containers that are started later are told by the engine's events.
"""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from ..host.forwarding import signals_blocked
from ..host.output import flush, note, reader_gone
from ..model.engine.log_lines import SECOND, LogLine, Resume
from ..model.errors import RefusedError
from .log_source import ContainerLog, LogSource, in_order, look
from .plan.log_order import Gathering, LogEntry
from .plan.log_selection import Selection, Sieve

_PATIENCE = 0.3  # seconds that a line waits for earlier lines of other containers
_IDLE = 0.5  # seconds after which is looked whether anybody still reads
_MOST = 20_000  # lines that wait to be shown, before containers are not read any further
_AT_ONCE = 500  # lines that are taken before what is ripe is shown
_AGAIN = 0.1  # seconds

Show = Callable[[Iterable[LogEntry]], None]


class _Followed:
    """What is known of one container: whether a thread reads it, and up to where it has been read."""

    def __init__(self, log: ContainerLog, start: int) -> None:
        self.log, self.resume, self.sieve = log, Resume(start), Sieve(log.source.wanted)
        self.active = self.again = False


class _Follower:
    """Follows all containers at once; threads read, and put what is to be done with it into ``_todo``."""

    def __init__(self, sources: Sequence[LogSource], wanted: Selection) -> None:
        self._sources, self._wanted = sources, wanted
        self._todo: queue.Queue[Callable[[], None]] = queue.Queue(_MOST)
        self._gathering = Gathering(_PATIENCE)
        self._followed: dict[ContainerLog, _Followed] = {}
        self._starts = {source: source.logs.clock() for source in sources}

    def run(self, shown: Callable[[Sequence[ContainerLog]], Show]) -> None:
        """Show what is there and then what comes, until the end of the time, a signal, or the reader is gone."""
        for source in self._sources:
            _in_thread(partial(self._listen, source))
        found = look(self._sources)
        for source in set(self._sources) - {log.source for log in found}:
            note(f"{source.project.stack.project}: no containers yet")
        show = shown(found)
        for log in found:
            self._begin(log)
        show(in_order(((log, self._starts[log.source]) for log in found), self._wanted))
        flush()
        try:
            while not (self._wanted.until and time.time_ns() > self._wanted.until + SECOND):
                self._work()
                self._put_out(show, time.monotonic())
        finally:  # these lines have been read, also when it is stopped
            self._put_out(show, float("inf"))

    def _work(self) -> None:
        """Do what the threads have put into the queue; wait for it when there is nothing."""
        with contextlib.suppress(queue.Empty):
            self._todo.get(timeout=self._gathering.wait(time.monotonic(), _IDLE))()
            for _ in range(_AT_ONCE):
                self._todo.get_nowait()()
            return
        if reader_gone():
            raise BrokenPipeError

    def _put_out(self, show: Show, now: float) -> None:
        if ready := self._gathering.ripe(now):
            show(ready)
            flush()

    def _begin(self, log: ContainerLog) -> None:
        """Read a container in a thread, from where it has been read up to."""
        followed = self._followed.get(log) or _Followed(log, self._starts[log.source])
        self._followed[log] = followed
        followed.again = followed.active
        if not followed.active:
            followed.active = True
            _in_thread(partial(self._read, followed))

    def _read(self, followed: _Followed) -> None:
        """Read a container until it no longer runs; it may be started again while its log is read to the end."""
        logs, container = followed.log.source.logs, followed.log.id
        try:
            with followed.log.readable():
                while True:
                    followed.resume.reopen()
                    for line in logs.follow(container, followed.resume.since):
                        if followed.resume.is_new(line):
                            self._todo.put(partial(self._take, followed, line))
                    if not logs.running(container):
                        break
                    time.sleep(_AGAIN)
            self._todo.put(partial(self._end, followed))
        except Exception as error:
            self._todo.put(partial(_fail, error))

    def _take(self, followed: _Followed, line: LogLine) -> None:
        if followed.sieve.takes(line):
            self._gathering.add(followed.log.entry(line), time.monotonic())

    def _end(self, followed: _Followed) -> None:
        followed.active = False
        if followed.again:  # it was started while its end was read
            self._begin(followed.log)

    def _listen(self, source: LogSource) -> None:
        """Hear of the containers that are started."""
        try:
            for started in source.logs.started(source.project.stack.project, self._starts[source]):
                self._todo.put(partial(self._join, source, *started))
            raise RefusedError(
                f"the engine at {source.project.address} ended the stream of its events", "inv logs --follow again"
            )
        except Exception as error:
            self._todo.put(partial(_fail, error))

    def _join(self, source: LogSource, container: str, name: str, service: str) -> None:
        if log := source.join(container, name, service, len(self._followed)):
            self._begin(log)


def follow(sources: Sequence[LogSource], wanted: Selection, shown: Callable[[Sequence[ContainerLog]], Show]) -> None:
    """Show what the logs have and what comes; ``shown`` makes what shows lines, for the containers that are there."""
    _Follower(sources, wanted).run(shown)


def _in_thread(work: Callable[[], None]) -> None:
    with signals_blocked():
        threading.Thread(target=work, daemon=True).start()


def _fail(error: Exception) -> None:
    raise error
