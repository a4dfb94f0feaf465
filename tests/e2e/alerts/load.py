"""Clients of the sample, which go on while it is broken."""

import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from .stack import Stack

_CLIENTS, _PAUSE = 8, 0.25  # of each between two requests, in seconds
_TIMEOUT = 10.0


@dataclass
class Load:
    """What the clients got: the status of each answer, 0 for none, and when (monotonic)."""

    answers: list[tuple[float, int]] = field(default_factory=list)

    def first(self, since: float, bad: bool) -> float | None:
        """Return when the first answer came after a time that is an error of the server, or is none."""
        found = (at for at, status in list(self.answers) if at >= since and (status >= 500) is bad)
        return next(found, None)


@contextmanager
def requests(stack: Stack, path: str = "/api/users") -> Iterator[Load]:
    """Ask the sample again and again, as its clients do, until the block ends."""
    load, ended = Load(), threading.Event()
    # The certificate is a fault, too.
    context = ssl._create_unverified_context()
    url = f"https://localhost:{stack.ports['HTTPS_PORT']}{path}"

    def client() -> None:
        while not ended.wait(_PAUSE):
            status = _status(url, context)
            load.answers.append((time.monotonic(), status))

    threads = [threading.Thread(target=client, daemon=True) for _ in range(_CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def _status(url: str, context: ssl.SSLContext) -> int:
    try:
        with urllib.request.urlopen(url, context=context, timeout=_TIMEOUT) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0
