"""Waiting for containers, and what they wrote: both end by our own clock and with bounded memory."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from ..plan.facts import PROJECT_LABEL, Container

_AGAIN = 0.2  # seconds
_CLOCK = 0.5  # seconds that the engine may tell the end of a wait after we know it
_ANSWER = 5.0  # seconds that an engine has for an answer, however little of a wait is left
_PIECE = 65536  # bytes
_LOG_BYTES = 2**20  # of a log that are kept


class Watch:
    """The part of the engine that waits and reads logs."""

    _api: Any
    _answering: Callable[[], AbstractContextManager[None]]
    containers: Callable[[str], tuple[Container, ...]]
    inspect: Callable[[str], Container | None]

    def wait(self, project: str, judge: Callable[[tuple[Container, ...]], str], timeout: float) -> str:
        """Ask ``judge`` about the project's containers now and after each of the engine's events.

        Returns its first word that is not "", or "timeout" after ``timeout`` seconds. Raises RefusedError when the
        engine falls silent meanwhile: at the latest a few seconds after the end of the wait.
        """
        deadline = time.monotonic() + timeout
        while True:
            if word := self._heard(project, judge, deadline):
                return word
            if time.monotonic() >= deadline:
                return "timeout"
            time.sleep(_AGAIN)  # the engine was started again, or goes by another clock

    def _heard(self, project: str, judge: Callable[[tuple[Container, ...]], str], deadline: float) -> str:
        """Return the first word of ``judge``, "" when the engine tells of nothing more."""
        told = ("health_status", "die", "start", "oom", "destroy")

        def late() -> bool:
            return time.monotonic() >= deadline

        with self._until(deadline) as hurry, self._events(project, deadline) as events:
            while True:
                if word := judge(self.containers(project)):
                    return word
                more = any(str(one.get("Action", "")).startswith(told) or late() for one in events)
                hurry()
                if late():  # the last look, which also tells an engine where nothing happens from one that is gone
                    return judge(self.containers(project))
                if not more:
                    return ""

    @contextlib.contextmanager
    def _until(self, deadline: float) -> Iterator[Callable[[], None]]:
        """Let no answer take longer than what is left of a wait; yields what looks at the clock again."""
        usual = self._api.limit

        def hurry() -> None:
            self._api.limit = min(usual, max(_ANSWER, deadline - time.monotonic()))

        try:
            hurry()
            yield hurry
        finally:
            self._api.limit = usual

    @contextlib.contextmanager
    def _events(self, project: str, deadline: float) -> Iterator[Iterable[Any]]:
        """Yield what happens to a project's containers; ends at the deadline, also when nothing more is heard."""
        # From one second ago: nothing between the look and the subscription is lost.
        now = time.time()
        left = deadline - time.monotonic()
        with self._answering():
            events = self._api.events(
                since=f"{now - 1:.3f}",
                until=f"{now + left:.3f}",
                filters={"type": "container", "label": f"{PROJECT_LABEL}={project}"},
                decode=True,
            )
            # How long nothing may happen there is for the watchdog to say.
            self._api._disable_socket_timeout(self._api._get_raw_response_socket(events._response))
        watchdog = threading.Timer(max(left, 0.0) + _CLOCK, _closed, (events,))
        watchdog.daemon = True
        watchdog.start()
        try:
            with self._answering():
                yield events
        finally:
            watchdog.cancel()
            _closed(events)
            events._response.close()

    def logs(self, container_id: str, lines: int, most: int = _LOG_BYTES) -> str:
        """Return the last lines that a container wrote, at most ``most`` bytes of them; "" when it is gone.

        Raises a SlipwayError when they cannot be read, such as with the logging driver ``none``.
        """
        if self.inspect(container_id) is None:
            return ""
        end = bytearray()
        with self._answering():
            for piece in self._log(container_id, lines):
                end += piece
                if len(end) > 2 * most:
                    del end[:-most]
        return end[-most:].decode(errors="replace")

    def _log(self, container_id: str, lines: int) -> Iterator[bytes]:
        """Yield a log in pieces; the SDK would give all of it at once, or byte by byte."""
        url = self._api._url("/containers/{0}/logs", container_id)
        with self._api._get(url, params={"stdout": 1, "stderr": 1, "tail": lines}, stream=True) as response:
            self._api._raise_for_status(response)
            pieces = response.iter_content(_PIECE)
            yield from pieces if self._api._check_is_tty(container_id) else demultiplexed(pieces)


def _closed(events: Any) -> None:
    with contextlib.suppress(Exception):  # closed already, by its end or by the watchdog
        events.close()


def demultiplexed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield what is in the frames of an engine's stream of stdout and stderr, piece by piece.

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
