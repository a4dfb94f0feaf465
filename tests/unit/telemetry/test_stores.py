"""The stores of the monitoring, asked over real connections."""

import socket
import time
from typing import Any

import pytest
from store_server import Asked, refusal, serving, success, vector

from tasks.model.errors import InputError, RefusedError
from tasks.telemetry.prometheus import Prometheus
from tasks.telemetry.stores import Store


def prometheus(port: int, limit: float = 5.0, engine: str = "") -> Prometheus:
    return Prometheus(Store("prometheus", port, "staging", engine, limit))


def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


def test_a_query_is_sent_as_a_form_since_it_may_be_long() -> None:
    with serving(lambda _: vector(({"service": "app"}, "0.5"))) as server:
        (series,) = prometheus(server.port).query("sum(up)", at=1000.5)

    assert (series.labels, series.value) == ({"service": "app"}, 0.5)
    (asked,) = server.requests
    assert (asked.method, asked.path) == ("POST", "/api/v1/query")
    assert asked.fields == {"query": "sum(up)", "time": "1000.500"}


def test_a_range_has_a_start_an_end_and_a_step_in_seconds() -> None:
    with serving(lambda _: success({"resultType": "matrix", "result": []})) as server:
        assert prometheus(server.port).query_range("up", 10, 20.25, 5) == ()

    assert server.requests[0].fields == {"query": "up", "start": "10.000", "end": "20.250", "step": "5.000"}


def test_no_data_is_not_0() -> None:
    answers = {"nothing": vector(), "zero": vector(({}, "0")), "undefined": vector(({}, "NaN"))}
    with serving(lambda asked: answers[asked.fields["query"]]) as server:
        assert [prometheus(server.port).value(query) for query in answers] == [None, 0.0, None]


def test_a_number_cannot_be_one_of_several() -> None:
    with serving(lambda _: vector(({"a": "1"}, "1"), ({"a": "2"}, "2"))) as server, pytest.raises(ValueError):
        prometheus(server.port).value("up")


def test_a_metric_that_does_not_exist_has_no_series() -> None:
    def answer(asked: Asked) -> tuple[int, bytes]:
        return success([{"__name__": "up"}] if asked.fields["match[]"] == "up" else [])

    with serving(answer) as server:
        assert [prometheus(server.port).exists(name) for name in ("up", "upp")] == [True, False]


def test_an_expression_that_is_not_accepted_is_bad_input() -> None:
    error = "invalid parameter 'query': 1:4: parse error: unexpected end of input"
    with serving(lambda _: refusal(400, "bad_data", error)) as server, pytest.raises(InputError) as caught:
        prometheus(server.port).query("sum(")

    assert caught.value.message == f"prometheus refuses the question: {error}"


def test_a_query_that_takes_too_long_is_a_refusal() -> None:
    error = "query timed out in expression evaluation"
    with serving(lambda _: refusal(503, "timeout", error)) as server, pytest.raises(RefusedError, match=error):
        prometheus(server.port).query("up")


def test_without_an_answer_the_error_names_the_url_and_what_to_do() -> None:
    port = closed_port()
    with pytest.raises(RefusedError) as caught:
        prometheus(port).query("up")

    assert caught.value.message == f"prometheus of staging does not answer: http://127.0.0.1:{port}"
    assert caught.value.hint == "inv monitor.up --env staging"
    assert caught.value.exit_code == 3


def test_a_silent_server_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        started = time.monotonic()
        with pytest.raises(RefusedError, match=r"has not answered within 0\.2 s"):
            prometheus(listener.getsockname()[1], limit=0.2).query("up")
    assert time.monotonic() - started < 30


@pytest.mark.parametrize(
    "answer", [b"<html>nginx</html>", b"[1, 2]", b'{"status": "success"}', b'{"data": 5}', b"null"]
)
def test_another_program_at_the_port_is_told_from_prometheus(answer: bytes) -> None:
    with (
        serving(lambda _: (200, answer)) as server,
        pytest.raises(RefusedError, match=r"another program has the port|does not"),
    ):
        prometheus(server.port).query("up")


def test_an_engine_by_tcp_is_not_reached_beyond_its_loopback_interface() -> None:
    with pytest.raises(RefusedError) as caught:
        prometheus(9090, engine="tcp://build.example.com:2376")
    assert "ssh://USER@build.example.com" in caught.value.hint


def test_through_ssh_each_request_is_a_connection_of_its_own(tmp_path: Any, monkeypatch: Any) -> None:
    """In place of ssh a program that connects its stdin and stdout to the port after -W, as ssh does there."""
    ssh = tmp_path / "ssh"
    ssh.write_text(
        "#!/usr/bin/env python3\n"
        "import os, socket, sys, threading\n"
        "words = sys.argv\n"
        f"open({str(tmp_path / 'words')!r}, 'w').write(' '.join(words[1:]))\n"
        "host, port = words[words.index('-W') + 1].split(':')\n"
        "s = socket.create_connection((host, int(port)))\n"
        "def there():\n"
        "    while data := os.read(0, 65536): s.sendall(data)\n"
        "threading.Thread(target=there, daemon=True).start()\n"
        "while data := s.recv(65536): os.write(1, data)\n"
    )
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with serving(lambda _: vector(({}, "3"))) as server:
        assert prometheus(server.port, engine="ssh://deploy@staging:2222").value("up") == 3.0
        assert (tmp_path / "words").read_text().endswith(f"-W 127.0.0.1:{server.port} -l deploy -p 2222 -- staging")


def test_a_host_that_ssh_does_not_reach_is_named(tmp_path: Any, monkeypatch: Any) -> None:
    ssh = tmp_path / "ssh"
    ssh.write_text("#!/bin/sh\nexit 255\n")
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(RefusedError, match=r"does not answer: http://127\.0\.0\.1:9090 on the host of ssh://staging"):
        prometheus(9090, engine="ssh://staging").query("up")
