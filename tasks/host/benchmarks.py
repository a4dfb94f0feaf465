"""Runs benchmarks in the tester stage and compares them with the baseline."""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from invoke import Context

from ..plan import benchmark as planner
from ..plan import plot, statistic
from ..plan.benchmark import Parsed, Row
from ..plan.build import split_reference
from ..plan.command import Command
from ..plan.errors import InputError
from ..plan.secret import reveal
from ..plan.suites import FAILED, INVALID, PASSED, SKIPPED, SuiteResult
from ..plan.unit import Box, Facts
from . import boxes, load_tests, unit_tests
from .output import emit_table, note
from .project import Project
from .reports import Run, append_json, new_run, now, planned_run, read_baseline, read_report, write_json

NAME = "bench"
_SHELL = "sh"
_MOST = 50  # runs of each benchmark


def history_file(project: Project) -> Path:
    """Return the file that holds every run of the benchmarks, one JSON line each."""
    return project.settings.reports_dir / "history" / "bench.jsonl"


def baseline_file(project: Project) -> Path:
    """Return the file with the samples to compare with; they are of one machine, so they are not tracked."""
    return project.settings.reports_dir / "baselines" / f"bench-{project.profile.environment}.json"


def run(c: Context, env: str, services: tuple[str, ...], count: int, save_baseline: bool, json: bool) -> None:
    """Run the benchmarks and report what has changed; raises CheckError on a significant regression."""
    from . import testing

    least = planner.samples_needed()
    if not 1 <= count <= _MOST:
        raise InputError(f"--count: expected 1 to {_MOST}, got {count}", f"{least} or more can show a change")
    if save_baseline and count < least:
        raise InputError(f"--count {count} is too few for a baseline", f"a change shows from --count {least} on")
    project = Project(c, env)
    _refuse_unreadable(project)
    if project.runner.dry:
        execute(project, planned_run(project.settings), services, count, save_baseline)
        return
    run = new_run(project.settings)
    result, rows = _execute(project, run, services, count, save_baseline)
    if not json and rows:
        _table(rows)
    more = {"benchmarks": [row.document() for row in rows]}
    testing.report([result], run, json, schema="slipway/test.bench/v1", more=more)


def execute(
    project: Project, run: Run, services: tuple[str, ...] = (), count: int = 6, save_baseline: bool = False
) -> SuiteResult:
    """Run the benchmarks of the selected services ``count`` times and compare them with the baseline."""
    return _execute(project, run, services, count, save_baseline)[0]


def _execute(
    project: Project, run: Run, services: tuple[str, ...], count: int, save: bool
) -> tuple[SuiteResult, tuple[Row, ...]]:
    started = time.monotonic()
    chosen = project.stack.built(services)
    measured, without = unit_tests.with_stage(project, chosen)
    for name in without:
        note(f"{name}: skipped, its Dockerfile has no tester stage")
    if not measured:
        return SuiteResult(NAME, SKIPPED, reason="no service has a tester stage"), ()
    unit_tests.refuse_remote(project)
    targets = boxes.build(project, {one.name: one.slipway.tester_target for one in measured})
    arguments = planner.arguments(count, project.profile.text("BENCH_TIME"))
    made = [
        boxes.box(project, run, NAME, one, targets[one.name].reference, arguments=arguments, entrypoint=_SHELL)
        for one in measured
    ]
    if not project.runner.dry:
        boxes.remove_stale(project)
    before = _before(project, run, made, arguments)
    facts: list[Facts] = []
    for box in made:
        # Of one service after the other; but old and new code beside each other, so that whatever else the machine
        # does, it does to both.
        pair = [box, before[box.service]] if box.service in before else [box]
        facts += boxes.run_all(project, run, pair, lambda _: "")
    if project.runner.dry:
        return SuiteResult(NAME, SKIPPED, reason="dry run"), ()
    return _judge(project, run, made, before, facts, save, time.monotonic() - started)


def _kept(project: Project, service: str) -> str:
    """Return the name of the image that holds the benchmarks of the baseline."""
    repository, tag = split_reference(project.stack.service(service).image)
    return f"{repository}:{tag}-{NAME}-baseline"


def _before(project: Project, run: Run, made: Sequence[Box], arguments: tuple[str, ...]) -> dict[str, Box]:
    """Return the containers that measure the baseline's code again, for the services whose image is still there."""
    found = {}
    for box in made:
        image = _kept(project, box.service)
        if baseline_file(project).exists() and project.engine.image(image) is not None:
            service = project.stack.service(box.service)
            kind = f"{NAME}-baseline"
            found[box.service] = boxes.box(project, run, kind, service, image, arguments=arguments, entrypoint=_SHELL)
    return found


