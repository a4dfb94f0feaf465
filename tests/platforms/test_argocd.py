"""What `gitops.export` writes, followed by the real Argo CD: in sync and healthy, healed, degraded, and back."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tasks.setup.check import why_not
from tasks.setup.plan.check import CLUSTER_TESTS
from tests.cluster.cluster import Cluster, started
from tests.cluster.shop import Shop, made
from tests.e2e.support import until

from . import argocd

BRANCH, NAME = "deploy/prod", "shop-prod"
pytestmark = pytest.mark.timeout(3600)  # the first time, everything is built


@dataclass(frozen=True)
class State:
    """What Argo CD says of an Application: in sync or not, its health, for which commit, and how the last sync went."""

    sync: str
    health: str
    revision: str
    phase: str


@dataclass
class Followed:
    """The stack, in a repository whose branch for deploys Argo CD follows."""

    shop: Shop
    cluster: Cluster
    logs: Path
    seen: list[State] = field(default_factory=list)

    def git(self, *words: str, at: Path | None = None) -> str:
        """Run git in the checkout, or elsewhere."""
        done = subprocess.run(
            ["git", "-C", str(at or self.shop.project_dir), *words], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def release(self, version: str, **more: Any) -> str:
        """Commit a version, export and push it; return the commit of the branch for deploys."""
        self.shop.write(version, **more)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", f"version {version}")
        document = self.shop.json("gitops.export", "--env", "prod", "--branch", BRANCH, "--push")
        assert (document["outcome"], document["pushed"]) == ("committed", True)
        return str(document["commit"])

    def revert(self) -> str:
        """Take the last commit of the branch back as a person does, in a clone of their own."""
        clone = self.shop.project_dir.parent / "person"
        self.git("clone", "--quiet", f"--branch={BRANCH}", str(self.shop.project_dir.parent / "shop.git"), str(clone))
        for key, value in (("user.name", "Ben"), ("user.email", "ben@example.com")):
            self.git("config", key, value, at=clone)
        self.git("revert", "--no-edit", "HEAD", at=clone)
        self.git("push", "--quiet", at=clone)
        return self.git("rev-parse", "HEAD", at=clone)

    def state(self) -> State:
        """Return what Argo CD says now."""
        words = (f"--namespace={argocd.NAMESPACE}", "get", "application", NAME, "--output=json")
        status = json.loads(self.cluster.kubectl(*words).stdout).get("status") or {}
        sync, operation = status.get("sync") or {}, status.get("operationState") or {}
        now = State(
            *(str(sync.get("status")), str((status.get("health") or {}).get("status"))),
            *(str(sync.get("revision")), str(operation.get("phase"))),
        )
        if self.seen[-1:] != [now]:
            self.seen.append(now)
        return now

    def becomes(self, commit: str, health: str, seconds: float = 180) -> None:
        """Wait until a commit is in sync and of some health."""

        def reached() -> bool:
            now = self.state()
            return (now.sync, now.health, now.revision) == ("Synced", health, commit)

        try:
            until(reached, f"{commit[:12]} is {health}", seconds)
        except AssertionError as error:
            logs = "\n".join(path.read_text()[-3000:] for path in self.logs.glob("*.log"))
            raise AssertionError(f"{error}\n{self.seen}\n{self.shop.place.told()}\n{logs}") from None

    def jobs(self) -> list[dict[str, Any]]:
        """Return the jobs that are there."""
        return list(self.shop.place.get("jobs"))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A cluster of one node."""
    if reason := why_not(CLUSTER_TESTS):
        pytest.skip(reason)
    with started() as running:
        yield running


@pytest.fixture(scope="module")
def followed(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Followed]:
    """The stack in version 1, exported and pushed, with the Secret that its note speaks of; Argo CD runs."""
    directory = tmp_path_factory.mktemp("argocd")
    cluster.load_app("1")
    with cluster.namespace() as namespace, argocd.running(cluster, directory):
        stack = Followed(made(directory / "shop", namespace), cluster, directory)
        stack.shop.profile(HEALTH_TIMEOUT="20s")
        (stack.shop.project_dir / ".gitignore").write_text("password\nenvs/\n")
        remote = directory / "shop.git"
        subprocess.run(["git", "init", "--quiet", "--bare", str(remote)], check=True)
        stack.git("init", "--quiet", "--initial-branch=main")
        for key, value in (("user.name", "Ann"), ("user.email", "ann@example.com")):
            stack.git("config", key, value)
        stack.git("remote", "add", "origin", str(remote))
        namespace.kubectl("create", "secret", "generic", "shop-secrets", "--from-literal=password=hunter2")
        yield stack
        cluster.kubectl(f"--namespace={argocd.NAMESPACE}", "delete", "application", NAME, "--ignore-not-found")
        shutil.rmtree(directory / "tmp", ignore_errors=True)


def test_a_release_is_followed_healed_degraded_and_taken_back(followed: Followed) -> None:
    shop, place = followed.shop, followed.shop.place
    first = followed.release("1")
    assert "hunter2" not in followed.git("log", "--patch", BRANCH)
    place.cluster.kubectl("apply", "--filename=-", stdin=followed.git("show", f"{BRANCH}:argocd/prod.yaml"))
    followed.becomes(first, "Healthy")
    assert shop.answers() == {"1"}
    (job,) = followed.jobs()
    pods = place.get("pods", **{"app.kubernetes.io/name": "app"})
    assert len(pods) == 2
    ended = job["status"]["completionTime"]
    assert all(ended <= pod["metadata"]["creationTimestamp"] for pod in pods), "the migration came before the Pods"

    # What a person changes by hand, and takes away, is as it was a moment later; no migration runs for it.
    place.kubectl("scale", "deployment/app", "--replicas=1")
    place.kubectl("delete", "service/app")
    until(lambda: place.get("deployment", "app")["spec"]["replicas"] == 2, "the number of Pods is healed", 60)
    until(lambda: place.kubectl("get", "service/app", check=False).returncode == 0, "the Service is healed", 60)
    followed.becomes(first, "Healthy")
    assert [one["metadata"]["uid"] for one in followed.jobs()] == [job["metadata"]["uid"]]

    # A version that never gets ready is Degraded and never healthy; the one before it serves.
    bad = followed.release("2", command=["sleep", "3600"])
    followed.becomes(bad, "Degraded", 240)
    assert not [one for one in followed.seen if one.revision == bad and (one.sync, one.health) == ("Synced", "Healthy")]
    assert "1" in shop.answers()

    back = followed.revert()
    followed.becomes(back, "Healthy")
    assert shop.answers() == {"1"}

    # The next export goes on from the person's commit.
    third = followed.release("3")
    assert followed.git("rev-parse", f"{third}^") == back
    followed.becomes(third, "Healthy")
    assert shop.answers() == {"3"}


def test_a_migration_that_fails_leaves_what_waits_for_it_as_it_was(followed: Followed) -> None:
    bad = followed.release("4", migrate="exit 1")

    def failed() -> bool:
        now = followed.state()
        return now.revision == bad and now.phase in ("Failed", "Error")

    until(failed, "the sync has failed", 240)
    assert followed.shop.answers() == {"3"}
    good = followed.release("4")
    followed.becomes(good, "Healthy")
    assert followed.shop.answers() == {"4"}
