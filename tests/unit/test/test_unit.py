"""Tests of how tester stages are run and judged."""

import json
import subprocess
from pathlib import Path

import pytest
from support import inputs, profile, stack

from tasks.build.plan.build import without_stage
from tasks.model.errors import InputError
from tasks.sandbox.plan.container import Box, ContainerResult, command, container_user, memory_limit
from tasks.test.plan.coverage import Coverage
from tasks.test.plan.junit import FAILED, SKIPPED, Case, JUnitReport
from tasks.test.plan.unit import RACE_CHECK, arguments, judge, minimum_coverage, rows, unfinished_tests
from tasks.test.plan.verdict import ServiceVerdict, suite_result

BOX = Box("shop-unit-web-1", "shop/web:test-tester", "web", "1000:1000", "/srv/reports/1/unit/web", 2**30, ("-run=X",))
GREEN = JUnitReport((Case("cart", "TestAdd"),), {"cart": 0.5})
RED = JUnitReport((Case("cart", "TestAdd"), Case("cart", "TestGone", FAILED, 0.1, "got 2")), {"cart": 0.5})
HALF = Coverage("set", {"cart/a.go:1.1,2.2": (1, 1), "cart/b.go:1.1,2.2": (1, 0)})


def argv() -> tuple[str, ...]:
    """Return the arguments of a test container's command."""
    return command(BOX, profile(), "shop", "run-1", "host:1:2").argv


