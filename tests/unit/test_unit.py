"""How the tester stage of a service is run, and what its reports come to."""

import json

import pytest
from support import profile

from tasks.plan import coverage
from tasks.plan.junit import Case, Report
from tasks.plan.suites import SuiteResult, outcome
from tasks.plan.unit import Box, Facts, arguments, command, container_user, hanging, judge, minimum, rows

PASSING = Report((Case("a", "TestOne"), Case("a", "TestTwo")), {"a": 0.5})
FAILING = Report((Case("a", "TestOne"), Case("a", "TestTwo", "failed", 0.1, "want 1, got 2")), {"a": 0.5})
HALF = coverage.parse("mode: set\na/x.go:1.1,2.2 1 1\na/x.go:3.1,4.2 1 0\n", "c")


def ended(code: int = 0, **more: object) -> Facts:
    return Facts("web", code, **more)  # type: ignore[arg-type]


def test_a_box_has_no_network_no_rights_and_bounds() -> None:
    box = Box("shop-unit-web-1", "shop/web:test-tester", "web", "65534:65534", "/r", 1000, ("-run=Users",))
    argv = command(box, profile(DOCKER_HOST="unix:///run/d.sock"), "shop", "run1", "host:1:2").argv
    wanted = {"--read-only", "--network=none", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--memory=1000"}
    assert wanted <= set(argv)
    assert "--label=com.docker.compose.project=shop" in argv
    assert argv[-2:] == ("shop/web:test-tester", "-run=Users")


@pytest.mark.parametrize(
    ("caller", "image", "expected"),
    [
        ((1000, 100), "65532", "1000:100"),
        ((0, 0), "65532:65532", ""),
        ((0, 0), "", "65534:65534"),
        ((0, 0), "root", "65534:65534"),
        ((0, 0), "0:0", "65534:65534"),
    ],
)
def test_tests_never_run_as_root(caller: tuple[int, int], image: str, expected: str) -> None:
    assert container_user(caller, image) == expected


def test_filter_and_race_are_flags_of_go_test() -> None:
    assert arguments("Users", True) == ("-run=Users", "-race")
    assert arguments("", False) == ()


def test_passing_tests_pass() -> None:
    verdict = judge(ended(), PASSING, HALF, 50.0, False)
    assert (verdict.passed, verdict.reason, verdict.output) == (True, "", "")


@pytest.mark.parametrize(
    ("facts", "report", "covered", "least", "reason", "invalid"),
    [
        (ended(1), FAILING, HALF, None, "1 of 2 tests failed: TestTwo", False),
        (ended(0), FAILING, HALF, None, "1 of 2 tests failed: TestTwo", False),
        (ended(2), PASSING, HALF, None, "its tester stage ended with exit code 2", False),
        (ended(2), None, None, None, "its tester stage ended with exit code 2", False),
        (ended(), None, None, None, "its tester stage wrote no /reports/junit.xml", True),
        (ended(), Report(), None, None, "no test ran", True),
        (ended(), PASSING, HALF, 50.1, "coverage 50.00 % is below COVERAGE_MIN=50.1", False),
        (ended(), PASSING, None, 10.0, "COVERAGE_MIN=10, and its tester stage wrote no /reports/coverage.out", True),
        (ended(137, oom_killed=True, memory="1.0 GB"), None, None, None,
         "killed for memory: it needs more than TEST_MEMORY=1.0 GB", False),
        (ended(137, stopped="not done within TEST_TIMEOUT=2.0 s"), PASSING, HALF, None,
         "not done within TEST_TIMEOUT=2.0 s", False),
    ],
)  # fmt: skip
def test_every_gate_closes_with_its_reason(
    facts: Facts, report: Report | None, covered: coverage.Coverage | None, least: float | None, reason: str,
    invalid: bool,
) -> None:  # fmt: skip
    verdict = judge(facts, report, covered, least, False)
    assert (verdict.passed, verdict.reason, verdict.invalid) == (False, reason, invalid)


def test_what_failed_tests_said_is_the_output() -> None:
    assert judge(ended(1), FAILING, None, None, False).output == "web: a TestTwo\nwant 1, got 2"


def test_a_stage_without_a_c_compiler_refuses_the_race_detector() -> None:
    verdict = judge(ended(2, log="go: -race requires cgo; enable cgo by setting CGO_ENABLED=1"), None, None, None, True)
    assert verdict.refused


def test_the_tests_that_hang_are_named_the_inner_ones() -> None:
    def event(action: str, test: str) -> str:
        return json.dumps({"Action": action, "Package": "a", "Test": test})

    lines = [event("run", "TestA"), event("run", "TestA/sub"), event("run", "TestB"), event("pass", "TestB")]
    assert hanging("\n".join([*lines, '{"Action":"ru'])) == ("a.TestA/sub",)


def test_the_table_has_packages_with_tests_and_packages_with_statements() -> None:
    covered = coverage.parse("mode: set\na/x.go:1.1,2.2 1 1\nb/y.go:1.1,2.2 1 0\n", "c")
    found = rows([judge(ended(), PASSING, covered, None, False)])
    assert [(one.package, one.tests, one.coverage) for one in found] == [("a", 2, 100.0), ("b", 0, 0.0)]


def test_no_minimum_is_any_coverage() -> None:
    assert minimum(profile()) is None
    assert minimum(profile(COVERAGE_MIN="72.5")) == 72.5


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [(("passed", "skipped"), "passed"), (("passed", "invalid"), "failed"), (("skipped",), "skipped"), ((), "skipped")],
)
def test_a_run_is_only_as_good_as_its_worst_suite(outcomes: tuple[str, ...], expected: str) -> None:
    assert outcome([SuiteResult("s", one) for one in outcomes]) == expected
