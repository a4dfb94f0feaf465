"""The agent over a fake engine: real repositories and signatures, and deploys that end as a test wants."""

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fake_project import FakeProject
from fakes import World
from signed_repository import Author, run
from support import container, profile

from tasks.gitops import agent, deploys, hints, status, stored
from tasks.gitops.agent import Agent, Looked
from tasks.gitops.plan.ended import DeployEnd
from tasks.host.runner import Runner
from tasks.model.errors import DeployError, InputError, LockLostError, RefusedError, SlipwayError
from tasks.release.plan.release import Release
from tests import schemas


class Environment:
    """An environment that an agent follows, and what is done to it; ``ends`` is how the next deploys end."""

    def __init__(self, directory: Path, **values: str) -> None:
        self.author, self.world = Author(directory), World()
        self.given = {
            "GITOPS_REPOSITORY": str(self.author.bare),
            "GITOPS_ALLOWED_SIGNERS": str(self.author.signers),
            "GITOPS_DIR": str(directory / "state"),
            **values,
        }
        home = directory / "home"
        (home / "envs").mkdir(parents=True)
        self.project = FakeProject(self.world, home, **self.given)
        places = {"envs_dir": home / "envs", "backups_dir": home / "backups", "home": home, "shown": str}
        self.project.settings = SimpleNamespace(**{**vars(self.project.settings), **places})
        self.project.files({"web": {"image": "web:1"}})
        self.ends: list[DeployEnd] = []
        self.deployed: list[tuple[str, bool]] = []
        self.drift: tuple[str, ...] = ()
        self.lost = False

    def agent(self) -> Agent:
        return Agent(self.project, agent.configuration(self.project), SimpleNamespace(verify=self._verify))  # type: ignore[arg-type]

    def _verify(self) -> None:
        if self.lost:
            raise LockLostError("the lock of shop is lost")

    def deploy(self, _project: Any, seen: deploys.Checkout, plan: Path | None = None) -> DeployEnd:
        """Stand in for ``inv deploy.dev``: note the commit that is checked out, and record a release if it is good."""
        commit = run("git", "-C", str(seen.root), "rev-parse", "HEAD")
        self.deployed.append((commit, plan is not None))
        ended = self.ends.pop(0) if self.ends else DeployEnd(0, "deployed")
        if ended.outcome == "deployed" and plan is None:
            self.record(commit, "gitops@agent")
        return ended

    def record(self, commit: str, operator: str, of: int = 0) -> None:
        """Keep the record of a release that serves."""
        number = len(self.world.images) + 1
        release = Release(number, "dev", "1.0.0", commit, "2026-11-30T12:00:00Z", operator, of=of)
        self.project.engine.data.keep("shop-release", str(number), {}, release.labels("shop"))
        self.world.boxes[:] = [container()]

    def look(self) -> Looked:
        return self.agent().look()


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Environment]:
    made = Environment(tmp_path)
    monkeypatch.setattr(deploys, "deploy", made.deploy)
    monkeypatch.setattr(deploys, "drift", lambda *_: (made.drift, bool(made.drift)))
    monkeypatch.setattr(agent, "_busy", lambda _: "")
    real, seconds = agent.timestamp, itertools.count()
    # A real deploy takes longer than a second, in which an attempt is not told from the next one.
    monkeypatch.setattr(agent, "timestamp", lambda shift=0.0: real(next(seconds) + shift))
    yield made


def test_one_commit_is_one_deploy(env: Environment) -> None:
    first = env.author.commit({"a": "1"})
    assert [env.look().decided.action for _ in range(3)] == ["deploy", "synced", "synced"]
    second = env.author.commit({"a": "2"})
    assert [env.look().decided.action for _ in range(2)] == ["deploy", "synced"]
    assert env.deployed == [(first, False), (second, False)]


def test_what_the_agent_remembers_is_on_the_engine(env: Environment) -> None:
    commit = env.author.commit()
    env.look()
    known = stored.memory(env.project).attempt
    assert known and (known.commit, known.outcome, known.release, known.signer) == (
        commit,
        "deployed",
        1,
        "ann@example.com",
    )
    assert [label for one in env.world.images.values() for label in one.labels if "gitops" in label] == [
        "slipway.gitops", "slipway.gitops.document",
    ], "its earlier memory is removed"  # fmt: skip


