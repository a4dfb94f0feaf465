"""The page of ``monitor.report``: HTML that loads nothing, runs no script, and can be read without seeing a curve."""

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from ....model.record import Record
from . import shown
from .budget import ErrorBudget
from .chart import Chart, Mark, moment, svg
from .figures import Period, ServiceFigures
from .happened import Fired, Restarted
from .html_table import table
from .routes import Route

_STYLE = """
:root{color-scheme:light dark;--ink:#1c2430;--soft:#5a6573;--line:#d9dee3;--back:#fff;--plane:#f5f7f9;--bad:#b3261e;
--mark:#7a3db8;--c0:#0b62a8;--c1:#b45309;--c2:#b3261e;--c3:#1f7a3d;--c4:#7a3db8;--c5:#5a6573}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ed;--soft:#a3adb9;--line:#39424d;--back:#14181d;--plane:#1e242b;
--bad:#ff8a80;--mark:#c79bff;--c0:#6cb6ff;--c1:#f0b061;--c2:#ff8a80;--c3:#6fd08c;--c4:#c79bff;--c5:#a3adb9}}
body{font:16px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:62rem;padding:0 1rem;color:var(--ink);
background:var(--back)}
h1{margin-bottom:.2rem}h2{margin-top:2.4rem;border-bottom:1px solid var(--line)}h3{margin:1.2rem 0 0;font-size:1rem}
.about,.none{color:var(--soft)}.bad{color:var(--bad);font-weight:600}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:.9rem;margin:.6rem 0}
td,th{text-align:left;vertical-align:top;white-space:nowrap;
padding:.3rem .9rem .3rem 0;border-bottom:1px solid var(--line)}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}.long{white-space:normal;display:block;min-width:16rem}
svg{width:100%;height:auto;display:block}.wide>svg{min-width:36rem}
svg text{font-size:11px;fill:var(--soft)}svg text.mark{fill:var(--mark)}
.grid{stroke:var(--line);fill:none}.gap{fill:var(--plane)}.curve{fill:none;stroke-width:1.8}
.mark.release{stroke:var(--mark);stroke-dasharray:3 3;fill:none}.mark.failure{stroke:var(--bad);fill:none}
.keys{margin:.1rem 0;padding:0;list-style:none;font-size:.85rem;color:var(--soft)}.keys li{display:inline-block}
.keys li{margin-right:1.2rem}.keys svg{display:inline;min-width:0;width:2rem;height:.6rem;margin-right:.4rem}
.c0{stroke:var(--c0)}.c1{stroke:var(--c1);stroke-dasharray:7 3}.c2{stroke:var(--c2);stroke-dasharray:2 2}
.c3{stroke:var(--c3);stroke-dasharray:9 3 2 3}.c4{stroke:var(--c4);stroke-dasharray:4 4}.c5{stroke:var(--c5)}
.dot.c0{fill:var(--c0)}.dot.c1{fill:var(--c1)}.dot.c2{fill:var(--c2)}.dot.c3{fill:var(--c3)}.dot.c4{fill:var(--c4)}
.dot.c5{fill:var(--c5)}.dot{stroke:none}
summary{cursor:pointer;color:var(--soft);font-size:.9rem}
@media print{details{display:block}body{max-width:none}}
"""
_ROWS = 24  # of a table with the figures of curves, at most


class ServiceReport(Record):
    """What is known of a service: its figures of the whole period, charts, routes; ``requests`` were counted in it."""

    figures: ServiceFigures
    requests: float | None
    charts: tuple[Chart, ...]
    routes: tuple[Route, ...]
    remark: str


class MonitorReport(Record):
    """All that the page shows. ``made`` is when it was made, seconds since the epoch."""

    project: str
    environment: str
    during: Period
    made: float
    services: tuple[ServiceReport, ...]
    host: tuple[Chart, ...]
    marks: tuple[Mark, ...]
    objectives: tuple[ErrorBudget, ...]
    alerts: tuple[Fired, ...]
    restarts: tuple[Restarted, ...]


def page(report: MonitorReport) -> str:
    """Return the page, with every text escaped."""
    title = f"{report.project}: what happened"
    during = f"{moment(report.during.start)} to {moment(report.during.end)} UTC"
    parts = [
        f"<h1>{escape(title)}</h1>",
        f"<p class=about>Environment {escape(report.environment)} · {during} · made {moment(report.made)}</p>",
        _summary(report),
        "<h2>Releases</h2>",
        _releases(report.marks),
        "<h2>Service level objectives</h2>",
        _objectives(report.objectives),
        "<h2>Alerts that fired</h2>",
        _alerts(report.alerts, report.during),
        *(part for number, one in enumerate(report.services) for part in _service(one, report.marks, number)),
        "<h2>Host</h2>",
        *_charts(report.host, report.marks, "host"),
        "<h2>Restarts</h2>",
        _restarts(report.restarts),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><main>{''.join(parts)}</main></body></html>\n"
    )


def _none(sentence: str) -> str:
    return f'<p class="none">{escape(sentence)}</p>'