def _judge(
    project: Project,
    run: Run,
    made: Sequence[Box],
    before: Mapping[str, Box],
    facts: Sequence[Facts],
    save: bool,
    seconds: float,
) -> tuple[SuiteResult, tuple[Row, ...]]:
    failed = [one for one in facts if one.exit_code or one.stopped or one.oom_killed]
    if failed:
        return _failure(run, failed, seconds), ()
    parsed = {box.service: _parsed(box) for box in made}
    found = {name: one for name, one in parsed.items() if one.samples}
    baseline = _baseline(project, before)
    if not found and not set(baseline.get("services", {})) & set(parsed):
        return SuiteResult(NAME, SKIPPED, seconds=seconds, reason="no service has benchmarks"), ()
    limit = float(project.profile.text("BENCH_REGRESSION_MAX"))
    loads = _load_rows(project, limit)
    rows = [*_compared(found, baseline, limit), *loads]
    silent = sorted(set(baseline.get("services", {})) & set(parsed) - set(found))
    outcome, reason = _outcome(found, silent, baseline, planner.decisive(rows, loads))
    _record(project, run, found)
    if save and not silent:
        _save(project, run, found, made)
        outcome, reason = PASSED, "saved as the baseline"
    files = _write(project, run, rows)
    files += tuple(run.relative(Path(box.reports, boxes.LOG)) for box in made)
    return _result(outcome, reason, rows, files, seconds), tuple(rows)


def _result(outcome: str, reason: str, rows: Sequence[Row], files: tuple[str, ...], seconds: float) -> SuiteResult:
    worse = [one for one in rows if one.verdict == planner.SLOWER] if outcome == FAILED else []
    return SuiteResult(
        NAME,
        outcome,
        tests=len(rows),
        failures=len(worse),
        seconds=seconds,
        reports=files,
        reason=reason,
        output="\n".join(" ".join(map(str, _cells(one))) for one in worse),
    )


def _failure(run: Run, failed: Sequence[Facts], seconds: float) -> SuiteResult:
    def why(one: Facts) -> str:
        if one.oom_killed:
            return f"killed: it needed more than TEST_MEMORY={one.memory}"
        return one.stopped or f"the benchmarks ended with exit code {one.exit_code}"

    files = tuple(run.relative(path) for path in sorted(run.suite(NAME).rglob("*")) if path.is_file())
    reason = "; ".join(f"{one.service}: {why(one)}" for one in failed)
    output = "\n".join(one.log for one in failed)
    count = len(failed)
    return SuiteResult(
        NAME, FAILED, tests=count, failures=count, seconds=seconds, reports=files, reason=reason, output=output
    )


def _parsed(box: Box) -> Parsed:
    log = read_report(Path(box.reports, boxes.LOG), boxes.LOG) or b""
    return planner.parse(log.decode(errors="replace"))


def _refuse_unreadable(project: Project) -> None:
    """Raise InputError for a baseline that cannot be read, before minutes are spent on measuring."""
    _stored(project)
    _stored_load(project)


def _stored(project: Project) -> dict[str, Any]:
    return read_baseline(baseline_file(project), "services")


def _stored_load(project: Project) -> dict[str, Any]:
    return read_baseline(load_tests.baseline_file(project), "values")


def _baseline(project: Project, before: Mapping[str, Box]) -> Mapping[str, Any]:
    """Return the baseline: measured again just now where its image is there, else as it was stored."""
    stored = _stored(project)
    if not stored:
        return {}
    services = dict(stored.get("services", {}))
    for name, box in before.items():
        again = _parsed(box)
        services[name] = {"machine": again.machine, "samples": again.samples}
    for name in sorted(set(services) - set(before)):
        note(f"{name}: the image of the baseline is gone; compared with what was measured then, on a machine as busy")
    return {**stored, "services": services}


def _compared(found: Mapping[str, Parsed], baseline: Mapping[str, Any], limit: float) -> list[Row]:
    rows: list[Row] = []
    for name, one in found.items():
        before = baseline.get("services", {}).get(name, {})
        alike = before.get("machine") == one.machine
        rows.extend(planner.compare(name, before.get("samples", {}) if alike else {}, one.samples, limit))
    return rows


def _outcome(
    found: Mapping[str, Parsed], silent: Sequence[str], baseline: Mapping[str, Any], rows: Sequence[Row]
) -> tuple[str, str]:
    if silent:
        return INVALID, f"{', '.join(silent)}: the baseline has benchmarks, and none was found in what was printed now"
    if not baseline:
        return PASSED, "no baseline to compare with: --save-baseline keeps one"
    for name, one in found.items():
        before = baseline.get("services", {}).get(name)
        if before and before.get("machine") != one.machine:
            return INVALID, (
                f"the baseline of {name} was measured on {before.get('machine')}, this is {one.machine}: "
                "--save-baseline keeps one of this machine"
            )
    return planner.judge(rows)


