"""Waits for containers and reads their logs, both bounded by our own clock and in memory."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ...model.engine.facts import PROJECT_LABEL, Container
from .connection import Connection

_RETRY = 0.2  # seconds
_CLOCK = 0.5  # seconds after the deadline in which the engine may end the stream of events itself
_ANSWER = 5.0  # seconds that the engine has for an answer, even when less of a wait is left
_PIECE = 65536  # bytes
_LOG_BYTES = 2**20  # how much of the end of a log is kept


class WaitEndedError(Exception):
    """Raised from a wait that another thread has given up."""


class Watch:
    """Waits for containers of an engine and reads their logs."""

    def __init__(
        self,
        connection: Connection,
        containers: Callable[[str], tuple[Container, ...]],
        inspect: Callable[[str], Container | None],
    ) -> None:
        self._connection, self._answering = connection, connection.answering
        self._containers, self._inspect = containers, inspect
        self._given_up = threading.Event()
        self._open: Any = None  # the events that a wait listens to

    @property
    def _api(self) -> Any:
        return self._connection.api

    def wait(
        self,
        project: str,
        judge: Callable[[tuple[Container, ...]], str],
        timeout: float,
        probed: Callable[[], None] = lambda: None,
    ) -> str:
        """Call ``judge`` with the project's containers, now and after each event, until it returns a word.

        Returns that word (not ""), or "timeout" after ``timeout`` seconds. ``probed`` is called when a command has
        ended in a container, as health checks do. Raises RefusedError when the engine stops
        answering: at the latest a few seconds after the end of the wait.
        """
        deadline = time.monotonic() + timeout
        while True:
            if word := self._first_word(project, judge, deadline, probed):
                return word
            if time.monotonic() >= deadline:
                return "timeout"
            self.pause(_RETRY)  # the engine was restarted, or its clock differs from ours

    def give_up(self) -> None:
        """End the wait of another thread over this connection, and every later wait: they raise WaitEndedError."""
        self._given_up.set()
        if events := self._open:
            _close(events)

    def pause(self, seconds: float) -> None:
        """Sleep for some seconds; raises WaitEndedError when the wait is given up meanwhile."""
        if self._given_up.wait(seconds):
            raise WaitEndedError

    def _first_word(
        self,
        project: str,
        judge: Callable[[tuple[Container, ...]], str],
        deadline: float,
        probed: Callable[[], None],
    ) -> str:
        """Return the first word of ``judge`` that is not "", or "" when the engine ends the stream of events."""
        actions = ("health_status", "die", "start", "oom", "destroy")

        def late() -> bool:
            return time.monotonic() >= deadline

        def matters(event: Any) -> bool:
            action = str(event.get("Action", ""))
            if action.startswith("exec_die"):
                probed()
            return action.startswith(actions) or late()

        with self._bounded(deadline) as limit_again, self._events(project, deadline) as events:
            while True:
                if word := judge(self._containers(project)):
                    return word
                more = any(map(matters, events))
                limit_again()
                if late():  # a last request, which tells a quiet engine from one that no longer answers
                    return judge(self._containers(project))
                if not more:
                    return ""

    @contextlib.contextmanager
    def _bounded(self, deadline: float) -> Iterator[Callable[[], None]]:
        """Limit each answer to the time that is left until a deadline; yields what sets that limit again."""
        usual = self._connection.limit

        def limit_again() -> None:
            self._connection.limit = min(usual, max(_ANSWER, deadline - time.monotonic()))

        try:
            limit_again()
            yield limit_again
        finally:
            self._connection.limit = usual

    @contextlib.contextmanager
    def _events(self, project: str, deadline: float) -> Iterator[Iterable[Any]]:
        """Yield the events of a project's containers; they end at the deadline, also when the engine falls silent."""
        # From a second ago on: no event between the last request and the subscription is lost.
        now = time.time()
        left = deadline - time.monotonic()
        with self._answering():
            events = self._api.events(
                since=f"{now - 1:.3f}",
                until=f"{now + left:.3f}",
                filters={"type": "container", "label": f"{PROJECT_LABEL}={project}"},
                decode=True,
            )
            # The watchdog limits how long there may be no event, not the timeout of the socket.
            self._api._disable_socket_timeout(self._api._get_raw_response_socket(events._response))
        watchdog = threading.Timer(max(left, 0.0) + _CLOCK, _close, (events,))
        watchdog.daemon = True
        watchdog.start()
        self._open = events
        try:
            if self._given_up.is_set():
                raise WaitEndedError
            with self._answering():
                yield events
        finally:
            self._open = None
            watchdog.cancel()
            _close(events)
            events._response.close()

    def logs(self, container_id: str, lines: int, most: int = _LOG_BYTES, since: float = 0.0) -> str:
        """Return the last lines that a container wrote, at most ``most`` bytes of them; "" when it is gone.

        ``since``: only what it wrote from then on, in seconds since the epoch.

        Raises a SlipwayError when they cannot be read, such as with the logging driver ``none``.
        """
        if self._inspect(container_id) is None:
            return ""
        end = bytearray()
        with self._answering():
            for piece in self._log(container_id, lines, since):
                end += piece
                if len(end) > 2 * most:
                    del end[:-most]
        return end[-most:].decode(errors="replace")

    def _log(self, container_id: str, lines: int, since: float) -> Iterator[bytes]:
        """Yield a log in pieces; the SDK would return it whole, or byte by byte."""
        url = self._api._url("/containers/{0}/logs", container_id)
        given = {"stdout": 1, "stderr": 1, "tail": lines, "since": f"{since:.3f}"}
        with self._api._get(url, params=given, stream=True) as response:
            self._api._raise_for_status(response)
            pieces = response.iter_content(_PIECE)
            yield from pieces if self._api._check_is_tty(container_id) else demultiplexed(pieces)


def _close(events: Any) -> None:
    with contextlib.suppress(Exception):  # closed already, by its end or by the watchdog
        events.close()


def demultiplexed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the content of the frames of an engine's stream of stdout and stderr, piece by piece.

    https://docs.docker.com/reference/api/engine/version/v1.45/#tag/Container/operation/ContainerAttach
    """
    head, left = b"", 0
    for piece in pieces:
        rest = piece
        while rest:
            if left:
                yield rest[:left]
                rest, left = rest[left:], left - min(left, len(rest))
                continue
            head, rest = head + rest[: 8 - len(head)], rest[8 - len(head) :]
            if len(head) == 8:
                head, left = b"", int.from_bytes(head[4:], "big")
