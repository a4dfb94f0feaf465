"""Waiting for containers and reading logs, with an engine that answers as a test says, or not at all."""

import json
import socket
import threading
import time
from pathlib import Path

import pytest
from engine_socket import LIST, Answer, always, engine, says, silence, streams

from tasks.host.engine import connection, watch
from tasks.host.engine.client import Engine
from tasks.host.engine.watch import demultiplexed
from tasks.model.engine.facts import Container
from tasks.model.errors import RefusedError, SlipwayError


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_ANSWER", 0.5)


def never(_containers: tuple[Container, ...]) -> str:
    return ""


def test_an_engine_that_accepts_and_never_answers_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_TIMEOUT", 0.5)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "engine.sock"))
    listener.listen()
    started = time.monotonic()
    with listener, pytest.raises(RefusedError) as caught:
        Engine({"DOCKER_HOST": f"unix://{tmp_path}/engine.sock"})
    assert time.monotonic() - started < 30
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
        engine(tmp_path, **{name: iter(replies) for name, replies in answers.items()}) as client,
        pytest.raises(RefusedError) as caught,
    ):
        client.watch.wait("shop", never, 1.0)
    assert 0.5 < time.monotonic() - started < 30
    assert caught.value.message.startswith("no Docker engine answers at unix://")


def test_a_wait_in_which_nothing_happens_ends_at_its_time(tmp_path: Path) -> None:
    started = time.monotonic()
    with engine(tmp_path, events=always(streams()), containers=always(LIST)) as client:
        assert client.watch.wait("shop", never, 1.0) == "timeout"
    assert 1.0 <= time.monotonic() - started < 30


def test_a_wait_ends_at_its_time_also_when_much_happens_that_does_not_matter(tmp_path: Path) -> None:
    event = json.dumps({"Type": "container", "Action": "exec_create: check"}).encode()
    started = time.monotonic()
    with engine(tmp_path, events=always(streams(event, pause=0.05)), containers=always(LIST)) as client:
        assert client.watch.wait("shop", never, 1.0) == "timeout"
    assert 1.0 <= time.monotonic() - started < 30


def test_an_event_lets_the_containers_be_judged_again(tmp_path: Path) -> None:
    looks: list[int] = []

    def second(_containers: tuple[Container, ...]) -> str:
        looks.append(1)
        return "ready" if len(looks) == 2 else ""

    event = json.dumps({"Type": "container", "Action": "health_status: healthy"}).encode()
    with engine(tmp_path, events=always(streams(event)), containers=always(LIST)) as client:
        assert client.watch.wait("shop", second, 20.0) == "ready"


def test_after_a_wait_an_answer_may_take_as_long_as_ever(tmp_path: Path) -> None:
    with engine(tmp_path, events=always(streams()), containers=always(LIST)) as client:
        client.watch.wait("shop", never, 0.2)
        assert client._connection.limit == 60


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
    with engine(tmp_path, inspect=always(inspected(False)), logs=always(log)) as client:
        text = client.watch.logs("abc", 15, most=100_000)
    assert len(text) == 100_000
    assert text.endswith("AAthe reason\n")


def test_the_log_of_a_container_with_a_terminal_has_no_frames(tmp_path: Path) -> None:
    log = streams(b"as it", b" is\r\n", ends=True)
    with engine(tmp_path, inspect=always(inspected(True)), logs=always(log)) as client:
        assert client.watch.logs("abc", 15) == "as it is\r\n"


def test_a_log_that_its_driver_does_not_give_is_an_error_of_ours(tmp_path: Path) -> None:
    refusal = says({"message": "configured logging driver does not support reading"}, "501 Not Implemented")
    with (
        engine(tmp_path, inspect=always(inspected(False)), logs=always(refusal)) as client,
        pytest.raises(SlipwayError) as caught,
    ):
        client.watch.logs("abc", 15)
    assert "configured logging driver does not support reading" in caught.value.message


def test_a_wait_is_given_up_by_another_thread(tmp_path: Path) -> None:
    ended: list[BaseException] = []

    def wait() -> None:
        try:
            client.watch.wait("shop", never, 60.0)
        except BaseException as error:
            ended.append(error)

    with engine(tmp_path, events=always(streams()), containers=always(LIST)) as client:
        thread = threading.Thread(target=wait)
        thread.start()
        deadline = time.monotonic() + 10
        while client.watch._open is None and time.monotonic() < deadline:
            time.sleep(0.01)
        client.watch.give_up()
        thread.join(10)
    assert [type(error) for error in ended] == [watch.WaitEndedError]
