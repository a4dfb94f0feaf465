"""An engine on a Unix socket that answers as a test says, or not at all."""

import itertools
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tasks.host.engine.client import Engine

Answer = Callable[[socket.socket], None]
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def says(document: Any, status: str = "200 OK") -> Answer:
    """Return the answer with a document."""
    body = json.dumps(document).encode()

    def answer(connection: socket.socket) -> None:
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)

    return answer


def silence(_connection: socket.socket) -> None:
    """Answer nothing."""


def streams(*pieces: bytes, pause: float = 0.0, ends: bool = False) -> Answer:
    """Return the answer that streams pieces (with a ``pause`` endlessly) and then is silent, unless it ``ends``."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(_HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        for piece in itertools.cycle(pieces) if pause else pieces:
            connection.sendall(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            time.sleep(pause)
        if ends:
            connection.sendall(b"0\r\n\r\n")

    return answer


class Fake:
    """An engine on a socket; each request to a path takes its next answer."""

    def __init__(self, path: Path, answers: Mapping[str, Iterator[Answer]]) -> None:
        self._answers = answers
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection.makefile("rb") as requests:
                while line := requests.readline():
                    while requests.readline().strip():
                        pass
                    path = line.decode().split()[1].partition("?")[0].removeprefix("/v1.45")
                    next(self._answers[path])(connection)
        except (OSError, KeyError, StopIteration):
            return

    def close(self) -> None:
        for opened in (self._listener, *self._open):
            opened.close()


VERSION = {
    "/_ping": itertools.repeat(says("OK")),
    "/version": itertools.repeat(says({"ApiVersion": "1.45", "Version": "26.1.5"})),
}
LIST = says([{"Id": "abc", "Names": ["/shop-web-1"], "State": "running", "Status": "Up 1 second", "Labels": {}}])


@contextmanager
def engine(directory: Path, **answers: Iterator[Answer]) -> Iterator[Engine]:
    """Connect to an engine that answers the version and what a test says."""
    paths = {"events": "/events", "containers": "/containers/json", "inspect": "/containers/abc/json", "info": "/info"}
    named = {paths.get(name, f"/containers/abc/{name}"): answer for name, answer in answers.items()}
    fake = Fake(directory / "engine.sock", {**VERSION, **named})
    client = Engine({"DOCKER_HOST": f"unix://{directory}/engine.sock"})
    try:
        yield client
    finally:
        if sdk := vars(client._connection).get("api"):
            sdk.close()
        fake.close()


def always(answer: Answer) -> Iterator[Answer]:
    """Return endlessly the same answer."""
    return itertools.repeat(answer)
