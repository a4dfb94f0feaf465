"""`inv test --all`: experiments come after the suites, and not at all when one of those ends the run."""

from typing import Any

import pytest

from tasks.model.suite import FAILED, PASSED, SKIPPED, SuiteResult
from tasks.test.test import _in_turn


class Suites:
    """Suites that end as a test says, with the order in which they were asked for."""

    def __init__(self, **outcomes: str) -> None:
        self.asked: list[list[str]] = []
        self._outcomes = outcomes

    def run(self, names: list[str]) -> dict[str, tuple[SuiteResult, ...]]:
        self.asked.append(names)
        return {name: (SuiteResult(name, self._outcomes.get(name, PASSED)),) for name in names}


@pytest.mark.parametrize(
    ("names", "asked"),
    [
        (["unit", "security", "chaos"], [["unit", "security"], ["chaos"]]),
        (["unit"], [["unit"]]),
        (["chaos"], [["chaos"]]),
    ],
)
def test_experiments_are_run_when_the_other_suites_have_ended(names: list[str], asked: list[list[str]]) -> None:
    suites: Any = Suites(unit=FAILED)
    assert list(_in_turn(suites, names, fail_fast=False)) == names
    assert suites.asked == asked


def test_they_are_not_run_after_a_failure_that_ends_the_run() -> None:
    suites: Any = Suites(security=FAILED)
    [result] = _in_turn(suites, ["unit", "security", "chaos"], fail_fast=True)["chaos"]
    assert (result.outcome, result.reason) == (SKIPPED, "stopped: security failed (--fail-fast)")
    assert suites.asked == [["unit", "security"]]
