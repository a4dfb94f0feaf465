"""Rules for objectives: how quickly the errors are spent that an objective allows, and alerts when it is too quickly.

The series have the names and labels of Sloth (https://sloth.dev), so that its dashboards work, and the windows of the
SRE workbook for 30 days (https://sre.google/workbook/alerting-on-slos/).
"""

import math
from collections.abc import Iterable

from ...model.record import Record
from .rule_file import MadeRule, RuleGroup, text
from .slo import WINDOW, ServiceLevel

DAYS = 30
_WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
_SECONDS = {"1h": 3600, "6h": 21600, "1d": 86400, "3d": 259200}
_LEAST = 50  # requests in the long window of an alert
_RUNBOOK = "docs/runbooks.md#"


class BurnRate(Record):
    """An alert fires when errors are spent ``factor`` times as quickly as the objective allows, in both windows."""

    factor: float
    long: str
    short: str


_PAGE = (BurnRate(14.4, "1h", "5m"), BurnRate(6, "6h", "30m"))
_TICKET = (BurnRate(3, "1d", "2h"), BurnRate(1, "3d", "6h"))


def rules(levels: Iterable[ServiceLevel]) -> str:
    """Return the file of rules for objectives, "" when there are none."""
    groups = [group for level in levels for group in _groups(level)]
    return text(groups, "Written by inv monitor.up from the objectives of the project.")


def alert_names(levels: Iterable[ServiceLevel]) -> frozenset[str]:
    """Return the names of the alerts on objectives."""
    return frozenset(rule.name for level in levels for rule in _alerts(level))


def _groups(level: ServiceLevel) -> tuple[RuleGroup, ...]:
    return (
        RuleGroup(f"sloth-slo-sli-recordings-{level.id}", (*map(lambda w: _ratio(level, w), _WINDOWS), _period(level))),
        RuleGroup(f"sloth-slo-meta-recordings-{level.id}", _meta(level)),
        RuleGroup(f"sloth-slo-alerts-{level.id}", (*_requests(level), *_alerts(level))),
    )


def _labels(level: ServiceLevel) -> dict[str, str]:
    return {"sloth_id": level.id, "sloth_service": level.service, "sloth_slo": level.name}


def _selector(level: ServiceLevel) -> str:
    return "{" + ", ".join(f'{name}="{value}"' for name, value in _labels(level).items()) + "}"


def _within(expression: str, window: str) -> str:
    return expression.replace(WINDOW, window)


def _ratio(level: ServiceLevel, window: str) -> MadeRule:
    """Return the rule of the share of bad requests; without requests there is none."""
    errors, total = _within(level.errors, window), _within(level.total, window)
    labels = {**_labels(level), "sloth_window": window}
    return MadeRule("record", f"slo:sli_error:ratio_rate{window}", f"({errors})\n/\n(({total}) > 0)", labels)


def _period(level: ServiceLevel) -> MadeRule:
    """Return the rule for the whole period, of what was recorded: an expression over 30 days would cost too much."""
    recorded = f"slo:sli_error:ratio_rate5m{_selector(level)}[{DAYS}d]"
    expression = f"sum_over_time({recorded})\n/ ignoring (sloth_window)\ncount_over_time({recorded})"
    return MadeRule(
        "record", f"slo:sli_error:ratio_rate{DAYS}d", expression, {**_labels(level), "sloth_window": f"{DAYS}d"}
    )


