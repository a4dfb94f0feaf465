"""What `gitops.export` writes, followed by the real Flux: healthy, repaired, not ready, and back."""

import itertools
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tasks.setup.check import why_not
from tasks.setup.plan.check import CLUSTER_TESTS
from tests.cluster.cluster import Cluster, started
from tests.cluster.shop import Shop, made
from tests.e2e.registries import LABEL, Registry, build_image, registry
from tests.e2e.support import docker, until

from . import flux

BRANCH = "deploy/prod"
PASSWORD = "wrong-pony"
pytestmark = pytest.mark.timeout(3600)  # the first time, everything is built


@dataclass
class Followed:
    """The stack, in a repository whose exports Flux follows; ``key`` is the SSH key that commits are signed with."""

    name: str  # of the objects of Flux; those of the waves have a number behind it
    shop: Shop
    cluster: Cluster
    logs: Path
    key: Path
    moments: Iterator[int] = field(default_factory=itertools.count)

    def git(self, *words: str, at: Path | None = None) -> str:
        """Run git in the checkout, or elsewhere."""
        done = subprocess.run(
            ["git", "-C", str(at or self.shop.project_dir), *words], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self, version: str, **more: Any) -> None:
        """Commit a version of the sources."""
        self.shop.write(version, **more)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", f"version {version}")

    def release(self, version: str, **more: Any) -> str:
        """Commit a version, export and push it; return the commit of the branch for deploys."""
        self.commit(version, **more)
        document = self.shop.json("gitops.export", "--env", "prod", "--branch", BRANCH, "--push")
        assert (document["outcome"], document["pushed"], document["signed"]) == ("committed", True, True)
        return str(document["commit"])

    def by_hand(self, name: str, *words: str, sign: bool) -> str:
        """Let a person do something to the branch in a clone of their own, and push it; return the commit."""
        clone = self.logs / name
        self.git("clone", "--quiet", f"--branch={BRANCH}", str(self.logs / "git" / "shop.git"), str(clone))
        for key, value in _author(self.key if sign else None).items():
            self.git("config", key, value, at=clone)
        self.git(*words, at=clone)
        self.git("push", "--quiet", at=clone)
        return self.git("rev-parse", "HEAD", at=clone)

    def objects(self, kinds: str) -> dict[str, dict[str, Any]]:
        """Return Flux's objects of some kinds by name."""
        listed = self.cluster.kubectl(f"--namespace={flux.NAMESPACE}", "get", kinds, "--output=json").stdout
        found = {str(one["metadata"]["name"]): one for one in json.loads(listed)["items"]}
        return {name: one for name, one in found.items() if name.startswith(self.name)}

    def ask(self, kinds: str = f"{flux.SOURCES},{flux.KUSTOMIZATIONS}") -> None:
        """Let Flux look now."""
        flux.ask(self.cluster, kinds, str(next(self.moments)))

    def told(self) -> str:
        """Return what there is to know about a test that fails."""
        found = self.objects(f"{flux.SOURCES},{flux.KUSTOMIZATIONS}")
        ready = {name: _ready(one) for name, one in found.items()}
        logs = "\n".join(path.read_text()[-3000:] for path in self.logs.glob("*.log"))
        return f"{ready}\n{self.shop.place.told()}\n{logs}"

    def waits(self, reached: Any, what: str, seconds: float = 240) -> None:
        """Wait until something is so; a failure says what Flux says."""
        try:
            until(reached, what, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.told()}") from None

    def becomes(self, commit: str) -> None:
        """Wait until all waves are of a commit, or of what a digest names, and healthy."""
        self.ask(flux.SOURCES)

        def reached() -> bool:
            waves = self.objects(flux.KUSTOMIZATIONS).values()
            return bool(waves) and all(
                commit in str(one.get("status", {}).get("lastAppliedRevision")) and _ready(one)[0] == "True"
                and one["status"].get("observedGeneration") == one["metadata"]["generation"]
                for one in waves
            )  # fmt: skip

        self.waits(reached, f"{commit[:19]} is healthy")

    def fails(self, kinds: str, name: str, word: str) -> str:
        """Wait until an object is not ready for a reason with a word in it; return its message."""
        self.ask(flux.SOURCES)

        def reached() -> bool:
            state, reason, _ = _ready(self.objects(kinds)[name])
            return state == "False" and word in reason

        self.waits(reached, f"{name} is not ready: {word}")
        return _ready(self.objects(kinds)[name])[2]

    def jobs(self) -> list[str]:
        """Return which jobs are there."""
        return [str(one["metadata"]["uid"]) for one in self.shop.place.get("jobs")]

    def apply(self, directory: Path) -> None:
        """Apply what Flux is to be told."""
        self.cluster.kubectl("apply", f"--filename={directory}")

    def trust(self, file: str) -> None:
        """Make the Secret of those who may sign, of a public key (``name=path``)."""
        words = ("create", "secret", "generic", f"{self.name}-signers", f"--from-file={file}")
        self.cluster.kubectl(f"--namespace={flux.NAMESPACE}", *words)