def test_only_what_is_verified_is_checked_out(env: Environment) -> None:
    env.author.commit({"a": "good"})
    env.look()
    bad = env.author.commit({"a": "evil"}, signed=False)
    look = env.look()
    assert (look.decided.action, look.decided.commit) == ("refuse", bad)
    assert (env.author.directory / "state" / "checkout" / "a").read_text() == "good"
    assert isinstance(agent.outcome(look), RefusedError)
    assert len(env.deployed) == 1


def test_a_commit_that_fails_is_not_tried_again_until_there_is_a_newer_one(env: Environment) -> None:
    env.author.commit({"a": "1"})
    env.look()
    bad = env.author.commit({"a": "2"})
    env.ends.append(DeployEnd(4, "rolled-back", "web is unhealthy"))
    failed = agent.outcome(env.look())
    assert isinstance(failed, DeployError)
    assert failed.message == f"commit {bad[:12]}: rolled-back: web is unhealthy"
    assert [env.look().decided.action for _ in range(2)] == ["failed", "failed"]
    assert [commit for commit, _ in env.deployed].count(bad) == 1

    good = env.author.commit({"a": "3"})
    assert env.look().decided.action == "deploy"
    assert env.deployed[-1] == (good, False)


def test_a_deploy_that_was_refused_is_tried_again_at_each_look(env: Environment) -> None:
    env.author.commit()
    env.ends += [DeployEnd(3, "refused", "the evidence tests is missing")] * 2
    assert isinstance(agent.outcome(env.look()), RefusedError)
    env.look()
    assert env.look().attempt is not None
    assert len(env.deployed) == 3


def test_a_force_push_is_refused_until_a_person_accepts_it(env: Environment) -> None:
    first = env.author.commit({"a": "1"})
    env.author.commit({"a": "2"})
    env.look()
    env.author.git("reset", "--quiet", "--hard", first)
    env.author.git("commit", "--quiet", "--allow-empty", "--gpg-sign", "--message=other")
    env.author.push("--force")
    assert "another history" in env.look().decided.reason
    env.author.git("reset", "--quiet", "--hard", first)
    env.author.push("--force")
    assert "which is older than" in env.look().decided.reason
    assert len(env.deployed) == 1

    status.resume(env.project, again=False, rewritten=True)
    assert env.look().decided.action == "deploy"
    assert env.deployed[-1] == (first, False)
    second = env.author.commit({"a": "3"})
    env.look()
    env.author.git("reset", "--quiet", "--hard", first)
    env.author.push("--force")
    assert env.look().decided.action == "refuse", "that was accepted once"
    assert env.deployed[-1] == (second, False)


def test_drift_is_healed_by_the_plan_that_was_seen_and_only_so_often(env: Environment) -> None:
    env.author.commit()
    env.look()
    env.drift = ("web: start",)
    assert env.look().decided.action == "drift", "it is reported"

    env.project.profile = profile(**env.given, GITOPS_HEAL="heal", GITOPS_HEAL_MAX="2")
    assert [env.look().decided.action for _ in range(4)] == ["heal", "heal", "drift", "drift"]
    assert [healed for _, healed in env.deployed] == [False, True, True]
    assert "healed 2 times in 1h already" in stored.memory(env.project).problem


def test_a_heal_that_is_refused_since_a_person_has_acted_is_no_attempt(env: Environment) -> None:
    env.project.profile = profile(**env.given, GITOPS_HEAL="heal")
    env.author.commit()
    env.look()
    env.drift = ("web: recreate",)
    env.ends.append(DeployEnd(3, "refused", "web has moved since"))
    look = env.look()
    assert (look.decided.action, look.decided.reason) == ("wait", "not healed: web has moved since")
    known = stored.memory(env.project)
    assert known.attempt and known.attempt.good and known.heals == ()


