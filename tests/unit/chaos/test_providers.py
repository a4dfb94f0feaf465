"""What activities do: requests to a server of the test, and processes."""

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tasks.chaos.providers import ActivityFailedError, Providers, request


class Handler(BaseHTTPRequestHandler):
    """Answers with what it was asked."""

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        asked = {"method": self.command, "path": self.path, "body": self.rfile.read(length).decode()}
        status = int(self.path.rpartition("status=")[2][:3]) if "status=" in self.path else 200
        body = json.dumps(asked).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if status == 302:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("status", [200, 302, 404, 503])
def test_every_status_is_an_answer(url: str, status: int) -> None:
    answer = request({"url": f"{url}?status={status}"})
    assert answer["status"] == status and answer["body"]["method"] == "GET"


def test_arguments_are_a_query_or_a_body(url: str) -> None:
    assert request({"url": url, "arguments": {"a": 1}})["body"]["path"] == "/?a=1"
    form = request({"url": url, "method": "POST", "arguments": {"a": 1}})
    assert form["body"]["body"] == "a=1"
    headers = {"Content-Type": "application/json"}
    sent = request({"url": url, "method": "post", "headers": headers, "arguments": {"a": 1}})
    assert json.loads(sent["body"]["body"]) == {"a": 1}


def test_without_an_answer_the_activity_failed() -> None:
    with pytest.raises(ActivityFailedError, match=r"failed to connect to http://127\.0\.0\.1:9/"):
        request({"url": "http://127.0.0.1:9/", "timeout": 2})
    with pytest.raises(ActivityFailedError, match="no address of HTTP"):
        request({"url": "file:///etc/passwd"})


def providers(tmp_path: Path) -> Providers:
    return Providers({"CHAOS_ADDRESS_WEB": "172.18.0.3"}, str(tmp_path))


def process(*argv: str, **more: object) -> dict[str, object]:
    return {
        "type": "action",
        "name": "p",
        "provider": {"type": "process", "path": argv[0], "arguments": [*argv[1:]], **more},
    }


def test_a_process_gives_its_status_and_its_output_and_knows_the_addresses(tmp_path: Path) -> None:
    code = "import os, sys; print(os.environ['CHAOS_ADDRESS_WEB']); sys.exit(3)"
    done = providers(tmp_path).act(process(sys.executable, "-c", code))
    assert done == {"status": 3, "stdout": "172.18.0.3\n", "stderr": ""}
    assert providers(tmp_path).act(process("no-such-program"))["status"] == 127


def test_a_process_that_takes_too_long_failed(tmp_path: Path) -> None:
    with pytest.raises(ActivityFailedError, match="took too long"):
        providers(tmp_path).act(process(sys.executable, "-c", "import time; time.sleep(30)", timeout=0.2))


def test_a_process_in_the_background_can_be_ended(tmp_path: Path) -> None:
    acting, seen = providers(tmp_path), list[object]()
    started = tmp_path / "started"
    code = f"import pathlib, time; pathlib.Path({str(started)!r}).touch(); time.sleep(60)"

    def work() -> None:
        seen.append(acting.act(process(sys.executable, "-c", code))["status"])

    thread = threading.Thread(target=work)
    thread.start()
    while not started.exists():
        thread.join(0.02)
    acting.end()
    thread.join(10)
    assert not thread.is_alive()
    assert seen == [137]


def test_python_code_runs_in_a_process_of_its_own(tmp_path: Path) -> None:
    code = {"type": "python", "module": "json", "func": "loads", "arguments": {"s": '{"a": 1}'}}
    assert providers(tmp_path).act({"type": "probe", "name": "c", "provider": code}) == {"a": 1}
    with pytest.raises(ActivityFailedError, match="Error"):
        providers(tmp_path).act({"type": "probe", "name": "c", "provider": {**code, "func": "nothing"}})
