"""Sends requests to a running environment, and asks the stores of its monitoring what they know of them."""

import itertools
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from invoke import Context

from ..host.engine.connection import NotThereError
from ..host.output import emit_table, note
from ..host.project import Project
from ..host.reports import Run, new_run, write_json
from ..model.engine.facts import MONITORS_LABEL, Container
from ..model.errors import SlipwayError
from ..model.suite import FAILED, PASSED, SKIPPED, SuiteResult
from ..model.units import parse_duration
from ..telemetry.jaeger import Jaeger
from ..telemetry.plan.log_fields import fields
from ..telemetry.plan.queries import selector
from ..telemetry.plan.servers import metrics_of, with_known_servers
from ..telemetry.prometheus import Prometheus
from ..telemetry.stores import PROMETHEUS
from . import smoke
from .plan import junit
from .plan import telemetry as plan
from .plan.telemetry import Aim, Evidence, Expected, Sent, TelemetryRow

NAME = "telemetry"
SCHEMA = "slipway/test.telemetry/v1"
REASON = "it asks a running environment, of which sources say nothing"
"""Why the suite runs again though no source has changed."""
_REQUESTS = 24  # in all
_AT_ONCE = 4  # requests in parallel
_READINGS = 4  # of the metrics, that are waited for at least
_LEAST = 60.0  # seconds
_AGAIN = 1.0  # seconds between two questions
_OPENED = 20  # exemplars at most


def run(c: Context, env: str, wait: str, json: bool) -> None:
    """Prove that the stores know of requests; raises CheckError that names what is missing, RefusedError without them.

    ``wait`` is how long they are asked, such as ``90s``, "" for as long as metrics are read several times.
    """
    from . import report as test_report

    project = Project(c, env)
    seconds = parse_duration(wait, "--wait") if wait else _patience(project)
    if project.runner.dry:
        _show(project)
        return
    stores = _Stores(project)  # without monitoring nothing is recorded
    run = new_run(project.settings)
    result, rows = _execute(project, run, stores, seconds)
    if not json:
        emit_table(
            ("SERVICE", "STORE", "CHECK", "RESULT", ""),
            [(row.service, row.store, row.check, row.outcome, row.reason) for row in rows],
        )
    more = {"checks": [row.document() for row in rows]}
    test_report.report([result], run, json, schema=SCHEMA, more=more)


def execute(project: Project, run: Run, seconds: float | None = None) -> SuiteResult:
    """Return the result of the suite; raises RefusedError when the monitoring does not run.

    ``seconds`` is how long the stores are asked, None for as long as metrics are read several times.
    """
    stores = _Stores(project)
    return _execute(project, run, stores, _patience(project) if seconds is None else seconds)[0]


def monitored(project: Project) -> bool:
    """Whether the monitoring of an environment is on: its Prometheus runs."""
    containers = project.engine.labelled(f"{MONITORS_LABEL}={project.stack.project}")
    return any(container.service == PROMETHEUS and container.state == "running" for container in containers)


def _patience(project: Project) -> float:
    """Return for how many seconds the stores are asked."""
    interval = parse_duration(project.profile.text("MONITOR_INTERVAL"), "MONITOR_INTERVAL")
    return max(_READINGS * interval, _LEAST)


def _show(project: Project) -> None:
    for aim in plan.aims(project.stack, project.wide.stack):
        project.runner.show(f"telemetry: {aim.check} from the {aim.check.origin}, with a trace that is recorded")
    project.runner.show(f"telemetry: ask Prometheus, Jaeger and the logs of {project.stack.project} for it")


def _execute(
    project: Project, run: Run, stores: "_Stores", seconds: float
) -> tuple[SuiteResult, tuple[TelemetryRow, ...]]:
    started = time.monotonic()
    wanted = plan.expected(with_known_servers(project.model), _environments(project.model))
    rows = _proved(stores, wanted, seconds)
    return _result(run, rows, time.monotonic() - started), rows


