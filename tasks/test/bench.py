"""Runs benchmarks in the tester stage and compares them with the baseline."""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from invoke import Context

from ..host.output import emit_table, note
from ..host.project import Project
from ..host.reports import Run, append_json, new_run, now, planned_run, read_baseline, read_report, write_json
from ..model.command import Command
from ..model.compose import docker_env
from ..model.errors import InputError
from ..model.reference import split_reference
from ..model.suite import FAILED, INVALID, PASSED, SKIPPED, SuiteResult
from ..sandbox import container
from ..sandbox.plan.container import Box, ContainerResult
from . import load, unit
from .plan import bench, plot, significance
from .plan.bench import BenchOutput, BenchRow

NAME = "bench"
_SHELL = "sh"
_MOST = 50  # runs of each benchmark


def history_file(project: Project) -> Path:
    """Return the history file: every run of the benchmarks as a line of JSON."""
    return project.settings.reports_dir / "history" / "bench.jsonl"


def baseline_file(project: Project) -> Path:
    """Return the file with the samples to compare with.

    It is in the reports directory, not under version control: values of different machines cannot be compared.
    """
    return project.settings.reports_dir / "baselines" / f"bench-{project.profile.environment}.json"


def run(c: Context, env: str, services: tuple[str, ...], count: int, save_baseline: bool, json: bool) -> None:
    """Run the benchmarks and report the changes; raises CheckError on a significant regression."""
    from . import report

    least = bench.samples_needed()
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
    report.report([result], run, json, schema="slipway/test.bench/v1", more=more)


def execute(
    project: Project, run: Run, services: tuple[str, ...] = (), count: int = 6, save_baseline: bool = False
) -> SuiteResult:
    """Run the benchmarks of the selected services ``count`` times and compare them with the baseline."""
    return _execute(project, run, services, count, save_baseline)[0]


def _execute(
    project: Project, run: Run, services: tuple[str, ...], count: int, save: bool
) -> tuple[SuiteResult, tuple[BenchRow, ...]]:
    started = time.monotonic()
    chosen = project.stack.built(services)
    measured, without = unit.with_stage(project, chosen)
    for name in without:
        note(f"{name}: skipped, its Dockerfile has no tester stage")
    if not measured:
        return SuiteResult(NAME, SKIPPED, reason="no service has a tester stage"), ()
    container.refuse_remote(project)
    targets = container.build(project, {service.name: service.slipway.tester_target for service in measured})
    arguments = bench.arguments(count, project.profile.text("BENCH_TIME"))
    boxes = [
        container.box(
            project, run, NAME, service, targets[service.name].reference, arguments=arguments, entrypoint=_SHELL
        )
        for service in measured
    ]
    if not project.runner.dry:
        container.remove_stale(project)
    before = _before(project, run, boxes, arguments)
    results: list[ContainerResult] = []
    for box in boxes:
        # Services run one after the other, but the old and the new code of a service run in parallel, so that other
        # load on the machine affects both.
        pair = [box, before[box.service]] if box.service in before else [box]
        results += container.run_all(project, run, pair, lambda _: "")
    if project.runner.dry:
        return SuiteResult(NAME, SKIPPED, reason="dry run"), ()
    return _judge(project, run, boxes, before, results, save, time.monotonic() - started)


def _baseline_image(project: Project, service: str) -> str:
    """Return the reference of the image with the code of the baseline."""
    repository, tag = split_reference(project.stack.service(service).image)
    return f"{repository}:{tag}-{NAME}-baseline"


def _before(project: Project, run: Run, boxes: Sequence[Box], arguments: tuple[str, ...]) -> dict[str, Box]:
    """Return the containers that measure the baseline's code again, for the services whose image still exists."""
    baseline_boxes = {}
    for box in boxes:
        image = _baseline_image(project, box.service)
        if baseline_file(project).exists() and project.engine.image(image) is not None:
            service = project.stack.service(box.service)
            kind = f"{NAME}-baseline"
            baseline_boxes[box.service] = container.box(
                project, run, kind, service, image, arguments=arguments, entrypoint=_SHELL
            )
    return baseline_boxes


