"""What the weeks of releases count and what they call a fault, without a container engine."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.support import free_port, until

from . import week
from .load import Api, load
from .repository import Repository
from .week import Done, Step, Week

ROWS: set[str] = set()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    refuses, forgets = False, False

    def do_GET(self) -> None:
        self._answer(200)

    def do_POST(self) -> None:
        key = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if not self.forgets:
            ROWS.add(key)
        self._answer(201)

    def _answer(self, status: int) -> None:
        self.send_response(503 if self.refuses else status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def server(handler: type[_Handler]) -> Iterator[int]:
    """Serve for as long as the block lasts; yields the port."""
    made = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield made.server_address[1]
    finally:
        made.shutdown()
        thread.join()
        made.server_close()


class _Stack:
    """A stack without an engine: its containers, its version, and rows in memory."""

    kind = "none"

    def __init__(self, port: int = 0) -> None:
        self.api = Api(port, "/rows", "/rows")
        self.containers: dict[str, frozenset[str]] = {"web": frozenset({"w1"}), "db": frozenset({"d1"})}
        self.version = "one"
        self.released: list[tuple[int, str]] = []
        self.replicas: dict[str, int] = {}

    def running(self) -> dict[str, frozenset[str]]:
        return dict(self.containers)

    def settle(self) -> None:
        """Nothing is left to wait for."""

    def reported(self) -> str:
        return self.version

    def missing(self, written: list[str], _patience: float = 0.0) -> int:
        return len(set(written) - ROWS)


@pytest.fixture
def port() -> Iterator[int]:
    with server(type("Handler", (_Handler,), {})) as number:
        yield number


def taken(stack: _Stack, step: Step, monkeypatch: pytest.MonkeyPatch, interrupts: bool = False) -> week.Row:
    """Take a step under load and return its row; the plan ``interrupts`` the service web, or nothing."""
    changes = [{"service": "web", "interrupts": ["web"] if interrupts else []}]
    monkeypatch.setattr(week, "task", lambda *_: Done(0, {"changes": changes}, ""))
    monkeypatch.setattr(week, "deploy", step.act)
    monkeypatch.setattr(week, "_SETTLE", 0.1)
    run = Week(stack)  # type: ignore[arg-type]
    with load(stack.api, 100.0) as asked:
        run.load = asked
        until(lambda: asked.failures or (asked.written and len(asked.seconds) >= 4), "clients ask")
        run.step(step)
    return run.rows[0]


def acting(stack: _Stack, code: int = 0, outcome: str = "deployed", **containers: str) -> Any:
    """Return an act that leaves these containers."""

    def act(_: Any) -> Done:
        stack.containers.update({name: frozenset(ids.split()) for name, ids in containers.items()})
        return Done(code, {"outcome": outcome}, "why")

    return act


def test_every_row_that_was_answered_201_is_remembered(port: int) -> None:
    with load(Api(port, "/rows", "/rows"), 100.0) as requests:
        until(lambda: len(requests.written) >= 20, "rows are written")

    assert requests.failures == []
    assert set(requests.written) <= ROWS
    assert len(requests.seconds) > len(requests.written)


def test_a_request_that_is_refused_is_lost_and_not_sent_again() -> None:
    with (
        server(type("Refusing", (_Handler,), {"refuses": True})) as port,
        load(Api(port, "/r", "/r"), 50.0) as requests,
    ):
        until(lambda: requests.failures, "a request is lost")

    assert (requests.seconds, requests.written) == ([], [])
    assert requests.failures and all("status 503" in line for line in requests.failures)


def test_a_port_that_nothing_listens_on_loses_requests(port: int) -> None:
    with load(Api(1, "/rows", "/rows"), 50.0) as requests:
        until(lambda: requests.failures, "a request is lost")

    assert "ConnectionRefusedError" in requests.failures[0]


def test_a_step_that_does_what_it_should_has_no_fault(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = _Stack(port)
    row = taken(stack, Step("code", act=acting(stack, web="w2"), kept=("db",)), monkeypatch)

    assert (row.faults, row.lost, row.missing, row.recreated) == ((), 0, 0, ("web",))
    assert row.requests > row.writes > 0


def test_another_exit_code_is_a_fault_with_the_last_words(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = _Stack(port)

    assert taken(stack, Step("code", act=acting(stack, code=4)), monkeypatch).faults == ("exit 4: why",)


def test_a_container_that_should_have_stayed_is_a_fault(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = _Stack(port)

    assert taken(stack, Step("code", act=acting(stack, db="d2"), kept=("db",)), monkeypatch).faults == ("not kept: db",)


def test_two_containers_of_a_service_are_a_fault(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = _Stack(port)
    step = Step("code", act=acting(stack, web="w1 w2"))

    assert taken(stack, step, monkeypatch).faults == ("2 containers of web",)


def test_with_nothing_changed_no_container_may_be_another(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = _Stack(port)
    step = Step("nothing", act=acting(stack, outcome="deployed", web="w2"), outcome="unchanged")

    assert taken(stack, step, monkeypatch).faults == ("outcome deployed instead of unchanged", "not kept: web")


@pytest.mark.parametrize(
    ("may", "said", "fault"),
    [(False, True, "lost"), (True, False, "not foreseen"), (True, True, "")],
)
def test_a_lost_request_is_allowed_only_where_the_plan_said_so(
    may: bool, said: bool, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server(type("Refusing", (_Handler,), {"refuses": True})) as refusing:
        stack = _Stack(refusing)
        row = taken(stack, Step("code", act=acting(stack), may_interrupt=may), monkeypatch, interrupts=said)

    assert row.lost > 0
    assert row.foreseen == (("web",) if said else ())
    assert len(row.faults) == bool(fault) and all(fault in message for message in row.faults)


def test_what_was_down_before_a_step_is_not_lost_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = _Stack(free_port())
    stack.version = ""
    step = Step("deployed after a kill", act=acting(stack), may_interrupt=True)

    row = taken(stack, step, monkeypatch)
    assert (row.faults, row.lost > 0) == ((), True)


def test_a_row_that_is_not_in_the_database_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    with server(type("Forgetting", (_Handler,), {"forgets": True})) as port:
        stack = _Stack(port)
        row = taken(stack, Step("code", act=acting(stack)), monkeypatch)

    assert row.missing == row.writes > 0
    assert row.faults == (f"{row.missing} rows missing",)


@pytest.mark.parametrize(("serves", "version", "fault"), [("new", "one", "from before"), ("old", "two", "another")])
def test_the_version_that_serves_is_looked_at(
    serves: str, version: str, fault: str, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = _Stack(port)

    def change(_: Any) -> None:
        stack.version = version

    (message,) = taken(stack, Step("code", change, acting(stack), serves=serves), monkeypatch).faults
    assert fault in message


def test_a_clone_has_the_same_commit_and_files(tmp_path: Path) -> None:
    first = Repository(tmp_path / "one")
    first.directory.mkdir()
    first.write("a/file", "old\n")
    first.start("First")
    first.append("a/file", "new\n")
    first.commit("Second")
    second = first.clone(tmp_path / "two")

    assert second.head == first.head
    assert (second.directory / "a/file").read_text() == "old\nnew\n"

    second.revert()
    assert (second.directory / "a/file").read_text() == "old\n"
