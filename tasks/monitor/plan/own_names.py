"""Recording rules for services whose metrics have names of their own: what they record has the usual names."""

from collections.abc import Iterable

from ...model.lazy_pattern import lazy_pattern
from ...model.stack.telemetry.metrics import DURATION, STATUS, Metrics
from .rule_file import MadeRule, RuleGroup, text
from .rules import WrittenRule

_DURATION = lazy_pattern(rf"(?<![:\w]){DURATION}(?=_(?:count|bucket)\b)")
_STATUS = lazy_pattern(rf"\b{STATUS}\b")


def rules(usual: Iterable[WrittenRule], metrics: Iterable[Metrics]) -> str:
    """Return the file of recording rules for metrics that have other names than usual, "" when none has.

    ``usual`` are the rules for services that use the names of OpenTelemetry. Only those that read a service's own
    series are repeated: the others read what these record. Where only the label of the status has another name,
    requests are counted already, and only errors are to be.
    """
    reading = [rule for rule in usual if not rule.alert and _DURATION.search(rule.expression)]
    counted, groups = {DURATION}, []
    for duration, status in dict.fromkeys((one.duration, one.status) for one in metrics if not one.exporter):
        if (duration, status) != (DURATION, STATUS):
            chosen = (rule for rule in reading if duration not in counted or _STATUS.search(rule.expression))
            made = tuple(_repeated(rule, duration, status) for rule in chosen)
            groups.append(RuleGroup(f"services-{duration}-{status}", made))
            counted.add(duration)
    return text(groups, "Written by inv monitor.up: services whose metrics have names of their own.")


def _repeated(rule: WrittenRule, duration: str, status: str) -> MadeRule:
    expression = _STATUS.sub(status, _DURATION.sub(duration, rule.expression))
    return MadeRule("record", rule.name, expression, rule.labels)