def test_a_roll_back_during_a_look_is_seen(env: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    env.author.commit()
    env.look()

    def rolled_back(*_: object) -> tuple[tuple[str, ...], bool]:
        env.record("c" * 40, "ann@desk", of=1)
        return ("web: recreate",), True

    monkeypatch.setattr(deploys, "drift", rolled_back)
    assert env.look().decided.action == "wait"
    assert len(env.deployed) == 1


def test_who_deploys_at_the_moment_is_waited_for(env: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    env.author.commit()
    monkeypatch.setattr(agent, "_busy", lambda _: "shop is locked by ann@desk (deploy)")
    assert (env.look().decided.reason, env.deployed) == ("shop is locked by ann@desk (deploy)", [])
    monkeypatch.setattr(agent, "_busy", lambda _: "")
    assert env.look().decided.action == "deploy"


def test_what_was_taken_down_stays_down(env: Environment) -> None:
    env.author.commit()
    env.look()
    env.world.boxes.clear()
    assert env.look().decided.reason == "shop was taken down"


def test_an_agent_that_has_lost_its_lock_does_nothing(env: Environment) -> None:
    env.author.commit()
    env.lost = True
    with pytest.raises(LockLostError):
        env.look()
    assert env.deployed == []


def test_a_repository_that_is_gone_is_remembered_as_a_problem(env: Environment) -> None:
    env.author.commit()
    env.look()
    env.author.bare.rename(env.author.directory / "moved")
    with pytest.raises(RefusedError, match="does not answer"):
        env.look()
    since = stored.memory(env.project).since
    assert "does not answer" in stored.memory(env.project).problem and since
    (env.author.directory / "moved").rename(env.author.bare)
    env.look()
    assert stored.memory(env.project).problem == ""


def test_orders_and_status(
    env: Environment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(status, "_agent", lambda _: None)
    status.suspend(env.project, "a fair")
    status.suspend(env.project, "another")
    env.author.commit()
    assert env.look().decided.action == "wait"
    capsys.readouterr()
    status.status(env.project, json=True)
    document = json.loads(capsys.readouterr().out)
    assert schemas.faults(document) == []
    assert document["suspended"]["reason"] == "a fair"
    assert "suspended since" in document["problem"]["what"]

    status.resume(env.project, again=False, rewritten=False)
    assert env.look().decided.action == "deploy"
    status.status(env.project, json=False)
    assert "no agent runs: inv gitops.run --env dev" in capsys.readouterr().err
    status.status(env.project, json=True)
    document = json.loads(capsys.readouterr().out)
    assert schemas.faults(document) == []
    assert (document["suspended"], document["attempt"]["signer"]) == (None, "ann@example.com")


def test_a_dry_look_shows_commands_and_runs_none(env: Environment, capsys: pytest.CaptureFixture[str]) -> None:
    env.project.runner = Runner(dry=True)  # type: ignore[assignment]
    agent.once(env.project, json=False)
    wanted = ("init", "fetch", "verify-commit", "checkout --quiet", "deploy.dev")
    shown = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("#")]
    assert [word for line in shown for word in wanted if f" {word} " in line] == list(wanted)
    assert f"gpg.ssh.allowedSignersFile={env.author.signers} " in "".join(shown)
    assert not (env.author.directory / "state").exists()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"GITOPS_REPOSITORY": ""}, "GITOPS_REPOSITORY is not set"),
        ({"GITOPS_ALLOWED_SIGNERS": ""}, "nobody may sign"),
        ({"GITOPS_ALLOWED_SIGNERS": "nowhere"}, "GITOPS_ALLOWED_SIGNERS: .*nowhere: no such file"),
        ({"GITOPS_INTERVAL": "0s"}, "GITOPS_INTERVAL: expected at least 1s"),
        ({"GITOPS_DIR": "."}, "holds the agent's own configuration"),
        ({"GITOPS_STATUS": "github"}, "GITOPS_STATUS_API is not set"),
        ({"GITOPS_REPOSITORY": "git@github.com:ann/shop", "GITOPS_STATUS": "github"}, "GITOPS_TOKEN_FILE is not"),
    ],
)  # fmt: skip
def test_a_configuration_that_cannot_work_is_refused(env: Environment, values: dict[str, str], words: str) -> None:
    env.project.profile = profile(**{**env.given, **values})
    with pytest.raises(InputError, match=words):
        agent.configuration(env.project)


