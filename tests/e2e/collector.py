"""A collector of traces that keeps what it gets, and reads of it what tests ask."""

import itertools
import os
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from .support import DOCKER, Sample, docker, until

_LENGTH = 2  # the wire type of what says its length: https://protobuf.dev/programming-guides/encoding/
_WIDTHS = {1: 8, 5: 4}  # bytes of a number by its wire type


@dataclass(frozen=True)
class Span:
    """A span: its name, the trace and the parent in hexadecimal, and what describes the service that made it."""

    name: str
    trace: str
    id: str
    parent: str
    resource: tuple[tuple[str, str], ...]


class Collector(ThreadingHTTPServer):
    """Receives OTLP over HTTP."""

    def __init__(self, address: str) -> None:
        self.received: list[bytes] = []
        super().__init__((address, 0), _Handler)

    @property
    def endpoint(self) -> str:
        """The address, as containers reach it."""
        return f"http://{self.server_address[0]!s}:{self.server_address[1]}"

    def spans(self) -> list[Span]:
        """Return the spans that have come so far, in that order.

        https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/trace/v1/trace.proto
        """
        return [
            Span(
                _one(span, 5).decode(), _one(span, 1).hex(), _one(span, 2).hex(), _one(span, 4).hex(),
                tuple(_attributes(_one(group, 1))),
            )
            for body in list(self.received)
            for group in _all(body, 1)
            for scope in _all(group, 2)
            for span in _all(scope, 2)
        ]  # fmt: skip


class _Handler(BaseHTTPRequestHandler):
    server: Collector
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.server.received.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def collecting(network: str) -> Iterator[Collector]:
    """A collector on this machine's address in a network of containers."""
    gateway = docker("network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", network)
    with Collector(gateway) as collector:
        threading.Thread(target=collector.serve_forever, daemon=True).start()
        try:
            yield collector
        finally:
            collector.shutdown()


@contextmanager
def another(sample: Sample, environment: str, name: str, changed: Mapping[str, str], *options: str) -> Iterator[str]:
    """A healthy container of the sample's service, next to those of the stack, with other environment variables."""
    words = ["compose", "run", "--detach", "--no-deps", "--name", name, *options]
    words += [word for key, value in changed.items() for word in ("--env", f"{key}={value}")]
    values = {entry["key"]: entry["value"] for entry in sample.json("env.show", environment)["values"]}
    done = subprocess.run([DOCKER, *words, "app"], env={**os.environ, **values}, cwd=sample.project_dir, check=False,
                          capture_output=True, text=True, timeout=240)  # fmt: skip
    assert done.returncode == 0, done.stderr
    try:
        until(lambda: docker("inspect", "-f", "{{.State.Health.Status}}", name) == "healthy", f"{name} is healthy", 120)
        yield name
    finally:
        docker("rm", "-f", "-v", name)


def _attributes(resource: bytes) -> Iterator[tuple[str, str]]:
    for pair in _all(resource, 1):
        yield _one(pair, 1).decode(), _one(_one(pair, 2), 1).decode()


def _one(message: bytes, number: int) -> bytes:
    return next(_all(message, number), b"")


def _all(message: bytes, number: int) -> Iterator[bytes]:
    """Yield what a message of protocol buffers has under a number, of that which says its length."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        kind, length = key & 7, _WIDTHS.get(key & 7, 0)
        if kind in (0, _LENGTH):
            value, place = _varint(message, place)
            length = value if kind == _LENGTH else 0
        if kind == _LENGTH and key >> 3 == number:
            yield message[place : place + length]
        place += length


def _varint(message: bytes, place: int) -> tuple[int, int]:
    value = 0
    for shift in itertools.count(0, 7):
        value |= (message[place] & 127) << shift
        place += 1
        if message[place - 1] < 128:
            break
    return value, place
