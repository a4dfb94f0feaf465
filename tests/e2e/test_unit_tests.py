"""`inv test.unit` on a real engine: every gate closes where it should, and nothing is left behind."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from .starting import Started
from .support import Checkout, Sample, docker, until

TAKES = 90  # seconds, half of them for the sample

Small = Callable[..., Checkout]
COMPOSE = "services: {web: {image: small/web, build: .}, plain: {image: IMAGE}}"
PASSING = '<testsuite name="pkg"><testcase name="TestOne" time="0.1"/></testsuite>'


def made(small: Small, script: str, **profile: str) -> Checkout:
    lines = "".join(f"{key}={value}\n" for key, value in profile.items())
    # A script in the image: no quoting of quotes.
    dockerfile = (
        "FROM IMAGE AS production\nFROM IMAGE AS tester\nCOPY --chmod=755 tests.sh /tests.sh\n"
        'ENTRYPOINT ["sh", "/tests.sh"]\n'
    )
    checkout = small(COMPOSE, dockerfile, lines)
    (checkout.project_dir / "tests.sh").write_text(script)
    return checkout


def unit(checkout: Checkout, tmp_path: Path, *words: str, code: int = 0) -> tuple[dict, str]:
    result = checkout.inv(
        "test.unit", "--env", "dev", "--json", *words, code=code, SLIPWAY_REPORTS_DIR=str(tmp_path / "reports")
    )
    project = checkout.projects[0]
    assert docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={project}") == ""
    return json.loads(result.stdout), result.stderr


def report(xml: str) -> str:
    return f"cat >/reports/junit.xml <<'END'\n{xml}\nEND\n"


def test_passing_tests_leave_their_reports_and_are_told_the_filter(small: Small, tmp_path: Path) -> None:
    document, _ = unit(made(small, report(PASSING) + 'echo "$@"'), tmp_path, "--filter", "Health")
    assert "-run=Health" in (tmp_path / "reports" / "latest" / "unit" / "web" / "output.log").read_text().split()
    assert document["outcome"] == "passed"
    suite = document["suites"][0]
    assert (suite["tests"], suite["failures"]) == (1, 0)
    assert (tmp_path / "reports" / "latest" / "unit" / "web" / "junit.xml").read_text().startswith("<testsuite")
    assert document["packages"][0]["package"] == "pkg"


def test_a_failing_test_closes_the_gate_and_is_shown_last(small: Small, tmp_path: Path) -> None:
    failing = '<testsuite name="p"><testcase name="TestTwo"><failure>want 1, got 2</failure></testcase></testsuite>'
    document, said = unit(made(small, report(failing) + "exit 1\n"), tmp_path, code=5)
    assert document["suites"][0]["outcome"] == "failed"
    assert said.index("want 1, got 2") > said.index("---- unit")
    assert "1 of 1 tests failed: TestTwo" in said.splitlines()[-2]


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo no tests here", "wrote no /reports/junit.xml"),
        ("ln -s /etc/passwd /reports/junit.xml", "cannot be read"),
    ],
)
def test_what_cannot_be_told_is_never_a_pass(small: Small, tmp_path: Path, script: str, reason: str) -> None:
    document, said = unit(made(small, script), tmp_path, code=5)
    assert document["suites"][0]["outcome"] == "invalid"
    assert reason in said


def test_a_hanging_test_is_stopped_at_the_time_limit_and_its_log_is_kept(small: Small, tmp_path: Path) -> None:
    _, said = unit(made(small, "echo began\nsleep 600\n", TEST_TIMEOUT="20s"), tmp_path, code=5)
    assert "not done within TEST_TIMEOUT=20.0 s" in said
    assert (tmp_path / "reports" / "latest" / "unit" / "web" / "output.log").read_text() == "began\n"


def test_a_container_that_is_killed_for_memory_is_said_to_be(small: Small, tmp_path: Path) -> None:
    # What is written to a tmpfs counts as the container's memory.
    script = "dd if=/dev/zero of=/tmp/big bs=1M count=64 status=none; tail -c 60000000 /tmp/big | tail -n 1 >/dev/null"
    _, said = unit(made(small, script, TEST_MEMORY="32MiB"), tmp_path, code=5)
    assert "killed for memory: it needs more than TEST_MEMORY=" in said


def test_coverage_below_the_minimum_closes_the_gate(small: Small, tmp_path: Path) -> None:
    covered = "printf 'mode: set\\na/x.go:1.1,2.2 1 1\\na/x.go:3.1,4.2 1 0\\n' >/reports/coverage.out\n"
    checkout = made(small, report(PASSING) + covered, COVERAGE_MIN="50.1")
    document, said = unit(checkout, tmp_path, code=5)
    assert "coverage 50.00 % is below COVERAGE_MIN=50.1" in said
    assert document["coverage"] == 50.0
    checkout.inv("test.unit", "--env", "dev", COVERAGE_MIN="50", SLIPWAY_REPORTS_DIR=str(tmp_path / "reports"))


def test_a_minimum_that_is_no_percentage_is_a_fault_of_the_profile(small: Small, tmp_path: Path) -> None:
    checkout = made(small, report(PASSING), COVERAGE_MIN="most")
    result = checkout.inv("test.unit", "--env", "dev", code=2)
    assert "COVERAGE_MIN: expected a percentage" in result.stderr


def test_services_without_a_tester_stage_are_skipped_and_said(small: Small, tmp_path: Path) -> None:
    checkout = small("services: {web: {image: small/web, build: .}}", "FROM IMAGE\n")
    document, said = unit(checkout, tmp_path)
    assert document["outcome"] == "skipped"
    assert "web: skipped, its Dockerfile has no stage 'tester'" in said


def test_a_run_that_is_stopped_removes_its_container(small: Small, tmp_path: Path) -> None:
    checkout = made(small, "sleep 60\n")
    checkout.inv("build", "--target", "tester", "--env", "dev", "--service", "web")
    task = Started(
        checkout.command("test.unit", "--env", "dev"),
        env=checkout.environment(SLIPWAY_REPORTS_DIR=str(tmp_path / "reports")),
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    label = f"label=com.docker.compose.project={checkout.projects[0]}"
    until(lambda: docker("ps", "-q", "--filter", label), "the tests start", 120)
    task.send_signal(signal.SIGTERM)
    _, said = task.communicate(timeout=60)
    assert task.returncode == 128 + signal.SIGTERM, said
    assert docker("ps", "-aq", "--filter", label) == ""


def test_what_a_killed_run_left_is_removed_by_the_next_one(small: Small, tmp_path: Path) -> None:
    checkout = made(small, "sleep 60\n", TEST_TIMEOUT="20s")
    environment = checkout.environment(SLIPWAY_REPORTS_DIR=str(tmp_path / "reports"))
    task = Started(
        checkout.command("test.unit", "--env", "dev"), env=environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    label = f"label=com.docker.compose.project={checkout.projects[0]}"
    until(lambda: docker("ps", "-q", "--filter", label), "the tests start", 120)
    os.kill(task.pid, signal.SIGKILL)
    task.wait()
    (checkout.project_dir / "tests.sh").write_text(report(PASSING))
    assert docker("ps", "-aq", "--filter", label)
    document, _ = unit(checkout, tmp_path)
    assert document["outcome"] == "passed"


def test_the_sample_service_passes_with_coverage_and_the_race_detector_is_refused(
    sample: Sample, tmp_path: Path
) -> None:
    words = ("test.unit", "--env", "dev", "--json", "--service", "app")
    reports = str(tmp_path / "reports")
    whole = json.loads(sample.inv(*words, SLIPWAY_REPORTS_DIR=reports, COVERAGE_MIN="70").stdout)
    assert whole["outcome"] == "passed"
    assert whole["suites"][0]["tests"] > 100
    assert whole["coverage"] > 70
    refused = sample.inv(*words, "--race", code=3, SLIPWAY_REPORTS_DIR=reports)
    assert "race detector" in refused.stderr
    log = (tmp_path / "reports" / "latest" / "unit" / "app" / "output.log").read_text()
    assert re.fullmatch(r"C compiler \S+ not found\n", log), f"it was asked before anything was compiled: {log}"
