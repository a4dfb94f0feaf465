"""Puts load on a stack at a constant rate, from a container in its network."""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from invoke import Context

from ..build import build
from ..build.plan.build import Options
from ..host.output import emit_table, note
from ..host.project import Project
from ..host.reports import Run, append_json, new_run, now, planned_run, read_baseline, read_report, write_json
from ..model.errors import CheckError, RefusedError
from ..model.stack import load as load_model
from ..model.stack.stack import Service
from ..model.suite import FAILED, INVALID, PASSED, SKIPPED, SuiteResult
from .plan import load as load_plan
from .plan import plot
from .plan.load import Admitted, LoadSettings, Measured, Shot
from .plan.stack import StackError
from .stack import Throwaway
from .throwaway import throwaway

NAME = "load"
_OWN = "test"  # environment of the throw-away stack
_POLL_INTERVAL = 0.1  # seconds between two checks of the generator


@dataclass(frozen=True)
class LoadOptions:
    """The options of the command line."""

    rate: str = ""
    duration: str = ""
    hosts: tuple[str, ...] = ()
    save_baseline: bool = False


@dataclass(frozen=True)
class Loaded:
    """A load test: its result, the measurements (None when it did not run) and the values of the baseline."""

    result: SuiteResult
    measured: Measured | None = None
    baseline: Mapping[str, float] | None = None


def history_file(project: Project) -> Path:
    """Return the history file: every load test as a line of JSON."""
    return project.settings.reports_dir / "history" / "load.jsonl"


def baseline_file(project: Project) -> Path:
    """Return the file with the load test to compare with.

    It is in the reports directory, not under version control: values of different machines cannot be compared.
    """
    return project.settings.reports_dir / "baselines" / f"load-{project.profile.environment}.json"


def run(
    c: Context, env: str, rate: str, duration: str, hosts: tuple[str, ...], save_baseline: bool, json: bool
) -> None:
    """Put load on an environment, or on a throw-away stack; raises CheckError when a limit is exceeded."""
    from . import report

    project = Project(c, env or _OWN)
    # The generator has a Compose profile, so that it is not deployed with the stack.
    wide = Project(c, env or _OWN, {"COMPOSE_PROFILES": "*"})
    wanted = LoadOptions(rate, duration, hosts, save_baseline)
    run = planned_run(project.settings) if project.runner.dry else None
    asked, admitted = _admitted(project, wide, wanted)
    generator = _generator(wide)
    run = run or new_run(project.settings)
    started = time.monotonic()
    try:
        with contextlib.nullcontext() if env else _own(project, run, generator) as stack:
            loaded = _attack(stack.own if stack else project, wide, run, generator, asked, admitted, wanted, stack)
    except StackError as error:
        loaded = _not_serving(error, time.monotonic() - started)
    if project.runner.dry:
        return
    if not json and loaded.measured:
        emit_table(("MEASURE", "VALUE", "BASELINE", "CHANGE"), load_plan.table(loaded.measured, loaded.baseline or {}))
    document = loaded.measured.document() if loaded.measured else None
    more = {"load": document, "baseline": loaded.baseline or None, "settings": vars(asked)}
    report.report([loaded.result], run, json, schema="slipway/test.load/v1", more=more)


@contextlib.contextmanager
def _own(project: Project, run: Run, generator: Service) -> Iterator[Throwaway]:
    """Start and yield a throw-away copy of the stack; raises StackError when it does not become healthy."""
    with throwaway(project, NAME, run, (generator.name,)) as stack:
        stack.up()
        yield stack


def _admitted(project: Project, wide: Project, wanted: LoadOptions) -> tuple[LoadSettings, Admitted]:
    """Return the load and its allowed targets; raises for bad input before anything is built or started."""
    asked = load_plan.settings(project.profile, wanted.rate, wanted.duration)
    read_baseline(baseline_file(project), "values")
    networks = wide.stack.role(load_model.ROLE).networks
    return asked, load_plan.admit(load_plan.declared(wide.stack), project.stack, wanted.hosts, networks)


def _generator(wide: Project) -> Service:
    """Return the service that generates the load; build its image when its inputs have changed."""
    generator = wide.stack.role(load_model.ROLE)
    if generator.build is not None:
        planned = build.plan(wide, Options(services=(generator.name,)), only_changed=True)
        if planned.command is not None:
            build.carry_out(wide, planned)
    return generator


def _attack(
    project: Project,
    wide: Project,
    run: Run,
    generator: Service,
    asked: LoadSettings,
    admitted: Admitted,
    wanted: LoadOptions,
    stack: Throwaway | None = None,
) -> Loaded:
    started = time.monotonic()
    name = f"{project.profile.text('COMPOSE_PROJECT_NAME') or project.stack.project}-{NAME}-{run.id}"
    if project.clustered and stack is None:
        from .cluster_load import shoot  # nothing of it is loaded for a stack on an engine

        shot = shoot(project, wide, generator, name, asked, admitted)
        if not project.runner.dry:
            (run.suite(NAME) / "output.log").write_text(shot.log, encoding="utf-8")
    else:
        shot = _shoot(project, run, generator, name, asked, admitted, stack)
    if project.runner.dry:
        return Loaded(SuiteResult(NAME, SKIPPED, reason="dry run"))
    if shot.fault:
        return Loaded(_invalid(run, shot.fault, shot.log, time.monotonic() - started))
    try:
        measured = load_plan.read(shot.report)
    except CheckError as error:
        return Loaded(_invalid(run, error.message, shot.log, time.monotonic() - started))
    return _judged(project, run, asked, admitted, measured, wanted, time.monotonic() - started)


