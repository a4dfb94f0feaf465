"""A strict client that reads and writes rows: kept-alive connections, no retry; records each key answered with 201."""

import asyncio
import http.client
import itertools
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any

_TIMEOUT = 25.0  # seconds until a request is lost
_KEPT = 12  # connections that are used again and again
_WAITING = 30  # requests in flight; more are not sent, so a busy machine makes a slower client and no losses
_SHORT = 200  # bytes of an answer that is kept
_LONGEST = 3600.0  # seconds that a load goes on at most

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True)
class Api:
    """How clients reach a stack; ``body`` makes the body to post of a key, ``trust`` the context for TLS, if any.

    Whatever the ``host``, clients ask for ``localhost``: that is the name in certificates.
    """

    port: int
    path: str
    read: str
    body: Callable[[str], str] = str
    trust: Callable[[], ssl.SSLContext] | None = None
    host: str = "127.0.0.1"

    def get(self, path: str, timeout: float = 5.0) -> str:
        """Ask once over a connection of its own, and return the body; raises OSError or HTTPException without one."""
        connection = http.client.HTTPConnection("localhost", self.port, timeout=timeout)
        with closing(socket.create_connection((self.host, self.port), timeout)) as plain:
            context = self.trust() if self.trust else None
            with context.wrap_socket(plain, server_hostname="localhost") if context else nullcontext(plain) as made:
                connection.sock = made
                connection.request("GET", path, headers={"Connection": "close"})
                answer = connection.getresponse()
                if answer.status != 200:
                    raise http.client.HTTPException(f"status {answer.status}")
                return answer.read().decode()


@dataclass(frozen=True)
class Mark:
    """The counts of a load at a moment."""

    answered: int
    lost: int
    written: int


@dataclass
class Load:
    """The results of the requests so far: times in seconds, a line for each failure, keys answered with 201.

    ``answers`` are the short bodies of all answers, each with the moment (of ``time.monotonic``) it was asked at.
    """

    api: Api
    rate: float
    seconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    answers: list[tuple[float, str]] = field(default_factory=list)

    def between(self, begin: float, end: float) -> Counter[str]:
        """Return how often each answer was given to requests of a time."""
        return Counter(body for asked, body in self.answers if begin <= asked < end)

    def mark(self) -> Mark:
        """Return the counts so far."""
        return Mark(len(self.seconds), len(self.failures), len(self.written))

    def percentile(self, share: float, begin: int = 0, end: int | None = None) -> float:
        """Return a percentile of the times, in seconds; of the answers of a number to those of another."""
        ordered = sorted(self.seconds[begin:end])
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
            task = asyncio.create_task(self._send(number))
            self.running.add(task)
            task.add_done_callback(self.running.discard)
        if self.running:
            await asyncio.wait(self.running, timeout=2 * _TIMEOUT)
        for task in self.running:
            task.cancel()
        while not self.kept.empty():
            await _close(self.kept.get_nowait())

    async def _send(self, number: int) -> None:
        own = number % 8 == 0  # every eighth request has a connection of its own
        key = f"k{number}-{time.time_ns()}" if number % 3 == 0 else ""
        connection: Connection | None = None if own else await self.kept.get()
        began, reusable = time.monotonic(), False
        try:
            async with asyncio.timeout(_TIMEOUT):
                connection = connection or await self._connect()
                status, reusable, body = await self._ask(key, own, *connection)
            if status != (201 if key else 200):
                raise ValueError(f"status {status}")
            self.load.seconds.append(time.monotonic() - began)
            if key:
                self.load.written.append(key)
            if len(body) <= _SHORT:
                self.load.answers.append((began, body.decode(errors="replace").strip()))
        except (OSError, ValueError, TimeoutError, asyncio.IncompleteReadError) as error:
            what = (
                f"{'write' if key else 'read'} after {time.monotonic() - began:.2f} s: {type(error).__name__} {error}"
            )
            self.load.failures.append(what)
            reusable = False
        if not reusable:
            await _close(connection)
        if not own:
            self.kept.put_nowait(connection if reusable else None)

    async def _connect(self) -> Connection:
        context = self.load.api.trust() if self.load.api.trust else None
        name = "localhost" if context else None
        return await asyncio.open_connection(self.load.api.host, self.load.api.port, ssl=context, server_hostname=name)

    async def _ask(
        self, key: str, own: bool, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> tuple[int, bool, bytes]:
        """Send a request and read its answer; return status, whether the connection may be used again, and body."""
        api = self.load.api
        body = api.body(key).encode() if key else b""
        first = f"POST {api.path}" if key else f"GET {api.read}"
        head = f"{first} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        head += "Content-Type: application/json\r\n" + ("Connection: close\r\n" if own else "")
        writer.write(head.encode() + b"\r\n" + body)
        await writer.drain()
        answer = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = dict(line.lower().split(": ", 1) for line in answer.split("\r\n")[1:] if ": " in line)
        content = await _read_body(headers, reader)
        return int(answer.split(" ", 2)[1]), not own and headers.get("connection") != "close", content


async def _close(connection: Connection | None) -> None:
    if connection is None:
        return
    connection[1].close()
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(1.0):
            await connection[1].wait_closed()


async def _read_body(headers: dict[str, str], reader: asyncio.StreamReader) -> bytes:
    if headers.get("transfer-encoding") != "chunked":
        return await reader.readexactly(int(headers.get("content-length", "0")))
    body = b""
    while size := int((await reader.readuntil(b"\r\n")).strip(), 16):
        body += (await reader.readexactly(size + 2))[:size]
    await reader.readuntil(b"\r\n")
    return body


@contextmanager
def in_background(run: Callable[[threading.Event], Coroutine[Any, Any, None]]) -> Iterator[None]:
    """Run a coroutine in a thread for as long as the block lasts: then it is told to stop, and waited for."""
    stop = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(run(stop)), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=60)


@contextmanager
def load(api: Api, rate: float) -> Iterator[Load]:
    """Send ``rate`` requests a second for as long as the block lasts."""
    result = Load(api, rate)
    with in_background(lambda stop: _Client(result, stop).run()):
        yield result
