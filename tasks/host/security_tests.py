"""Runs the source scanner of every service that has a stage for it."""

import time
from collections.abc import Sequence
from pathlib import Path

from invoke import Context

from ..plan import security as planner
from ..plan.errors import CheckError
from ..plan.suites import FAILED, INVALID, PASSED, SKIPPED, SuiteResult
from ..plan.unit import Box, Facts, without_stage
from . import boxes
from .project import Project
from .reports import Run, new_run, planned_run, read_report
from .unit_tests import refuse_remote

NAME = "security"
_SCOPE = "source scan by gosec, nothing else"


def run(c: Context, env: str, json: bool) -> None:
    """Scan the sources and report it; raises CheckError when the gate stays closed."""
    from . import testing

    project = Project(c, env)
    if project.runner.dry:
        execute(project, planned_run(project.settings))
        return
    _ = project.stack  # a Compose file that is not understood makes no run
    made = new_run(project.settings)
    testing.report([execute(project, made)], made, json)


def execute(project: Project, run: Run) -> SuiteResult:
    """Scan the sources; a finding closes the gate, and so does a scan that did not see everything."""
    started = time.monotonic()
    built = project.stack.built()
    without = without_stage(built, project.build_inputs(), planner.STAGE) if built else ()
    chosen = [one for one in built if one.name not in without]
    if not chosen:
        return SuiteResult(NAME, SKIPPED, reason=f"no service has a stage {planner.STAGE!r}")
    refuse_remote(project)
    targets = boxes.build(project, {one.name: planner.STAGE for one in chosen})
    made = [
        boxes.box(project, run, NAME, one, targets[one.name].reference, arguments=planner.ARGUMENTS) for one in chosen
    ]
    if not project.runner.dry:
        boxes.remove_stale(project)
    facts = boxes.run_all(project, run, made, lambda _: "")
    judged = [_judge(box, one) for box, one in zip(made, facts, strict=False)]
    return _result(run, judged, time.monotonic() - started)


def _judge(box: Box, facts: Facts) -> tuple[str, str, str, int]:
    """Return the outcome of one service, the reason, what to show, and how many findings there are."""
    name = box.service
    if facts.stopped or facts.oom_killed:
        return FAILED, f"{name}: {facts.stopped or f'killed for memory: TEST_MEMORY={facts.memory}'}", facts.log, 0
    where = f"{name}: gosec.json"
    try:
        data = read_report(Path(box.reports, "gosec.json"), where)
        if data is None:
            raise CheckError(f"{name}: the scanner wrote no report, exit code {facts.exit_code}")
        found = planner.parse(data, where)
    except CheckError as error:
        return INVALID, error.message, facts.log, 0
    if found.lines:
        return FAILED, f"{name}: {len(found.lines)} findings", "\n".join(found.lines), len(found.lines)
    if found.errors or not found.files:
        return INVALID, f"{name}: the scanner could not read all sources", "\n".join(found.errors) or facts.log, 0
    if facts.exit_code:
        return FAILED, f"{name}: the scanner ended with exit code {facts.exit_code}", facts.log, 0
    return PASSED, "", "", 0


def _result(run: Run, judged: Sequence[tuple[str, str, str, int]], seconds: float) -> SuiteResult:
    outcomes = {outcome for outcome, *_ in judged}
    outcome = FAILED if FAILED in outcomes else INVALID if INVALID in outcomes else PASSED
    files = sorted(path for path in run.path(NAME).rglob("*") if path.is_file())
    return SuiteResult(
        NAME,
        outcome,
        tests=len(judged),
        failures=sum(one[0] != PASSED for one in judged),
        seconds=seconds,
        reports=tuple(run.relative(path) for path in files),
        reason="; ".join(reason for _, reason, *_ in judged if reason) or _SCOPE,
        output="\n".join(text for outcome, _, text, _ in judged if outcome != PASSED and text),
    )
