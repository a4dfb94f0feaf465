"""A small HTTP server in place of Prometheus, Alertmanager or Jaeger: it answers as a test says."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Asked:
    """A request: its method, its path, the fields of its query and its form, and its headers."""

    method: str
    path: str
    fields: Mapping[str, str]
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    every: Mapping[str, Sequence[str]] = field(default_factory=dict)  # of the fields that are given several times


@dataclass
class StoreServer:
    """The server: its port and the requests that it got."""

    port: int
    requests: list[Asked] = field(default_factory=list)


def success(data: Any) -> tuple[int, bytes]:
    """Return an answer as Prometheus gives it."""
    return 200, json.dumps({"status": "success", "data": data}).encode()


def refusal(status: int, kind: str, error: str) -> tuple[int, bytes]:
    """Return a refusal as Prometheus gives it."""
    return status, json.dumps({"status": "error", "errorType": kind, "error": error}).encode()


def vector(*series: tuple[Mapping[str, str], str]) -> tuple[int, bytes]:
    """Return the answer to an instant query: labels and value of each series."""
    result = [{"metric": dict(labels), "value": [1000.5, value]} for labels, value in series]
    return success({"resultType": "vector", "result": result})


@contextmanager
def serving(answer: Callable[[Asked], tuple[int, bytes]]) -> Iterator[StoreServer]:
    """Yield a server on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        def _respond(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = urlsplit(self.path)
            kind = self.headers.get("Content-Type", "")
            form = parse_qs(body.decode()) if kind == "application/x-www-form-urlencoded" else {}
            every = {**parse_qs(parts.query), **form}
            fields = {name: values[-1] for name, values in every.items()}
            asked = Asked(self.command, parts.path, fields, body, dict(self.headers), every)
            store.requests.append(asked)
            status, text = answer(asked)
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = _respond

        def log_message(self, *_words: object) -> None:
            """Say nothing on stderr."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        store = StoreServer(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield store
        finally:
            server.shutdown()
            thread.join()
