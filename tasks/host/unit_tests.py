"""Runs the tester stage of every service that has one."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from invoke import Context

from ..plan import coverage, junit
from ..plan import unit as planner
from ..plan.errors import CheckError, InputError, RefusedError
from ..plan.stack import Service
from ..plan.suites import FAILED, INVALID, PASSED, SKIPPED, SuiteResult
from ..plan.unit import Box, Facts, Row, Verdict
from ..plan.units import show_duration
from . import boxes
from .output import emit_table, note
from .project import Project
from .reports import Run, new_run, planned_run, read_report

NAME = "unit"


def run(c: Context, env: str, services: tuple[str, ...], filter: str, race: bool, json: bool) -> None:
    """Run the tests, and report them by package; raises CheckError when a gate stays closed."""
    from . import testing

    project = Project(c, env)
    if project.runner.dry:
        execute(project, planned_run(project.settings), services, filter, race)
        return
    _ = project.stack  # a Compose file that is not understood makes no run
    run = new_run(project.settings)
    result, rows = _execute(project, run, services, filter, race)
    if not json and rows:
        _table(rows)
    testing.report([result], run, json, more={"packages": [asdict(row) for row in rows]})


def execute(
    project: Project, run: Run, services: tuple[str, ...] = (), filter: str = "", race: bool = False
) -> SuiteResult:
    """Run the tests of the selected services; raises RefusedError when they cannot run as asked."""
    return _execute(project, run, services, filter, race)[0]


def _execute(
    project: Project, run: Run, services: tuple[str, ...], filter: str, race: bool
) -> tuple[SuiteResult, tuple[Row, ...]]:
    started = time.monotonic()
    chosen = project.stack.built(services)
    tested, without = with_stage(project, chosen)
    for name in without:
        note(f"{name}: skipped, its Dockerfile has no stage {project.stack.service(name).slipway.tester_target!r}")
    if not tested:
        return SuiteResult(NAME, SKIPPED, reason="no service has a tester stage"), ()
    refuse_remote(project)
    targets = boxes.build(project, {one.name: one.slipway.tester_target for one in tested})
    made = [
        boxes.box(
            project,
            run,
            NAME,
            one,
            targets[one.name].reference,
            arguments=planner.arguments(filter, race),
            environment=(("CGO_ENABLED", "1"),) if race else (),
        )
        for one in tested
    ]
    if not project.runner.dry:
        boxes.remove_stale(project)
    facts = boxes.run_all(project, run, made, lambda box: hanging(Path(box.reports)))
    # A part of the tests covers a part of the code: the gate is for all of them.
    least = None if filter else planner.minimum(project.profile)
    verdicts = [_verdict(box, one, least, race) for box, one in zip(made, facts, strict=False)]
    if refused := [one for one in verdicts if one.refused]:
        raise RefusedError(
            f"--race: service {refused[0].service}: {refused[0].reason}",
            "use a base image with gcc in the stage that x-slipway.tester-target names, or leave --race away",
        )
    merged = _save_coverage(run, verdicts)
    return _result(run, verdicts, merged, without, time.monotonic() - started), planner.rows(verdicts)


def with_stage(project: Project, chosen: Sequence[Service]) -> tuple[list[Service], tuple[str, ...]]:
    """Return the services with a tester stage and the names of those without.

    Raises InputError where the Compose file names a stage that does not exist.
    """
    inputs = project.build_inputs(tuple(one.name for one in chosen)) if chosen else {}
    without = planner.without_stage(chosen, inputs)
    for name in without:
        stage = project.stack.service(name).slipway.tester_target
        if stage != planner.TESTER:
            known = ", ".join(inputs[name].dockerfile.names()) or "none with a name"
            raise InputError(
                f"services.{name}.x-slipway.tester-target: no stage {stage!r} in its Dockerfile", f"its stages: {known}"
            )
    return [one for one in chosen if one.name not in without], without


def refuse_remote(project: Project) -> None:
    """Refuse an engine on another machine, where our directories are not."""
    if not project.engine.local():
        raise RefusedError(
            f"reports cannot come back from the engine at {project.engine.address}: their directory is mounted",
            "run tests on an engine of this machine: unset DOCKER_HOST and DOCKER_CONTEXT in the profile",
        )


def hanging(directory: Path) -> str:
    """Return which tests a stopped container was at, from its report directory; "" when it does not say."""
    try:
        data = read_report(directory / "test.json", "test.json")
    except CheckError:
        return ""
    names = planner.hanging((data or b"").decode(errors="replace"))
    return f"{', '.join(names[:3])} did not end" if names else ""


def _verdict(box: Box, facts: Facts, least: float | None, race: bool) -> Verdict:
    """Read the reports of one service and judge them; one that cannot be understood is never a pass."""
    where, directory = f"{box.service}: {planner.REPORTS}", Path(box.reports)
    try:
        data = read_report(directory / "junit.xml", f"{where}/junit.xml")
        report = None if data is None else junit.parse(data, f"{where}/junit.xml")
        data = read_report(directory / "coverage.out", f"{where}/coverage.out")
        covered = coverage.parse(data.decode(errors="replace"), f"{where}/coverage.out") if data else None
    except CheckError as error:
        if facts.stopped or facts.oom_killed:
            return planner.judge(facts, None, None, least, race)  # cut off half-way: that is why
        return planner.unreadable(facts, error)
    return planner.judge(facts, report, covered, least, race)


def _save_coverage(run: Run, verdicts: Sequence[Verdict]) -> coverage.Coverage | None:
    """Write the profiles of all services as one; returns it."""
    found = [one.coverage for one in verdicts if one.coverage]
    if not found:
        return None
    merged = coverage.merge(found)
    (run.suite(NAME) / "coverage.out").write_text(merged.text(), encoding="utf-8")
    return merged


def _result(
    run: Run,
    verdicts: Sequence[Verdict],
    merged: coverage.Coverage | None,
    without: Sequence[str],
    seconds: float,
) -> SuiteResult:
    bad = [one for one in verdicts if not one.passed]
    outcome = PASSED if not bad else FAILED if any(not one.invalid for one in bad) else INVALID
    skipped = f"no tester stage: {', '.join(without)}" if without else ""
    percent = merged.share().percent if merged else None
    directory = run.path(NAME)
    return SuiteResult(
        NAME,
        outcome,
        tests=sum(one.report.count() for one in verdicts),
        failures=sum(one.report.count(junit.FAILED) for one in verdicts),
        skipped=sum(one.report.count(junit.SKIPPED) for one in verdicts),
        seconds=seconds,
        reports=tuple(run.relative(path) for path in sorted(directory.rglob("*")) if path.is_file()),
        reason="; ".join(f"{one.service}: {one.reason}" for one in bad) or skipped,
        output="\n".join(one.output for one in bad if one.output),
        coverage=None if percent is None else round(percent, 2),
        failed=tuple(f"{case.package}.{case.name}" for one in bad for case in one.report.failed()),
    )


def _table(rows: Sequence[Row]) -> None:
    emit_table(
        ("SERVICE", "PACKAGE", "TESTS", "FAILED", "SKIPPED", "TIME", "COVERAGE"),
        [
            (
                row.service,
                row.package,
                row.tests,
                row.failures,
                row.skipped,
                show_duration(row.seconds),
                "-" if row.coverage is None else f"{row.coverage:.1f} %",
            )
            for row in rows
        ],
    )