def _entry(project: Project, run: Run, found: Mapping[str, Parsed]) -> dict[str, Any]:
    return {
        "schema": "slipway/test.bench/v1",
        "time": now(),
        "run": run.id,
        "version": project.version.text,
        "environment": project.profile.environment,
        "services": {
            name: {"machine": one.machine, "samples": planner.plain(one.samples)} for name, one in found.items()
        },
    }


def _record(project: Project, run: Run, found: Mapping[str, Parsed]) -> None:
    append_json(history_file(project), _entry(project, run, found))


def _save(project: Project, run: Run, found: Mapping[str, Parsed], made: Sequence[Box]) -> None:
    """Keep the samples, and the images to measure again, as the baseline; other services keep theirs."""
    entry = _entry(project, run, found)
    entry["services"] = {**_stored(project).get("services", {}), **entry["services"]}
    env = {key: reveal(value) for key, value in project.profile.compose_env().items() if key.startswith("DOCKER_")}
    for box in made:
        project.runner.run(Command(("docker", "tag", box.image, _kept(project, box.service)), env=env))
    write_json(baseline_file(project), entry)


def _lines(path: Path) -> list[dict[str, Any]]:
    """Return the JSON lines of a history; one that is not whole is left out."""
    import json

    found = []
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    for line in text.splitlines():
        try:
            one = json.loads(line)
        except ValueError:
            continue
        if isinstance(one, dict):
            found.append(one)
    return found


def _load_rows(project: Project, limit: float) -> tuple[Row, ...]:
    found = planner.load_rows(_lines(load_tests.history_file(project)), _stored_load(project), limit)
    if any(one.verdict == planner.FEW for one in found):
        needed = planner.samples_needed(len(planner.LATENCIES))
        note(f"load tests: too few to tell a change; it takes {needed} of each version")
    return found


def _write(project: Project, run: Run, rows: Sequence[Row]) -> tuple[str, ...]:
    """Write the comparison as JSON and the history as a page; returns their names."""
    directory = run.suite(NAME)
    document = {"schema": "slipway/test.bench/v1", "run": run.id, "benchmarks": [one.document() for one in rows]}
    write_json(directory / "result.json", document)
    parts = [plot.table(_HEADERS, [_cells(one) for one in rows]), *_charts(project)]
    (directory / "plot.html").write_text(plot.page(f"Benchmarks {run.id}", parts), encoding="utf-8")
    return tuple(run.relative(directory / name) for name in ("result.json", "plot.html"))


def _charts(project: Project) -> Iterator[str]:
    """Yield a chart of each benchmark over the runs, and of the load tests."""
    series: dict[tuple[str, str], list[tuple[float, float]]] = {}
    history = [one for one in _lines(history_file(project)) if one.get("environment") == project.profile.environment]
    for number, entry in enumerate(history, 1):
        for service, measured in entry.get("services", {}).items():
            for name, units in measured.get("samples", {}).items():
                if units.get("ns/op"):
                    point = (float(number), statistic.median(units["ns/op"]))
                    series.setdefault((service, name), []).append(point)
    for (service, name), points in series.items():
        yield plot.chart(f"{service}: {name}, median by run", "ns", [plot.Line("ns/op", tuple(points))])
    loads: dict[str, list[Mapping[str, float]]] = {}
    for entry in _lines(load_tests.history_file(project)):
        loads.setdefault(f"{entry.get('environment')}: {entry.get('key')}", []).append(entry.get("values", {}))
    for title, values in loads.items():
        lines = [
            plot.Line(name, tuple((float(x), one[name] * 1e3) for x, one in enumerate(values, 1) if name in one))
            for name in ("p50", "p95", "p99")
        ]
        yield plot.chart(f"Load on {title}, by run", "ms", lines)


_HEADERS = ("SERVICE", "BENCHMARK", "UNIT", "OLD", "NEW", "CHANGE", "P", "")


def _cells(row: Row) -> tuple[str, ...]:
    p = "-" if row.p is None else f"{row.p:.3f}"
    old, new = planner.show_value(row.old, row.unit), planner.show_value(row.new, row.unit)
    return (row.service, row.name, row.unit, old, new, planner.show_delta(row), p, row.verdict)


def _table(rows: Sequence[Row]) -> None:
    emit_table(_HEADERS, [_cells(one) for one in rows])