def _shoot(
    project: Project,
    run: Run,
    generator: Service,
    name: str,
    asked: LoadSettings,
    admitted: Admitted,
    stack: Throwaway | None,
) -> Shot:
    """Put load on a stack from a container in its network, and return what the generator said."""
    command = load_plan.command(project.profile, project.cwd, generator.name, name, asked, admitted)
    command = stack.on_copy(command) if stack else command
    if project.runner.dry:
        project.runner.run(command)
        return Shot("dry run")
    _running(project, admitted.services)
    directory = run.suite(NAME)
    output, errors = directory / "generator.json", directory / "output.log"
    note(f"{asked.rate} requests a second for {asked.duration:g} s")
    try:
        with project.runner.in_parallel() as children:
            number = children.start(command, output, errors)
            limit = time.monotonic() + asked.duration + load_plan.ANSWER_TIMEOUT + load_plan.START_TIME
            while (code := children.ended(number)) is None:
                if time.monotonic() > limit:
                    break
                time.sleep(_POLL_INTERVAL)
    finally:
        project.engine.remove_container(name)
    log = (read_report(errors, errors.name) or b"").decode(errors="replace")
    if code != 0:
        return Shot(
            "the generator did not end in time" if code is None else f"the generator ended with exit code {code}",
            log=log,
        )
    return Shot("", (read_report(output, output.name) or b"").decode(errors="replace"), log)


def _running(project: Project, services: Sequence[str]) -> None:
    """Raise RefusedError for a service that does not run: its name could resolve to another host."""
    running = {
        container.service
        for container in project.engine.containers(project.stack.project)
        if container.state == "running"
    }
    for name in services:
        if name not in running:
            raise RefusedError(
                f"service {name} of {project.stack.project} is not running",
                f"start it: inv deploy.{project.profile.environment}, or leave out --env for a throw-away stack",
            )


def _not_serving(error: StackError, seconds: float) -> Loaded:
    return Loaded(SuiteResult(NAME, FAILED, seconds=seconds, reason=error.message, output=error.output))


def _invalid(run: Run, reason: str, output: str, seconds: float) -> SuiteResult:
    files = tuple(run.relative(path) for path in sorted(run.suite(NAME).iterdir()))
    return SuiteResult(NAME, INVALID, tests=1, failures=1, seconds=seconds, reports=files, reason=reason, output=output)


def _judged(
    project: Project,
    run: Run,
    asked: LoadSettings,
    admitted: Admitted,
    measured: Measured,
    wanted: LoadOptions,
    seconds: float,
) -> Loaded:
    outcome, reasons = load_plan.judge(measured, asked)
    key = load_plan.key(asked, admitted.targets)
    entry = {
        "schema": "slipway/test.load/v1",
        "time": now(),
        "run": run.id,
        "version": project.version.text,
        "environment": project.profile.environment,
        "key": key,
        "outcome": outcome,
        "values": load_plan.values(measured),
    }
    before = read_baseline(baseline_file(project), "values")
    baseline = before["values"] if before.get("key") == key else {}
    if before and not baseline:
        note(f"not compared: the baseline is of another load ({before.get('key')})")
    files = _write(run, entry, measured, baseline)
    # An invalid result is not recorded, and a result that exceeds a limit does not become the baseline.
    if outcome != INVALID:
        append_json(history_file(project), entry)
    if wanted.save_baseline and outcome == PASSED:
        write_json(baseline_file(project), entry)
    elif wanted.save_baseline:
        note("not saved as the baseline: it did not pass")
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
    """Write the report as JSON and as an HTML page; return the paths of both files."""
    directory = run.suite(NAME)
    write_json(directory / "result.json", {**entry, "load": measured.document()})
    lines = [
        plot.Line(name, tuple((values["second"], values[name] * 1e3) for values in measured.series))
        for name in ("p50", "p95", "max")
    ]
    counts = [
        plot.Line(name, tuple((values["second"], values[name]) for values in measured.series))
        for name in ("requests", "errors")
    ]
    parts = [
        plot.table(("", ""), [("load", entry["key"]), ("version", entry["version"]), ("outcome", entry["outcome"])]),
        plot.table(("measure", "value", "baseline", "change"), load_plan.table(measured, baseline)),
        plot.chart("Latency by second", "ms", lines),
        plot.chart("Requests by second", "", counts),
        plot.table(("status", "requests"), sorted(measured.codes.items())),
        plot.table(("error", "requests"), list(measured.errors.items())),
    ]
    (directory / "plot.html").write_text(plot.page(f"Load test {entry['run']}", parts), encoding="utf-8")
    return tuple(run.relative(directory / name) for name in ("result.json", "plot.html"))