def _summary(report: MonitorReport) -> str:
    headers = ("Service", "Counted", "Requests#", "Rate#", "Errors#", "p50#", "p95#", "p99#", "CPU#", "Memory#")
    rows = [
        (
            escape(one.service),
            escape(one.unit if one.rate is not None else shown.NO_DATA),
            shown.number(service.requests if service.requests is None else round(service.requests)),
            shown.rate(one.rate),
            _marked(shown.share(one.errors), (one.errors or 0) >= 0.01),
            shown.seconds(one.p50),
            shown.seconds(one.p95),
            shown.seconds(one.p99),
            shown.NO_DATA if one.cores is None else f"{one.cores:.2f}",
            shown.share(one.memory) if one.memory is not None else shown.size(one.bytes),
        )
        for service in report.services
        for one in (service.figures,)
    ]
    remarks = "".join(_none(f"{one.figures.service}: {one.remark}") for one in report.services if one.remark)
    return table("The services over the whole time", headers, rows) + remarks


def _marked(text: str, bad: bool) -> str:
    return f'<span class="bad">{escape(text)}</span>' if bad else escape(text)


def _releases(marks: Sequence[Mark]) -> str:
    if not marks:
        return _none("No deploy is known, and no service said that it is another version.")
    rows = [
        (str(number), moment(mark.time), _marked(mark.text, mark.kind == "failure"))
        for number, mark in enumerate(marks, 1)
    ]
    return table("Releases", ("No.#", "Time (UTC)", "What"), rows)


def _objectives(objectives: Sequence[ErrorBudget]) -> str:
    if not objectives:
        return _none("No data: no service has an objective (x-slipway.slo), or none was measured yet.")
    rows = [
        (
            escape(one.service),
            escape(one.name),
            shown.NO_DATA if one.objective is None else f"{100 * one.objective:g} %",
            _marked(_left(one.left), one.left is not None and one.left < 0.1),
            shown.NO_DATA if one.burn is None else f"{one.burn:.2f}",
        )
        for one in objectives
    ]  # fmt: skip
    return table("Objectives", ("Service", "Objective", "Goal#", "Error budget left#", "Burn rate now#"), rows)


def _left(left: float | None) -> str:
    """Return what is left of a budget, or how many times it was spent."""
    return shown.share(left) if left is None or left >= 0 else f"spent {1 - left:,.1f} times"


def _alerts(alerts: Sequence[Fired], during: Period) -> str:
    if not alerts:
        return _none("None.")
    rows = [
        (
            escape(one.name),
            _marked(one.severity or shown.NO_DATA, one.severity in ("critical", "page")),
            f'<span class="long">{escape(one.labels) or shown.NO_DATA}</span>',
            moment(one.start) if one.start > during.start else f"before {moment(one.start)}",
            "still" if one.still else moment(one.end),
            shown.length(max(one.end - one.start, during.step)),
        )
        for one in alerts
    ]
    return table("Alerts", ("Alert", "Severity", "What of", "From (UTC)", "To (UTC)", "For#"), rows)


def _restarts(restarts: Sequence[Restarted]) -> str:
    if not restarts:
        return _none("No container was started again by the engine.")
    rows = [
        (escape(one.container), str(one.restarts), _marked(str(one.out_of_memory), one.out_of_memory > 0))
        for one in restarts
    ]
    return table("Restarts", ("Container", "Restarts#", "Out of memory#"), rows)


def _service(one: ServiceReport, marks: Sequence[Mark], number: int) -> Iterator[str]:
    yield f"<h2>{escape(one.figures.service)}</h2>"
    if one.remark:
        yield _none(f"{one.remark[:1].upper()}{one.remark[1:]}.")
    yield from _charts(one.charts, marks, f"s{number}")
    if one.routes:
        yield "<h3>Slowest routes</h3>"
        rows = [
            (
                escape(f"{route.method} {route.route}".strip()) or "all (its requests have no label http_route)",
                shown.number(None if route.requests is None else round(route.requests)),
                _marked(shown.share(route.errors), (route.errors or 0) >= 0.01),
                shown.seconds(route.p99),
            )
            for route in one.routes
        ]
        yield table("Slowest routes", ("Route", "Requests#", "Errors#", "p99#"), rows)


def _charts(charts: Sequence[Chart], marks: Sequence[Mark], name: str) -> Iterator[str]:
    """Yield charts with their keys, and a table with the figures of all of them."""
    for number, chart in enumerate(charts):
        yield f"<h3>{escape(chart.title)}</h3>"
        yield f'<div class="wide">{svg(chart, marks, f"{name}-{number}")}</div>'
        if chart.has_data:
            yield _keys(chart)
    if any(chart.has_data for chart in charts):
        yield f"<details><summary>The figures as a table</summary>{_figures(charts)}</details>"


def _keys(chart: Chart) -> str:
    items = "".join(
        f'<li><svg viewBox="0 0 32 8" aria-hidden="true"><path class="curve c{number}" d="M0 4H32"/></svg>'
        f"{escape(curve.name)}{'' if curve.known else ' (no data)'}</li>"
        for number, curve in enumerate(chart.curves)
    )
    return f'<ul class="keys">{items}</ul>'


def _figures(charts: Sequence[Chart]) -> str:
    """Return a table of curves: each row is a part of the time, with the highest value in it."""
    shown_charts = [chart for chart in charts if chart.has_data]
    times = shown_charts[0].during.times
    size = -(-len(times) // _ROWS)
    headers = ["From (UTC)", *(f"{chart.title}: {curve.name}#" for chart in shown_charts for curve in chart.curves)]
    rows = []
    for at in range(0, len(times), size):
        parts = [(chart, curve.values[at : at + size]) for chart in shown_charts for curve in chart.curves]
        cells = [escape(chart.spelled(_highest(values))) for chart, values in parts]
        rows.append((moment(times[at]), *cells))
    note = "" if size == 1 else _none(f"Each row is the highest of {size} values.")
    return table("Figures", headers, rows) + note


def _highest(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)
