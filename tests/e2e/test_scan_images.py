"""Image scans of real images with a real scanner and a database of two advisories, a fixture (tests/e2e/advisories)."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .advisories import DEBIAN, FIXED, GO, Fixture
from .advisories.project import KEY, Planted, make
from .starting import Started
from .support import Checkout, docker, leftovers, remove
from .test_gates import remote_address  # noqa: F401 - a fixture

SECRET = "aws-access-key-id"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, advisories: Fixture) -> Iterator[Planted]:
    """The project with all its faults, built, and the database imported."""
    directory = tmp_path_factory.mktemp("scan")
    made = make(directory, "scan")
    (directory / "db.tar.gz").write_bytes(advisories.archive())
    try:
        made.inv("build")
        made.inv("scan.db", "--import", str(directory / "db.tar.gz"))
        yield made
    finally:
        remove(made.projects[0])
    assert leftovers(made.projects[0]) == []
    assert made.temporary == []


def severities(document: dict[str, Any]) -> dict[str, str]:
    """Return the severity of each finding of a document, by its service and id."""
    return {
        f"{finding['where'].partition(':')[0]} {finding['id']}": finding["severity"] for finding in document["findings"]
    }


def scan(shop: Planted, code: int = 5, **extra: str) -> dict[str, Any]:
    """Scan the images and return the document."""
    return shop.json("scan.images", code=code, **extra)


def scanner(document: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the result of one scanner."""
    scanned: dict[str, Any] = next(result for result in document["scanners"] if result["name"] == f"trivy: {name}")
    return scanned


def fake(directory: Path, script: str) -> str:
    """Put a script into a directory as its scanner; return the directory."""
    directory.mkdir(exist_ok=True)
    (directory / "trivy").write_text(f"#!/bin/sh\n{script}\n")
    (directory / "trivy").chmod(0o755)
    return str(directory)


def test_every_planted_fault_is_found_also_the_key_in_a_layer_that_was_deleted(shop: Planted) -> None:
    document = scan(shop)

    assert severities(document) == {
        f"program {GO}": "high",
        f"packages {DEBIAN}": "critical",
        f"keys {SECRET}": "critical",
    }
    fixes = {finding["id"]: (finding["fixed_in"], finding["where"]) for finding in document["findings"]}
    assert fixes[GO] == ("0.3.7", "program: golang.org/x/text v0.3.5 (program)")
    assert fixes[DEBIAN] == ("5.2.5-2.1", "packages: liblzma5 5.2.5-2")
    assert fixes[SECRET] == (None, "keys: /usr/share/shop/key:1")
    weak = scanner(document, "vulnerabilities")
    assert (weak["version"], weak["outcome"]) == ("0.76.0", "found")
    assert weak["database"]
    assert KEY not in json.dumps(document)
    assert subprocess.run(
        ["docker", "run", "--rm", shop.image("keys"), "ls", "/usr/share/shop"], capture_output=True, check=False
    ).returncode


def test_what_was_scanned_is_not_scanned_again(shop: Planted, tmp_path: Path) -> None:
    real = Path(sys.executable).with_name("trivy")
    tools = fake(tmp_path / "tools", f'echo "$1" >>{tmp_path}/calls\nexec {real} "$@"')
    first = scan(shop, SCAN_TOOLS=tools)
    calls = (tmp_path / "calls").read_text().split()

    assert calls == ["image"] * 3
    assert severities(scan(shop, SCAN_TOOLS=tools)) == severities(first)
    assert (tmp_path / "calls").read_text().split() == calls
    shop.inv("scan.images", "--force", code=5, SCAN_TOOLS=tools)
    assert (tmp_path / "calls").read_text().split() == calls * 2


def test_a_missing_database_is_a_result_and_no_silence(shop: Planted, tmp_path: Path) -> None:
    shop.inv("build")
    empty = {"SCAN_DB_DIR": str(tmp_path / "none"), "SCAN_FAIL_ON": "none"}
    document = scan(shop, code=3, **empty)

    weak, secrets = scanner(document, "vulnerabilities"), scanner(document, "secrets in images")
    assert (weak["outcome"], weak["reason"], weak["database"]) == ("not checked", "no database", None)
    assert secrets["outcome"] == "found"
    assert scan(shop, code=0, SCAN_OFFLINE="allow", **empty)["outcome"] == "passed"


def test_an_old_database_is_told(shop: Planted) -> None:
    document = scan(shop, SCAN_DB_MAX_AGE="1h")

    assert "hours old (SCAN_DB_MAX_AGE)" in scanner(document, "vulnerabilities")["reason"]


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo FATAL no luck >&2; exit 3", "exit code 3"),
        ("kill -9 $$", "killed"),
        ("exec sleep 60", "SCAN_TIMEOUT"),
        ("echo garbage >report.json", "cannot be read"),
        ("exit 0", "wrote no report"),
        ("ln -s /etc/passwd report.json", "cannot be read"),
        ("printf '{}' >report.json", "cannot be read"),
    ],
)
def test_a_scanner_that_fails_is_no_clean_image(shop: Planted, tmp_path: Path, script: str, reason: str) -> None:
    limit = "2s" if reason == "SCAN_TIMEOUT" else "2m"
    document = scan(shop, SCAN_TOOLS=fake(tmp_path / "tools", script), SCAN_TIMEOUT=limit, SCAN_FAIL_ON="none")

    weak = scanner(document, "vulnerabilities")
    assert weak["outcome"] == "invalid"
    assert reason in weak["reason"]
    assert shop.temporary == []


