"""Waiting for containers and reading logs, with an engine that answers as a test wants, or not at all."""

import itertools
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tasks.host import engine as module
from tasks.host import engine_watch
from tasks.host.engine import Engine
from tasks.host.engine_watch import demultiplexed
from tasks.plan.errors import RefusedError, SlipwayError
from tasks.plan.facts import Container

Answer = Callable[[socket.socket], None]
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def says(document: Any, status: str = "200 OK") -> Answer:
    """Return the answer that gives a document."""
    body = json.dumps(document).encode()

    def answer(connection: socket.socket) -> None:
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)

    return answer


def silence(_connection: socket.socket) -> None:
    """Answer nothing."""


def streams(*pieces: bytes, pause: float = 0.0, ends: bool = False) -> Answer:
    """Return the answer that begins a stream, sends its pieces, again and again with a pause, and is silent then."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(_HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        for piece in itertools.cycle(pieces) if pause else pieces:
            connection.sendall(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            time.sleep(pause)
        if ends:
            connection.sendall(b"0\r\n\r\n")

    return answer


class Fake:
    """An engine on a socket; what it answers to a path is asked for each time, so that it may change its mind."""

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
        for one in (self._listener, *self._open):
            one.close()


VERSION = {"/version": itertools.repeat(says({"ApiVersion": "1.45", "Version": "26.1.5"}))}
LIST = says([{"Id": "abc", "Names": ["/shop-web-1"], "State": "running", "Status": "Up 1 second", "Labels": {}}])


@contextmanager
def engine(directory: Path, **answers: Iterator[Answer]) -> Iterator[Engine]:
    """Connect to an engine that answers to the version, and to what a test says."""
    paths = {"events": "/events", "containers": "/containers/json", "inspect": "/containers/abc/json"}
    named = {paths.get(name, f"/containers/abc/{name}"): answer for name, answer in answers.items()}
    fake = Fake(directory / "engine.sock", {**VERSION, **named})
    found = Engine({"DOCKER_HOST": f"unix://{directory}/engine.sock"})
    try:
        yield found
    finally:
        found._api.close()
        fake.close()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_watch, "_ANSWER", 0.5)


def never(_found: tuple[Container, ...]) -> str:
    return ""


def always(answer: Answer) -> Iterator[Answer]:
    return itertools.repeat(answer)


def test_an_engine_that_accepts_and_never_answers_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module._Client, "limit", 0.5)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "engine.sock"))
    listener.listen()
    started = time.monotonic()
    with listener, pytest.raises(RefusedError) as caught:
        Engine({"DOCKER_HOST": f"unix://{tmp_path}/engine.sock"})
    assert time.monotonic() - started < 5
    assert caught.value.message.startswith("no Docker engine answers at unix://")


@pytest.mark.parametrize(
    "answers",
    [
        {"events": [silence], "containers": [LIST] * 9},
        {"events": [streams()], "containers": [silence]},
        {"events": [streams()], "containers": [LIST, silence]},
    ],
    ids=["no events", "no list", "silent after the first list"],
)
def test_a_wait_ends_soon_after_its_time_when_the_engine_falls_silent(
    answers: dict[str, list[Answer]], tmp_path: Path
) -> None:
    started = time.monotonic()
    with (
        engine(tmp_path, **{name: iter(one) for name, one in answers.items()}) as found,
        pytest.raises(RefusedError) as caught,
    ):
        found.wait("shop", never, 1.0)
    assert 0.5 < time.monotonic() - started < 5
    assert caught.value.message.startswith("no Docker engine answers at unix://")


def test_a_wait_in_which_nothing_happens_ends_at_its_time(tmp_path: Path) -> None:
    started = time.monotonic()
    with engine(tmp_path, events=always(streams()), containers=always(LIST)) as found:
        assert found.wait("shop", never, 1.0) == "timeout"
    assert 1.0 <= time.monotonic() - started < 4


def test_a_wait_ends_at_its_time_also_when_much_happens_that_does_not_matter(tmp_path: Path) -> None:
    event = json.dumps({"Type": "container", "Action": "exec_create: check"}).encode()
    started = time.monotonic()
    with engine(tmp_path, events=always(streams(event, pause=0.05)), containers=always(LIST)) as found:
        assert found.wait("shop", never, 1.0) == "timeout"
    assert 1.0 <= time.monotonic() - started < 4


def test_an_event_lets_the_containers_be_judged_again(tmp_path: Path) -> None:
    looks: list[int] = []

    def second(_found: tuple[Container, ...]) -> str:
        looks.append(1)
        return "ready" if len(looks) == 2 else ""

    event = json.dumps({"Type": "container", "Action": "health_status: healthy"}).encode()
    with engine(tmp_path, events=always(streams(event)), containers=always(LIST)) as found:
        assert found.wait("shop", second, 20.0) == "ready"


def test_after_a_wait_an_answer_may_take_as_long_as_ever(tmp_path: Path) -> None:
    with engine(tmp_path, events=always(streams()), containers=always(LIST)) as found:
        found.wait("shop", never, 0.2)
        assert found._api.limit == 60


# Logs


def frame(text: bytes) -> bytes:
    return b"\x01\0\0\0" + len(text).to_bytes(4, "big") + text


def inspected(terminal: bool) -> Answer:
    state = {"Status": "running"}
    return says(
        {"Id": "abc", "Name": "/a", "Image": "i", "Config": {"Tty": terminal}, "State": state, "HostConfig": {}}
    )


def test_the_frames_of_a_stream_are_taken_off_wherever_it_is_cut() -> None:
    stream = frame(b"one\n") + frame(b"") + frame(b"two" * 100) + frame(b"\n")
    for size in (1, 3, 7, 8, 9, 1000):
        pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
        assert b"".join(demultiplexed(pieces)) == b"one\n" + b"two" * 100 + b"\n"


def test_of_a_log_without_a_limit_only_the_end_is_kept(tmp_path: Path) -> None:
    log = streams(*[frame(b"A" * 16384)] * 300, frame(b"the reason\n"), ends=True)
    with engine(tmp_path, inspect=always(inspected(False)), logs=always(log)) as found:
        text = found.logs("abc", 15, most=100_000)
    assert len(text) == 100_000
    assert text.endswith("AAthe reason\n")


def test_the_log_of_a_container_with_a_terminal_has_no_frames(tmp_path: Path) -> None:
    log = streams(b"as it", b" is\r\n", ends=True)
    with engine(tmp_path, inspect=always(inspected(True)), logs=always(log)) as found:
        assert found.logs("abc", 15) == "as it is\r\n"


def test_a_log_that_its_driver_does_not_give_is_an_error_of_ours(tmp_path: Path) -> None:
    refusal = says({"message": "configured logging driver does not support reading"}, "501 Not Implemented")
    with (
        engine(tmp_path, inspect=always(inspected(False)), logs=always(refusal)) as found,
        pytest.raises(SlipwayError) as caught,
    ):
        found.logs("abc", 15)
    assert "configured logging driver does not support reading" in caught.value.message
