"""Secrets that the real sops has encrypted for real age keys: read, refused, deployed by a person and by an agent."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.support import Checkout, docker, leftovers, remove, until

from .sops_tools import SOPS

pytestmark = pytest.mark.timeout(1800)
LOCAL = "slipway-base/debian:trixie"
PASSWORD, TOKEN = "it's $ecret, really", "t0ken-t0ken-t0ken"
PLAIN = f'# what the shop needs\nDB_PASSWORD="{PASSWORD.replace("$", "S")}"\nAPI_TOKEN={TOKEN}\nGREETING=hello\n'
COMPOSE = """
services:
  web:
    image: IMAGE
    init: true
    command: [sleep, infinity]
    environment: {DB_PASSWORD: "${DB_PASSWORD:?}", GREETING: "${GREETING:-}"}
    secrets: [token]
    stop_grace_period: 1s
    healthcheck: {test: [CMD, "true"], interval: 10s, start_period: 10s, start_interval: 150ms}
secrets:
  token: {environment: API_TOKEN}
"""


@dataclass
class Shop(Checkout):
    """A project with secrets that are encrypted, in a repository of its own; ``age`` has the keys."""

    age: Path = Path()

    @property
    def file(self) -> Path:
        """The encrypted file."""
        return self.envs_dir / "prod.sops.env"

    def environment(self, **extra: str) -> dict[str, str]:
        """Return the environment of a task: with sops on its path, and no key but the one that a test gives."""
        kept = {key: text for key, text in super().environment().items() if not key.startswith("SOPS_")}
        path = f"{SOPS.directory()}:{kept['PATH']}"
        return {**kept, "PATH": path, "XDG_CONFIG_HOME": str(self.age / "none"), "HOME": str(self.age), **extra}

    def key(self, name: str = "right") -> dict[str, str]:
        """Return the variable that names a key's file."""
        return {"SOPS_AGE_KEY_FILE": str(self.age / f"{name}.txt")}

    def sops(self, *words: str) -> str:
        """Run sops with the right key."""
        env = self.environment(**self.key())
        done = subprocess.run(["sops", *words], env=env, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def encrypt(self, text: str = PLAIN) -> None:
        """Write the encrypted file: values with the names of secrets are."""
        recipient = next(line for line in (self.age / "right.txt").read_text().splitlines() if "public key:" in line)
        self.file.write_text(text)
        words = ("--age", recipient.rpartition(" ")[2], "--encrypted-regex", "PASSWORD|TOKEN", "--in-place")
        self.sops("encrypt", *words, str(self.file))

    def refused(self, **env: str) -> str:
        """Return the line that a task ends with which needs the profile; it has no secret."""
        said = self.inv("env.show", "prod", code=3, **env).stderr
        assert TOKEN not in said
        return said.splitlines()[0]

    def inside(self, *words: str) -> str:
        """Return what a command prints in the container."""
        return docker("exec", f"{self.projects[0]}-web-1", *words)


@contextmanager
def started(top: Path, name: str) -> Iterator[Shop]:
    """Make a project with its encrypted file and two keys; remove what it has brought to the engine."""
    SOPS.build()
    work, age = top / "work", top / "age"
    for directory in (work / "envs", age):
        directory.mkdir(parents=True)
    for key in ("right", "wrong"):
        subprocess.run([SOPS.directory() / "age-keygen", "-o", age / f"{key}.txt"], capture_output=True, check=True)
    image = LOCAL if docker("image", "ls", "-q", LOCAL) else "debian:trixie"
    (work / "compose.yaml").write_text(COMPOSE.replace("IMAGE", image))
    (work / "invoke.yaml").write_text("slipway: {project_dir: ., envs_dir: envs}\n")
    (work / ".gitignore").write_text("*.local.env\nreports/\n")
    (work / "envs" / "base.env").write_text(f"COMPOSE_PROJECT_NAME={name}\n")
    (work / "envs" / "prod.env").write_text("HEALTH_TIMEOUT=30s\nGREETING=nobody\n")
    made = Shop(work, work / "envs", [name], age=age)
    made.encrypt()
    try:
        yield made
    finally:
        remove(name)
    assert leftovers(name) == []


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A project that a person works on."""
    with started(tmp_path_factory.mktemp("sops"), f"slipway-sops-{os.getpid()}") as made:
        yield made


@pytest.fixture(autouse=True)
def encrypted(shop: Shop) -> Iterator[None]:
    """Give each test the file as it was."""
    text = shop.file.read_text()
    yield
    shop.file.write_text(text)


def test_what_sops_has_encrypted_is_read_and_its_secrets_are_masked(shop: Shop) -> None:
    document = shop.json("env.show", "prod", **shop.key())
    values = {one["key"]: one for one in document["values"]}
    assert {key: values[key]["value"] for key in ("DB_PASSWORD", "API_TOKEN", "GREETING")} == {
        "DB_PASSWORD": "***", "API_TOKEN": "***", "GREETING": "hello",
    }  # fmt: skip
    assert values["API_TOKEN"]["origin"].endswith("prod.sops.env:3")
    assert "ENC[" in shop.file.read_text() and TOKEN not in shop.file.read_text()


def test_a_key_that_is_lacking_or_another_one_is_said_in_a_line(shop: Shop) -> None:
    assert "is encrypted for the age key age1" in shop.refused() and "and there is no key here" in shop.refused()
    wrong = shop.refused(**shop.key("wrong"))
    assert "is encrypted for the age key age1" in wrong and "wrong.txt) is another one" in wrong
    assert "none.txt: no such file (environment)" in shop.refused(**shop.key("none"))
    (shop.age / "text.txt").write_text("no key\n")
    assert shop.refused(**shop.key("text")).endswith("text.txt has no age key")


def test_without_sops_a_line_says_so(shop: Shop) -> None:
    path = shop.environment()["PATH"].partition(":")[2]
    if shutil.which("sops", path=path):
        pytest.skip("this machine has a sops of its own")
    assert shop.refused(PATH=path, **shop.key()).endswith("prod.sops.env is encrypted, and sops is not installed")


@pytest.mark.parametrize(
    ("before", "after"),
    [("GREETING=hello", "GREETING=hullo"), ("API_TOKEN=ENC[AES256_GCM,data:", "API_TOKEN=ENC[AES256_GCM,data:AAAA")],
    ids=["a plain value", "an encrypted value"],
)
def test_a_file_that_was_changed_without_sops_is_refused(shop: Shop, before: str, after: str) -> None:
    text = shop.file.read_text()
    assert before in text
    shop.file.write_text(text.replace(before, after))
    assert "prod.sops.env was changed without sops" in shop.refused(**shop.key())


def test_a_file_that_is_not_encrypted_is_refused(shop: Shop) -> None:
    shop.file.write_text(PLAIN)
    assert shop.refused(**shop.key()).endswith("prod.sops.env is not encrypted")


def with_secrets(top: Path) -> list[Path]:
    """Return the files below a directory that have a secret in plain text."""
    files = [path for path in top.rglob("*") if path.is_file() and not path.is_symlink()]
    secrets = (TOKEN.encode(), b"Secret, really", b"second-token")
    return [path for path in files if any(secret in path.read_bytes() for secret in secrets)]


def test_a_person_deploys_them_and_nothing_but_the_container_has_them(shop: Shop) -> None:
    done = shop.inv("deploy.prod", "--yes", **shop.key())
    assert shop.inside("printenv", "DB_PASSWORD") == PASSWORD.replace("$", "S")
    assert shop.inside("cat", "/run/secrets/token") == TOKEN
    assert shop.inside("printenv", "GREETING") == "hello"
    shop.inv("deploy.plan", "--env", "prod", "--exit-code", **shop.key())

    shop.sops("set", str(shop.file), '["API_TOKEN"]', '"second-token"')
    plan = shop.inv("deploy.plan", "--env", "prod", **shop.key())
    more = shop.inv("deploy.prod", "--yes", "--json", **shop.key())
    assert shop.inside("cat", "/run/secrets/token") == "second-token", plan.stdout
    dry = shop.inv("--dry", "deploy.prod", "--yes", **shop.key())
    history = shop.inv("deploy.history", "--env", "prod", "--json", **shop.key())
    for output in (done, plan, more, dry, history):
        for secret in (TOKEN, "second-token", "really"):
            assert secret not in output.stdout + output.stderr
    assert with_secrets(shop.project_dir.parent) == []
    kept = docker("image", "ls", "--format", "{{.ID}}", "--filter", f"reference={shop.projects[0]}-*").split()
    labels = docker("image", "inspect", *kept)
    assert TOKEN not in labels and "second-token" not in labels and "really" not in labels


@pytest.fixture
def pushed(tmp_path: Path) -> Iterator[Shop]:
    """A project that only its agent deploys: one that was deployed from another checkout would be refused."""
    with started(tmp_path, f"slipway-sops-agent-{os.getpid()}") as made:
        yield made


def test_an_agent_deploys_them_from_a_signed_commit(pushed: Shop) -> None:
    shop, top = pushed, pushed.project_dir.parent
    subprocess.run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(top / "key")), check=True)
    kind, text = (top / "key.pub").read_text().split()[:2]
    (top / "signers").write_text(f"ann@example.com {kind} {text}\n")
    subprocess.run(("git", "init", "--quiet", "--bare", "--initial-branch=main", str(top / "shop.git")), check=True)

    def git(*words: str) -> None:
        settings = ("user.name=Ann", "user.email=ann@example.com", "gpg.format=ssh", f"user.signingkey={top / 'key'}")
        options = [word for setting in settings for word in ("-c", setting)]
        subprocess.run(("git", "-C", str(shop.project_dir), *options, *words), check=True, capture_output=True)

    def push(message: str) -> None:
        git("add", "--all")
        git("commit", "--quiet", "--gpg-sign", f"--message={message}")
        git("push", "--quiet", "origin", "HEAD:main")

    git("init", "--quiet", "--initial-branch=main")
    git("remote", "add", "origin", str(top / "shop.git"))
    push("the shop")
    subprocess.run(("git", "clone", "--quiet", str(top / "shop.git"), str(top / "agent")), check=True)
    agent = Shop(top / "agent", top / "agent" / "envs", shop.projects, age=shop.age)
    settings = {
        "GITOPS_REPOSITORY": top / "shop.git",
        "GITOPS_ALLOWED_SIGNERS": top / "signers",
        "GITOPS_DIR": top / "state",
        "SOPS_AGE_KEY_FILE": shop.age / "right.txt",
    }
    (agent.envs_dir / "prod.local.env").write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
    assert agent.json("gitops.once", "--env", "prod")["outcome"] == "deployed"
    assert shop.inside("cat", "/run/secrets/token") == TOKEN

    shop.sops("set", str(shop.file), '["API_TOKEN"]', '"second-token-of-the-agent"')
    push("another token")
    done = agent.inv("gitops.once", "--env", "prod")
    assert "second-token" not in done.stdout + done.stderr
    until(lambda: shop.inside("cat", "/run/secrets/token") == "second-token-of-the-agent", "the token is there")

    good = shop.file.read_text()
    shop.file.write_text(good.replace("GREETING=hello", "GREETING=hullo"))
    push("changed without sops")
    refused = agent.json("gitops.once", "--env", "prod", code=3)
    assert refused["outcome"] == "refused" and "was changed without sops" in refused["reason"]
    assert shop.inside("printenv", "GREETING") == "hello"

    shop.file.write_text(good)
    push("as it was")
    assert agent.json("gitops.once", "--env", "prod")["outcome"] in ("deployed", "unchanged")
    assert with_secrets(top) == []
