"""Writes one page about what happened in a time."""

import math
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ...host.output import WARNING, emit, emit_json, note
from ...host.profile.text_files import replace_text
from ...host.project import Project
from ...model.engine.log_lines import SECOND
from ...model.errors import InputError
from ...model.moments import moment
from ...model.stack.stack import Service
from ...telemetry.plan import queries
from ...telemetry.plan.queries import Requests, selector
from ...telemetry.plan.servers import metrics_of
from ...telemetry.prometheus import Prometheus
from .gather import Measurements, chosen, clock, interval
from .plan import budget, happened, panels, routes
from .plan.chart import Chart, rfc3339
from .plan.figures import Period, ServiceFigures, period, remark, value
from .plan.page import MonitorReport, ServiceReport, page
from .plan.panels import Panel
from .plan.sources import EXPORTER, METRICS

_POINTS = 240  # of a curve
_FINE = 5000  # points in which alerts and versions are looked for: an alert may fire for a minute only


def run(project: Project, since: str, until: str, out: str, json: bool) -> None:
    """Write the page, and say where it is; raises InputError for a time that is none, or a file that cannot be."""
    path, every = _path(project, out), interval(project)
    prometheus = Prometheus.of(project)
    start, end = _times(since, until, clock(prometheus), every)
    measurements = Measurements(project, prometheus, period(start, end, every, _POINTS))
    report = _Report(project, measurements, every).made()
    replace_text(path, page(report), mode=0o644)
    if not any(one.figures.seen for one in report.services):
        note(f"no data of any service from {rfc3339(start)} to {rfc3339(end)}", WARNING)
    if json:
        emit_json(_document(report, project, path))
    else:
        emit(str(path))


def _times(since: str, until: str, now: float, every: float) -> tuple[float, float]:
    """Return when the time begins and ends, in seconds since the epoch; ``now`` is the end of one without an end."""
    at = round(now * SECOND)
    start = moment(since, "--since", at) / SECOND
    end = min(moment(until, "--until", at) / SECOND or now, now)
    if end - start < 4 * every:
        raise InputError(
            f"--since {since}{f' --until {until}' if until else ''}: less than four readings of the metrics",
            "--since 2h --until 1h",
        )
    return start, end


def _path(project: Project, out: str) -> Path:
    """Return where the page goes: a file that was named, else one for each environment in the reports directory."""
    if not out:
        path = project.settings.reports_dir / "monitor" / f"{project.stack.project}.html"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path
    path = Path(out).expanduser().absolute()
    if path.is_dir() or not path.parent.is_dir():
        raise InputError(f"--out {out}: no file can be written there", "name a file in a directory that exists")
    return path


class _Report:
    """Asks for all that the page shows."""

    def __init__(self, project: Project, measurements: Measurements, every: float) -> None:
        self._project, self._measurements, self._period = project, measurements, measurements.period
        length = self._period.length
        self._fine = Period(self._period.start, self._period.end, max(every, math.ceil(length / _FINE)), every)

    def made(self) -> MonitorReport:
        """Return all that the page shows."""
        services = chosen(self._project, ())
        figures = self._measurements.services(services, trends=False)
        builds, deploys, versions = (self._finely(asked) for asked in happened.TOLD)
        return MonitorReport(
            project=self._project.stack.project,
            environment=self._project.profile.environment,
            during=self._period,
            made=time.time(),
            services=tuple(self._service(one, known) for one, known in zip(services, figures, strict=True)),
            host=self._charts(panels.of_host(self._project.stack.project, self._period.window)),
            marks=happened.releases(builds, deploys, versions, self._fine),
            objectives=budget.objectives({name: self._ask(asked) for name, asked in budget.EXPRESSIONS.items()}),
            alerts=happened.fired(self._finely(happened.FIRING), self._fine),
            restarts=happened.restarted(self._increase("container_restarts_total"),
                                        self._increase("container_oom_kills_total")),
        )  # fmt: skip

    def _ask(self, expression: str) -> Any:
        return self._measurements.ask(expression)

    def _finely(self, expression: str) -> Any:
        fine = self._fine
        return self._measurements.prometheus.query_range(expression, fine.start, fine.end, fine.step)

    def _increase(self, metric: str) -> Any:
        chosen = selector(metric, project=self._project.stack.project)
        return self._ask(f"sum by (container) (increase({chosen}[{queries.span(self._period.length)}]))")

    def _service(self, service: Service, figures: ServiceFigures) -> ServiceReport:
        metrics, length, window = metrics_of(service), self._period.length, self._period.window
        source = self._measurements.source(service, figures.kind, window)
        plotted = [*(panels.of_requests(source) if source and source.kind != EXPORTER else ())]
        if metrics and metrics.exporter:
            plotted += panels.of_exporter(metrics.exporter, service.name, window)
        plotted += panels.of_containers(self._project.stack.project, service.name, window)
        counted = metrics if figures.kind == METRICS else None
        asked = routes.expressions(service.name, counted, length) if counted else {}
        return ServiceReport(
            figures=figures,
            requests=value(self._ask(Requests.of(service.name, counted).count(length))) if counted else None,
            charts=self._charts(plotted),
            routes=routes.slowest({name: self._ask(expression) for name, expression in asked.items()}) if asked else (),
            remark=remark(figures, metrics, length),
        )

    def _charts(self, plotted: Iterable[Panel]) -> tuple[Chart, ...]:
        return tuple(
            panels.chart(panel, [self._measurements.over_time(asked) for _, asked in panel.lines], self._period)
            for panel in plotted
        )


def _document(report: MonitorReport, project: Project, path: Path) -> dict[str, Any]:
    """Return what the page shows as JSON data, without the curves."""
    metrics = {service.name: metrics_of(service) for service in chosen(project, ())}
    length = report.during.length
    return {
        "schema": "slipway/monitor.report/v1",
        "environment": report.environment,
        "since": rfc3339(report.during.start),
        "until": rfc3339(report.during.end),
        "file": str(path),
        "services": [
            {
                **_without_trends(one.figures.document(metrics[one.figures.service], length)),
                "requests": one.requests,
                "routes": [route.document() for route in one.routes],
            }
            for one in report.services
        ],
        "releases": [mark.document() for mark in report.marks],
        "objectives": [one.document() for one in report.objectives],
        "alerts": [one.document() for one in report.alerts],
        "restarts": [one.document() for one in report.restarts],
    }


def _without_trends(document: dict[str, Any]) -> dict[str, Any]:
    return {name: member for name, member in document.items() if name != "trends"}
