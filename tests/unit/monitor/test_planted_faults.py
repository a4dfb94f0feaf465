"""What the end-to-end test of the alerts changes of the rules, and that it leaves out no alert."""

import re

from support import ROOT

from tests.e2e.alerts import quick, table

RULES = ROOT / "docker_project" / "monitoring" / "prometheus" / "rules"


def test_every_alert_has_a_planted_fault_or_a_reason_for_none() -> None:
    planted = table.planted().keys()

    assert planted | table.NOT_PLANTED.keys() | table.ALWAYS == set(quick.alerts(RULES))
    assert planted & table.NOT_PLANTED.keys() == set()
    assert len(table.NOT_PLANTED) < 10


def test_an_alert_is_planted_once() -> None:
    alerts = [(one.name, one.severity) for lane in table.LANES for fault in lane for one in fault.alerts]

    assert len(alerts) == len(set(alerts))


def test_what_an_expression_looks_back_on_shrinks_with_the_interval() -> None:
    text = "expr: increase(a[5m]) / b offset 1m + max_over_time(c[1h]) + sum_over_time(d[1m:15s])\n"

    assert quick.rules(text) == (
        "expr: increase(a[40000ms]) / b offset 8000ms + max_over_time(c[480000ms]) + sum_over_time(d[8000ms:2000ms])\n"
    )


def test_an_alert_waits_a_second_for_a_minute() -> None:
    assert quick.rules("        for: 15m\n        for: 0s\n") == "        for: 15000ms\n        for: 0ms\n"


def test_nothing_but_times_changes() -> None:
    def without_times(text: str) -> str:
        return re.sub(r"\b\d+(ms|[smhd])\b|(?<=\) > )(300|5)$", "T", text, flags=re.MULTILINE)

    changed = 0
    for path in sorted(RULES.glob("*.yml")):
        before, after = path.read_text(), quick.rules(path.read_text())
        assert without_times(after) == without_times(before), path
        changed += sum(old != new for old, new in zip(before.splitlines(), after.splitlines(), strict=True))
    assert changed > 60


def test_alertmanager_waits_shorter_too() -> None:
    before = (ROOT / "docker_project" / "monitoring" / "alertmanager" / "alertmanager.yml").read_text()
    changed = [
        (old.strip(), new.strip())
        for old, new in zip(before.splitlines(), quick.notifications(before).splitlines(), strict=True)
        if old != new
    ]

    assert ("group_interval: 1m", "group_interval: 1000ms") in changed
    assert ("repeat_interval: 4h", "repeat_interval: 240000ms") in changed
    assert {old.partition(":")[0] for old, _ in changed} == {"group_wait", "group_interval", "repeat_interval"}