def _ready(one: dict[str, Any]) -> tuple[str, str, str]:
    """Return whether an object of Flux is ready, the reason, and the message."""
    conditions = one.get("status", {}).get("conditions") or []
    ready: dict[str, Any] = next((entry for entry in conditions if entry["type"] == "Ready"), {})
    return str(ready.get("status")), str(ready.get("reason")), str(ready.get("message"))


def _author(key: Path | None) -> dict[str, str]:
    """Return the settings of git of a person, who signs with a key or not."""
    person = {"user.name": "Ann", "user.email": "ann@example.com", "commit.gpgSign": "false"}
    signing = {"gpg.format": "ssh", "user.signingkey": str(key), "commit.gpgSign": "true"}
    return {**person, **(signing if key else {})}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A cluster of one node."""
    if reason := why_not(CLUSTER_TESTS):
        pytest.skip(reason)
    with started() as running:
        yield running


@pytest.fixture(scope="module")
def logs(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The directory of Flux, which runs."""
    directory = tmp_path_factory.mktemp("flux")
    cluster.load_app("1")
    with flux.running(cluster, directory):
        yield directory


@contextmanager
def _stack(cluster: Cluster, logs: Path, project: str, **profile: str) -> Iterator[Followed]:
    """Make the stack as a project in a repository with a remote; Flux lets go of it after the block."""
    directory = logs / project
    (directory / "git").mkdir(parents=True)
    key = directory / "ann"
    words = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
    subprocess.run(words, check=True, capture_output=True, timeout=60)
    with cluster.namespace() as namespace:
        stack = Followed(f"{project}-prod", made(directory / "shop", namespace), cluster, directory, key)
        stack.shop.profile(COMPOSE_PROJECT_NAME=project, HEALTH_TIMEOUT="20s", **profile)
        (stack.shop.project_dir / ".gitignore").write_text("password\nenvs/\n")
        remote = directory / "git" / "shop.git"
        subprocess.run(["git", "init", "--quiet", "--bare", str(remote)], check=True)
        stack.git("init", "--quiet", "--initial-branch=main")
        for setting, value in _author(None).items():
            stack.git("config", setting, value)
        stack.git("remote", "add", "origin", str(remote))
        namespace.kubectl("create", "secret", "generic", f"{project}-secrets", "--from-literal=password=hunter2")
        yield stack
        for kinds in (flux.KUSTOMIZATIONS, flux.SOURCES):
            for name, one in stack.objects(kinds).items():
                kind = f"{one['kind']}.{one['apiVersion'].partition('/')[0]}"
                cluster.kubectl(f"--namespace={flux.NAMESPACE}", "delete", kind, name, "--timeout=60s")


@pytest.fixture(scope="module")
def followed(cluster: Cluster, logs: Path) -> Iterator[Followed]:
    """The stack, exported to a branch whose commits have to be signed."""
    with flux.served(logs / "shop" / "git") as address:
        signing = {"GITOPS_SIGNING_KEY_FILE": str(logs / "shop" / "ann")}
        with _stack(cluster, logs, "shop", GITOPS_REPOSITORY=f"{address}/shop.git", **signing) as stack:
            yield stack


def test_a_branch_is_followed_repaired_not_ready_and_taken_back(followed: Followed) -> None:
    shop, place = followed.shop, followed.shop.place
    first = followed.release("1")
    assert "hunter2" not in followed.git("log", "--patch", BRANCH)
    followed.trust(f"ann.sshpub={followed.key}.pub")
    followed.git("worktree", "add", "--quiet", "--detach", str(followed.logs / "deploy"), BRANCH)
    followed.apply(followed.logs / "deploy" / "flux" / "prod")
    followed.becomes(first)
    assert shop.answers() == {"1"}
    waves = followed.objects(flux.KUSTOMIZATIONS)
    assert len(waves) == 2 and [len(one["spec"].get("dependsOn", ())) for one in waves.values()] == [0, 1]
    (job,) = place.get("jobs")
    pods = place.get("pods", **{"app.kubernetes.io/name": "app"})
    assert len(pods) == 2
    ended = job["status"]["completionTime"]
    assert all(ended <= pod["metadata"]["creationTimestamp"] for pod in pods), "the migration came before the Pods"

    # What a person changes by hand, and takes away, is repaired when Flux compares; no migration runs for it.
    jobs = followed.jobs()
    place.kubectl("scale", "deployment/app", "--replicas=1")
    place.kubectl("delete", "service/app")
    followed.ask()
    followed.waits(lambda: place.get("deployment", "app")["spec"]["replicas"] == 2, "the number of Pods is repaired")
    followed.waits(lambda: place.kubectl("get", "service/app", check=False).returncode == 0, "the Service is repaired")
    followed.becomes(first)
    assert followed.jobs() == jobs

    # A version that never gets ready is not ready, and the one before it serves.
    bad = followed.release("2", command=["sleep", "3600"])
    last = list(waves)[-1]
    followed.fails(flux.KUSTOMIZATIONS, last, "HealthCheckFailed")
    assert bad in followed.objects(flux.KUSTOMIZATIONS)[last]["status"]["lastAttemptedRevision"]
    assert "1" in shop.answers()

    back = followed.by_hand("revert", "revert", "--no-edit", "HEAD", sign=True)
    followed.becomes(back)
    assert shop.answers() == {"1"}

    # The next export goes on from the person's commit.
    third = followed.release("3")
    assert followed.git("rev-parse", f"{third}^") == back
    followed.becomes(third)
    assert shop.answers() == {"3"}


