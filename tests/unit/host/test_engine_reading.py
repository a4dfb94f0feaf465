"""Reading from an engine without the SDK: answers, refusals, silence, and which engine is asked."""

import hashlib
import itertools
import json
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from engine_socket import LIST, Answer, always, engine, says, silence

from tasks.host.engine import connection, contexts, unix_reader
from tasks.host.engine.client import Engine
from tasks.host.engine.connection import NotThereError
from tasks.model.errors import RefusedError, SlipwayError


def writes(answer: bytes) -> Answer:
    """Return the answer with these bytes, after which the engine hangs up."""

    def hang_up(asker: socket.socket) -> None:
        asker.sendall(answer)
        asker.shutdown(socket.SHUT_RDWR)

    return hang_up


def test_a_question_that_changes_nothing_takes_no_sdk(tmp_path: Path) -> None:
    with engine(tmp_path, containers=always(LIST)) as client:
        assert [container.name for container in client.containers("shop")] == ["shop-web-1"]
        assert "api" not in vars(client._connection)


def test_nothing_of_that_name_is_none_and_for_a_list_an_error_in_the_engines_words(tmp_path: Path) -> None:
    gone = says({"message": "No such container: abc"}, "404 Not Found")
    with engine(tmp_path, inspect=always(gone), top=always(gone)) as client:
        assert client.inspect("abc") is None
        with pytest.raises(NotThereError) as caught:
            client.processes("abc")
    assert caught.value.message == "the engine refused: No such container: abc"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (says({"message": "no space left on device"}, "500 Internal Server Error"), "no space left on device"),
        (says("a proxy's page", "502 Bad Gateway"), '"a proxy\'s page"'),
        (writes(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"), "HTTP status 503"),
        (writes(b"HTTP/1.1 301 Moved\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"), "HTTP status 301"),
    ],
)
def test_a_refusal_is_told_in_the_engines_words(answer: Answer, words: str, tmp_path: Path) -> None:
    with engine(tmp_path, inspect=always(answer)) as client, pytest.raises(SlipwayError) as caught:
        client.inspect("abc")
    assert caught.value.message == f"the engine refused: {words}"


