"""Puts load on a stack at a set rate, from a container in its network."""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from invoke import Context

from ..plan import load as planner
from ..plan import plot
from ..plan.build import Options
from ..plan.errors import CheckError, RefusedError
from ..plan.load import Admitted, Measured, Settings
from ..plan.stack import Service
from ..plan.suites import FAILED, INVALID, PASSED, SKIPPED, SuiteResult
from ..plan.throwaway import StackError
from . import builds
from .output import emit_table, note
from .project import Project
from .reports import Run, append_json, new_run, now, planned_run, read_baseline, read_report, write_json
from .throwaway import Throwaway, throwaway

NAME = "load"
_OWN = "test"  # environment of the throw-away stack
_LOOK = 0.1


@dataclass(frozen=True)
class Wanted:
    """What the command line asks for."""

    rate: str = ""
    duration: str = ""
    hosts: tuple[str, ...] = ()
    save_baseline: bool = False


@dataclass(frozen=True)
class Loaded:
    """One load test: its result, what was measured (None when nothing was) and what it is compared with."""

    result: SuiteResult
    measured: Measured | None = None
    baseline: Mapping[str, float] | None = None


def history_file(project: Project) -> Path:
    """Return the file that holds every load test, one JSON line each."""
    return project.settings.reports_dir / "history" / "load.jsonl"


def baseline_file(project: Project) -> Path:
    """Return the file with the load test to compare with.

    It is below the reports and not under version control: what one machine measures says nothing of another.
    """
    return project.settings.reports_dir / "baselines" / f"load-{project.profile.environment}.json"


def run(
    c: Context, env: str, rate: str, duration: str, hosts: tuple[str, ...], save_baseline: bool, json: bool
) -> None:
    """Put load on an environment, or on a throw-away stack; raises CheckError when a limit is broken."""
    from . import testing

    project = Project(c, env or _OWN)
    # The generator is behind a Compose profile: it is no part of the stack that is deployed.
    wide = Project(c, env or _OWN, {"COMPOSE_PROFILES": "*"})
    wanted = Wanted(rate, duration, hosts, save_baseline)
    run = planned_run(project.settings) if project.runner.dry else None
    asked, admitted = _admitted(project, wide, wanted)
    generator = _generator(wide)
    run = run or new_run(project.settings)
    started = time.monotonic()
    try:
        with contextlib.nullcontext() if env else _own(project, run, generator) as stack:
            loaded = _attack(stack.own if stack else project, run, generator, asked, admitted, wanted, stack)
    except StackError as error:
        loaded = _not_serving(error, time.monotonic() - started)
    if project.runner.dry:
        return
    if not json and loaded.measured:
        emit_table(("MEASURE", "VALUE", "BASELINE", "CHANGE"), planner.table(loaded.measured, loaded.baseline or {}))
    document = loaded.measured.document() if loaded.measured else None
    more = {"load": document, "baseline": loaded.baseline or None, "settings": vars(asked)}
    testing.report([loaded.result], run, json, schema="slipway/test.load/v1", more=more)


@contextlib.contextmanager
def _own(project: Project, run: Run, generator: Service) -> Iterator[Throwaway]:
    """Bring up a stack of its own; raises StackError when it does not become healthy."""
    with throwaway(project, NAME, run, (generator.name,)) as stack:
        stack.up()
        yield stack


def _admitted(project: Project, wide: Project, wanted: Wanted) -> tuple[Settings, Admitted]:
    """Return what is asked; refused before anything is built or started."""
    asked = planner.settings(project.profile, wanted.rate, wanted.duration)
    read_baseline(baseline_file(project), "values")
    networks = wide.stack.role(planner.ROLE).networks
    return asked, planner.admit(planner.declared(wide.stack), project.stack, wanted.hosts, networks)


def _generator(wide: Project) -> Service:
    """Return the service that makes the load, its image built where its inputs have changed."""
    generator = wide.stack.role(planner.ROLE)
    if generator.build is not None:
        planned = builds.plan(wide, Options(services=(generator.name,)), only_changed=True)
        if planned.command is not None:
            builds.carry_out(wide, planned)
    return generator


