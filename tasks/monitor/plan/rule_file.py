"""A file of rules as text: what YAML needs for them, with expressions that a person can read."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import field

from ...model.record import Record


class MadeRule(Record):
    """A rule to be written: ``kind`` is record or alert; ``wait`` is how long an alert waits, "" for not at all."""

    kind: str
    name: str
    expression: str
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    wait: str = ""


class RuleGroup(Record):
    """A group of rules, which Prometheus evaluates one after another."""

    name: str
    rules: tuple[MadeRule, ...]


def text(groups: Iterable[RuleGroup], head: str) -> str:
    """Return the file of some groups, with a comment at its head; "" when there are none."""
    written = [_group(group) for group in groups if group.rules]
    return "\n".join((f"# {head}", "groups:", *written)) + "\n" if written else ""


def _group(group: RuleGroup) -> str:
    return "\n".join((f"  - name: {json.dumps(group.name)}", "    rules:", *(_rule(rule) for rule in group.rules)))


def _rule(rule: MadeRule) -> str:
    lines = [f"      - {rule.kind}: {json.dumps(rule.name)}", *_expression(rule.expression)]
    if rule.wait:
        lines.append(f"        for: {rule.wait}")
    for name, values in (("labels", rule.labels), ("annotations", rule.annotations)):
        if values:
            # JSON is YAML, except for escapes of characters beyond 16 bits: they are written as they are.
            pairs = (f"          {key}: {json.dumps(value, ensure_ascii=False)}" for key, value in values.items())
            lines += [f"        {name}:", *pairs]
    return "\n".join(lines)


def _expression(expression: str) -> list[str]:
    """Return the lines of an expression: as a block, in which nothing is escaped."""
    return ["        expr: |", *(f"          {line}" for line in expression.splitlines() if line.strip())]