def test_a_signal_ends_the_scan_and_leaves_no_file(shop: Planted, tmp_path: Path) -> None:
    tools = fake(tmp_path / "tools", f"touch {tmp_path}/began; exec sleep 600")
    command, environment = shop.command("scan.images"), shop.environment(SCAN_TOOLS=tools)
    with Started(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        while not (tmp_path / "began").exists() and process.poll() is None:
            time.sleep(0.05)
        assert shop.temporary != []
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(60) == 128 + signal.SIGTERM
    assert shop.temporary == []


def test_a_remote_engine_is_scanned_like_this_one(shop: Planted, remote_address: str, tmp_path: Path) -> None:  # noqa: F811
    (shop.reports / "cache").rename(tmp_path / "cache")
    (shop.reports / "scanned-images").rename(tmp_path / "scanned")

    assert len(severities(scan(shop, DOCKER_HOST=remote_address))) == 3


def test_an_image_that_is_not_there_is_one_line(shop: Planted) -> None:
    docker("image", "tag", shop.image("keys"), f"{shop.projects[0]}/kept:1")
    docker("image", "rm", shop.image("keys"))
    try:
        for offline in ("refuse", "allow"):
            result = shop.inv("scan.images", "--env", "dev", code=3, SCAN_OFFLINE=offline)
            assert f"not on the engine: {shop.image('keys')}\n  hint: inv build --env dev\n" in result.stderr
    finally:
        docker("image", "tag", f"{shop.projects[0]}/kept:1", shop.image("keys"))


def test_an_operating_system_that_the_scanner_does_not_know_is_not_checked(shop: Planted) -> None:
    path = shop.project_dir / "debian_version"
    path.write_text("99.1\n")
    shop.inv("build", "--service", "packages")
    weak = scanner(scan(shop, code=3, SCAN_FAIL_ON="none"), "vulnerabilities")
    path.write_text("12.5\n")
    shop.inv("build", "--service", "packages")

    assert weak["reason"] == f"{shop.image('packages')}: debian 99.1 is not known to trivy"


def test_hostile_names_never_reach_the_terminal_raw(shop: Planted) -> None:
    name = "/srv/evil$(printf '\\033')[2Jname"
    shop.keys("RUN mkdir -p /srv", f"RUN echo 'aws_access_key_id = {KEY}' >\"{name}\"")
    shop.inv("build", "--service", "keys")
    result = shop.inv("scan.images", code=5)

    assert "\x1b" not in result.stdout + result.stderr
    assert "evil\\x1b[2Jname" in result.stdout


def test_each_repair_takes_its_finding_away_and_the_last_opens_the_gate(shop: Planted) -> None:
    shop.program(FIXED)
    shop.inv("build")
    assert GO not in json.dumps(scan(shop))
    shop.fix()
    shop.inv("build")
    document = scan(shop, code=0)

    assert (document["outcome"], document["findings"]) == ("passed", [])
    assert {result["outcome"] for result in document["scanners"]} == {"clean"}


def test_a_deploy_wants_a_scan_that_passed_of_exactly_its_images(
    small: Callable[..., Checkout], shop: Planted, tmp_path: Path
) -> None:
    compose = "services:\n  web: {image: 'small/NAME:1', build: ., command: [sleep, infinity], init: true}\n"
    made = small(compose, "FROM IMAGE\nCOPY note /note\n", "REQUIRE_EVIDENCE=scan\n")
    (made.project_dir / "compose.yaml").write_text(compose.replace("NAME", made.projects[0]))
    own = {"SLIPWAY_REPORTS_DIR": str(tmp_path / "reports")}
    own["SCAN_DB_DIR"] = shop.json("scan.db")["directory"]

    def refused(reason: str) -> None:
        said = made.inv("deploy.dev", code=3, **own).stderr
        assert f"{reason} (REQUIRE_EVIDENCE)" in said
        assert "inv build --env dev && inv scan.images --env dev" in said

    note = made.project_dir / "note"
    note.write_text("one")
    refused("what is not built yet is not scanned")
    made.inv("build", **own)
    refused(f"not scanned with this database: small/{made.projects[0]}:1")
    made.inv("scan.images", **own)
    made.inv("deploy.dev", **own)
    label = '{{index .Config.Labels "slipway.release.document"}}'
    evidence = json.loads(docker("inspect", "--format", label, f"{made.projects[0]}-release:1"))["evidence"]
    assert evidence["scan"].startswith("passed: 1 image, trivy 0.76.0, advisories of ")

    # Another environment gets the same image with its scan.
    prod = f"COMPOSE_PROJECT_NAME={made.projects[0]}-prod\nPROMOTE_FROM=dev\nREQUIRE_EVIDENCE=scan\n"
    (made.envs_dir / "prod.env").write_text(prod)
    made.projects.append(f"{made.projects[0]}-prod")
    made.inv("deploy.prod", **own)

    # Another image: the scan of the one before does not count for it.
    note.write_text(f"aws_access_key_id = {KEY}")
    made.inv("build", **own)
    refused(f"not scanned with this database: small/{made.projects[0]}:1")
    made.inv("scan.images", code=5, **own)
    said = made.inv("deploy.dev", code=3, **own).stderr
    assert "the scan of the images did not pass: 1 finding of severity high or worse (REQUIRE_EVIDENCE)" in said
