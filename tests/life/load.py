"""A strict client that reads and writes rows: connections that are kept, no retry, and every key answered 201 noted."""

import asyncio
import itertools
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

_TIMEOUT = 10.0  # seconds until a request is lost
_KEPT = 12  # connections that are used again and again
_WAITING = 30  # requests in flight; more are not sent, so a busy machine makes a slower client and no losses
_LONGEST = 3600.0  # seconds that a load goes on at most

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True)
class Api:
    """How a stack is asked through its front door; ``body`` makes what is posted of a key, ``trust`` is for TLS."""

    port: int
    path: str
    read: str
    body: Callable[[str], str] = str
    trust: Callable[[], ssl.SSLContext] | None = None


@dataclass(frozen=True)
class Mark:
    """How far a load has come."""

    answered: int
    lost: int
    written: int


@dataclass
class Load:
    """What became of the requests; each list only grows."""

    api: Api
    rate: float
    seconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)

    def mark(self) -> Mark:
        """Return how far it has come."""
        return Mark(len(self.seconds), len(self.failures), len(self.written))

    def percentile(self, share: float) -> float:
        """Return a percentile of the times, in seconds."""
        ordered = sorted(self.seconds)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0


class _Client:
    def __init__(self, load: Load, stop: threading.Event) -> None:
        self.load, self.stop = load, stop
        self.kept: asyncio.Queue[Connection | None] = asyncio.Queue()
        self.running: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Send requests at the rate until told to stop, then wait for those in flight."""
        for _ in range(_KEPT):
            self.kept.put_nowait(None)
        began = time.monotonic()
        for number in itertools.count():
            await asyncio.sleep(max(0.0, began + number / self.load.rate - time.monotonic()))
            if self.stop.is_set() or time.monotonic() - began > _LONGEST:
                break
            if len(self.running) >= _WAITING:
                continue
            task = asyncio.create_task(self._one(number))
            self.running.add(task)
            task.add_done_callback(self.running.discard)
        if self.running:
            await asyncio.wait(self.running, timeout=2 * _TIMEOUT)
        for task in self.running:
            task.cancel()
        while not self.kept.empty():
            await _close(self.kept.get_nowait())

    async def _one(self, number: int) -> None:
        own = number % 8 == 0  # every eighth request has a connection of its own
        key = f"k{number}-{time.time_ns()}" if number % 3 == 0 else ""
        connection: Connection | None = None if own else await self.kept.get()
        began, again = time.monotonic(), False
        try:
            async with asyncio.timeout(_TIMEOUT):
                connection = connection or await self._connect()
                status, again = await self._ask(key, own, *connection)
            if status != (201 if key else 200):
                raise ValueError(f"status {status}")
            self.load.seconds.append(time.monotonic() - began)
            if key:
                self.load.written.append(key)
        except (OSError, ValueError, TimeoutError, asyncio.IncompleteReadError) as error:
            what = (
                f"{'write' if key else 'read'} after {time.monotonic() - began:.2f} s: {type(error).__name__} {error}"
            )
            self.load.failures.append(what)
            again = False
        if not again:
            await _close(connection)
        if not own:
            self.kept.put_nowait(connection if again else None)

    async def _connect(self) -> Connection:
        context = self.load.api.trust() if self.load.api.trust else None
        name = "localhost" if context else None
        return await asyncio.open_connection("127.0.0.1", self.load.api.port, ssl=context, server_hostname=name)

    async def _ask(
        self, key: str, own: bool, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> tuple[int, bool]:
        """Send one request and read its answer; returns the status, and whether the connection may be used again."""
        api = self.load.api
        body = api.body(key).encode() if key else b""
        first = f"POST {api.path}" if key else f"GET {api.read}"
        head = f"{first} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        head += "Content-Type: application/json\r\n" + ("Connection: close\r\n" if own else "")
        writer.write(head.encode() + b"\r\n" + body)
        await writer.drain()
        answer = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = dict(line.lower().split(": ", 1) for line in answer.split("\r\n")[1:] if ": " in line)
        await _read_body(headers, reader)
        return int(answer.split(" ", 2)[1]), not own and headers.get("connection") != "close"


async def _close(connection: Connection | None) -> None:
    if connection is None:
        return
    connection[1].close()
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(1.0):
            await connection[1].wait_closed()


async def _read_body(headers: dict[str, str], reader: asyncio.StreamReader) -> None:
    if headers.get("transfer-encoding") != "chunked":
        await reader.readexactly(int(headers.get("content-length", "0")))
        return
    while size := int((await reader.readuntil(b"\r\n")).strip(), 16):
        await reader.readexactly(size + 2)
    await reader.readuntil(b"\r\n")


@contextmanager
def load(api: Api, rate: float) -> Iterator[Load]:
    """Send requests all through a block."""
    found, stop = Load(api, rate), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_Client(found, stop).run()), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        stop.set()
        thread.join(timeout=60)
