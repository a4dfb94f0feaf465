"""Reports the results of test suites."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..host.output import emit_json, emit_table, note
from ..host.reports import Run
from ..model.errors import CheckError
from ..model.quoting import quoted
from ..model.suite import UNCHANGED, SuiteResult, outcome
from ..model.units import show_duration

SCHEMA = "slipway/test/v1"


def report(
    results: Sequence[SuiteResult], run: Run, json: bool, schema: str = SCHEMA, more: Mapping[str, Any] | None = None
) -> None:
    """Print the results of a run as a table, or with ``json`` as a document; raises CheckError when a suite failed.

    The output of suites that failed is printed after the table, so that it is not overlooked. ``more`` are further
    members of the document.
    """
    if json:
        emit_json(
            {
                "schema": schema,
                "outcome": outcome(results),
                "run": run.id,
                "suites": [result.document() for result in results],
                "coverage": _coverage(results),
                **(more or {}),
            }
        )
    else:
        _table(results)
        if more and more.get("coverage") is not None:
            note(f"coverage of unit and integration tests together: {more['coverage']:.1f} %")
    _outputs(results)
    bad = [result for result in results if not result.good]
    if bad:
        raise CheckError(
            "; ".join(
                f"{result.name}: {result.outcome}{f': {result.reason}' if result.reason else ''}" for result in bad
            ),
            f"reports of this run: {run.directory}",
        )


def _coverage(results: Sequence[SuiteResult]) -> float | None:
    """Return the coverage of the run: the greatest, since a suite that merges coverage includes the other suites'."""
    known = [result.coverage for result in results if result.coverage is not None]
    return max(known) if known else None


def _table(results: Sequence[SuiteResult]) -> None:
    emit_table(
        ("SUITE", "RESULT", "TESTS", "FAILED", "SKIPPED", "TIME", "COVERAGE", ""),
        [
            (
                result.name,
                result.outcome,
                result.tests or "-",
                result.failures,
                result.skipped,
                show_duration(result.seconds),
                "-" if result.coverage is None else f"{result.coverage:.1f} %",
                f"since run {result.reason}, passed" if result.outcome == UNCHANGED else result.reason,
            )
            for result in results
        ],
    )


def _outputs(results: Sequence[SuiteResult]) -> None:
    for result in results:
        if not result.good and result.output:
            note(f"---- {result.name}: {result.outcome}{f': {result.reason}' if result.reason else ''}")
            for line in result.output.rstrip("\n").splitlines():
                note(quoted(line))
