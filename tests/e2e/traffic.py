"""A strict client: a set rate of requests over connections it keeps and over new ones, and no retry of anything."""

import asyncio
import itertools
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

_TIMEOUT = 15.0  # seconds; more than a request in flight may be held up
_KEPT = 16  # connections that are used again and again

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Traffic:
    """What became of the requests: how long each took in seconds, and a line for each that failed."""

    seconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def requests(self) -> int:
        """How many there were."""
        return len(self.seconds) + len(self.failures)

    def percentile(self, share: float) -> float:
        """Return a percentile of the times, in seconds."""
        ordered = sorted(self.seconds)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


@dataclass
class Client:
    """Where to, how often, and how it is trusted."""

    port: int
    certificate: Path | None  # None: plain HTTP
    rate: float

    async def run(self, traffic: Traffic, stop: threading.Event) -> None:
        """Send requests at the rate until told to stop, then wait for those in flight."""
        context = ssl.create_default_context(cafile=str(self.certificate)) if self.certificate else None
        kept: asyncio.Queue[Connection | None] = asyncio.Queue()
        for _ in range(_KEPT):
            kept.put_nowait(None)
        running: set[asyncio.Task[None]] = set()
        started = time.monotonic()
        for number in itertools.count():
            if stop.is_set():
                break
            await asyncio.sleep(max(0.0, started + number / self.rate - time.monotonic()))
            task = asyncio.create_task(self._one(number, context, kept, traffic))
            running.add(task)
            task.add_done_callback(running.discard)
        await asyncio.gather(*running)
        while not kept.empty():
            if connection := kept.get_nowait():
                await _close(connection)

    async def _one(
        self, number: int, context: ssl.SSLContext | None, kept: "asyncio.Queue[Connection | None]", traffic: Traffic
    ) -> None:
        began = time.monotonic()
        keep = number % 4 != 0  # every fourth request has a connection of its own
        what = "POST" if number % 5 == 0 else "GET"
        connection: Connection | None = None
        open_ = False
        if keep:
            connection = await kept.get()
            began = time.monotonic()  # the time until one is free is the client's own
        try:
            async with asyncio.timeout(_TIMEOUT):
                connection = connection or await asyncio.open_connection(
                    "127.0.0.1", self.port, ssl=context, server_hostname="localhost" if context else None
                )
                status, open_ = await _ask(what, number, keep, *connection)
            if status != (201 if what == "POST" else 200):
                raise ValueError(f"status {status}")
            traffic.seconds.append(time.monotonic() - began)
        except (OSError, ValueError, TimeoutError, asyncio.IncompleteReadError) as error:
            traffic.failures.append(f"{what} after {time.monotonic() - began:.2f} s: {type(error).__name__} {error}")
            open_ = False
        if connection and not open_:
            await _close(connection)
        if keep:
            kept.put_nowait(connection if open_ else None)


async def _close(connection: Connection) -> None:
    connection[1].close()
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(_TIMEOUT):
            await connection[1].wait_closed()


async def _ask(
    what: str, number: int, keep: bool, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> tuple[int, bool]:
    """Send one request and read its answer; returns the status, and whether the connection may be used again."""
    body, path = b"", "/api/users?limit=1"
    if what == "POST":
        name = f"load{number}-{time.time_ns()}"
        body, path = json.dumps({"name": name, "email": f"{name}@example.net"}).encode(), "/api/users"
    head = f"{what} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    head += "Content-Type: application/json\r\n" + ("" if keep else "Connection: close\r\n")
    writer.write(head.encode() + b"\r\n" + body)
    await writer.drain()
    answer = (await reader.readuntil(b"\r\n\r\n")).decode()
    headers = dict(line.lower().split(": ", 1) for line in answer.split("\r\n")[1:] if ": " in line)
    await _read_body(headers, reader)
    return int(answer.split(" ", 2)[1]), keep and headers.get("connection") != "close"


async def _read_body(headers: dict[str, str], reader: asyncio.StreamReader) -> None:
    if headers.get("transfer-encoding") != "chunked":
        await reader.readexactly(int(headers.get("content-length", "0")))
        return
    while size := int((await reader.readuntil(b"\r\n")).strip(), 16):
        await reader.readexactly(size + 2)
    await reader.readuntil(b"\r\n")


@contextmanager
def traffic(port: int, certificate: Path | None, rate: float) -> Iterator[Traffic]:
    """Send requests all through a block."""
    found, stop = Traffic(), threading.Event()
    client = Client(port, certificate, rate)
    thread = threading.Thread(target=lambda: asyncio.run(client.run(found, stop)))
    thread.start()
    try:
        yield found
    finally:
        stop.set()
        thread.join()
