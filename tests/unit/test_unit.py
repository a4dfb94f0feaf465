"""How tester stages are run, and the verdict on them."""

import json

import pytest
from support import inputs, profile, stack

from tasks.plan.coverage import Coverage
from tasks.plan.errors import InputError
from tasks.plan.junit import FAILED, SKIPPED, Case, Report
from tasks.plan.unit import (
    Box,
    Facts,
    arguments,
    command,
    container_user,
    hanging,
    judge,
    memory_limit,
    minimum,
    rows,
    without_stage,
)

BOX = Box("shop-unit-web-1", "shop/web:test-tester", "web", "1000:1000", "/srv/reports/1/unit/web", 2**30, ("-run=X",))
GREEN = Report((Case("cart", "TestAdd"),), {"cart": 0.5})
RED = Report((Case("cart", "TestAdd"), Case("cart", "TestGone", FAILED, 0.1, "got 2")), {"cart": 0.5})
HALF = Coverage("set", {"cart/a.go:1.1,2.2": (1, 1), "cart/b.go:1.1,2.2": (1, 0)})


def argv() -> tuple[str, ...]:
    """Return the words of a container's command."""
    return command(BOX, profile(), "shop", "run-1", "host:1:2").argv


def test_a_test_container_can_do_nothing_but_compute_and_report() -> None:
    wanted = {"--read-only", "--network=none", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--user=1000:1000"}

    assert wanted <= set(argv())
    assert "--memory=1073741824" in argv()
    assert any(word.startswith("--pids-limit=") for word in argv())


def test_its_arguments_come_after_the_image() -> None:
    assert argv()[-2:] == ("shop/web:test-tester", "-run=X")


def test_what_is_left_of_it_can_be_found() -> None:
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
    found = {
        "web": inputs("FROM scratch AS tester\n"),
        "api": inputs("FROM scratch AS checks\n"),
        "db": inputs("FROM scratch AS production\n"),
    }

    assert without_stage(shop.built(), found) == ("db",)
    assert without_stage(shop.built(), found, "gosec") == ("web", "api", "db")


# Profile


@pytest.mark.parametrize("text", ["much", "101", "-1", "80%", "1e1"])
def test_a_minimum_that_is_no_percentage_is_a_fault_of_the_profile(text: str) -> None:
    with pytest.raises(InputError, match=r"COVERAGE_MIN: expected a percentage"):
        profile(COVERAGE_MIN=text)


@pytest.mark.parametrize(("text", "number"), [("", None), ("0", 0.0), ("72.5", 72.5), ("100", 100.0)])
def test_the_minimum_is_a_number_or_none(text: str, number: float | None) -> None:
    assert minimum(profile(COVERAGE_MIN=text)) == number


def test_the_memory_limit_is_in_bytes() -> None:
    assert memory_limit(profile()) == 2 * 2**30
    with pytest.raises(InputError, match="TEST_MEMORY: expected a size"):
        profile(TEST_MEMORY="plenty")


def test_the_time_limit_is_a_duration() -> None:
    with pytest.raises(InputError, match="TEST_TIMEOUT: expected a duration"):
        profile(TEST_TIMEOUT="soon")


# Verdicts


def test_green_tests_above_the_minimum_pass() -> None:
    assert judge(Facts("web", 0), GREEN, HALF, 50.0, False).passed


@pytest.mark.parametrize(
    ("facts", "report", "least", "reason", "invalid"),
    [
        (Facts("web", 1), RED, None, "1 of 2 tests failed: TestGone", False),
        (Facts("web", 0), RED, None, "1 of 2 tests failed: TestGone", False),
        (Facts("web", 2), GREEN, None, "ended with exit code 2", False),
        (Facts("web", 0, stopped="not done within 5 s"), None, None, "not done within 5 s", False),
        (Facts("web", 0, True, memory="512 MB"), GREEN, None, "killed for memory: it needs more than TEST_MEM", False),
        (Facts("web", 0), None, None, "wrote no /reports/junit.xml", True),
        (Facts("web", 0), Report(), None, "no test ran", True),
        (Facts("web", 0), GREEN, 50.01, "coverage 50.00 % is below COVERAGE_MIN=50.01", False),
    ],
)
def test_every_gate_closes(
    facts: Facts, report: Report | None, least: float | None, reason: str, invalid: bool
) -> None:
    verdict = judge(facts, report, HALF, least, False)

    assert reason in verdict.reason
    assert (verdict.passed, verdict.invalid) == (False, invalid)


def test_a_minimum_without_a_profile_to_hold_to_it_is_no_pass() -> None:
    verdict = judge(Facts("web", 0), GREEN, None, 10.0, False)

    assert verdict.invalid
    assert "wrote no /reports/coverage.out" in verdict.reason


def test_a_failure_shows_what_the_test_said() -> None:
    assert "cart TestGone\ngot 2" in judge(Facts("web", 1, log="much"), RED, None, None, False).output


def test_a_failure_without_a_failed_test_shows_the_end_of_the_log() -> None:
    assert judge(Facts("web", 2, log="a\nno such file"), GREEN, None, None, False).output.endswith("no such file")


@pytest.mark.parametrize(
    "log",
    [
        'cgo: C compiler "gcc" not found: exec: "gcc": executable file not found in $PATH',
        "go: -race requires cgo; enable cgo by setting CGO_ENABLED=1",
        "go: -race is not supported on linux/386",
    ],
)
def test_a_stage_that_cannot_race_is_told_from_a_test_that_fails(log: str) -> None:
    assert judge(Facts("web", 1, log=log), RED, None, None, True).refused
    assert not judge(Facts("web", 1, log=log), RED, None, None, False).refused
    assert not judge(Facts("web", 1, log="WARNING: DATA RACE"), RED, None, None, True).refused


def test_the_tests_that_hang_are_those_that_began_and_did_not_end() -> None:
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

    assert hanging(text) == ("cart.TestOuter/inner",)
    assert hanging("no json\n[]\n3\nnull") == ()


def test_the_table_has_packages_with_tests_and_packages_with_statements() -> None:
    report = Report((Case("cart", "a"), Case("cart", "b", SKIPPED), Case("cart", "c", FAILED)), {"cart": 0.5, "x": 0.0})
    covered = Coverage("set", {"cart/a.go:1.1,2.2": (1, 1), "bare/a.go:1.1,2.2": (1, 0)})

    found = {row.package: row for row in rows([judge(Facts("web", 1), report, covered, None, False)])}

    assert (found["cart"].tests, found["cart"].failures, found["cart"].skipped, found["cart"].coverage) == (
        3,
        1,
        1,
        100,
    )
    assert (found["bare"].tests, found["bare"].coverage) == (0, 0.0)
    assert found["x"].coverage is None
