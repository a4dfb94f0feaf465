"""Dashboards of Grafana as data: what is wrong with one, and what its panels ask.

A file is called after what it is about, as files of rules are: a project without such a job needs no data in it.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import combinations
from typing import Any

from ...model.errors import InputError
from ...model.lazy_pattern import lazy_pattern
from ...model.record import Record
from ...model.stack.telemetry.metrics import DURATION, Metrics
from .promql import PromQLError, selectors
from .rules import job, may_be_absent

_WIDTH = 24  # columns of a dashboard
_NO_DATA = ("row", "text")  # kinds of panels that ask nothing
_BUILT_IN = {
    "__rate_interval": "1m",
    "__interval": "1m",
    "__range": "1h",
    "__interval_ms": "60000",
    "__range_s": "3600",
}
_VARIABLE = lazy_pattern(r"\$(?:\{(\w+)(?::\w+)?\}|(\w+))")
_LABEL_VALUES = lazy_pattern(r"label_values\((?:(.+),\s*)?(\w+)\)")
_ALL = ".+"


class PanelQuery(Record):
    """What a panel, an annotation or a variable asks: an expression with values for the variables in it.

    ``file`` is that of the dashboard, without its ending; ``may_be_absent``: not every project has such series.
    """

    file: str
    panel: str
    expression: str
    may_be_absent: bool


def applicable(dashboards: Mapping[str, Any], jobs: Collection[str]) -> dict[str, Any]:
    """Return the dashboards about what a project has: ``jobs`` are those of its exporters, and ``rules.SERVICES``."""
    return {file: dashboard for file, dashboard in dashboards.items() if job(file) in jobs}


def usual_metrics(metrics: Iterable[Metrics]) -> tuple[str, ...]:
    """Return the metrics that nothing has where all services that measure their requests have names of their own."""
    durations = {one.duration for one in metrics if not one.exporter}
    return () if not durations or DURATION in durations else (f"{DURATION}_count", f"{DURATION}_bucket")


def queries(
    dashboards: Mapping[str, Any], values: Mapping[str, str] | None = None, absent: Collection[str] = ()
) -> tuple[PanelQuery, ...]:
    """Return what the dashboards ask, by the name of their file; a variable without a value stands for everything.

    ``absent`` are metrics that nothing in the project has, such as those for which its services have names of their
    own. Raises InputError for an expression that Prometheus would not accept.
    """
    found = []
    for file, dashboard in dashboards.items():
        for panel, expression in _asked(dashboard):
            text = substituted(expression, values or {})
            try:
                metrics = {selector.metric for selector in selectors(text)}
            except PromQLError as error:
                raise InputError(f"{file}: {panel}: {error}", "correct the expression of the panel") from None
            optional = any(may_be_absent(metric) or metric in absent for metric in metrics)
            found.append(PanelQuery(file, panel, text, optional))
    return tuple(found)


def substituted(expression: str, values: Mapping[str, str]) -> str:
    """Return an expression with values for its variables: as given, Grafana's own, or what stands for everything."""
    known = {**_BUILT_IN, **values}
    return _VARIABLE.sub(lambda match: known.get(match[1] or match[2], _ALL), expression)


def faults(dashboards: Mapping[str, Any], sources: Collection[str]) -> tuple[str, ...]:
    """Return what is wrong with the dashboards, one sentence each; ``sources`` are the ids of the data sources."""
    found = []
    for key in ("uid", "title"):
        count = Counter(dashboard.get(key) for dashboard in dashboards.values())
        found += [
            f"{key} {value!r} has {number} dashboards" for value, number in count.items() if number > 1 or not value
        ]
    for file, dashboard in dashboards.items():
        found += [f"{file}: {fault}" for fault in _dashboard_faults(dashboard, sources)]
    return tuple(found)


