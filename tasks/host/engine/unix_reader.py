"""Asks an engine over its Unix socket without the SDK or an HTTP library: loading one takes longer than the questions.

Of HTTP it takes what a question that changes nothing needs (RFC 9112): a question is sent, and its answer read later.
"""

import io
import socket
from collections.abc import Mapping

from ...model.record import Record

_SCHEME = "unix://"
_LINE = 65536  # bytes that a line of an answer may have
PIECE = 65536  # bytes of a long answer that are read at once


class Reply(Record):
    """What an engine answers: the HTTP status, the header fields (by their names in small letters) and the body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def socket_path(address: str) -> str:
    """Return the path of the Unix socket that an engine's address names, "" for an address of another kind."""
    path = address.removeprefix(_SCHEME)
    return path if path != address and path.startswith("/") else ""


class Question:
    """A question that was sent to the engine behind a socket; raises OSError when none takes it.

    Each question has a connection of its own: none can have been closed by an engine that was restarted meanwhile, and
    the engine works on several at once. No part of the answer may take over ``limit`` seconds.
    """

    def __init__(self, path: str, method: str, target: str, limit: float) -> None:
        self._bodiless = method == "HEAD"
        self._connection = socket.socket(socket.AF_UNIX)
        try:
            self._connection.settimeout(limit)
            self._connection.connect(path)
            asked = f"{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            self._connection.sendall(asked.encode())
        except OSError:
            self._connection.close()
            raise

    def reply(self) -> Reply:
        """Return the answer, once; raises OSError when it does not come, or not all of it."""
        with self._connection, self._connection.makefile("rb") as answer:
            try:
                return self._read(answer)
            except ValueError as error:
                raise OSError(f"no answer of an engine: {error}") from None

    def _read(self, answer: io.BufferedReader) -> Reply:
        version, _, rest = _line(answer).partition(" ")
        if not version.startswith("HTTP/1."):
            raise ValueError(f"no HTTP: {version!r}")
        status, headers = int(rest[:3]), _headers(answer)
        if self._bodiless:
            return Reply(status, headers, b"")
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return Reply(status, headers, b"".join(iter(lambda: _chunk(answer), b"")))
        length = headers.get("content-length")
        return Reply(status, headers, answer.read() if length is None else _exactly(answer, int(length)))

    def drop(self) -> None:
        """Close the connection of a question whose answer is of no interest any more."""
        self._connection.close()


def ask(path: str, method: str, target: str, limit: float) -> Reply:
    """Ask the engine behind a socket; raises OSError when none answers, or a part of its answer takes over ``limit`` s.

    Same as a ``Question`` whose answer is read at once.
    """
    return Question(path, method, target, limit).reply()


def _line(answer: io.BufferedReader) -> str:
    line = answer.readline(_LINE)
    if not line.endswith(b"\n"):
        raise ValueError("it ends within a line")
    return line.rstrip(b"\r\n").decode("latin-1")


def _headers(answer: io.BufferedReader) -> dict[str, str]:
    headers = {}
    while line := _line(answer):
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return headers


def _chunk(answer: io.BufferedReader) -> bytes:
    """Return the next chunk of a body, b"" after the last."""
    size = int(_line(answer).partition(";")[0], 16)
    if size == 0:
        _headers(answer)  # fields may follow
        return b""
    chunk = _exactly(answer, size)
    if _line(answer):
        raise ValueError("a chunk is longer than it says")
    return chunk


def _exactly(answer: io.BufferedReader, size: int) -> bytes:
    body = answer.read(size)
    if len(body) != size:
        raise ValueError(f"{len(body)} of {size} bytes came")
    return body
