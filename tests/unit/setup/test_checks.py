"""What `inv check` runs, what has to be installed for that, and what it reports."""

import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support import ROOT, profile

import tasks
from tasks.model.errors import InputError, RefusedError
from tasks.model.tools import MISSING, OK, WARNING
from tasks.setup import check as acting
from tasks.setup import doctor
from tasks.setup.plan import check
from tasks.test.plan.junit import FAILED, PASSED, Case, JUnitReport

STEPS = check.steps("/house", ("app/Dockerfile",), "/house/reports/check")


def test_each_step_of_tests_writes_a_report_of_its_own() -> None:
    reports = {step.name: step.report for step in STEPS if step.report}

    names = ("unit", "model", "contract", "e2e", "life", "cluster", "platforms")
    assert reports == {name: f"/house/reports/check/{name}.xml" for name in names}
    for step in STEPS:
        assert (f"--junit-xml={step.report}" in step.command.argv) == bool(step.report)


def test_what_needs_no_engine_is_fast() -> None:
    names = [step.name for step in check.select(STEPS, True, ())]

    assert names == ["format", "ruff", "mypy", "hadolint", "unit", "model"]
    assert [step.name for step in check.select(STEPS, True, ("e2e",))] == ["e2e"]


def test_a_step_on_request_runs_only_when_it_is_asked_for() -> None:
    assert "platforms" not in [step.name for step in check.select(STEPS, False, ())]
    assert [step.name for step in check.select(STEPS, True, ("platforms",))] == ["platforms"]


def test_a_step_that_does_not_exist_is_bad_input() -> None:
    with pytest.raises(InputError, match="no check 'e3e'"):
        check.select(STEPS, False, ("e3e",))


def test_why_the_tests_of_a_cluster_are_left_out() -> None:
    assert check.why_not("cluster", True, ()) == ""
    assert check.why_not("cluster", False, ()) == "the tests of cluster need root"
    assert check.why_not("cluster", True, ("ctr", "containerd", "go")) == (
        "the tests of cluster need containerd, golang-go, golang-src"
    )


def test_a_step_that_can_not_run_is_told_and_refused_when_it_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    missing = acting._left_out(STEPS, ())
    assert list(missing) == ["cluster", "platforms"]
    assert "etcd-server" in missing["cluster"]
    assert acting._left_out(STEPS, ("e2e",)) == missing
    with pytest.raises(RefusedError, match="the tests of cluster need "):
        acting._left_out(STEPS, ("cluster",))


def test_the_slowest_tests_of_all_steps_are_told_together_slowest_first() -> None:
    many = tuple(Case("pytest", f"test_{number}", seconds=number, classname="tests.e2e.test_a") for number in range(30))
    quick = Case("pytest", "test_quick[x]", seconds=28.5, classname="tests.unit.test_b")

    slowest = check.slowest({"e2e": JUnitReport(many), "unit": JUnitReport((quick,))})

    assert slowest[:3] == (
        ("e2e", "test_a::test_29", "29.0 s"),
        ("unit", "test_b::test_quick[x]", "28.5 s"),
        ("e2e", "test_a::test_28", "28.0 s"),
    )
    assert len(slowest) == check.SLOWEST == 20


def test_without_reports_there_is_nothing_to_tell() -> None:
    assert check.slowest({}) == ()


def test_the_modules_that_steps_run_are_named_once_each() -> None:
    every = check.steps("/srv", ("Dockerfile",), "/srv/reports/check")
    assert check.modules(every) == ("ruff", "mypy", "pytest")
    assert check.modules(check.select(every, False, ("mypy",))) == ("mypy",)
    assert check.modules(check.select(every, False, ("hadolint",))) == ()


def test_the_wrapper_knows_every_task_that_needs_the_scanners() -> None:
    names = {name for primary, more in tasks.ns.task_names.items() for name in (primary, *more)}
    known = re.search(r"^ +(scan \|.*)\)$", (ROOT / "inv").read_text(), re.MULTILINE)
    assert known
    # scan.code runs in a stage of the service, scan.hardening asks the engine
    others = {"scan.code", "scan.hardening"}
    scanning = {name for name in names if name.split(".")[0] in ("scan", "security-scan")} - others
    assert set(known[1].split(" | ")) == scanning | {"image.sbom"}


@pytest.mark.parametrize(("evidence", "state"), [("", WARNING), ("tests", WARNING), ("scan", MISSING)])
def test_doctor_says_that_scanners_are_missing_and_whether_a_deploy_needs_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, evidence: str, state: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    project: Any = SimpleNamespace(profile=profile(REQUIRE_EVIDENCE=evidence), settings=SimpleNamespace(root=tmp_path))
    missing = doctor._scanners(project)
    assert (missing.state, missing.found) == (state, "missing: hadolint, trivy")
    assert missing.fix == "./inv setup scan adds it to .venv"

    for name in ("hadolint", "trivy"):
        (tmp_path / name).touch(0o755)
    assert doctor._scanners(project).state == OK


def test_what_failed_is_said_again_in_short() -> None:
    said = (
        "def test() -> None:\n>   assert 1 == 2\nE   assert 1 == 2\n"
        + "E    +  where\n" * 20
        + "\ntest.py:3: AssertionError"
    )
    cases = (
        Case("pytest", "test_a", FAILED, 1.0, said, "tests.e2e.test_one"),
        Case("pytest", "test_b", FAILED, 1.0, "Timeout (>600.0s) from pytest-timeout.", "tests.e2e.test_two"),
        Case("pytest", "test_c", PASSED, 1.0, "", "tests.e2e.test_two"),
    )
    lines = check.failures({"e2e": JUnitReport(cases)})
    assert lines[:2] == ("e2e test_one::test_a", "  E   assert 1 == 2")
    assert lines[-2:] == ("e2e test_two::test_b", "  Timeout (>600.0s) from pytest-timeout.")
    assert len(lines) == 11