def _judge(
    project: Project,
    run: Run,
    boxes: Sequence[Box],
    before: Mapping[str, Box],
    results: Sequence[ContainerResult],
    save: bool,
    seconds: float,
) -> tuple[SuiteResult, tuple[BenchRow, ...]]:
    failed = [result for result in results if result.exit_code or result.stopped or result.oom_killed]
    if failed:
        return _failure(run, failed, seconds), ()
    parsed = {box.service: _parsed(box) for box in boxes}
    outputs = {name: output for name, output in parsed.items() if output.samples}
    baseline = _baseline(project, before)
    if not outputs and not set(baseline.get("services", {})) & set(parsed):
        return SuiteResult(NAME, SKIPPED, seconds=seconds, reason="no service has benchmarks"), ()
    limit = float(project.profile.text("BENCH_REGRESSION_MAX"))
    loads = _load_rows(project, limit)
    rows = [*_compared(outputs, baseline, limit), *loads]
    silent = sorted(set(baseline.get("services", {})) & set(parsed) - set(outputs))
    outcome, reason = _outcome(outputs, silent, baseline, bench.judged_rows(rows, loads))
    _record(project, run, outputs)
    if save and not silent:
        _save(project, run, outputs, boxes)
        outcome, reason = PASSED, "saved as the baseline"
    files = _write(project, run, rows)
    files += tuple(run.relative(Path(box.reports, container.LOG)) for box in boxes)
    return _result(outcome, reason, rows, files, seconds), tuple(rows)


def _result(outcome: str, reason: str, rows: Sequence[BenchRow], files: tuple[str, ...], seconds: float) -> SuiteResult:
    worse = [row for row in rows if row.verdict == bench.SLOWER] if outcome == FAILED else []
    return SuiteResult(
        NAME,
        outcome,
        tests=len(rows),
        failures=len(worse),
        seconds=seconds,
        reports=files,
        reason=reason,
        output="\n".join(" ".join(map(str, _cells(row))) for row in worse),
    )


def _failure(run: Run, failed: Sequence[ContainerResult], seconds: float) -> SuiteResult:
    def why(result: ContainerResult) -> str:
        if result.oom_killed:
            return f"killed: it needed more than TEST_MEMORY={result.memory}"
        return result.stopped or f"the benchmarks ended with exit code {result.exit_code}"

    files = tuple(run.relative(path) for path in sorted(run.suite(NAME).rglob("*")) if path.is_file())
    reason = "; ".join(f"{result.service}: {why(result)}" for result in failed)
    output = "\n".join(result.log for result in failed)
    count = len(failed)
    return SuiteResult(
        NAME, FAILED, tests=count, failures=count, seconds=seconds, reports=files, reason=reason, output=output
    )


def _parsed(box: Box) -> BenchOutput:
    log = read_report(Path(box.reports, container.LOG), container.LOG) or b""
    return bench.parse(log.decode(errors="replace"))


def _refuse_unreadable(project: Project) -> None:
    """Raise InputError for a baseline that cannot be read, before minutes are spent on benchmarks."""
    _stored(project)
    _stored_load(project)


def _stored(project: Project) -> dict[str, Any]:
    return read_baseline(baseline_file(project), "services")


def _stored_load(project: Project) -> dict[str, Any]:
    return read_baseline(load.baseline_file(project), "values")


def _baseline(project: Project, before: Mapping[str, Box]) -> Mapping[str, Any]:
    """Return the baseline: as measured again in this run for services whose image still exists, else as stored."""
    stored = _stored(project)
    if not stored:
        return {}
    services = dict(stored.get("services", {}))
    for name, box in before.items():
        again = _parsed(box)
        services[name] = {"machine": again.machine, "samples": again.samples}
    for name in sorted(set(services) - set(before)):
        note(f"{name}: the image of the baseline is gone: compared with the stored values, whatever the load was then")
    return {**stored, "services": services}


def _compared(outputs: Mapping[str, BenchOutput], baseline: Mapping[str, Any], limit: float) -> list[BenchRow]:
    rows: list[BenchRow] = []
    for name, output in outputs.items():
        before = baseline.get("services", {}).get(name, {})
        alike = before.get("machine") == output.machine
        rows.extend(bench.compare(name, before.get("samples", {}) if alike else {}, output.samples, limit))
    return rows


def _outcome(
    outputs: Mapping[str, BenchOutput], silent: Sequence[str], baseline: Mapping[str, Any], rows: Sequence[BenchRow]
) -> tuple[str, str]:
    if silent:
        return INVALID, f"{', '.join(silent)}: the baseline has benchmarks, the output of this run has none"
    if not baseline:
        return PASSED, "no baseline to compare with: save one with --save-baseline"
    for name, output in outputs.items():
        before = baseline.get("services", {}).get(name)
        if before and before.get("machine") != output.machine:
            return INVALID, (
                f"the baseline of {name} was measured on {before.get('machine')}, this is {output.machine}: "
                "save one of this machine with --save-baseline"
            )
    return bench.judge(rows)


