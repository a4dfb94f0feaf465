"""Whether the monitoring of a stack sees: what was found of each target, rule and panel, and what of it is a fault."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from ...model.record import Record
from ...telemetry.plan.series import UP, LoadedRule, ScrapeTarget
from . import rules
from .dashboards import PanelQuery
from .rules import Reading, WrittenRule
from .slo import ServiceLevel, unmeasured
from .targets import Watched

TARGET, RULE, SERIES, PANEL, TEST = KINDS = ("target", "rule", "series", "panel", "test")
OK, ABSENT, FAILED = "ok", "absent", "failed"
_TITLES = {
    TARGET: "targets are up",
    RULE: "rules are loaded",
    SERIES: "series that rules read exist",
    PANEL: "panels have data",
    TEST: "alerts have tests",
}
_OWN = ("containers", "node", "prometheus", "alertmanager", "jaeger")


class Checked(Record):
    """What was found of a target, a rule, series that rules read, a panel, or the tests of an alert.

    ``outcome`` is ok, absent (no data, and there need not be any) or failed; ``reason`` says why it is not ok.
    """

    kind: str
    name: str
    outcome: str = OK
    reason: str = ""


def jobs(seen: Watched) -> frozenset[str]:
    """Return the jobs that are to be scraped, and ``rules.SERVICES`` where a service measures its own requests."""
    of_stack = [exporter.kind for exporter in seen.exporters]
    of_stack += ["blackbox"] if seen.probes else []
    of_stack += [rules.SERVICES] if seen.scraped() else []
    return frozenset((*_OWN, *of_stack))


def expected_targets(seen: Watched) -> Counter[tuple[str, str]]:
    """Return how many targets of each job and service there are to be; the service is "" for those of no service."""
    count = Counter({(job, ""): 1 for job in _OWN})
    count.update({(service.name, service.name): service.replicas for service in seen.scraped()})
    count.update((exporter.kind, exporter.service) for exporter in seen.exporters)
    count.update(("blackbox", probe.service) for probe in seen.probes)
    return count


def checked_targets(seen: Watched, targets: Sequence[ScrapeTarget]) -> tuple[Checked, ...]:
    """Return what was found of the targets; one that Prometheus does not know is a fault as well."""
    found: Counter[tuple[str, str]] = Counter()
    checked = []
    for target in targets:
        service = target.labels.get("service", "")
        found[target.job, "" if target.job in _OWN else service] += 1
        name = f"{target.job} {_shown(target)}"
        if target.health == UP:
            checked.append(Checked(TARGET, name))
        else:
            checked.append(Checked(TARGET, name, FAILED, target.error or "it was not read yet"))
    for (job, service), number in sorted(expected_targets(seen).items()):
        if found[job, service] < number:
            name = f"{job} {service}" if service and service != job else job
            reason = f"Prometheus knows {found[job, service]} of {number} such targets"
            checked.append(Checked(TARGET, name, FAILED, reason))
    return tuple(checked)


def _shown(target: ScrapeTarget) -> str:
    return target.labels.get("container") or target.labels.get("instance") or target.url


def checked_rules(written: Iterable[WrittenRule], loaded: Iterable[LoadedRule]) -> tuple[Checked, ...]:
    """Return what was found of the rules: whether Prometheus has loaded each of them, and can evaluate it."""
    known: dict[str, LoadedRule] = {}
    for rule in loaded:
        if rule.name not in known or rule.health == "err":
            known[rule.name] = rule
    missing = dict.fromkeys(rule.name for rule in written if rule.name not in known)
    return (
        *(Checked(RULE, rule.name, *_health(rule)) for rule in known.values()),
        *(Checked(RULE, name, FAILED, "Prometheus has not loaded it: inv monitor.up") for name in missing),
    )


def _health(rule: LoadedRule) -> tuple[str, str]:
    if rule.health == "ok":
        return OK, ""
    return FAILED, rule.error or "it was not evaluated yet"


def checked_series(readings: Iterable[Reading], exists: Callable[[str], bool]) -> tuple[Checked, ...]:
    """Return what was found of the series that rules read: without them an alert never fires, as if all were well.

    An alert whose condition is not met returns nothing; so not its expression is tried, but what it reads.
    """
    checked = []
    for reading in readings:
        if exists(reading.selector):
            checked.append(Checked(SERIES, reading.selector))
        elif reading.may_be_absent:
            checked.append(Checked(SERIES, reading.selector, ABSENT, "not every project has it"))
        else:
            checked.append(Checked(SERIES, reading.selector, FAILED, f"no data; read by {', '.join(reading.rules)}"))
    return tuple(checked)


def checked_objectives(levels: Iterable[ServiceLevel], bounds: Mapping[str, Collection[str]]) -> tuple[Checked, ...]:
    """Return what was found of the objectives of latency: whether the histogram has the bucket that each needs.

    ``bounds`` are the bounds that it has, by the id of the objective.
    """
    found = [level for level in levels if level.histogram]
    wrong = unmeasured(found, bounds)
    return tuple(
        Checked(SERIES, f"objective {level.id}", *((FAILED, wrong[level.id]) if level.id in wrong else (OK, "")))
        for level in found
    )


def checked_panels(queries: Iterable[PanelQuery], answers: Callable[[str], bool]) -> tuple[Checked, ...]:
    """Return what was found of the dashboards: whether each expression of a panel returns data."""
    checked = []
    for query in queries:
        name = f"{query.file}: {query.panel}"
        if answers(query.expression):
            checked.append(Checked(PANEL, name))
        elif query.may_be_absent:
            checked.append(Checked(PANEL, name, ABSENT, "not every project has it"))
        else:
            checked.append(Checked(PANEL, name, FAILED, f"no data: {' '.join(query.expression.split())}"))
    return tuple(checked)


def checked_tests(written: Sequence[WrittenRule], tests: Mapping[str, Any]) -> tuple[Checked, ...]:
    """Return what was found of the tests of the alerts."""
    faults = [sentence.partition(": ") for sentence in rules.untested(written, tests)]
    failed = {name: reason for name, _, reason in faults}
    alerts = dict.fromkeys(f"{rule.name} ({rule.severity})" for rule in written if rule.alert)
    return tuple(
        Checked(TEST, alert, FAILED, failed[alert]) if alert in failed else Checked(TEST, alert) for alert in alerts
    )


def summary(checked: Sequence[Checked]) -> tuple[tuple[str, str, str], ...]:
    """Return a row for each kind: what it is about, how many of how many are right, and the outcome."""
    rows = []
    for kind in KINDS:
        of_kind = [one for one in checked if one.kind == kind]
        if of_kind:
            good = sum(one.outcome == OK for one in of_kind)
            absent = sum(one.outcome == ABSENT for one in of_kind)
            total = len(of_kind) - absent
            more = f" ({absent} need not)" if absent else ""
            rows.append((_TITLES[kind], f"{good} of {total}{more}", OK if good == total else FAILED))
    return tuple(rows)


def failures(checked: Iterable[Checked]) -> tuple[Checked, ...]:
    """Return what is a fault."""
    return tuple(one for one in checked if one.outcome == FAILED)
