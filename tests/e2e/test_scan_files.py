"""Planted faults in Dockerfiles, in the Compose model and in git: each closes the gate until it is fixed."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from .starting import Started
from .support import Checkout, until

SCHEMA = json.loads((Path(__file__).parents[1] / "data" / "sarif-schema-2.1.0.json").read_text(encoding="utf-8"))
GOOD = "FROM golang:1.27-alpine\nCOPY x /x\nUSER 1000:1000\n"
# In two parts, so that this file has no key itself.
KEY = "AKIA" + "Z7QWERTYUIOPASDF"
Make = Callable[..., Checkout]


class Shop(Checkout):
    """A project of one service in a git repository of its own; it is never deployed."""

    def environment(self, **extra: str) -> dict[str, str]:
        """Return the process environment of a task, with a reports directory of its own."""
        return super().environment(SLIPWAY_REPORTS_DIR=str(self.project_dir.parent / "reports"), **extra)

    @property
    def reports(self) -> Path:
        """The directory of the reports."""
        return self.project_dir.parent / "reports"

    def write(self, dockerfile: str = GOOD, **fields: object) -> None:
        """Write the service: hardened, except for these fields."""
        web = {
            "image": "scan-test/web:1",
            "build": {"context": "."},
            "read_only": True,
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges:true"],
            "mem_limit": "64m",
            "pids_limit": 10,
            "healthcheck": {"test": ["CMD", "true"]},
            **fields,
        }
        (self.project_dir / "Dockerfile").write_text(dockerfile)
        (self.project_dir / "compose.yaml").write_text(json.dumps({"services": {"web": web}}))

    def git(self, *words: str) -> str:
        """Run git on it."""
        who = ("-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main")
        done = subprocess.run(
            ["git", *who, *words], cwd=self.project_dir, check=True, capture_output=True, text=True
        )  # fmt: skip
        return done.stdout.strip()

    def commit(self, name: str, text: str | None) -> str:
        """Commit a file, or its removal, and return the commit."""
        path = self.project_dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink() if text is None else path.write_text(text)
        self.git("add", "-A")
        self.git("commit", "-qm", name)
        return self.git("rev-parse", "HEAD")

    def ids(self, kind: str, code: int = 0, **extra: str) -> list[str]:
        """Return the ids of the findings that close the gate."""
        document = self.json(f"scan.{kind}", code=code, **extra)
        return sorted({finding["id"] for finding in document["findings"] if finding["closes"]})


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    directory, envs = tmp_path / "shop", tmp_path / "envs"
    directory.mkdir()
    envs.mkdir()
    (envs / "base.env").write_text(f"COMPOSE_PROJECT_NAME=slipway-scan-{os.getpid()}\n")
    (envs / "dev.env").write_text("HEALTH_TIMEOUT=20s\n")
    made = Shop(directory, envs)
    made.write()
    made.git("init", "-q")
    made.commit("readme", "hello\n")
    return made


# Dockerfiles and the Compose model


def test_planted_faults_close_the_gate_and_their_repair_opens_it(shop: Shop) -> None:
    faults: list[tuple[str, dict[str, object], set[str]]] = [
        (
            "FROM golang:latest\nENV API_TOKEN=hunter2\nCOPY x /x\n",
            {
                "volumes": ["/var/run/docker.sock:/var/run/docker.sock"],
                "cap_add": ["SYS_ADMIN"],
                "network_mode": "host",
            },
            {"SLIP001", "SLIP004", "SLIP007", "SLIP009", "SLIP011", "DL3007"},
        ),
        ("FROM golang\nUSER 1000:1000\n", {"user": "root", "privileged": True}, {"SLIP001", "SLIP008", "DL3006"}),
    ]
    for dockerfile, fields, ids in faults:
        shop.write(dockerfile, **fields)
        assert ids <= set(shop.ids("dockerfiles", code=5))  # of those that close it, each by itself

        shop.write()
        assert shop.ids("dockerfiles") == []


def test_the_reports_are_written_and_the_sarif_is_valid(shop: Shop) -> None:
    shop.write("FROM golang:latest\n", volumes=["/var/run/docker.sock:/s"])

    result = shop.inv("scan.dockerfiles", code=5)

    assert "SLIP009" in result.stdout
    assert "hadolint" in result.stdout
    directory = shop.reports / "latest"
    sarif = json.loads((directory / "scan.sarif").read_text())
    jsonschema.Draft4Validator(SCHEMA).validate(sarif)
    assert {run["tool"]["driver"]["name"] for run in sarif["runs"]} >= {"hadolint", "trivy: misconfiguration"}
    assert "<b>No.</b>" in (directory / "scan.html").read_text()
    assert json.loads((directory / "scan.json").read_text())["outcome"] == "failed"


# Accepted findings


def accept(shop: Shop, **fields: str) -> None:
    entry = {"id": "SLIP008", "owner": "ann", "reason": "the lab", "expires": "2999-01-01", **fields}
    lines = [f"{'- ' if not number else '  '}{key}: {value}" for number, (key, value) in enumerate(entry.items())]
    (shop.project_dir / ".slipway-ignore.yaml").write_text("# who answers for what\n" + "\n".join(lines) + "\n")


def test_an_accepted_finding_opens_the_gate_until_it_expires(shop: Shop) -> None:
    shop.write(privileged=True)
    accept(shop)
    assert "accepted by ann until 2999-01-01" in shop.inv("scan.dockerfiles").stdout

    accept(shop, expires="2020-01-01")

    error = shop.inv("scan.dockerfiles", code=5).stderr
    assert ".slipway-ignore.yaml:2: SLIP008: expired on 2020-01-01 (owner ann)" in error


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"ovner": "bob"}, ".slipway-ignore.yaml:6: unknown field 'ovner'"),
        ({"expires": "tomorrow"}, ".slipway-ignore.yaml:5: expires: expected a date"),
    ],
)
def test_a_fault_in_the_ignore_file_names_its_line(shop: Shop, fields: dict[str, str], expected: str) -> None:
    accept(shop, **fields)

    assert expected in shop.inv("scan.dockerfiles", code=2).stderr


# Secrets


def test_a_key_in_a_commit_that_was_removed_later_closes_the_gate(shop: Shop) -> None:
    added = shop.commit("config/prod.env", f"aws_access_key_id = {KEY}\n")
    removed = shop.commit("config/prod.env", None)

    result = shop.inv("scan.secrets", "--json", code=5)

    (finding,) = json.loads(result.stdout)["findings"]
    assert (finding["id"], finding["severity"]) == ("aws-access-key-id", "critical")
    assert finding["where"] == f"commit {added[:12]}: config/prod.env:1"
    written = [path for path in shop.reports.rglob("*") if path.is_file()]
    assert [path for path in written if KEY.encode() in path.read_bytes()] == []
    assert KEY not in result.stdout + result.stderr

    shop.git("tag", "v1.0.0", removed)  # the key is of no use any more: what is released since counts
    shop.commit("note", "clean\n")
    assert shop.ids("secrets") == []


@pytest.mark.parametrize("name", ["a.env", "tests/notes.md", "a\x1b[31m\nb.env"])
def test_a_key_in_the_working_tree_is_found_whatever_the_file_is_called(shop: Shop, name: str) -> None:
    path = shop.project_dir / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"aws_access_key_id = {KEY}\n")

    result = shop.inv("scan.secrets", code=5)

    assert "aws-access-key-id" in result.stdout
    assert not set(result.stdout + result.stderr) & {"\x1b", "\x07"}
    path.unlink()
    assert shop.ids("secrets") == []


@pytest.mark.parametrize("setting", [{"TRIVY_SKIP_FILES": "**/*.env"}, {"TRIVY_SEVERITY": "LOW"}])
def test_settings_of_the_caller_do_not_hide_a_key(shop: Shop, setting: dict[str, str]) -> None:
    (shop.project_dir / "prod.env").write_text(f"KEY={KEY}\n")
    assert "aws-access-key-id" in shop.inv("scan.secrets", code=5, **setting).stdout


def test_settings_of_the_caller_do_not_hide_a_fault(shop: Shop) -> None:
    shop.write("FROM debian\nCOPY x /x\nUSER 1000:1000\n")
    assert "DL3006" in shop.inv("scan.dockerfiles", code=5, HADOLINT_IGNORE="DL3006").stdout


def test_what_git_ignores_is_no_leak(shop: Shop) -> None:
    shop.commit(".gitignore", "secrets/\n")
    (shop.project_dir / "secrets").mkdir()
    (shop.project_dir / "secrets" / "a.env").write_text(f"aws_access_key_id = {KEY}\n")

    assert shop.ids("secrets") == []


# Scanners that go wrong


def tools(shop: Shop, script: str) -> str:
    """Put another trivy in place of the real one; returns the directory."""
    directory = shop.project_dir.parent / "tools"
    directory.mkdir(exist_ok=True)
    path = directory / "trivy"
    path.write_text(f"#!/bin/sh\ncase $1 in --version) echo Version: 9; exit ;; esac\n{script}\n")
    path.chmod(0o755)
    return str(directory)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo panic: oops >&2; exit 2", "trivy: ended with exit code 2: panic: oops"),
        ('echo \'{"SchemaVersion": 2, "Results": [{\'', "trivy: printed no report"),
        ("exit 0", "trivy: printed no report"),
        ("kill -9 $$", "trivy: killed, as the kernel does when memory runs out"),
        ("exec sleep 60", "trivy: not done within SCAN_TIMEOUT=1.0 s"),
        (r"printf 'bad \033[31m\007\n' >&2; exit 3", "ended with exit code 3: bad"),
    ],
)
def test_a_scanner_that_goes_wrong_is_never_clean(shop: Shop, script: str, reason: str) -> None:
    limit = "1s" if "SCAN_TIMEOUT" in reason else "2m"
    given = {"SCAN_TOOLS": tools(shop, script), "SCAN_TIMEOUT": limit, "SCAN_OFFLINE": "allow", "SCAN_FAIL_ON": "none"}

    result = shop.inv("scan.dockerfiles", "--json", code=5, **given)

    outcomes = {scanner["name"]: scanner for scanner in json.loads(result.stdout)["scanners"]}
    assert outcomes["trivy: misconfiguration"]["outcome"] == "invalid"
    assert reason in outcomes["trivy: misconfiguration"]["reason"]
    assert not set(result.stderr + outcomes["trivy: misconfiguration"]["reason"]) & {"\x1b", "\x07"}


def test_an_interrupted_scan_leaves_no_copies_behind(shop: Shop) -> None:
    given = {"SCAN_TOOLS": tools(shop, "exec sleep 60")}
    task = Started(
        shop.command("scan.secrets"), env=shop.environment(**given), stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    until(lambda: list(shop.reports.glob(".scan-*/files/tree/readme")), "the files are copied")

    task.send_signal(signal.SIGTERM)
    task.communicate(timeout=30)

    assert task.returncode == 128 + signal.SIGTERM
    assert list(shop.reports.glob(".scan-*")) == []


# The second time


def test_what_has_not_changed_is_not_scanned_again(shop: Shop) -> None:
    first = shop.json("scan.dockerfiles")
    broken = {"SCAN_TOOLS": ""}

    result = shop.inv("scan.dockerfiles", "--json", **broken)

    assert f"nothing has changed since run {first['run']}" in result.stderr
    again = shop.inv("scan.dockerfiles", "--force").stderr
    assert "nothing has changed" not in again
    shop.write(privileged=True)
    assert "SLIP008" in shop.ids("dockerfiles", code=5)


def test_new_says_that_there_is_nothing_to_compare_with(shop: Shop) -> None:
    assert "--new: there is no release of this environment" in shop.inv("scan.dockerfiles", "--new").stderr


def test_new_compares_with_what_the_record_of_the_release_carries(
    small: Callable[..., Checkout], tmp_path: Path
) -> None:
    web = "image: IMAGE, command: [sleep, infinity], init: true, stop_grace_period: 0s, cap_add: [SYS_ADMIN]"
    made = small(f"services: {{web: {{{web}}}}}\n")
    git = ["git", "-C", str(made.project_dir), "-c", "user.name=a", "-c", "user.email=a@example.com"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "one"]):
        subprocess.run([*git, *words], check=True)
    reports = {"SLIPWAY_REPORTS_DIR": str(tmp_path / "reports")}
    made.inv("scan.dockerfiles", code=5, **reports)
    made.inv("deploy.dev", **reports)
    shutil.rmtree(tmp_path / "reports")

    known = made.inv("scan.dockerfiles", "--new", **reports).stdout

    assert known.startswith("compared: new since release 1 (")
    assert "by its record" in known
    compose = made.project_dir / "compose.yaml"
    compose.write_text(compose.read_text().replace("init: true", "init: true, privileged: true"))
    document = made.json("scan.dockerfiles", "--new", code=5, **reports)
    assert [finding["id"] for finding in document["findings"] if finding["closes"]] == ["SLIP008"]
    assert (document["new_since"]["release"], document["new_since"]["base"]) == (1, "release record")
