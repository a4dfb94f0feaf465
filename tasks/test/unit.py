"""Runs the tester stage of every service that has one."""

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from invoke import Context

from ..build import sources
from ..build.plan import build
from ..host.output import emit_table, note
from ..host.project import Project
from ..host.reports import Run, new_run, planned_run, read_report
from ..model.errors import CheckError, InputError, RefusedError
from ..model.stack.stack import Service
from ..model.suite import PASSED, SKIPPED, SuiteResult
from ..model.units import show_duration
from ..sandbox import container
from ..sandbox.container import refuse_remote
from ..sandbox.plan.container import REPORTS, Box, ContainerResult
from .plan import coverage, junit, unit
from .plan.unit import UnitRow
from .plan.verdict import ServiceVerdict, suite_result

NAME = "unit"


def run(c: Context, env: str, services: tuple[str, ...], filter: str, race: bool, json: bool) -> None:
    """Run the unit tests and report them by package; raises CheckError when they did not pass."""
    from . import report as test_report

    project = Project(c, env)
    if project.runner.dry:
        execute(project, planned_run(project.settings), services, filter, race)
        return
    _ = project.stack  # a Compose file with errors fails here, before the run is recorded
    run = new_run(project.settings)
    result, rows = _execute(project, run, services, filter, race)
    if not json and rows:
        _table(rows)
    test_report.report([result], run, json, more={"packages": [asdict(row) for row in rows]})


def execute(
    project: Project, run: Run, services: tuple[str, ...] = (), filter: str = "", race: bool = False
) -> SuiteResult:
    """Run the tests of the selected services and return the result; raises RefusedError when they cannot run."""
    return _execute(project, run, services, filter, race)[0]


def _execute(
    project: Project, run: Run, services: tuple[str, ...], filter: str, race: bool
) -> tuple[SuiteResult, tuple[UnitRow, ...]]:
    started = time.monotonic()
    chosen = project.stack.built(services)
    tested, without = with_stage(project, chosen)
    for name in without:
        note(f"{name}: skipped, its Dockerfile has no stage {project.stack.service(name).slipway.tester_target!r}")
    if not tested:
        return SuiteResult(NAME, SKIPPED, reason="no service has a tester stage"), ()
    refuse_remote(project)
    targets = container.build(project, {service.name: service.slipway.tester_target for service in tested})
    boxes = [
        container.box(
            project,
            run,
            NAME,
            service,
            targets[service.name].reference,
            arguments=unit.arguments(filter, race),
            environment=(("CGO_ENABLED", "1"),) if race else (),
        )
        for service in tested
    ]
    if not project.runner.dry:
        container.remove_stale(project)
    if race:
        checks = [replace(box, entrypoint="sh", arguments=("-c", unit.RACE_CHECK)) for box in boxes]
        _refuse_race([unit.judge(done, None, None, None, race) for done in _run(project, run, checks)])
    results = _run(project, run, boxes)
    # COVERAGE_MIN is for all tests: with a filter, only a part of the code is covered.
    least = None if filter else unit.minimum_coverage(project.profile)
    verdicts = [_verdict(box, result, least, race) for box, result in zip(boxes, results, strict=False)]
    _refuse_race(verdicts)
    merged = _save_coverage(run, verdicts)
    return _result(run, verdicts, merged, without, time.monotonic() - started), unit.rows(verdicts)


def _run(project: Project, run: Run, boxes: Sequence[Box]) -> list[ContainerResult]:
    return container.run_all(project, run, boxes, lambda box: unfinished_tests(Path(box.reports)))


def _refuse_race(verdicts: Sequence[ServiceVerdict]) -> None:
    """Raise RefusedError for a service whose tester stage cannot use the race detector."""
    if refused := [verdict for verdict in verdicts if verdict.refused]:
        raise RefusedError(
            f"--race: service {refused[0].service}: {refused[0].reason}",
            "use a base image with gcc in the stage that x-slipway.tester-target names, or leave out --race",
        )


def with_stage(project: Project, chosen: Sequence[Service]) -> tuple[list[Service], tuple[str, ...]]:
    """Return the services with a tester stage and the names of those without.

    Raises InputError where the Compose file names a stage that does not exist.
    """
    inputs = sources.of_project(project, tuple(service.name for service in chosen)) if chosen else {}
    without = build.without_stage(chosen, inputs)
    for name in without:
        stage = project.stack.service(name).slipway.tester_target
        if stage != unit.TESTER:
            known = ", ".join(inputs[name].dockerfile.names()) or "none with a name"
            raise InputError(
                f"services.{name}.x-slipway.tester-target: no stage {stage!r} in its Dockerfile", f"its stages: {known}"
            )
    return [service for service in chosen if service.name not in without], without


def unfinished_tests(directory: Path) -> str:
    """Return which tests had not ended in a stopped container, from its report directory; "" when unknown."""
    try:
        data = read_report(directory / "test.json", "test.json")
    except CheckError:
        return ""
    names = unit.unfinished_tests((data or b"").decode(errors="replace"))
    return f"{', '.join(names[:3])} did not end" if names else ""


def _verdict(box: Box, facts: ContainerResult, least: float | None, race: bool) -> ServiceVerdict:
    """Return the verdict on the reports of a service; a report that cannot be read is never a pass."""
    where, directory = f"{box.service}: {REPORTS}", Path(box.reports)
    try:
        data = read_report(directory / "junit.xml", f"{where}/junit.xml")
        report = None if data is None else junit.parse(data, f"{where}/junit.xml")
        data = read_report(directory / "coverage.out", f"{where}/coverage.out")
        covered = coverage.parse(data.decode(errors="replace"), f"{where}/coverage.out") if data else None
    except CheckError as error:
        if facts.stopped or facts.oom_killed:
            return unit.judge(facts, None, None, least, race)  # the report was cut off: that is not the reason
        return unit.unreadable(facts, error)
    return unit.judge(facts, report, covered, least, race)


def _save_coverage(run: Run, verdicts: Sequence[ServiceVerdict]) -> coverage.Coverage | None:
    """Save and return the merged coverage of all services, None without any."""
    profiles = [verdict.coverage for verdict in verdicts if verdict.coverage]
    if not profiles:
        return None
    merged = coverage.merge(profiles)
    (run.suite(NAME) / "coverage.out").write_text(merged.text(), encoding="utf-8")
    return merged


def _result(
    run: Run,
    verdicts: Sequence[ServiceVerdict],
    merged: coverage.Coverage | None,
    without: Sequence[str],
    seconds: float,
) -> SuiteResult:
    reports = tuple(run.relative(path) for path in sorted(run.path(NAME).rglob("*")) if path.is_file())
    skipped = f"no tester stage: {', '.join(without)}" if without else ""
    return suite_result(NAME, verdicts, seconds, reports, merged, (PASSED, skipped))


def _table(rows: Sequence[UnitRow]) -> None:
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
