"""Commit statuses over HTTP, against a server that answers as the documented APIs do."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from signed_repository import Author

from tasks.gitops.configuration import Configuration
from tasks.gitops.plan.commit_status import CommitStatus, StatusServer
from tasks.gitops.plan.memory import Told
from tasks.gitops.tell import tell

COMMIT = "a" * 40
TOKEN = "t0p-s3cret"
GOOD = CommitStatus(COMMIT, "prod", "success", "deployed, release 4")


class Api:
    """A server that notes requests and gives the same answer to each."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str], Any]] = []
        self.answer: tuple[int, Any] = (201, {})
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                api.asked.append((self.path, dict(self.headers), document))
                code, body = api.answer
                text = json.dumps(body).encode()
                self.send_response(code)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def api() -> Iterator[Api]:
    made = Api()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def config(tmp_path: Path, api: Api, kind: str) -> Configuration:
    token = tmp_path / "token"
    token.write_text(f"{TOKEN}\n")
    path = {"github": "", "gitea": "/api/v1", "gitlab": "/api/v4"}[kind]
    server = StatusServer(kind, f"{api.address}{path}", "ann/shop")
    return replace(Author(tmp_path).configuration(), server=server, token=token)


@pytest.mark.parametrize(
    ("kind", "path", "header", "value"),
    [
        ("github", f"/repos/ann/shop/statuses/{COMMIT}", "Authorization", f"Bearer {TOKEN}"),
        ("gitea", f"/api/v1/repos/ann/shop/statuses/{COMMIT}", "Authorization", f"token {TOKEN}"),
        ("gitlab", f"/api/v4/projects/ann%2Fshop/statuses/{COMMIT}", "PRIVATE-TOKEN", TOKEN),
    ],
)
def test_a_status_is_posted_with_the_token(
    tmp_path: Path, api: Api, kind: str, path: str, header: str, value: str
) -> None:
    told = tell(config(tmp_path, api, kind), GOOD, Told())
    assert told == Told(COMMIT, "success", "deployed, release 4")
    ((asked, headers, document),) = api.asked
    assert (asked, headers[header], headers["User-Agent"]) == (path, value, "slipway")
    assert document["state"] == "success" and document["description"] == "deployed, release 4"


def test_what_was_told_is_not_told_again(tmp_path: Path, api: Api) -> None:
    where = config(tmp_path, api, "github")
    told = tell(where, GOOD, Told())
    assert tell(where, GOOD, told) == told
    assert len(api.asked) == 1
    tell(where, replace(GOOD, state="failure"), told)
    assert len(api.asked) == 2


def test_a_server_that_refuses_is_noted_and_asked_again(
    tmp_path: Path, api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    where = config(tmp_path, api, "github")
    api.answer = (401, {"message": f"Bad credentials {TOKEN}"})
    assert tell(where, GOOD, Told()) == Told()
    said = capsys.readouterr().err
    assert "HTTP status 401" in said and "GITOPS_TOKEN_FILE" in said
    assert TOKEN not in said

    api.answer = (201, {})
    assert tell(where, GOOD, Told()).state == "success"


def test_a_server_that_is_away_is_noted(tmp_path: Path, api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    where = config(tmp_path, api, "gitea")
    assert where.server
    where = replace(where, server=replace(where.server, api="http://127.0.0.1:9"))
    assert tell(where, GOOD, Told()) == Told()
    assert "is GITOPS_STATUS_API the address of the API?" in capsys.readouterr().err


def test_gitlab_has_the_state_already(tmp_path: Path, api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    api.answer = (
        400,
        {"message": "Cannot transition status via :run from :running (Reason(s): Status cannot transition)"},
    )
    status = replace(GOOD, state="pending")
    assert tell(config(tmp_path, api, "gitlab"), status, Told()).state == "pending"
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("text", ["", "two\nlines"])
def test_a_file_without_a_token_is_told(
    tmp_path: Path, api: Api, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    where = config(tmp_path, api, "github")
    assert where.token
    where.token.write_text(text)
    assert tell(where, GOOD, Told()) == Told()
    where.token.unlink()
    assert tell(where, GOOD, Told()) == Told()
    said = capsys.readouterr().err
    assert "has no token" in said and "No such file" in said
    assert api.asked == []


def test_nothing_is_told_without_a_server(tmp_path: Path, api: Api) -> None:
    assert tell(Author(tmp_path).configuration(), GOOD, Told()) == Told()
