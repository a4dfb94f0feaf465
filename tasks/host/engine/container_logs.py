"""Reads and follows the logs of containers, line by line with the engine's own times."""

import json
from collections.abc import Iterator
from typing import Any

from ...model.engine.facts import ONEOFF_LABEL, PROJECT_LABEL, SERVICE_LABEL
from ...model.engine.log_lines import SECOND, LogLine, LogParser
from ...model.errors import SlipwayError
from .connection import Connection, NotThereError

_GONE = "marked for removal"  # what the engine says of a container that is about to be gone
_EARLIER = 0.1  # seconds that a line may take from its time stamp into the log


class ContainerLogs:
    """The logs of an engine's containers; threads may read at the same time. Times are nanoseconds since the epoch."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def clock(self) -> int:
        """Return a time from before which all lines that were written are in the logs by now."""
        return int((self._connection.clock() - _EARLIER) * SECOND)

    def read(self, container: str, since: int = 0, until: int = 0) -> Iterator[LogLine]:
        """Yield what a container wrote in a time; raises NotThereError when it is gone, as all methods do."""
        options: dict[str, Any] = {"since": _seconds(since)} if since else {}
        if until:  # the engine stops at the first line after that, and lines may be out of order
            options["until"] = _seconds(until + SECOND)
        for line in self._lines(LogParser(self._terminal(container)), container, **options):
            if since <= line.time and (not until or line.time < until):
                yield line

    def last(self, container: str, messages: int) -> tuple[list[LogLine], bool]:
        """Return the lines of the last messages of a log, without one that may begin earlier, and whether that is all.

        A line is a message, or several messages if it is long.
        """
        parser = LogParser(self._terminal(container))
        lines = list(self._lines(parser, container, tail=messages))
        whole = parser.messages < messages
        return lines if whole else lines[1:], whole

    def follow(self, container: str, since: int) -> Iterator[LogLine]:
        """Yield what a container wrote since then, and what it goes on to write until it stops."""
        parser = LogParser(self._terminal(container))
        for line in self._lines(parser, container, endless=True, follow=1, since=_seconds(since)):
            if line.time >= since:
                yield line

    def running(self, container: str) -> bool:
        """Whether a container runs now."""
        found = self._connection.find(f"/containers/{container}/json")
        return bool(found and found["State"]["Running"])

    def started(self, project: str, since: int) -> Iterator[tuple[str, str, str]]:
        """Yield id, name and service of each container of a project that is started, one-off ones left out."""
        filters = {"type": ["container"], "event": ["start"], "label": [f"{PROJECT_LABEL}={project}"]}
        rest = b""
        with self._connection.stream("/events", endless=True, filters=filters, since=_seconds(since)) as pieces:
            for piece in pieces:
                *events, rest = (rest + piece).split(b"\n")
                for actor in (json.loads(event)["Actor"] for event in events if event.strip()):
                    labels = actor["Attributes"]
                    if labels.get(ONEOFF_LABEL) == "False":
                        yield actor["ID"], labels["name"], labels.get(SERVICE_LABEL, "")

    def _terminal(self, container: str) -> bool:
        return bool(self._connection.read(f"/containers/{container}/json")["Config"]["Tty"])

    def _lines(self, parser: LogParser, container: str, endless: bool = False, **options: Any) -> Iterator[LogLine]:
        path = f"/containers/{container}/logs"
        wanted = {"stdout": 1, "stderr": 1, "timestamps": 1, **options}
        try:
            with self._connection.stream(path, endless=endless, **wanted) as pieces:
                for piece in pieces:
                    yield from parser.feed(piece)
        except SlipwayError as error:
            if _GONE not in error.message:
                raise
            raise NotThereError(error.message) from None
        yield from parser.end()


def _seconds(moment: int) -> str:
    return f"{moment // SECOND}.{moment % SECOND:09}"