def _attack(
    project: Project,
    run: Run,
    generator: Service,
    asked: Settings,
    admitted: Admitted,
    wanted: Wanted,
    stack: Throwaway | None = None,
) -> Loaded:
    started = time.monotonic()
    name = f"{project.profile.text('COMPOSE_PROJECT_NAME') or project.stack.project}-{NAME}-{run.id}"
    command = planner.command(project.profile, project.cwd, generator.name, name, asked, admitted)
    command = stack.on_copy(command) if stack else command
    if project.runner.dry:
        project.runner.run(command)
        return Loaded(SuiteResult(NAME, SKIPPED, reason="dry run"))
    _running(project, admitted.services)
    directory = run.suite(NAME)
    output, errors = directory / "generator.json", directory / "output.log"
    note(f"{asked.rate} requests a second for {asked.duration:g} s")
    try:
        with project.runner.beside() as children:
            number = children.start(command, output, errors)
            limit = time.monotonic() + asked.duration + planner.ANSWER_TIMEOUT + planner.START_TIME
            while (code := children.ended(number)) is None:
                if time.monotonic() > limit:
                    break
                time.sleep(_LOOK)
    finally:
        project.engine.remove_container(name)
    log = (read_report(errors, errors.name) or b"").decode(errors="replace")
    if code != 0:
        reason = "the generator did not end in time" if code is None else f"the generator ended with exit code {code}"
        return Loaded(_invalid(run, reason, log, time.monotonic() - started))
    try:
        measured = planner.read((read_report(output, output.name) or b"").decode(errors="replace"))
    except CheckError as error:
        return Loaded(_invalid(run, error.message, log, time.monotonic() - started))
    return _judged(project, run, asked, admitted, measured, wanted, time.monotonic() - started)


def _running(project: Project, services: Sequence[str]) -> None:
    """Refuse a target that does not run: its name could lead elsewhere."""
    up = {one.service for one in project.engine.containers(project.stack.project) if one.state == "running"}
    for name in services:
        if name not in up:
            raise RefusedError(
                f"service {name} of {project.stack.project} is not running",
                f"start it: inv deploy.{project.profile.environment}, or leave --env away for a stack of its own",
            )


def _not_serving(error: StackError, seconds: float) -> Loaded:
    return Loaded(SuiteResult(NAME, FAILED, seconds=seconds, reason=error.message, output=error.output))


def _invalid(run: Run, reason: str, output: str, seconds: float) -> SuiteResult:
    files = tuple(run.relative(path) for path in sorted(run.suite(NAME).iterdir()))
    return SuiteResult(NAME, INVALID, tests=1, failures=1, seconds=seconds, reports=files, reason=reason, output=output)


def _judged(
    project: Project,
    run: Run,
    asked: Settings,
    admitted: Admitted,
    measured: Measured,
    wanted: Wanted,
    seconds: float,
) -> Loaded:
    outcome, reasons = planner.judge(measured, asked)
    key = planner.key(asked, admitted.targets)
    entry = {
        "schema": "slipway/test.load/v1",
        "time": now(),
        "run": run.id,
        "version": project.version.text,
        "environment": project.profile.environment,
        "key": key,
        "outcome": outcome,
        "values": planner.values(measured),
    }
    before = read_baseline(baseline_file(project), "values")
    baseline = before["values"] if before.get("key") == key else {}
    if before and not baseline:
        note(f"the baseline is of another load ({before.get('key')}): not compared")
    files = _write(run, entry, measured, baseline)
    # What is no measurement must not become something that others are measured by, nor what breaks a limit.
    if outcome != INVALID:
        append_json(history_file(project), entry)
    if wanted.save_baseline and outcome == PASSED:
        write_json(baseline_file(project), entry)
    elif wanted.save_baseline:
        note("not kept as the baseline: it did not pass")
    return Loaded(_outcome(outcome, reasons, measured, files, seconds), measured, baseline)


def _outcome(
    outcome: str, reasons: Sequence[str], measured: Measured, files: tuple[str, ...], seconds: float
) -> SuiteResult:
    bad = bool(reasons)
    output = "\n".join([*reasons, *(f"{count} x {error}" for error, count in measured.errors.items())]) if bad else ""
    return SuiteResult(
        NAME,
        outcome,
        tests=1,
        failures=int(bad),
        seconds=seconds,
        reports=files,
        reason="; ".join(reasons),
        output=output,
    )


def _write(run: Run, entry: Mapping[str, Any], measured: Measured, baseline: Mapping[str, float]) -> tuple[str, ...]:
    """Write the report as JSON and as a page; returns their names."""
    directory = run.suite(NAME)
    write_json(directory / "result.json", {**entry, "load": measured.document()})
    lines = [
        plot.Line(name, tuple((one["second"], one[name] * 1e3) for one in measured.series))
        for name in ("p50", "p95", "max")
    ]
    counts = [
        plot.Line(name, tuple((one["second"], one[name]) for one in measured.series)) for name in ("requests", "errors")
    ]
    parts = [
        plot.table(("", ""), [("load", entry["key"]), ("version", entry["version"]), ("outcome", entry["outcome"])]),
        plot.table(("measure", "value", "baseline", "change"), planner.table(measured, baseline)),
        plot.chart("Latency by second", "ms", lines),
        plot.chart("Requests by second", "", counts),
        plot.table(("status", "requests"), sorted(measured.codes.items())),
        plot.table(("error", "requests"), list(measured.errors.items())),
    ]
    (directory / "plot.html").write_text(plot.page(f"Load test {entry['run']}", parts), encoding="utf-8")
    return tuple(run.relative(directory / name) for name in ("result.json", "plot.html"))
