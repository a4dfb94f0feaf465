"""Listens for webhooks, which are hints: the agent looks sooner, and believes nothing else of them."""

import contextlib
import re
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from ..model.lazy_pattern import lazy_pattern
from ..model.secret import Secret
from .plan import webhook
from .plan.webhook import Listening, WebhookHead

_SECONDS = 10.0  # that a request may take
_POLL = 0.5  # seconds until it notices that it is to stop
_MOST = 8  # requests at a time; more are closed unread
_CHUNK = 65536  # bytes that are read at once
_DIGITS = lazy_pattern(r"[0-9]{1,12}", re.ASCII)


class WebhookServer(HTTPServer):
    """Answers a few requests at a time, each in a thread of its own; ``hint`` is called for each that counts."""

    def __init__(self, where: Listening, hint: Callable[[], None]) -> None:
        self.address_family = socket.AF_INET6 if ":" in where.host else socket.AF_INET
        self.where, self.hint = where, hint
        self._free = threading.BoundedSemaphore(_MOST)
        super().__init__((where.host, where.port), _Handler)
        self._thread = threading.Thread(target=self.serve_forever, args=(_POLL,), name="webhook", daemon=True)

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Answer nobody any more."""
        self.shutdown()
        self.server_close()
        self._thread.join(_SECONDS)

    def server_bind(self) -> None:
        """Bind, without asking a name server who we are."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = self.where.host, self.where.port

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer a request, or close it where too many are being answered."""
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        threading.Thread(target=self._answer, args=(request, client_address), daemon=True).start()

    def _answer(self, request: Any, client_address: Any) -> None:
        # The time limit of a socket is one for each read; this is one for all of them.
        late = threading.Timer(_SECONDS, _cut, (request,))
        late.daemon = True
        late.start()
        try:
            with contextlib.suppress(OSError):  # the client has gone
                self.finish_request(request, client_address)
        finally:
            late.cancel()
            self.shutdown_request(request)
            self._free.release()


class _Handler(BaseHTTPRequestHandler):
    """Takes a webhook: a hint is all that comes of one."""

    server: WebhookServer
    server_version, sys_version, protocol_version = "slipway", "", "HTTP/1.1"
    timeout = _SECONDS

    def parse_request(self) -> bool:
        """Read a request's head and answer it, whatever its method and path are."""
        if super().parse_request():
            self._hear()
        return False

    def _hear(self) -> None:
        size = self.headers.get("Content-Length", "")
        headers = {key.lower(): value for key, value in self.headers.items()}
        sent = WebhookHead(self.command, headers, int(size) if _DIGITS.fullmatch(size) else -1)
        fault = webhook.refused(sent, self.server.where.secret) or self._read(sent, self.server.where.secret)
        if not fault:
            self.server.hint()
        self._say(*(fault or (202, "the agent looks soon")))

    def _read(self, sent: WebhookHead, secret: Secret | None) -> tuple[int, str] | None:
        """Read the body to its end; return the refusal of one that the signature is not of."""
        digest = webhook.body_digest(secret) if secret and webhook.signed(sent) else None
        left = max(sent.size, 0)
        while left and (data := self.rfile.read(min(left, _CHUNK))):
            left -= len(data)
            if digest:
                digest.update(data)
        if digest and (left or not webhook.signature_is(sent, digest)):
            return 403, "the signature is not that of the body"
        return None

    def _say(self, status: int, words: str) -> None:
        body = f"{words}\n".encode()
        self.close_connection = True
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        if status == 405:
            self.send_header("Allow", "POST")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: anybody could fill the log of the agent."""


def _cut(request: socket.socket) -> None:
    with contextlib.suppress(OSError):
        request.shutdown(socket.SHUT_RDWR)
