"""Objectives as OpenSLO v1 documents: the kinds SLO and SLI, with ratios that Prometheus measures.

https://github.com/OpenSLO/OpenSLO
"""

from collections.abc import Iterable, Mapping
from typing import Any

from ...model.errors import InputError
from ...model.lazy_pattern import lazy_pattern
from ...model.stack.telemetry.slo import checked
from .promql import PromQLError, selectors
from .slo import WINDOW, ServiceLevel

SPEC = "openslo/v1"
_NAME = lazy_pattern(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_WINDOW = lazy_pattern(r"\{\{\s*\.?window\s*\}\}")
_SELECTOR = lazy_pattern(r"[A-Za-z_:][\w:]*(?:\{[^{}]*\})?")
_PERIODS = ("30d", "4w", "1M")


def levels(documents: Iterable[Any], file: str) -> tuple[ServiceLevel, ...]:
    """Return the objectives of the documents of a file; other kinds than SLO and SLI are passed over.

    Raises InputError for a document that is not valid, or that asks for what is not done here.
    """
    known = [document for document in documents if document is not None]
    indicators = {}
    for document in known:
        if not isinstance(document, dict) or "kind" not in document:
            raise InputError(f"{file}: expected a document with apiVersion and kind", f"as in apiVersion: {SPEC}")
        if document["kind"] == "SLI":
            indicators[_metadata_name(document, file)] = document.get("spec")
    slos = [document for document in known if document["kind"] == "SLO"]
    return tuple(level for document in slos for level in _levels(document, indicators, file))


def _levels(document: Mapping[str, Any], indicators: Mapping[str, Any], file: str) -> tuple[ServiceLevel, ...]:
    if document.get("apiVersion") != SPEC:
        raise InputError(f"{file}: apiVersion: expected {SPEC}, got {document.get('apiVersion')!r}", "write it as v1")
    name = _metadata_name(document, file)
    where = f"{file}: {name}"
    spec = _mapping(document.get("spec"), f"{where}: spec")
    service = spec.get("service")
    if not isinstance(service, str) or not _NAME.fullmatch(service):
        raise InputError(
            f"{where}: spec.service: expected the name of a service, got {service!r}", "as in service: app"
        )
    _refuse_other_methods(spec, where)
    errors, total = _expressions(_indicator(spec, indicators, where), where)
    objectives = spec.get("objectives")
    if not isinstance(objectives, list) or not objectives:
        raise InputError(f"{where}: spec.objectives: expected a list, got {objectives!r}", "as in [{target: 0.999}]")
    several = len(objectives) > 1
    return tuple(
        ServiceLevel(
            service=service,
            name=f"{name}-{number}" if several else name,
            ratio=_target(objective, f"{where}: spec.objectives[{number}]"),
            errors=errors,
            total=total,
            origin=where,
            spec=SPEC,
        )
        for number, objective in enumerate(objectives)
    )


def _refuse_other_methods(spec: Mapping[str, Any], where: str) -> None:
    method = spec.get("budgetingMethod", "Occurrences")
    if method != "Occurrences":
        raise InputError(f"{where}: spec.budgetingMethod {method} is not done here", "Occurrences is")
    for window in spec.get("timeWindow") or ():
        period = _mapping(window, f"{where}: spec.timeWindow")
        if period.get("duration") not in _PERIODS or period.get("isRolling") is not True:
            raise InputError(
                f"{where}: spec.timeWindow: only 30 days, rolling, are done here", "duration: 30d, isRolling: true"
            )


def _indicator(spec: Mapping[str, Any], indicators: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    reference = spec.get("indicatorRef")
    if reference is not None:
        if reference not in indicators:
            raise InputError(
                f"{where}: no document of kind SLI is called {reference!r}", "it has to be in the same file"
            )
        return _mapping(indicators[reference], f"{where}: SLI {reference}")
    indicator = _mapping(spec.get("indicator"), f"{where}: spec.indicator")
    return _mapping(indicator.get("spec"), f"{where}: spec.indicator.spec")


def _expressions(indicator: Mapping[str, Any], where: str) -> tuple[str, str]:
    """Return the expressions of bad events and of all events per second."""
    if "ratioMetric" not in indicator:
        raise InputError(
            f"{where}: the indicator has no ratioMetric", "thresholds are not done here: count good and total"
        )
    ratio = _mapping(indicator["ratioMetric"], f"{where}: ratioMetric")
    counter = ratio.get("counter") is True
    total = _query(ratio, "total", counter, where)
    if "bad" in ratio:
        bad = _query(ratio, "bad", counter, where)
        return f"(({bad}) or 0 * ({total}))", total
    return f"(({total}) - (({_query(ratio, 'good', counter, where)}) or 0 * ({total})))", total


def _query(ratio: Mapping[str, Any], key: str, counter: bool, where: str) -> str:
    where = f"{where}: ratioMetric.{key}"
    source = _mapping(_mapping(ratio.get(key), where).get("metricSource"), f"{where}.metricSource")
    kind = source.get("type", "Prometheus")
    if str(kind).lower() != "prometheus":
        raise InputError(f"{where}: metricSource.type: expected Prometheus, got {kind!r}", "only Prometheus is asked")
    query = _mapping(source.get("spec"), f"{where}.metricSource.spec").get("query")
    if not isinstance(query, str) or not query.strip():
        raise InputError(f"{where}.metricSource.spec.query: expected an expression, got {query!r}", "PromQL")
    expression = _WINDOW.sub(WINDOW, query.strip())
    if WINDOW not in expression:
        if not counter or not _SELECTOR.fullmatch(expression):
            raise InputError(
                f"{where}: the expression does not say over which time: {expression}",
                f"as in sum(rate(requests_total[{WINDOW}])), or counter: true and the name of the counter",
            )
        expression = f"sum(rate({expression}[{WINDOW}]))"
    try:
        selectors(expression.replace(WINDOW, "5m"))
    except PromQLError as error:
        raise InputError(f"{where}: {error}", "correct the expression") from None
    return expression


def _target(raw: object, where: str) -> float:
    objective = _mapping(raw, where)
    given = [key for key in ("target", "targetPercent") if key in objective]
    value = objective[given[0]] if len(given) == 1 else None
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise InputError(f"{where}: expected target or targetPercent, a number", "as in target: 0.999")
    return checked(round(value / (100 if given == ["targetPercent"] else 1), 10), f"{where}.{given[0]}")


def _metadata_name(document: Mapping[str, Any], file: str) -> str:
    name = _mapping(document.get("metadata"), f"{file}: metadata").get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InputError(f"{file}: metadata.name: expected a name, got {name!r}", "small letters, digits and -")
    return name


def _mapping(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise InputError(
            f"{where}: expected a mapping, got {value!r}", "https://github.com/OpenSLO/OpenSLO has the fields"
        )
    return value
