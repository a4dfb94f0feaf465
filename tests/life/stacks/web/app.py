"""A service with rows: POST /rows writes a row (to the queue if there is one), GET /rows reads, GET /version."""

import hashlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import store

CODE = "1"
DRAIN = float(os.environ.get("DRAIN_SECONDS", "0"))
STOPPING = threading.Event()


def save(key: str) -> None:
    """Write a row, or leave that to the worker."""
    if not (host := os.environ.get("QUEUE_HOST")):
        store.add(key)
        return
    import redis

    with redis.Redis(host, socket_timeout=3) as queue:
        queue.lpush("rows", key)


def version() -> dict[str, str]:
    """Return what identifies a release."""
    key = hashlib.sha256(os.environ.get("SESSION_KEY", "").encode()).hexdigest()[:8]
    return {"code": CODE, "mode": os.environ.get("MODE", ""), "key": key}


class Handler(BaseHTTPRequestHandler):
    """Answers a client, over a kept-alive connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 75

    def do_GET(self) -> None:
        """Answer health, version or rows."""
        if self.path == "/health":
            self._answer(503 if STOPPING.is_set() else 200, {"stopping": STOPPING.is_set()})
        elif self.path == "/version":
            self._answer(200, version())
        else:
            self._answer_or_503(200, lambda: store.newest(5))

    def do_POST(self) -> None:
        """Write a row."""
        key = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
        self._answer_or_503(201, lambda: save(key))

    def _answer_or_503(self, status: int, work: Callable[[], object]) -> None:
        try:
            result = work()
        except Exception as error:
            sys.stderr.write(f"{self.command} {self.path}: {type(error).__name__} {error}\n")
            self._answer(503, {"error": type(error).__name__})
        else:
            self._answer(status, result)

    def _answer(self, status: int, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if STOPPING.is_set():
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing; errors are written where they are caught."""


class Server(ThreadingHTTPServer):
    """As many clients at once as there are connections."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Log nothing about clients that went away."""


def main() -> None:
    """Serve until told to stop; then DRAIN_SECONDS more, so that a proxy sees the health check first."""
    server = Server(("0.0.0.0", 8000), Handler)

    def stop(*_: object) -> None:
        STOPPING.set()
        threading.Thread(target=lambda: (time.sleep(DRAIN), server.shutdown())).start()

    signal.signal(signal.SIGTERM, stop)
    server.serve_forever(poll_interval=0.1)
    time.sleep(0.2)  # for requests in progress


main()
