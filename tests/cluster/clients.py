"""Clients that ask a Service from this machine, as others reach it: one connection for each request, no retry."""

import asyncio
import errno
import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.life.load import in_background

TIMEOUT = 15.0  # seconds until a request is lost
_LONGEST = 900.0  # seconds that clients go on at most


@dataclass(frozen=True)
class Asked:
    """A request: when it was sent (of ``time.monotonic``), and the first line of its answer or why it was lost."""

    at: float
    answer: str = ""
    lost: str = ""


@dataclass
class Requests:
    """The requests to an address, in the order in which they ended."""

    host: str
    port: int
    rate: float
    all: list[Asked] = field(default_factory=list)

    @property
    def lost(self) -> list[Asked]:
        """Those that got no answer, in the order in which they were sent."""
        return sorted((one for one in self.all if one.lost), key=lambda one: one.at)

    def reasons(self) -> Counter[str]:
        """Return how often requests were lost for which reason."""
        return Counter(one.lost for one in self.all if one.lost)

    async def run(self, stop: threading.Event) -> None:
        """Send requests at the rate until told to stop, and wait for the answers."""
        running: set[asyncio.Task[None]] = set()
        began = time.monotonic()
        for number in itertools.count():
            await asyncio.sleep(max(0.0, began + number / self.rate - time.monotonic()))
            if stop.is_set() or time.monotonic() - began > _LONGEST:
                break
            task = asyncio.create_task(self._ask())
            running.add(task)
            task.add_done_callback(running.discard)
        if running:
            await asyncio.wait(running)

    async def _ask(self) -> None:
        at = time.monotonic()
        try:
            async with asyncio.timeout(TIMEOUT):
                reader, writer = await asyncio.open_connection(self.host, self.port)
                try:
                    writer.write(f"GET / HTTP/1.1\r\nHost: {self.host}\r\nConnection: close\r\n\r\n".encode())
                    head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
                finally:
                    writer.transport.abort()
            found = head.split(" ", 2)[1:2] == ["200"]
            self.all.append(
                Asked(at, body.strip()) if found else Asked(at, lost=head.partition("\r\n")[0] or "nothing")
            )
        except (OSError, TimeoutError) as error:
            self.all.append(Asked(at, lost=errno.errorcode.get(error.errno or 0, type(error).__name__)))


@contextmanager
def asking(host: str, port: int, rate: float) -> Iterator[Requests]:
    """Send ``rate`` requests a second to an address for as long as the block lasts."""
    result = Requests(host, port, rate)
    with in_background(result.run):
        yield result