def test_a_test_container_can_only_compute_and_write_its_reports() -> None:
    wanted = {"--read-only", "--network=none", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--user=1000:1000"}

    assert wanted <= set(argv())
    assert "--memory=1073741824" in argv()
    assert any(word.startswith("--pids-limit=") for word in argv())


def test_arguments_come_after_the_image() -> None:
    assert argv()[-2:] == ("shop/web:test-tester", "-run=X")


def test_a_test_container_has_labels_to_find_it_by() -> None:
    assert {"--label=slipway.test=run-1", "--label=com.docker.compose.project=shop"} <= set(argv())


def test_a_filter_that_looks_like_an_option_stays_a_filter() -> None:
    assert arguments("-v", True) == ("-run=-v", "-race")
    assert arguments("", False) == ()


@pytest.mark.parametrize(
    ("caller", "image_user", "user"),
    [
        ((1000, 100), "65532", "1000:100"),
        ((0, 0), "65532:65532", ""),
        ((0, 0), "app", ""),
        ((0, 0), "", "65534:65534"),
        ((0, 0), "root", "65534:65534"),
        ((0, 0), "0:0", "65534:65534"),
    ],
)
def test_no_test_runs_as_root(caller: tuple[int, int], image_user: str, user: str) -> None:
    assert container_user(caller, image_user) == user


def test_a_service_without_the_stage_is_left_out() -> None:
    shop = stack(
        {
            "web": {"build": {"context": "/w"}},
            "api": {"build": {"context": "/a"}, "x-slipway": {"tester-target": "checks"}},
            "db": {"build": {"context": "/d"}},
        }
    )
    inputs_by_service = {
        "web": inputs("FROM scratch AS tester\n"),
        "api": inputs("FROM scratch AS checks\n"),
        "db": inputs("FROM scratch AS production\n"),
    }

    assert without_stage(shop.built(), inputs_by_service) == ("db",)
    assert without_stage(shop.built(), inputs_by_service, "gosec") == ("web", "api", "db")


# Profile


@pytest.mark.parametrize("text", ["much", "101", "-1", "80%", "1e1"])
def test_a_minimum_that_is_not_a_percentage_is_an_error_of_the_profile(text: str) -> None:
    with pytest.raises(InputError, match=r"COVERAGE_MIN: expected a percentage"):
        profile(COVERAGE_MIN=text)


@pytest.mark.parametrize(("text", "number"), [("", None), ("0", 0.0), ("72.5", 72.5), ("100", 100.0)])
def test_the_minimum_is_a_number_or_none(text: str, number: float | None) -> None:
    assert minimum_coverage(profile(COVERAGE_MIN=text)) == number


def test_the_memory_limit_is_in_bytes() -> None:
    assert memory_limit(profile()) == 2 * 2**30
    with pytest.raises(InputError, match="TEST_MEMORY: expected a size"):
        profile(TEST_MEMORY="plenty")


def test_the_time_limit_is_a_duration() -> None:
    with pytest.raises(InputError, match="TEST_TIMEOUT: expected a duration"):
        profile(TEST_TIMEOUT="soon")


# Verdicts


def test_green_tests_above_the_minimum_pass() -> None:
    assert judge(ContainerResult("web", 0), GREEN, HALF, 50.0, False).passed


@pytest.mark.parametrize(
    ("facts", "report", "least", "reason", "invalid"),
    [
        (ContainerResult("web", 1), RED, None, "1 of 2 tests failed: TestGone", False),
        (ContainerResult("web", 0), RED, None, "1 of 2 tests failed: TestGone", False),
        (ContainerResult("web", 2), GREEN, None, "ended with exit code 2", False),
        (ContainerResult("web", 0, stopped="not done within 5 s"), None, None, "not done within 5 s", False),
        (
            ContainerResult("web", 0, True, memory="512 MB"),
            GREEN,
            None,
            "killed for memory: it needs more than TEST_MEM",
            False,
        ),
        (ContainerResult("web", 0), None, None, "wrote no /reports/junit.xml", True),
        (ContainerResult("web", 0), JUnitReport(), None, "no test ran", True),
        (ContainerResult("web", 0), GREEN, 50.01, "coverage 50.00 % is below COVERAGE_MIN=50.01", False),
    ],
)
def test_tests_that_do_not_pass_have_a_reason(
    facts: ContainerResult, report: JUnitReport | None, least: float | None, reason: str, invalid: bool
) -> None:
    verdict = judge(facts, report, HALF, least, False)

    assert reason in verdict.reason
    assert (verdict.passed, verdict.invalid) == (False, invalid)


def test_a_minimum_without_a_coverage_profile_is_not_a_pass() -> None:
    verdict = judge(ContainerResult("web", 0), GREEN, None, 10.0, False)

    assert verdict.invalid
    assert "wrote no /reports/coverage.out" in verdict.reason


def test_a_failure_shows_the_output_of_the_test() -> None:
    assert "cart TestGone\ngot 2" in judge(ContainerResult("web", 1, log="much"), RED, None, None, False).output


def test_a_failure_without_a_failed_test_shows_the_end_of_the_log() -> None:
    assert judge(ContainerResult("web", 2, log="a\nno such file"), GREEN, None, None, False).output.endswith(
        "no such file"
    )


@pytest.mark.parametrize(
    "log",
    [
        'cgo: C compiler "gcc" not found: exec: "gcc": executable file not found in $PATH',
        "go: -race requires cgo; enable cgo by setting CGO_ENABLED=1",
        "go: -race is not supported on linux/386",
    ],
)
def test_a_stage_without_the_race_detector_is_refused_and_does_not_fail(log: str) -> None:
    assert judge(ContainerResult("web", 1, log=log), RED, None, None, True).refused
    assert not judge(ContainerResult("web", 1, log=log), RED, None, None, False).refused
    assert not judge(ContainerResult("web", 1, log="WARNING: DATA RACE"), RED, None, None, True).refused


@pytest.mark.parametrize(
    ("go", "refused"),
    [("echo no-such-compiler -m64", True), ("echo sh -m64", False), ("echo", False), ("exit 2", False), ("", False)],
)
def test_the_race_detector_is_asked_for_its_compiler_before_anything_is_compiled(
    tmp_path: Path, go: str, refused: bool
) -> None:
    (tmp_path / "sh").symlink_to("/bin/sh")
    if go:
        (tmp_path / "go").write_text(f"#!/bin/sh\n{go}\n")
        (tmp_path / "go").chmod(0o755)

    done = subprocess.run(["/bin/sh", "-c", RACE_CHECK], env={"PATH": str(tmp_path)}, capture_output=True, text=True)

    assert done.returncode == refused
    assert judge(ContainerResult("web", done.returncode, log=done.stdout), None, None, None, True).refused is refused


def test_tests_that_started_and_did_not_end_are_hanging() -> None:
    events = [
        {"Action": "start", "Package": "cart"},
        {"Action": "run", "Package": "cart", "Test": "TestDone"},
        {"Action": "pass", "Package": "cart", "Test": "TestDone"},
        {"Action": "run", "Package": "cart", "Test": "TestParallel"},
        {"Action": "pause", "Package": "cart", "Test": "TestParallel"},
        {"Action": "run", "Package": "cart", "Test": "TestOuter"},
        {"Action": "run", "Package": "cart", "Test": "TestOuter/inner"},
    ]
    text = "\n".join(map(json.dumps, events)) + '\n{"Action": "ru'

    assert unfinished_tests(text) == ("cart.TestOuter/inner",)
    assert unfinished_tests("no json\n[]\n3\nnull") == ()


def test_the_table_has_packages_with_tests_and_packages_with_statements() -> None:
    report = JUnitReport(
        (Case("cart", "a"), Case("cart", "b", SKIPPED), Case("cart", "c", FAILED)), {"cart": 0.5, "x": 0.0}
    )
    covered = Coverage("set", {"cart/a.go:1.1,2.2": (1, 1), "bare/a.go:1.1,2.2": (1, 0)})

    table = {row.package: row for row in rows([judge(ContainerResult("web", 1), report, covered, None, False)])}

    assert (table["cart"].tests, table["cart"].failures, table["cart"].skipped, table["cart"].coverage) == (
        3,
        1,
        1,
        100,
    )
    assert (table["bare"].tests, table["bare"].coverage) == (0, 0.0)
    assert table["x"].coverage is None


def test_a_suite_has_failed_where_tests_did_and_is_invalid_where_that_is_not_known() -> None:
    green = ServiceVerdict("api", report=GREEN)
    red = ServiceVerdict("web", "1 of 2 tests failed: TestGone", report=RED, output="got 2")
    unknown = ServiceVerdict("job", "no test ran", invalid=True)

    def outcome(*verdicts: ServiceVerdict) -> tuple[str, str, tuple[str, ...]]:
        made = suite_result("unit", verdicts, 1.0, (), HALF, ("passed", "no tester stage: db"))
        return made.outcome, made.reason, made.failed

    assert outcome(green) == ("passed", "no tester stage: db", ())
    assert outcome(green, unknown) == ("invalid", "job: no test ran", ())
    assert outcome(unknown, red, green) == (
        "failed", "job: no test ran; web: 1 of 2 tests failed: TestGone", ("cart.TestGone",)
    )  # fmt: skip
    made = suite_result("unit", (green, red), 1.0, (), HALF)
    assert (made.tests, made.failures, made.coverage, made.output) == (3, 1, 50.0, "got 2")
