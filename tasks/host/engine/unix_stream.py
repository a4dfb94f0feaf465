"""Reads a long answer of an engine piece by piece over its Unix socket; a look does not load its HTTP library."""

import contextlib
import http.client
import socket
from collections.abc import Iterator
from http import HTTPStatus

from .unix_reader import PIECE, Reply


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, limit: float) -> None:
        super().__init__("localhost", timeout=limit)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


@contextlib.contextmanager
def asked(path: str, target: str, limit: float, endless: bool) -> Iterator[tuple[Reply, Iterator[bytes]]]:
    """Yield the engine's reply to a question, and its body piece by piece, which is in the reply if it is an error.

    Raises OSError when none answers, or a part of its answer takes over ``limit`` seconds; with ``endless`` any time
    may pass between two pieces.
    """
    connection = _UnixConnection(path, limit)
    try:
        connection.request("GET", target)
        answer = connection.getresponse()
        good = answer.status == HTTPStatus.OK
        if endless and connection.sock:
            connection.sock.settimeout(None)
        headers = {name.lower(): value for name, value in answer.getheaders()}
        reply = Reply(answer.status, headers, b"" if good else answer.read())
        yield reply, iter(lambda: answer.read1(PIECE), b"")
    except http.client.HTTPException as error:
        raise OSError(f"the answer of the engine ended early: {error!r}") from None
    finally:
        connection.close()