def test_signers_from_the_repository_itself_are_refused(env: Environment) -> None:
    signers = env.author.directory / "state" / "checkout" / "signers"
    signers.parent.mkdir(parents=True)
    signers.write_text("x")
    env.project.profile = profile(**{**env.given, "GITOPS_ALLOWED_SIGNERS": str(signers)})
    with pytest.raises(InputError, match="is in the agent's clone, so a commit could change it"):
        agent.configuration(env.project)


def test_a_look_that_fails_is_no_end_of_the_agent(env: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []

    class Broken:
        def __init__(self, *_: object) -> None: ...

        def look(self) -> Looked:
            looks.append(1)
            if len(looks) == 3:
                raise LockLostError("lost")
            raise SlipwayError("the engine is away")

    @contextmanager
    def alone(*_: object) -> Iterator[None]:
        yield

    monkeypatch.setattr(agent, "Agent", Broken)
    monkeypatch.setattr(agent, "_alone", alone)
    monkeypatch.setattr(hints.Hints, "wait", lambda *_: False)
    with pytest.raises(LockLostError):
        agent.run(env.project)
    assert len(looks) == 3


def told_of(directory: Path) -> str:
    """Return the lines of an agent's metrics that are not 0."""
    text = (directory / "slipway-shop-gitops.prom").read_text()
    return "\n".join(line for line in text.splitlines() if line[0] != "#" and not line.endswith(" 0"))


@pytest.fixture
def measured(env: Environment, tmp_path: Path) -> Path:
    """Have the agent leave metrics; returns the directory that it leaves them in."""
    directory = tmp_path / "metrics"
    directory.mkdir()
    env.project.profile = profile(**env.given, DEPLOY_METRICS_DIR=str(directory))
    return directory


def test_each_look_is_told_to_monitoring(env: Environment, measured: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    during: list[str] = []
    deploy = env.deploy

    def seen(*words: Any) -> DeployEnd:
        during.append(told_of(measured))
        return deploy(*words)

    monkeypatch.setattr(deploys, "deploy", seen)
    good = env.author.commit()
    env.look()
    assert 'state="deploying"} 1' in during[0]
    assert 'state="synced"} 1' in told_of(measured)
    assert f'commit="{good}",outcome="deployed"}} 1' in told_of(measured)

    env.drift = ("web: recreate (image)", "db: start (missing)")
    env.look()
    assert 'state="drifted"} 1' in told_of(measured)
    assert 'slipway_gitops_drift{project="shop",environment="dev"} 2' in told_of(measured)

    env.drift = ()
    status.suspend(env.project, "a fair")
    env.look()
    assert 'state="suspended"} 1' in told_of(measured)
    assert 'slipway_gitops_suspended{project="shop",environment="dev"} 1' in told_of(measured)
    status.resume(env.project, again=False, rewritten=False)

    bad = env.author.commit({"a": "2"})
    env.ends.append(DeployEnd(4, "rolled-back", "web is unhealthy"))
    env.look()
    env.look()
    assert 'state="failed"} 1' in told_of(measured)
    assert f'commit="{bad}",outcome="rolled-back"}} 1' in told_of(measured)


def test_a_look_that_is_not_possible_is_told_too(env: Environment, measured: Path) -> None:
    env.author.commit()
    env.look()
    env.author.bare.rename(env.author.bare.with_name("away.git"))
    with pytest.raises(SlipwayError):
        env.look()
    assert 'state="error"} 1' in told_of(measured)


def test_metrics_that_cannot_be_left_are_a_warning_once(
    env: Environment, measured: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    env.author.commit()
    measured.rmdir()
    follower = env.agent()
    assert [follower.look().decided.action for _ in range(3)] == ["deploy", "synced", "synced"]
    assert capsys.readouterr().err.count("monitoring was not told: ") == 1