def _meta(level: ServiceLevel) -> tuple[MadeRule, ...]:
    selector, labels = _selector(level), _labels(level)
    per_budget = f"\n/ on (sloth_id, sloth_slo, sloth_service) group_left\nslo:error_budget:ratio{selector}"
    info = {
        **labels,
        "sloth_mode": "slipway",
        "sloth_objective": f"{level.ratio * 100:.10g}",
        "sloth_spec": level.spec,
        "sloth_version": "slipway",
    }
    expressions = {
        "slo:objective:ratio": f"vector({level.ratio:.10g})",
        "slo:error_budget:ratio": f"vector(1 - {level.ratio:.10g})",
        "slo:time_period:days": f"vector({DAYS})",
        "slo:current_burn_rate:ratio": f"slo:sli_error:ratio_rate5m{selector}{per_budget}",
        "slo:period_burn_rate:ratio": f"slo:sli_error:ratio_rate{DAYS}d{selector}{per_budget}",
        "slo:period_error_budget_remaining:ratio": f"1 - slo:period_burn_rate:ratio{selector}",
    }
    recorded = (MadeRule("record", name, expression, labels) for name, expression in expressions.items())
    return (*recorded, MadeRule("record", "sloth_slo_info", "vector(1)", info))


def _requests(level: ServiceLevel) -> tuple[MadeRule, ...]:
    """Return the rules of how many requests there were in the long windows of the alerts."""
    counted = "increase(" in level.total  # an expression of others: events in the window, not events per second
    return tuple(
        MadeRule(
            "record",
            f"slo:sli_requests:increase{window}",
            f"({_within(level.total, window)})" + ("" if counted else f" * {seconds}"),
            {**_labels(level), "sloth_window": window},
        )
        for window, seconds in _SECONDS.items()
    )


def least_requests(budget: float, factor: float) -> int:
    """Return how many requests it takes until an alert can tell a fault from a single bad request.

    With fewer, one bad request would be more than the errors of the window.
    """
    return max(_LEAST, math.ceil(2 / (factor * budget)))


def _condition(level: ServiceLevel, rate: BurnRate) -> str:
    selector, budget = _selector(level), f"{level.budget:.10g}"
    # An objective such as 90 % cannot be missed 14.4 times as quickly: then it is when no request is answered well.
    limit = f"({rate.factor:g} * {budget})" if rate.factor * level.budget < 1 else "0.99"
    windows = [f"slo:sli_error:ratio_rate{window}{selector} > {limit}" for window in (rate.short, rate.long)]
    least = least_requests(level.budget, rate.factor)
    parts = [*windows, f"slo:sli_requests:increase{rate.long}{selector} >= {least}"]
    return "(\n  " + "\n  and ignoring (sloth_window)\n  ".join(parts) + "\n)"


def _alerts(level: ServiceLevel) -> tuple[MadeRule, ...]:
    alerts = [_burning(level, "page", _PAGE), _burning(level, "ticket", _TICKET)]
    if level.histogram:
        histogram = level.histogram
        labels = {"severity": "ticket", "service": level.service, **_labels(level)}
        annotations = {
            "summary": f"The objective {level.name} of {level.service} has no data",
            "description": f"{histogram.name} of {level.service} has no bucket with the bound {histogram.bound:g} s: "
            "nothing says how many requests took no longer.",
            "runbook_url": f"{_RUNBOOK}slolatencybucketmissing",
        }
        expression = f"group({histogram.count})\nunless\ngroup({histogram.bucket})"
        alerts.append(MadeRule("alert", "SLOLatencyBucketMissing", expression, labels, annotations, "1m"))
    return tuple(alerts)


def _burning(level: ServiceLevel, severity: str, rates: tuple[BurnRate, ...]) -> MadeRule:
    until = "a twentieth of them is gone within hours" if severity == "page" else "they are gone before the 30 days end"
    return MadeRule(
        "alert",
        "SLOBurnRate",
        "\nor ignoring (sloth_window)\n".join(_condition(level, rate) for rate in rates),
        {"severity": severity, "sloth_severity": severity, "service": level.service, **_labels(level)},
        {
            "summary": f"{level.service} spends the errors that its objective {level.name} allows too quickly",
            "description": f"{{{{ $value | humanizePercentage }}}} of the requests to {level.service} are not answered "
            f"as the objective {level.name} ({level.ratio * 100:.10g} %) wants. It allows {level.budget * 100:.10g} % "
            f"within {DAYS} days: at this rate {until}.",
            "runbook_url": f"{_RUNBOOK}sloburnrate",
        },
    )
