"""The GitOps agent on an engine: only signed commits are deployed, what fails goes back, and history goes one way."""

import json
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from .forge import Repository
from .lean import CRASHES, Lean
from .starting import Started
from .support import docker, until

TAKES = 90  # seconds


class Forge(Repository):
    """A repository that is pushed to, and a server that takes commit statuses."""

    def __init__(self, directory: Path, author: Lean) -> None:
        super().__init__(directory, author.project_dir)
        self.author = author
        self.statuses: list[tuple[str, str, str]] = []
        self.tokens: set[str] = set()
        self.api = ""

    def push(self, text: str, signed: bool = True, run: str | None = None) -> str:
        """Commit another version and push it; returns its name."""
        self.author.version(text, *([run] if run else []))
        return self.push_all(text, signed)

    def states(self, commit: str) -> list[tuple[str, str]]:
        """Return the states and descriptions that a commit was given."""
        return [(state, words) for name, state, words in self.statuses if name == commit]


@pytest.fixture(scope="module")
def forge(fresh_lean: Callable[[], Lean], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forge]:
    made = Forge(tmp_path_factory.mktemp("forge"), fresh_lean())

    class Handler(BaseHTTPRequestHandler):
        """What Gitea answers to POST /repos/{owner}/{repo}/statuses/{sha}, by its API's description."""

        def do_POST(self) -> None:
            document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            made.tokens.add(self.headers["Authorization"])
            assert document["context"] == "slipway/dev"
            made.statuses.append((self.path.rpartition("/")[2], document["state"], document["description"]))
            self.send_response(201)
            self.end_headers()
            self.wfile.write(json.dumps({"id": 1, "status": document["state"]}).encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made.api = f"http://127.0.0.1:{server.server_port}/api/v1"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield made
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def agent(forge: Forge) -> Lean:
    """The checkout that the agent is started in, with a configuration of its own, and what it has deployed first."""
    first, directory = forge.push("v1"), forge.bare.parent
    home = directory / "agent"
    subprocess.run(("git", "clone", "--quiet", str(forge.bare), str(home)), check=True)
    (directory / "token").write_text("t0p-s3cret\n")
    (directory / "metrics").mkdir()
    settings = {
        "GITOPS_REPOSITORY": forge.bare,
        "GITOPS_ALLOWED_SIGNERS": forge.signers,
        "GITOPS_DIR": directory / "state",
        "GITOPS_INTERVAL": "1s",
        "GITOPS_STATUS": "gitea",
        "GITOPS_STATUS_API": forge.api,
        "GITOPS_STATUS_REPOSITORY": "ann/shop",
        "GITOPS_TOKEN_FILE": directory / "token",
        "GITOPS_HEAL": "heal",
        "DEPLOY_NICE": "0",
        "DEPLOY_METRICS_DIR": directory / "metrics",
    }
    text = "".join(f"{key}={value}\n" for key, value in settings.items())
    (home / "envs" / "dev.local.env").write_text(text)
    made = replace(forge.author, project_dir=home, envs_dir=home / "envs")
    done = made.json("gitops.once")
    assert (done["action"], done["outcome"], done["commit"]) == ("deploy", "deployed", first)
    return made


def history(stack: Lean) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = stack.json("deploy.history")["releases"]
    return found


def test_signed_commits_are_deployed_and_nothing_else_is(forge: Forge, agent: Lean) -> None:
    assert agent.answer() == "v1"
    assert history(agent)[0]["operator"].startswith("gitops@")
    assert (agent.project_dir / "app.conf").read_text().count("v1") == 2, "the agent's own checkout stays as it is"

    unsigned = forge.push("v2", signed=False)
    done = agent.json("gitops.once", code=3)
    assert (done["action"], done["commit"], done["outcome"]) == ("refuse", unsigned, None)
    assert "it is not signed" in done["reason"]
    assert agent.answer() == "v1"
    assert agent.json("gitops.status")["problem"]["what"] == done["reason"]
    assert [state for state, _ in forge.states(unsigned)] == ["failure"]

    # A signed commit on top vouches for all of its files.
    good = forge.push("v3")
    assert agent.json("gitops.once")["outcome"] == "deployed"
    assert agent.answer() == "v3"
    assert history(agent)[0]["commit"] == good
    assert [state for state, _ in forge.states(good)] == ["pending", "success"]

    # One that fails goes back, is told as a failure, and is not tried again.
    bad = forge.push("v4", run=CRASHES)
    failed = agent.json("gitops.once", code=4)
    assert (failed["outcome"], failed["commit"]) == ("rolled-back", bad)
    assert agent.answer() == "v3"
    (metrics,) = (agent.project_dir.parent / "metrics").glob("slipway-*-gitops.prom")
    told = metrics.read_text()
    assert 'environment="dev",state="failed"} 1\n' in told and f'commit="{bad}",outcome="rolled-back"}} 1\n' in told
    count = len(history(agent))
    again = agent.json("gitops.once", code=3)
    assert again["action"] == "failed" and "rolled-back at" in again["reason"]
    assert len(history(agent)) == count
    assert [state for state, _ in forge.states(bad)] == ["pending", "failure"]

    # A force push is refused, although its commit is signed.
    forge.git("reset", "--quiet", "--hard", good)
    forge.git("commit", "--quiet", "--allow-empty", "--gpg-sign", "--message=another history")
    forge.git("push", "--quiet", "--force", "origin", "HEAD:main")
    refused = agent.json("gitops.once", code=3)
    assert "the branch has another history now" in refused["reason"]
    assert agent.answer() == "v3"

    # A signed git revert of what failed is deployed.
    forge.git("reset", "--quiet", "--hard", bad)
    forge.git("revert", "--no-edit", "--gpg-sign", bad)
    forge.git("push", "--quiet", "--force", "origin", "HEAD:main")
    reverted = forge.git("rev-parse", "HEAD")
    assert agent.json("gitops.once")["commit"] == reverted
    assert agent.answer() == "v3"
    assert forge.states(reverted)[-1][0] == "success"
    assert forge.tokens == {"token t0p-s3cret"}
    status = agent.inv("gitops.status").stdout
    assert "t0p-s3cret" not in status and "none runs" in status


def test_an_agent_heals_and_stops_where_a_person_acts(forge: Forge, agent: Lean) -> None:
    before, words = agent.answer(), agent.command("gitops.run", "--env", "dev")
    running = Started(
        words, env=agent.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    )  # fmt: skip
    try:
        until(lambda: agent.json("gitops.status")["agent"], "the agent runs")
        second = agent.inv("gitops.once", "--env", "dev", code=3).stderr
        assert "is locked by" in second and "GitOps agent, branch main" in second

        docker("rm", "-f", f"{agent.project}-front-1")
        until(lambda: "front" in agent.running(), "the proxy is back")
        until(lambda: agent.json("gitops.status")["heals"]["count"] == 1, "the heal is remembered")

        agent.inv("gitops.suspend", "--reason", "looking at it")
        shutil.rmtree(agent.project_dir.parent / "state" / "clone.git" / "objects")
        forge.push("w2")
        until(lambda: "looking at it" in str(agent.json("gitops.status")["problem"]), "it does nothing")
        agent.inv("gitops.resume")
        until(lambda: agent.answer() == "w2", "the commit is deployed")
        until(lambda: agent.json("gitops.status")["problem"] is None, "all is well")
        assert agent.json("gitops.status")["told"]["state"] == "success"

        agent.inv("deploy.rollback", "--yes")
        until(lambda: "back to release" in str(agent.json("gitops.status")["problem"]), "it sees the roll back")
        assert agent.answer() == before
        told = agent.json("gitops.status")["told"]
        assert told["state"] == "failure", "never green after a roll back"
    finally:
        running.send_signal(signal.SIGTERM)
        _, said = running.communicate(timeout=60)
    assert running.returncode == 143, said
    assert "is made anew" in said and "Traceback" not in said
    assert agent.json("gitops.status")["agent"] is None
