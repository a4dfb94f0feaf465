"""Rules of Prometheus: what they read, which of them a project needs, and which alerts have no test.

A file of rules is called after what it is about, since a project that has no such service has no such series.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import field
from typing import Any

from ...model.errors import InputError
from ...model.lazy_pattern import lazy_pattern
from ...model.record import Record
from .promql import PromQLError, Selector, selectors

SERVICES = "services"
"""Stands for the jobs of the services that measure their own requests: each has the name of its service."""
# Files that are made for a project: rules for its objectives, and for services whose metrics have names of their own.
OBJECTIVES, OWN_NAMES = GENERATED = ("objectives", "own-names")
# The job whose series a file of rules, or a dashboard, reads, where the file is not called after it.
_JOBS = {"probes": "blackbox", "deploys": "node", "gitops": "node", "monitoring": "prometheus"} | dict.fromkeys(
    (*GENERATED, "releases"), SERVICES
)
# Series that are there only at times: a pool, a memory limit, a health check, HTTPS or an objective that not every
# project has, a clock that not every host shows, what a first deploy, backup or scan writes, and alerts.
_AT_TIMES = lazy_pattern(
    r"db_client_connection_\w+|container_spec_memory_limit_bytes|container_health_status|container_last_exit_code"
    r"|pg_stat_user_tables_\w+"
    r"|probe_ssl_\w+|probe_http_\w+|node_timex_\w+|slipway_\w+|slo:[\w:]+|ALERTS|http_server_active_requests"
)
_DURATION = lazy_pattern(r"(\d+)(ms|[smhdwy])")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}


class WrittenRule(Record):
    """A rule of a file (without its directory and ending): an alert, or what a recording rule writes."""

    file: str
    name: str
    expression: str
    alert: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def severity(self) -> str:
        """page, ticket or none; "" for a recording rule."""
        return self.labels.get("severity", "")


class Reading(Record):
    """Series that rules read: the selector, the rules, and whether they may be absent."""

    selector: str
    rules: tuple[str, ...]
    may_be_absent: bool


def parse(documents: Mapping[str, Any]) -> tuple[WrittenRule, ...]:
    """Return the rules of files, by the file's name without its ending; raises InputError for what is no rule."""
    rules = []
    for file, document in documents.items():
        for group in _list(document, "groups", file):
            where = f"{file}: group {group.get('name')}"
            for raw in _list(group, "rules", where):
                name = raw.get("alert") or raw.get("record")
                if not name or not raw.get("expr"):
                    raise InputError(
                        f"{where}: a rule needs alert or record, and expr", "promtool check rules shows it"
                    )
                rules.append(
                    WrittenRule(
                        file=file,
                        name=str(name),
                        expression=str(raw["expr"]),
                        alert="alert" in raw,
                        labels=raw.get("labels") or {},
                        annotations=raw.get("annotations") or {},
                    )
                )
    return tuple(rules)


def expressions(rules: Iterable[WrittenRule]) -> tuple[tuple[str, str], ...]:
    """Return file and name, and the expression of each rule, in their order."""
    return tuple((f"{rule.file}: {rule.name}", rule.expression) for rule in rules)


def applicable(rules: Iterable[WrittenRule], jobs: Collection[str]) -> tuple[WrittenRule, ...]:
    """Return the rules about what a project has: ``jobs`` are those of its exporters, and SERVICES."""
    return tuple(rule for rule in rules if job(rule.file) in jobs)


def job(file: str) -> str:
    """Return the job whose series a file of rules, or a dashboard, reads."""
    return _JOBS.get(file, file)


def readings(rules: Iterable[WrittenRule]) -> tuple[Reading, ...]:
    """Return the series that rules read, without those that they record themselves; raises InputError for a fault.

    An alert without any series to read never fires, which looks like no fault. Where services have metrics with names
    of their own, other rules record the same: no service need have the usual ones.
    """
    rules = tuple(rules)
    files: dict[str, set[str]] = {}
    for rule in rules:
        if not rule.alert:
            files.setdefault(rule.name, set()).add(rule.file)
    merged: dict[str, tuple[Selector, list[str]]] = {}
    for rule in rules:
        for selector in _selectors(rule):
            if selector.metric not in files:
                merged.setdefault(selector.measured, (selector, []))[1].append(rule.name)
    return tuple(
        Reading(
            selector=text,
            rules=tuple(dict.fromkeys(names)),
            may_be_absent=may_be_absent(selector.metric) or all(len(files.get(name, ())) > 1 for name in names),
        )
        for text, (selector, names) in merged.items()
    )


def may_be_absent(metric: str) -> bool:
    """Whether a project may well have no series of a metric, or none yet."""
    return bool(_AT_TIMES.fullmatch(metric))


def untested(rules: Iterable[WrittenRule], tests: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what the tests (promtool's, by file) do not show of the alerts, one sentence each.

    Each alert of each severity has to fire in a test, and, unless it always fires, to resolve in the same test and to
    be quiet at some time before or in another one. Those of generated files are tested together with what makes them.
    """
    fires, resolves, quiet = _shown(tests)
    missing = []
    for rule in rules:
        key = (rule.name, rule.severity)
        if not rule.alert or rule.file in GENERATED:
            continue
        if key not in fires:
            missing.append(f"{rule.name} ({rule.severity}): no test in which it fires")
        elif rule.severity != "none" and key not in resolves:
            missing.append(f"{rule.name} ({rule.severity}): no test in which it resolves")
        elif rule.severity != "none" and rule.name not in quiet:
            missing.append(f"{rule.name} ({rule.severity}): no test in which it must not fire")
    return tuple(missing)


def _shown(tests: Mapping[str, Any]) -> tuple[set[tuple[str, str]], set[tuple[str, str]], set[str]]:
    """Return which alerts, with their severity, tests show to fire and to resolve, and which to be quiet."""
    fires, resolves, quiet = set(), set(), set()
    for name, test in ((file, test) for file, document in tests.items() for test in _list(document, "tests", file)):
        cases = [
            (_seconds(case.get("eval_time")), str(case.get("alertname")), _severities(case))
            for case in _list(test, "alert_rule_test", name)
        ]
        for time, alert, severities in cases:
            fires |= {(alert, severity) for severity in severities}
            others = [(other, these) for other, same, these in cases if same == alert]
            resolves |= {
                (alert, severity)
                for severity in severities
                if any(later > time and severity not in these for later, these in others)
            }
            if not severities and not any(earlier < time and these for earlier, these in others):
                quiet.add(alert)
    return fires, resolves, quiet


def _severities(case: Mapping[str, Any]) -> set[str]:
    return {str(alert.get("exp_labels", {}).get("severity", "")) for alert in case.get("exp_alerts") or ()}


def _selectors(rule: WrittenRule) -> Iterator[Selector]:
    try:
        yield from selectors(rule.expression)
    except PromQLError as error:
        raise InputError(f"{rule.file}: {rule.name}: {error}", "promtool check rules shows where") from None


def _list(document: object, key: str, where: str) -> list[Mapping[str, Any]]:
    """Return the list of mappings under a key, empty when there is none; raises InputError for anything else."""
    value = document.get(key) if isinstance(document, dict) else document
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise InputError(f"{where}: {key}: expected a list of mappings", "promtool shows where")
    return value


def _seconds(text: object) -> float:
    return sum(float(number) * _SECONDS[unit] for number, unit in _DURATION.findall(str(text)))
