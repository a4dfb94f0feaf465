"""The result of a test suite: the type that every kind of test returns."""

from collections.abc import Sequence
from typing import Any

from .record import Record

PASSED, FAILED, FLAKY, SKIPPED, INVALID, UNCHANGED = "passed", "failed", "flaky", "skipped", "invalid", "unchanged"


class SuiteResult(Record):
    """The result of one suite.

    ``outcome``: passed, failed, flaky (failed, then passed on a retry), skipped (``reason`` says why), invalid (it
    ran, but what it measured cannot be trusted: never a pass), unchanged (not run again: same inputs as run
    ``reason``, which passed). ``seconds`` is wall time, ``reports`` are paths relative to the reports directory,
    ``output`` is what to show last when it failed, ``coverage`` a percentage or None, ``failed`` the names of the
    failed tests.
    """

    name: str
    outcome: str
    tests: int = 0
    failures: int = 0
    skipped: int = 0
    seconds: float = 0.0
    reports: tuple[str, ...] = ()
    reason: str = ""
    output: str = ""
    coverage: float | None = None
    failed: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """Whether the suite lets a change pass."""
        return self.outcome in (PASSED, FLAKY, SKIPPED, UNCHANGED)

    def document(self) -> dict[str, Any]:
        """Return the result as JSON data."""
        return {
            "name": self.name,
            "outcome": self.outcome,
            "tests": self.tests,
            "failures": self.failures,
            "skipped": self.skipped,
            "seconds": round(self.seconds, 2),
            "reports": list(self.reports),
            "reason": self.reason or None,
            "coverage": self.coverage,
        }


def outcome(results: Sequence[SuiteResult]) -> str:
    """Return the outcome of a whole run: failed when any suite is not good, skipped when none ran, else passed."""
    if any(not result.good for result in results):
        return FAILED
    return SKIPPED if all(result.outcome == SKIPPED for result in results) else PASSED
