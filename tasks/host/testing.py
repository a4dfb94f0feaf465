"""Reports what the suites of a run came to."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..plan.errors import CheckError
from ..plan.suites import SuiteResult, outcome
from ..plan.units import show_duration
from .output import emit_json, emit_table, note
from .reports import Run

SCHEMA = "slipway/test/v1"


def report(
    results: Sequence[SuiteResult], run: Run, json: bool, schema: str = SCHEMA, more: Mapping[str, Any] | None = None
) -> None:
    """Print the results of a run; raises CheckError when one is not good.

    What a suite that is not good printed comes last, so that it is not lost in the middle.
    """
    if json:
        emit_json(
            {
                "schema": schema,
                "outcome": outcome(results),
                "run": run.id,
                "suites": [one.document() for one in results],
                "coverage": _coverage(results),
                **(more or {}),
            }
        )
    else:
        _table(results)
    _outputs(results)
    bad = [one for one in results if not one.good]
    if bad:
        raise CheckError(
            "; ".join(f"{one.name}: {one.outcome}{f': {one.reason}' if one.reason else ''}" for one in bad),
            f"reports of this run: {run.directory}",
        )


def _coverage(results: Sequence[SuiteResult]) -> float | None:
    """Return the coverage of the run: the greatest one, since a suite that merges others' includes them."""
    known = [one.coverage for one in results if one.coverage is not None]
    return max(known) if known else None


def _table(results: Sequence[SuiteResult]) -> None:
    emit_table(
        ("SUITE", "RESULT", "TESTS", "FAILED", "SKIPPED", "TIME", "COVERAGE", ""),
        [
            (
                one.name,
                one.outcome,
                one.tests or "-",
                one.failures,
                one.skipped,
                show_duration(one.seconds),
                "-" if one.coverage is None else f"{one.coverage:.1f} %",
                one.reason,
            )
            for one in results
        ],
    )


def _outputs(results: Sequence[SuiteResult]) -> None:
    for one in results:
        if not one.good and one.output:
            note(f"---- {one.name}: {one.outcome}{f': {one.reason}' if one.reason else ''}")
            for line in one.output.rstrip("\n").splitlines():
                note(line)