@pytest.mark.parametrize(
    "answer",
    [
        writes(b""),
        writes(b"SSH-2.0-OpenSSH_9.2\r\n"),
        writes(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[]"),
        writes(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[{"),
        writes(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]"),
        writes(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n[]\r\n0\r\n\r\n"),
        writes(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n[]\r\n0\r\n\r\n"),
        writes(b"HTTP/1.1 OK\r\n\r\n[]"),
        writes(b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n[]"),
    ],
    ids=[
        "nothing",
        "no HTTP",
        "cut off",
        "no JSON",
        "cut off between chunks",
        "longer than its chunk",
        "no size",
        "no status",
        "a length below zero",
    ],
)
def test_an_answer_that_ends_too_soon_is_no_answer(answer: Answer, tmp_path: Path) -> None:
    with engine(tmp_path, containers=always(answer)) as client, pytest.raises(RefusedError) as caught:
        client.containers("shop")
    assert caught.value.message == f"no Docker engine answers at unix://{tmp_path}/engine.sock"


def test_an_engine_that_falls_silent_is_given_up_after_the_limit(tmp_path: Path) -> None:
    with engine(tmp_path, containers=always(silence)) as client:
        client._connection.limit = 0.3
        started = time.monotonic()
        with pytest.raises(RefusedError):
            client.containers("shop")
    assert time.monotonic() - started < 30


def test_each_question_reaches_an_engine_that_was_restarted(tmp_path: Path) -> None:
    hanging_up = itertools.chain([writes(b"")], itertools.repeat(LIST))
    with engine(tmp_path, containers=hanging_up) as client:
        with pytest.raises(RefusedError):
            client.containers("shop")
        assert len(client.containers("shop")) == 1


def waits_for(others: threading.Barrier, document: Any) -> Answer:
    """Return the answer that comes when other questions have come too."""

    def answer(asker: socket.socket) -> None:
        others.wait(10)
        says(document)(asker)

    return answer


def test_questions_that_are_sent_ahead_are_answered_at_the_same_time(tmp_path: Path) -> None:
    both = threading.Barrier(2)
    first, second = waits_for(both, {"Titles": ["PID"], "Processes": [["7"]]}), waits_for(both, [])
    with engine(tmp_path, top=iter([first]), containers=iter([second])) as client:
        asked = [lambda: client.processes("abc"), lambda: client.containers("shop")]
        with client.asking(asked):
            assert (client.processes("abc"), client.containers("shop")) == (({"PID": "7"},), ())


def test_an_answer_that_was_sent_for_serves_once_and_no_longer_than_the_block(tmp_path: Path) -> None:
    answers = map(lambda number: says([{"Id": "abc", "Names": [f"/{number}"], "Labels": {}}]), itertools.count())
    with engine(tmp_path, containers=answers) as client:

        def name() -> str:
            return client.containers("shop")[0].name

        with client.asking([name, name]):
            assert (name(), name()) == ("0", "1")
        with client.asking([name]):
            assert len(client._connection._sent) == 1
        assert client._connection._sent == {}
        assert name() in ("2", "3")  # the fake may answer the question that was dropped first, or last


def test_a_question_ahead_that_failed_is_asked_again_unless_the_engine_is_silent(tmp_path: Path) -> None:
    answers = itertools.chain([writes(b""), LIST, silence], itertools.repeat(LIST))
    with engine(tmp_path, containers=answers) as client:
        client._connection.limit = 0.3
        with client.asking([lambda: client.containers("shop")]):
            assert len(client.containers("shop")) == 1
        with client.asking([lambda: client.containers("shop")]), pytest.raises(RefusedError):
            client.containers("shop")


def test_an_engine_elsewhere_is_asked_nothing_ahead(tmp_path: Path) -> None:
    with engine(tmp_path, containers=always(LIST)) as client:
        client._connection._socket = ""  # as of an engine elsewhere, which the SDK asks
        with client.asking([lambda: client.containers("shop")]):
            assert client._connection._sent == {}


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n[\r\n1;more=1\r\n]\r\n0\r\nSum: 7\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length:2\r\n\r\n[]",
        b"HTTP/1.0 200 OK\n\n[]",
    ],
    ids=["in chunks", "with a length", "to the end"],
)
def test_an_answer_is_read_however_it_is_sent(answer: bytes, tmp_path: Path) -> None:
    with engine(tmp_path, containers=always(writes(answer))) as client:
        assert client.containers("shop") == ()


def test_what_answers_and_is_no_engine_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "ask", lambda *_: unix_reader.Reply(404, {}, b"404 page not found"))
    with pytest.raises(RefusedError) as caught:
        Engine({"DOCKER_HOST": f"unix://{tmp_path}/engine.sock"})
    assert caught.value.message.startswith("no Docker engine answers at unix://")


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("unix:///var/run/docker.sock", "/var/run/docker.sock"),
        ("unix://docker.sock", ""),
        ("unix://", ""),
        ("tcp://engine:2376", ""),
        ("ssh://engine", ""),
        ("/var/run/docker.sock", ""),
    ],
)
def test_only_the_path_of_a_unix_socket_is_read_without_the_sdk(address: str, path: str) -> None:
    assert unix_reader.socket_path(address) == path


def test_what_the_engine_says_of_itself_is_asked_once_and_its_clock_each_time(tmp_path: Path) -> None:
    answers = (says({"ID": "abc", "SystemTime": f"2026-01-01T00:00:0{second}Z"}) for second in range(2))
    with engine(tmp_path, info=answers) as client:
        assert client.time() == "2026-01-01T00:00:00Z"
        assert [client.info()["ID"] for _ in range(3)] == ["abc"] * 3
        assert client.time() == "2026-01-01T00:00:01Z"


@pytest.fixture
def docker_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the directory of the configuration of `docker`; nothing else names an engine."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return tmp_path


def make_context(directory: Path, name: str, host: str, skip: bool = False) -> tuple[Path, Path]:
    """Write a context as `docker context create` does; returns its description, and its directory for TLS files."""
    key = hashlib.sha256(name.encode()).hexdigest()
    file, tls = directory / "contexts/meta" / key / "meta.json", directory / "contexts/tls" / key / "docker"
    file.parent.mkdir(parents=True)
    tls.mkdir(parents=True)
    endpoints = {"docker": {**({"Host": host} if host else {}), "SkipTLSVerify": skip}}
    file.write_text(json.dumps({"Name": name, "Metadata": {}, "Endpoints": endpoints}))
    return file, tls


@pytest.mark.parametrize(
    ("text", "context"),
    [
        (None, "default"),
        ("{}", "default"),
        ('{"auths": {"registry.example": {}}}', "default"),
        ('{"currentContext": "default"}', "default"),
        ('{"currentContext": ""}', "default"),
        ('{"currentContext": "remote"}', "remote"),
        ("[]", "default"),  # docker warns, and goes on without
        ("{", "default"),
    ],
)
def test_the_configuration_chooses_a_context(text: str | None, context: str, docker_config: Path) -> None:
    if text is not None:
        (docker_config / "config.json").write_text(text)
    assert connection._current_context(docker_config / "config.json") == context


def test_the_context_of_the_configuration_is_the_engine_that_is_asked(docker_config: Path) -> None:
    make_context(docker_config, "remote", "tcp://engine.example:2375")
    (docker_config / "config.json").write_text('{"currentContext": "remote"}')
    assert connection.address({}) == "tcp://engine.example:2375"
    assert connection.address({"DOCKER_CONTEXT": "default"}) == "unix:///var/run/docker.sock"


def test_a_context_needs_no_configuration_beside_it(docker_config: Path) -> None:
    make_context(docker_config, "remote", "tcp://engine.example:2375")
    make_context(docker_config, "here", "")
    assert connection.address({"DOCKER_CONTEXT": "remote"}) == "tcp://engine.example:2375"
    assert connection.address({"DOCKER_CONTEXT": "here"}) == "unix:///var/run/docker.sock"


def test_a_profile_may_name_the_directory_of_the_contexts(docker_config: Path, tmp_path: Path) -> None:
    make_context(tmp_path / "ci", "remote", "tcp://engine.example:2375")
    named = {"DOCKER_CONFIG": str(tmp_path / "ci"), "DOCKER_CONTEXT": "remote"}
    assert connection.address(named) == "tcp://engine.example:2375"
    with pytest.raises(RefusedError, match="docker context 'remote' does not exist"):
        connection.address({"DOCKER_CONTEXT": "remote"})


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"Endpoints": {"docker": null}}'])
def test_a_context_that_cannot_be_read_is_no_context_that_does_not_exist(text: str, docker_config: Path) -> None:
    file, _ = make_context(docker_config, "remote", "tcp://engine.example:2375")
    file.write_text(text)
    with pytest.raises(RefusedError) as caught:
        connection.address({"DOCKER_CONTEXT": "remote"})
    assert caught.value.message == f"docker context 'remote': {file} cannot be read"


def test_a_context_has_its_own_certificates(docker_config: Path) -> None:
    _, tls = make_context(docker_config, "remote", "tcp://engine.example:2376")
    make_context(docker_config, "unchecked", "tcp://engine.example:2376", skip=True)
    assert contexts.endpoint("remote", docker_config)[1] is None
    (tls / "ca.pem").write_text("authority")
    only_authority = contexts.endpoint("remote", docker_config)[1]
    for name in ("cert", "key"):
        (tls / f"{name}.pem").write_text(name)
    both = contexts.endpoint("remote", docker_config)[1]
    unchecked = contexts.endpoint("unchecked", docker_config)[1]
    assert (only_authority.ca_cert, only_authority.verify, only_authority.cert) == (str(tls / "ca.pem"), True, None)
    assert both.cert == (str(tls / "cert.pem"), str(tls / "key.pem"))
    assert (unchecked.ca_cert, unchecked.verify, unchecked.cert) == (None, False, None)