def test_a_commit_that_is_not_signed_changes_nothing(followed: Followed) -> None:
    before = followed.objects(flux.SOURCES)[followed.name]["status"]["artifact"]["revision"]
    followed.by_hand("unsigned", "revert", "--no-edit", "HEAD", sign=False)
    message = followed.fails(flux.SOURCES, followed.name, "Invalid")
    assert "signature" in message.lower()
    assert followed.objects(flux.SOURCES)[followed.name]["status"]["artifact"]["revision"] == before
    assert followed.shop.answers() == {"3"}

    good = followed.release("4")  # signed again: it vouches for what came before it
    followed.becomes(good)
    assert followed.shop.answers() == {"4"}


def test_a_migration_that_fails_leaves_what_waits_for_it_as_it_was(followed: Followed) -> None:
    followed.release("5", migrate="exit 1")
    first, last = sorted(followed.objects(flux.KUSTOMIZATIONS))
    followed.fails(flux.KUSTOMIZATIONS, first, "HealthCheckFailed")
    followed.fails(flux.KUSTOMIZATIONS, last, "DependencyNotReady")
    assert followed.shop.answers() == {"4"}
    good = followed.release("5")
    followed.becomes(good)
    assert followed.shop.answers() == {"5"}


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry for the artifacts."""
    if shutil.which("cosign") is None:
        pytest.skip("cosign is not installed on this machine")
    try:
        build_image()
        with registry(tmp_path_factory.mktemp("registry")) as running:
            yield running
    finally:
        for words in (("ps", "-aq"), ("image", "ls", "-q")):
            if ids := docker(*words, "--filter", f"label={LABEL}").splitlines():
                docker("rm" if words[0] == "ps" else "rmi", "--force", *ids, check=False)


def test_an_artifact_of_a_registry_is_followed_when_it_is_signed(cluster: Cluster, logs: Path, where: Registry) -> None:
    words = ("cosign", "generate-key-pair", "--output-key-prefix", str(logs / "key"))
    subprocess.run(words, check=True, capture_output=True, timeout=60, env={**os.environ, "COSIGN_PASSWORD": PASSWORD})
    settings = {"GITOPS_OCI_REPOSITORY": f"oci://{where.host}/deploys", "SIGN_KEY": str(logs / "key.key")}
    export = ("gitops.export", "--env", "prod", "--oci")
    with _stack(cluster, logs, "market", **settings) as stack:
        shop = stack.shop
        stack.commit("1")
        first = shop.json(*export, "--out", str(stack.logs / "told"), COSIGN_PASSWORD=PASSWORD)
        assert (first["outcome"], first["signed"]) == ("pushed", True)
        stack.trust(f"cosign.pub={logs / 'key.pub'}")
        stack.apply(stack.logs / "told" / "flux" / "prod")
        stack.becomes(first["digest"])
        assert shop.answers() == {"1"}
        source = stack.objects(flux.SOURCES)[stack.name]["status"]
        assert "True" in [one["status"] for one in source["conditions"] if one["type"] == "SourceVerified"]
        said = source["artifact"]["metadata"]
        assert said["org.opencontainers.image.revision"] == f"sha1:{stack.git('rev-parse', 'HEAD')}"

        # Somebody without the key pushes: nothing changes, until it is signed.
        stack.commit("2")
        unsigned = shop.json(*export, SIGN_KEY="")
        stack.fails(flux.SOURCES, stack.name, "VerificationError")
        assert stack.objects(flux.SOURCES)[stack.name]["status"]["artifact"]["digest"] == source["artifact"]["digest"]
        assert shop.answers() == {"1"}
        signed = shop.json(*export, COSIGN_PASSWORD=PASSWORD)
        assert (signed["outcome"], signed["digest"]) == ("unchanged", unsigned["digest"])
        stack.becomes(signed["digest"])
        assert shop.answers() == {"2"}

        # Back is an export of the older commit: its artifact is there already.
        stack.git("checkout", "--quiet", "HEAD^")
        back = shop.json(*export, COSIGN_PASSWORD=PASSWORD)
        assert (back["outcome"], back["digest"]) == ("pushed", first["digest"])
        stack.becomes(first["digest"])
        assert shop.answers() == {"1"}