def _entry(project: Project, run: Run, outputs: Mapping[str, BenchOutput]) -> dict[str, Any]:
    return {
        "schema": "slipway/test.bench/v1",
        "time": now(),
        "run": run.id,
        "version": project.version.text,
        "environment": project.profile.environment,
        "services": {
            name: {"machine": output.machine, "samples": bench.plain(output.samples)}
            for name, output in outputs.items()
        },
    }


def _record(project: Project, run: Run, outputs: Mapping[str, BenchOutput]) -> None:
    append_json(history_file(project), _entry(project, run, outputs))


def _save(project: Project, run: Run, outputs: Mapping[str, BenchOutput], boxes: Sequence[Box]) -> None:
    """Save the samples and the images as the baseline; services that did not run keep their baseline."""
    entry = _entry(project, run, outputs)
    entry["services"] = {**_stored(project).get("services", {}), **entry["services"]}
    env = docker_env(project.profile)
    for box in boxes:
        project.runner.run(Command(("docker", "tag", box.image, _baseline_image(project, box.service)), env=env))
    write_json(baseline_file(project), entry)


def _lines(path: Path) -> list[dict[str, Any]]:
    """Return the entries of a history file; a line that is not a JSON object is left out."""
    import json

    entries = []
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            entries.append(entry)
    return entries


def _load_rows(project: Project, limit: float) -> tuple[BenchRow, ...]:
    rows = bench.load_rows(_lines(load.history_file(project)), _stored_load(project), limit)
    if any(row.verdict == bench.FEW for row in rows):
        needed = bench.samples_needed(len(bench.LATENCIES))
        note(f"load tests: too few to tell a change; it takes {needed} of each version")
    return rows


def _write(project: Project, run: Run, rows: Sequence[BenchRow]) -> tuple[str, ...]:
    """Write the comparison as JSON and the history as an HTML page; return the paths of both files."""
    directory = run.suite(NAME)
    document = {"schema": "slipway/test.bench/v1", "run": run.id, "benchmarks": [row.document() for row in rows]}
    write_json(directory / "result.json", document)
    parts = [plot.table(_HEADERS, [_cells(row) for row in rows]), *_charts(project)]
    (directory / "plot.html").write_text(plot.page(f"Benchmarks {run.id}", parts), encoding="utf-8")
    return tuple(run.relative(directory / name) for name in ("result.json", "plot.html"))


def _charts(project: Project) -> Iterator[str]:
    """Yield a chart of each benchmark, and of each kind of load test, over the runs."""
    series: dict[tuple[str, str], list[tuple[float, float]]] = {}
    history = [
        entry for entry in _lines(history_file(project)) if entry.get("environment") == project.profile.environment
    ]
    for number, entry in enumerate(history, 1):
        for service, measured in entry.get("services", {}).items():
            for name, units in measured.get("samples", {}).items():
                if units.get("ns/op"):
                    point = (float(number), significance.median(units["ns/op"]))
                    series.setdefault((service, name), []).append(point)
    for (service, name), points in series.items():
        yield plot.chart(f"{service}: {name}, median by run", "ns", [plot.Line("ns/op", tuple(points))])
    loads: dict[str, list[Mapping[str, float]]] = {}
    for entry in _lines(load.history_file(project)):
        loads.setdefault(f"{entry.get('environment')}: {entry.get('key')}", []).append(entry.get("values", {}))
    for title, tests in loads.items():
        lines = []
        for name in ("p50", "p95", "p99"):
            points = [(float(x), values[name] * 1e3) for x, values in enumerate(tests, 1) if name in values]
            lines.append(plot.Line(name, tuple(points)))
        yield plot.chart(f"Load on {title}, by run", "ms", lines)


_HEADERS = ("SERVICE", "BENCHMARK", "UNIT", "OLD", "NEW", "CHANGE", "P", "")


def _cells(row: BenchRow) -> tuple[str, ...]:
    p = "-" if row.p is None else f"{row.p:.3f}"
    old, new = bench.show_value(row.old, row.unit), bench.show_value(row.new, row.unit)
    return (row.service, row.name, row.unit, old, new, bench.show_delta(row), p, row.verdict)


def _table(rows: Sequence[BenchRow]) -> None:
    emit_table(_HEADERS, [_cells(row) for row in rows])
