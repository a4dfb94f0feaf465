"""Webhooks over real HTTP: which are taken, and that the agent looks sooner, but not more often than it may."""

import contextlib
import hashlib
import hmac
import http.client
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from fake_project import FakeProject
from fakes import World
from signed_repository import Author
from support import profile

from tasks.gitops import agent, hints, webhook
from tasks.gitops.configuration import configuration
from tasks.gitops.hints import Hints, listened
from tasks.gitops.plan.decision import AgentDecision
from tasks.gitops.plan.webhook import Listening, listening
from tasks.model.errors import InputError, RefusedError, StoppedError
from tasks.model.secret import Secret

SECRET = "hünter-2"
BODY = b'{"ref": "refs/heads/main"}'


def signature(body: bytes, secret: str = SECRET) -> str:
    return f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"


class Listener:
    """An agent that listens and waits; ``port`` is where."""

    def __init__(self, port: int, hints: Hints) -> None:
        self.port, self.hints = port, hints

    def send(self, method: str = "POST", body: bytes | None = BODY, **headers: str) -> int:
        """Send a request and return the status of its answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            given = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, "/any/path", body, given)
            answer = connection.getresponse()
            answer.read()
            return answer.status
        finally:
            connection.close()

    def hinted(self) -> bool:
        """Whether there was a hint since this was asked last."""
        return self.hints.wait(0.01)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "_POLL", 0.01)


@pytest.fixture(params=[None, SECRET], ids=["open", "secret"])
def listener(request: pytest.FixtureRequest) -> Iterator[Listener]:
    secret = Secret(request.param) if request.param else None
    port = free_port()
    with listened(Listening("127.0.0.1", port, secret), least=0.0) as given:
        yield Listener(port, given)


needs_secret = pytest.mark.parametrize("listener", [SECRET], indirect=True)
without_secret = pytest.mark.parametrize("listener", [None], indirect=True)


@without_secret
def test_any_post_is_a_hint_and_nothing_else_is(listener: Listener) -> None:
    assert listener.send() == 202
    assert listener.hinted()
    assert not listener.hinted(), "one hint brings on one look"
    for method in ("GET", "HEAD", "PUT", "DELETE"):
        assert listener.send(method, None) == 405
    assert not listener.hinted()


@needs_secret
def test_a_signature_of_the_body_as_github_and_gitea_make_it_is_a_hint(listener: Listener) -> None:
    assert listener.send(X_Hub_Signature_256=signature(BODY)) == 202
    assert listener.hinted()
    large = b"x" * 3_000_000
    assert listener.send(body=large, X_Hub_Signature_256=signature(large)) == 202
    assert listener.hinted()


def test_the_token_of_gitlab_is_a_hint_when_it_is_the_whole_secret() -> None:
    port = free_port()
    with listened(Listening("127.0.0.1", port, Secret("hunter-2")), least=0.0) as given:
        listener = Listener(port, given)
        for wrong in ("hunter-", "hunter-22", "", "Hunter-2"):
            assert listener.send(X_Gitlab_Token=wrong) == 403
        assert not listener.hinted()
        assert listener.send(X_Gitlab_Token="hunter-2") == 202
        assert listener.hinted()


@needs_secret
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X_Hub_Signature_256": signature(BODY, "guessed")},
        {"X_Hub_Signature_256": signature(b"another body")},
        {"X_Hub_Signature_256": "sha256="},
        {"X_Hub_Signature_256": signature(BODY).replace("sha256", "sha1")},
        {"X_Hub_Signature": "sha1=" + hmac.new(SECRET.encode(), BODY, hashlib.sha1).hexdigest()},
    ],
    ids=["none", "another key", "another body", "empty", "another name", "only SHA-1"],
)
def test_a_request_that_nobody_signed_does_nothing(listener: Listener, headers: dict[str, str]) -> None:
    assert listener.send(**headers) == 403
    assert not listener.hinted()


@needs_secret
def test_a_body_that_ends_early_or_is_too_large_does_nothing(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "_SECONDS", 0.2)
    with socket.create_connection(("127.0.0.1", listener.port), timeout=5) as client:
        head = f"POST / HTTP/1.1\r\nContent-Length: 100\r\nX-Hub-Signature-256: {signature(BODY)}\r\n\r\n"
        client.sendall(head.encode() + BODY)
        while client.recv(1000):
            pass
    assert listener.send(body=None, Content_Length="99999999999", X_Hub_Signature_256=signature(b"")) == 413
    assert not listener.hinted()


def test_what_is_no_http_is_closed_and_the_next_request_is_answered(listener: Listener) -> None:
    for words in (b"\x16\x03\x01\x02\x00\x01", b"POST\r\n\r\n", b"POST / HTTP/9.9\r\n\r\n", b""):
        with socket.create_connection(("127.0.0.1", listener.port), timeout=5) as client:
            client.sendall(words + b"\r\n")
            client.shutdown(socket.SHUT_WR)
            while client.recv(1000):
                pass
    assert not listener.hinted()
    assert listener.send(X_Hub_Signature_256=signature(BODY)) == 202


@without_secret
def test_clients_that_say_nothing_do_not_keep_others_out_for_long(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "_SECONDS", 0.3)
    silent = [socket.create_connection(("127.0.0.1", listener.port), timeout=5) for _ in range(12)]
    until, status = time.monotonic() + 60, 0
    while status != 202 and time.monotonic() < until:
        try:
            status = listener.send()
        except (OSError, http.client.HTTPException):
            time.sleep(0.05)
    for client in silent:
        client.close()
    assert status == 202


def test_however_many_hints_come_the_agent_looks_only_as_often_as_it_may() -> None:
    given, stop = Hints(least=0.2), threading.Event()

    def flood() -> None:
        while not stop.wait(0.001):
            given.give()

    thread = threading.Thread(target=flood)
    thread.start()
    began, looks = time.monotonic(), 0
    while time.monotonic() < began + 1.0:
        assert given.wait(60)
        looks += 1
    stop.set()
    thread.join()
    assert looks <= 6


def test_without_hints_the_interval_is_waited_and_a_shorter_interval_than_the_least_counts() -> None:
    given, began = Hints(least=600.0), time.monotonic()
    assert not given.wait(0.1)
    assert 0.1 <= time.monotonic() - began < 60


def test_a_port_that_is_taken_is_said_in_a_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = f"GITOPS_WEBHOOK_LISTEN: 127.0.0.1:{port}: Address already in use"
        with pytest.raises(RefusedError, match=said), listened(Listening("127.0.0.1", port)):
            pass


def test_an_agent_that_waits_for_an_hour_looks_at_once_after_a_webhook(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    author, port, looks = Author(tmp_path), free_port(), 0
    (tmp_path / "home").mkdir()
    given = {"GITOPS_REPOSITORY": str(author.bare), "GITOPS_ALLOWED_SIGNERS": str(author.signers)}
    given |= {"GITOPS_DIR": str(tmp_path / "state"), "GITOPS_WEBHOOK_LISTEN": f"127.0.0.1:{port}"}
    project = FakeProject(World(), tmp_path / "home", **given, GITOPS_INTERVAL="1h")

    def look(_: agent.Agent) -> agent.Looked:
        nonlocal looks
        looks += 1
        if looks == 2:
            raise StoppedError(15, "stopped by SIGTERM")
        # While it looks as well: what was pushed then may be what it has not seen.
        threading.Thread(target=Listener(port, Hints()).send).start()
        return agent.Looked(AgentDecision("synced", "a" * 40))

    monkeypatch.setattr(agent.Agent, "look", look)
    monkeypatch.setattr(hints, "LEAST", 0.1)
    monkeypatch.setattr(agent, "_alone", lambda *_: contextlib.nullcontext(SimpleNamespace()))
    with pytest.raises(StoppedError):
        agent.run(project)
    with pytest.raises(OSError, match="refused"):
        Listener(port, Hints()).send()


def test_nobody_listens_unless_it_is_wanted() -> None:
    assert listening("", "secret") is None
    assert str(listening("[::1]:9010", "")) == "http://[::1]:9010/"


def test_an_address_that_others_reach_needs_a_secret() -> None:
    with pytest.raises(InputError, match=r"0\.0\.0\.0:9010 is reached by other machines"):
        listening("0.0.0.0:9010", "")
    assert listening("0.0.0.0:9010", "x") == Listening("0.0.0.0", 9010, Secret("x"))


@pytest.mark.parametrize("wrong", ["9010", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:99999", "http://x:9010", ":9010"])
def test_an_address_that_is_none_is_refused(wrong: str) -> None:
    with pytest.raises(InputError, match="GITOPS_WEBHOOK_LISTEN: expected a host and a port"):
        profile(GITOPS_WEBHOOK_LISTEN=wrong)


def test_the_configuration_of_an_agent_has_it_and_shows_no_secret(tmp_path: Path) -> None:
    author = Author(tmp_path)
    given = {"GITOPS_REPOSITORY": str(author.bare), "GITOPS_ALLOWED_SIGNERS": str(author.signers)}
    given |= {"GITOPS_DIR": str(tmp_path / "state"), "GITOPS_WEBHOOK_LISTEN": "127.0.0.1:9010"}
    (tmp_path / "home").mkdir()
    project = FakeProject(World(), tmp_path / "home", **given, GITOPS_WEBHOOK_SECRET=SECRET)
    found = configuration(project)
    assert found.webhook == Listening("127.0.0.1", 9010, Secret(SECRET))
    assert SECRET not in repr(found)