def _environments(model: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return the variables of each service, as Compose prints them."""
    services = model.get("services") or {}
    return {
        name: {key: str(value or "") for key, value in (service.get("environment") or {}).items()}
        for name, service in services.items()
    }


def _proved(stores: "_Stores", wanted: Expected, seconds: float) -> tuple[TelemetryRow, ...]:
    """Send the requests, and ask until nothing is missing or the time is over."""
    since, logs_since = stores.clock(), stores.log_clock()
    found = Evidence(since, stores.send())
    note(f"telemetry: {len(found.sent)} requests sent; the stores are asked for up to {seconds:g} s")
    deadline = time.monotonic() + seconds
    while True:
        found = stores.look(wanted, found, logs_since)
        rows = plan.judge(wanted, found)
        left = deadline - time.monotonic()
        # What was not answered is not answered later.
        if plan.complete(rows) or left <= 0 or rows[0].outcome == FAILED:
            return rows
        time.sleep(min(_AGAIN, left))


class _Stores:
    """The stores of the monitoring of an environment; raises RefusedError when they do not run."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._stack = with_known_servers(project.model)
        self._prometheus, self._jaeger = Prometheus.of(project), Jaeger.of(project)

    def clock(self) -> float:
        """Return the time on the host of the stores, in seconds since the epoch."""
        return self._prometheus.value("time()") or 0.0

    def log_clock(self) -> int:
        """Return the time from which lines of the logs count, in nanoseconds since the epoch."""
        return self._project.engine.logs.clock()

    def send(self) -> tuple[Sent, ...]:
        """Send requests in turn, each as the beginning of a trace of its own that is recorded."""
        project = self._project
        aims = plan.aims(project.stack, project.wide.stack)
        containers = {one.service: one.id for one in self._containers() if one.state == "running"}
        trusted = smoke.trusted_files(project)

        def send(aim: Aim) -> Sent:
            trace, span = os.urandom(16).hex(), os.urandom(8).hex()
            headers = {"traceparent": plan.traceparent(trace, span)}
            answer = smoke.asked(project, aim.service, containers.get(aim.service, ""), aim.check, trusted, headers)
            return Sent(aim, trace, answer.status, answer.error)

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return tuple(pool.map(send, itertools.islice(itertools.cycle(aims), _REQUESTS)))

    def look(self, wanted: Expected, found: Evidence, logs_since: int) -> Evidence:
        """Return what the stores know by now."""
        now = self.clock()
        exemplars = tuple(example for name in wanted.own for example in self._exemplars(name, found.since, now))
        asked = (*(one.trace for one in found.sent), *(one.trace for one in exemplars[:_OPENED]))
        traces = self._jaeger.traces(dict.fromkeys(asked))
        seen = {span.service for one in found.sent for span in traces.get(one.trace, ())}
        others = {name for name in wanted.traced.values() if name not in seen}
        lines, logged = self._logs(wanted, frozenset(one.trace for one in found.sent), logs_since)
        return replace(
            found,
            scraped=self._scraped(wanted),
            traces=traces,
            active=frozenset(name for name in others if self._jaeger.active(name, found.since, now)),
            exemplars=exemplars,
            lines=lines,
            logged=logged,
        )

    def _exemplars(self, service: str, since: float, until: float) -> Sequence[Any]:
        metrics = metrics_of(self._stack.service(service))
        chosen = selector(f"{metrics.duration}_bucket", service=service) if metrics else ""
        return self._prometheus.exemplars(chosen, since, until)

    def _scraped(self, wanted: Expected) -> dict[str, float]:
        """Return when the newest number of each service was read."""
        asked = {name: "up" for name in wanted.own}
        for name in wanted.exported:
            metrics = metrics_of(self._stack.service(name))
            asked[name] = plan.alive(metrics.exporter) if metrics else ""
        times = {
            name: self._newest(f"timestamp({selector(up, service=name)}) and {selector(up, service=name)} == 1")
            for name, up in asked.items()
        }
        for name in wanted.others:
            of = selector("container_memory_working_set_bytes", project=self._stack.project, service=name)
            times[name] = self._newest(f"timestamp({of})")
        return {name: moment for name, moment in times.items() if moment is not None}

    def _newest(self, expression: str) -> float | None:
        return self._prometheus.value(f"max({expression})")

    def _containers(self) -> list[Container]:
        found = self._project.engine.containers(self._project.stack.project)
        return [container for container in found if not container.oneoff]

    def _logs(
        self, wanted: Expected, traces: frozenset[str], since: int
    ) -> tuple[dict[str, int], dict[str, frozenset[str]]]:
        """Return how many lines are kept of each service, and which of the traces they name since a time."""
        counts: dict[str, int] = {}
        named: dict[str, frozenset[str]] = {}
        for container in self._containers():
            if container.service not in wanted.services:
                continue
            texts = list(self._texts(container, since))
            counts[container.service] = counts.get(container.service, 0) + len(texts)
            own = traces.intersection(fields(text).trace_id for text in texts)
            named[container.service] = named.get(container.service, frozenset()) | own
        return counts, named

    def _texts(self, container: Container, since: int) -> Iterator[str]:
        """Yield the lines since a time; when there are none, the last that is kept."""
        logs = self._project.engine.logs
        try:
            lines = list(logs.read(container.id, since)) or logs.last(container.id, 2)[0]
        except NotThereError:  # another container takes over
            return
        except SlipwayError as error:  # such as with the logging driver `none`
            note(f"{container.name}: its log cannot be read: {error.message}")
            return
        yield from (line.text for line in lines)


def _result(run: Run, rows: Sequence[TelemetryRow], seconds: float) -> SuiteResult:
    directory = run.suite(NAME)
    write_json(directory / "result.json", {"schema": SCHEMA, "checks": [row.document() for row in rows]})
    cases = [junit.Case(NAME, f"{row.store}: {row.check}", row.outcome, 0.0, row.reason, row.service) for row in rows]
    (directory / "junit.xml").write_text(junit.document(NAME, cases, seconds), encoding="utf-8")
    bad = [row for row in rows if row.outcome == FAILED]
    return SuiteResult(
        NAME,
        FAILED if bad else PASSED,
        tests=len(rows),
        failures=len(bad),
        skipped=sum(row.outcome == SKIPPED for row in rows),
        seconds=seconds,
        reports=tuple(run.relative(directory / name) for name in ("junit.xml", "result.json")),
        reason=f"missing: {plan.missing(rows)}" if bad else "",
        output="\n".join(_lines(bad)),
        failed=tuple(f"{row.service}: {row.store}: {row.check}" for row in bad),
    )


def _lines(rows: Iterable[TelemetryRow]) -> Iterator[str]:
    return (f"{row.service}: {row.store}: {row.check}: {row.reason}" for row in rows)
