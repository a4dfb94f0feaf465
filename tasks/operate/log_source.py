"""The logs of the containers of one environment, as the engine has them."""

import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Protocol

from ..host.engine.connection import NotThereError
from ..host.output import WARNING, mask_secrets, note
from ..host.project import Project
from ..model.engine.log_lines import SECOND, LogLine
from ..model.errors import RefusedError, SlipwayError
from .plan.log_order import LogEntry, Order, Origin, last, merged
from .plan.log_output import LogOutcome
from .plan.log_selection import ALL, Selection, Sieve

_FIRST, _MORE = 1000, 20_000  # messages in which the last lines that match are looked for before the whole log is read


class ContainerLog:
    """The log of one container; ``sieve`` knows what of it is wanted."""

    def __init__(self, source: "LogSource", container: str, origin: Origin) -> None:
        self.source, self.id, self.order = source, container, Order(origin)
        self.sieve = Sieve(source.wanted)

    @property
    def origin(self) -> Origin:
        """Where its lines are from."""
        return self.order.origin

    @contextlib.contextmanager
    def readable(self) -> Iterator[None]:
        """Tell people when the log cannot be read; raises RefusedError when the engine does not answer."""
        name = f"{self.source.project.stack.project}: {self.origin.container}"
        try:
            yield
        except NotThereError:
            self.source.unread += 1
            note(f"{name} was removed before its log could be read", WARNING)
        except RefusedError:
            raise
        except SlipwayError as error:  # such as with the logging driver `none`
            self.source.unread += 1
            reason = error.message.removeprefix("the engine refused: ")
            note(f"{name}: its log cannot be read: {reason}", WARNING)

    def entry(self, line: LogLine) -> LogEntry:
        """Return the next line that is shown, with its place; secrets of the profiles in it are masked, unless raw."""
        return self.order.entry(line if self.source.raw else replace(line, text=mask_secrets(line.text)))

    def entries(self, until: int) -> Iterable[LogEntry]:
        """Return what is wanted of what is in the log, with a tail only the last of it; ``until`` limits the time."""
        wanted = self.source.wanted
        wanted = replace(wanted, until=min(filter(None, (wanted.until, until)), default=0))
        self.sieve = Sieve(wanted)
        return self._all(wanted) if wanted.tail == ALL else self._last(wanted)

    def _all(self, wanted: Selection) -> Iterator[LogEntry]:
        with self.readable():
            for line in self.source.logs.read(self.id, wanted.since, wanted.until):
                if self.sieve.takes(line):
                    yield self.entry(line)

    def _last(self, wanted: Selection) -> list[LogEntry]:
        """Return the last lines that are wanted: from the end of the log if they are there, else from all of it."""
        if not wanted.tail:
            return []
        with self.readable():
            for messages in (max(wanted.tail, _FIRST) if wanted.looks else wanted.tail, max(wanted.tail, _MORE)):
                self.sieve = Sieve(wanted)
                lines, whole = self.source.logs.last(self.id, messages + 1)
                taken = [line for line in lines if self.sieve.takes(line)]
                before = bool(lines and lines[0].time < wanted.since - SECOND)
                if whole or before or len(taken) >= wanted.tail:
                    return [self.entry(line) for line in taken[-wanted.tail :]]
            self.sieve = Sieve(wanted)
            return list(deque(self._all(wanted), maxlen=wanted.tail))
        return []


class LogSource:
    """The logs of one environment: those of the containers that are there, and of those that join later."""

    def __init__(self, project: Project, services: tuple[str, ...], wanted: Selection, raw: bool = False) -> None:
        self.project, self.wanted, self.raw = project, wanted, raw
        self.unread = 0  # logs
        self._services = tuple(service.name for service in project.stack.select(services)) if services else ()
        self._logs: dict[str, ContainerLog] = {}
        self._made: dict[str, int] = {}
        self.logs, self._listed = _opened(project)

    @property
    def environment(self) -> str:
        """The name of the environment."""
        return self.project.profile.environment

    def look(self, first: int) -> tuple[ContainerLog, ...]:
        """Return the logs of the containers that are there, stopped ones too; they are numbered from ``first`` on."""
        for identity, name, service, made in self._listed():
            log = self.join(identity, name, service, first)
            if log:
                first += 1
                self._made[service] = min(self._made.get(service, made), made)
        return tuple(self._logs.values())

    def join(self, container: str, name: str, service: str, number: int) -> ContainerLog | None:
        """Return the log of a container, None when its service is not wanted."""
        if self._services and service not in self._services:
            return None
        if container not in self._logs:
            short = name.removeprefix(f"{self.project.stack.project}-")
            origin = Origin(self.environment, service, short, number)
            self._logs[container] = ContainerLog(self, container, origin)
        return self._logs[container]

    def outcome(self) -> LogOutcome:
        """Return what has come of reading the logs."""
        sieves = [log.sieve for log in self._logs.values()]
        return LogOutcome(
            project=self.project.stack.project,
            containers=len(self._logs),
            unread=self.unread,
            seen=sum(sieve.seen for sieve in sieves),
            taken=sum(sieve.taken for sieve in sieves),
            begins=self._made,
            missing=tuple(name for name in self._services if name not in self._made),
        )


class EngineLogs(Protocol):
    """The logs of an engine's containers, or of a cluster's Pods."""

    def clock(self) -> int:
        """Return a time from before which all lines are in the logs, in nanoseconds since the epoch."""

    def read(self, container: str, since: int = 0, until: int = 0) -> Iterator[LogLine]:
        """Yield what a container wrote in a time."""

    def last(self, container: str, messages: int) -> tuple[list[LogLine], bool]:
        """Return the last lines of a log, and whether that is all."""

    def follow(self, container: str, since: int) -> Iterator[LogLine]:
        """Yield what a container wrote since then, and what it goes on to write."""

    def running(self, container: str) -> bool:
        """Whether a container runs now."""

    def started(self, project: str, since: int) -> Iterator[tuple[str, str, str]]:
        """Yield id, name and service of each container that is started."""


Listed = Iterator[tuple[str, str, str, int]]  # id, name, service, and time of creation


def _opened(project: Project) -> tuple[EngineLogs, Callable[[], Listed]]:
    """Return the logs of a project, and what lists its containers or Pods, one-off ones left out."""
    if project.clustered:
        from .pod_logs import PodLogs  # nothing of it is loaded for an engine

        logs = PodLogs(project)
        return logs, logs.listed

    def listed() -> Listed:
        for container in project.engine.containers(project.stack.project):
            if not container.oneoff:
                yield container.id, container.name, container.service, round(container.created * SECOND)

    return project.engine.logs, listed


def look(sources: Iterable[LogSource]) -> list[ContainerLog]:
    """Return the logs of all containers that are there, numbered throughout."""
    logs: list[ContainerLog] = []
    for source in sources:
        logs += source.look(len(logs))
    return logs


def in_order(logs: Iterable[tuple[ContainerLog, int]], wanted: Selection) -> Iterable[LogEntry]:
    """Return what is wanted of logs up to a time each, in order; with a tail the last lines of all together."""
    found = [log.entries(until) for log, until in logs]
    return merged(found) if wanted.tail == ALL else last(found, wanted.tail)
