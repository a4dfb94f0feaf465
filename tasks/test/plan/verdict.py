"""The verdict on the tests of a service, and the result of a suite that has several."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ...model.suite import FAILED, INVALID, PASSED, SuiteResult
from . import junit
from .coverage import Coverage
from .junit import JUnitReport


@dataclass(frozen=True)
class ServiceVerdict:
    """The verdict on the tests of one service; ``reason`` is why they did not pass, "" when they did.

    ``output`` explains the reason. ``invalid``: it cannot be determined whether they pass. ``refused``: they cannot run
    as asked (``--race``). ``nothing``: no test ran, as it may be in a shard.
    """

    service: str
    reason: str = ""
    invalid: bool = False
    report: JUnitReport = field(default_factory=JUnitReport)
    output: str = ""
    coverage: Coverage | None = None
    refused: bool = False
    nothing: bool = False

    @property
    def passed(self) -> bool:
        """Whether the tests passed."""
        return not self.reason


def failures(report: JUnitReport) -> str:
    """Return how many tests of a report failed, with the names of the first ones."""
    failed = report.failed()
    names = ", ".join(case.name for case in failed[:3])
    return f"{len(failed)} of {len(report.cases)} tests failed: {names}{', …' if len(failed) > 3 else ''}"


def suite_result(
    name: str,
    verdicts: Sequence[ServiceVerdict],
    seconds: float,
    reports: tuple[str, ...],
    covered: Coverage | None,
    good: tuple[str, str] = (PASSED, ""),
) -> SuiteResult:
    """Return the result of a suite: failed when tests of a service did, invalid when that is not known of some.

    ``good`` are the outcome and the reason when all is well.
    """
    bad = [verdict for verdict in verdicts if not verdict.passed]
    outcome = good[0] if not bad else FAILED if any(not verdict.invalid for verdict in bad) else INVALID
    percent = covered.share().percent if covered else None
    return SuiteResult(
        name,
        outcome,
        tests=sum(verdict.report.count() for verdict in verdicts),
        failures=sum(verdict.report.count(junit.FAILED) for verdict in verdicts),
        skipped=sum(verdict.report.count(junit.SKIPPED) for verdict in verdicts),
        seconds=seconds,
        reports=reports,
        reason="; ".join(f"{verdict.service}: {verdict.reason}" for verdict in bad) or good[1],
        output="\n".join(verdict.output for verdict in bad if verdict.output),
        coverage=None if percent is None else round(percent, 2),
        failed=tuple(f"{case.package}.{case.name}" for verdict in bad for case in verdict.report.failed()),
    )