def _dashboard_faults(dashboard: Mapping[str, Any], sources: Collection[str]) -> Iterator[str]:
    panels = dashboard.get("panels") or []
    for key in ("id", "title"):
        for value, number in Counter(panel.get(key) for panel in panels).items():
            if number > 1 or not value:
                yield f"{key} {value!r} has {number} panels"
    for one, other in combinations(panels, 2):
        if _overlap(one["gridPos"], other["gridPos"]):
            yield f"{one.get('title')} and {other.get('title')} are on each other"
    variables = {variable["name"]: variable for variable in _variables(dashboard)}
    for variable in variables.values():
        yield from _variable_faults(variable, sources)
    for panel in panels:
        for fault in _panel_faults(panel, sources, {*variables, *_BUILT_IN}):
            yield f"{panel.get('title')}: {fault}"


def _panel_faults(panel: Mapping[str, Any], sources: Collection[str], variables: Collection[str]) -> Iterator[str]:
    place = panel["gridPos"]
    if place["x"] + place["w"] > _WIDTH:
        yield f"it is wider than {_WIDTH} columns"
    if panel.get("type") in _NO_DATA:
        return
    if panel.get("datasource", {}).get("uid") not in sources:
        yield f"no data source {panel.get('datasource', {}).get('uid')!r}"
    if not panel.get("fieldConfig", {}).get("defaults", {}).get("unit"):
        yield "no unit"
    targets = panel.get("targets") or []
    if not targets:
        yield "it asks nothing"
    if len({target.get("refId") for target in targets}) < len(targets):
        yield "two expressions with one refId"
    for target in targets:
        yield from _expression_faults(target.get("expr", ""), variables)
        if not target.get("legendFormat"):
            yield f"no legend: {target.get('expr')}"


def _variable_faults(variable: Mapping[str, Any], sources: Collection[str]) -> Iterator[str]:
    name = variable["name"]
    if variable.get("datasource", {}).get("uid") not in sources:
        yield f"variable {name}: no data source {variable.get('datasource', {}).get('uid')!r}"
    if not _LABEL_VALUES.fullmatch(_query(variable)):
        yield f"variable {name}: expected label_values(metric, label), got {_query(variable)!r}"
    # Grafana would list every value that it has found: none, where nothing measures the metric.
    if variable.get("includeAll") and variable.get("allValue") != _ALL:
        yield f"variable {name}: All has to be {_ALL}"


def _expression_faults(expression: str, variables: Collection[str]) -> Iterator[str]:
    for match in _VARIABLE.finditer(expression):
        if (match[1] or match[2]) not in variables:
            yield f"no variable {match[0]}"
    try:
        selectors(substituted(expression, {}))
    except PromQLError as error:
        yield str(error)


def _asked(dashboard: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the title of each panel, the name of each variable and annotation, with what it asks."""
    for variable in _variables(dashboard):
        if match := _LABEL_VALUES.fullmatch(_query(variable)):
            yield f"variable {variable['name']}", match[1] or f'{{{match[2]}!=""}}'
    for annotation in (dashboard.get("annotations") or {}).get("list") or []:
        if annotation.get("expr"):
            yield f"annotation {annotation['name']}", annotation["expr"]
    for panel in dashboard.get("panels") or []:
        for target in panel.get("targets") or []:
            yield str(panel.get("title")), target["expr"]


def _variables(dashboard: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    variables = (dashboard.get("templating") or {}).get("list") or []
    return [variable for variable in variables if variable.get("type") == "query"]


def _query(variable: Mapping[str, Any]) -> str:
    """Return the query of a variable, which newer versions of Grafana keep in a mapping."""
    query = variable.get("query", "")
    return str(query.get("query", "") if isinstance(query, dict) else query)


def _overlap(one: Mapping[str, int], other: Mapping[str, int]) -> bool:
    return all(
        one[start] < other[start] + other[size] and other[start] < one[start] + one[size]
        for start, size in (("x", "w"), ("y", "h"))
    )
