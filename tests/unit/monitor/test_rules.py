"""The rules that the monitoring comes with: each alert has a severity, words, a runbook and tests."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from support import ROOT

from tasks.model.errors import InputError
from tasks.monitor.plan import rules
from tasks.monitor.plan.promql import Matcher, PromQLError, Selector, selectors

PROMETHEUS = ROOT / "docker_project" / "monitoring" / "prometheus"


def documents(folder: str) -> dict[str, Any]:
    """Return the documents of a folder by the name of their file."""
    files: list[Path] = sorted((PROMETHEUS / folder).glob("*.yml"))
    return {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in files}


RULES = rules.parse(documents("rules"))
ALERTS = [rule for rule in RULES if rule.alert]
TESTS = documents("tests")


def test_there_are_rules() -> None:
    names = {rule.name for rule in ALERTS}

    assert len(ALERTS) >= 40
    assert {"ServiceErrors", "PostgreSQLDown", "NodeFilesystemAlmostOutOfSpace", "Watchdog", "TargetDown"} <= names


def test_every_alert_is_tested() -> None:
    assert rules.untested(RULES, TESTS) == ()


def test_tests_are_of_alerts_that_exist() -> None:
    tested = {
        case["alertname"]
        for document in TESTS.values()
        for test in document["tests"]
        for case in test.get("alert_rule_test", ())
    }
    assert tested == {rule.name for rule in ALERTS}


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: f"{rule.name}-{rule.severity}")
def test_an_alert_says_how_bad_it_is_and_what_and_where(rule: rules.WrittenRule) -> None:
    assert rule.severity in ("page", "ticket", "none")
    assert set(rule.annotations) == {"summary", "description", "runbook_url"}
    # Where: a label, in the summary or the description.
    assert (
        rule.name == "Watchdog"
        or "$labels." in rule.annotations["summary"] + rule.annotations["description"]
        or (rule.name == "VulnerabilityDatabaseOld")
    )


def test_every_alert_has_a_runbook() -> None:
    text = (ROOT / "docs" / "runbooks.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL))
    generated = {"SLOBurnRate", "SLOLatencyBucketMissing"}

    assert set(sections) == {rule.name for rule in ALERTS} | generated
    for rule in ALERTS:
        assert rule.annotations["runbook_url"] == f"docs/runbooks.md#{rule.name.lower()}"
    # What it means, the first command to run, how to fix it.
    assert [name for name, section in sections.items() if "`inv " not in section] == []


def test_rules_are_named_once() -> None:
    twice = Counter((rule.name, rule.severity) for rule in RULES)

    assert [name for name, count in twice.items() if count > 1] == []


def test_a_file_of_rules_is_about_one_job() -> None:
    """So that a project without a database is not told that nothing measures it."""
    postgres = rules.applicable(RULES, {"postgres"})

    assert {rule.name for rule in postgres} == {rule.name for rule in RULES if rule.file == "postgres"}
    known = {"services", "containers", "postgres", "mysql", "redis", "nginx", "blackbox", "prometheus", "node"}
    assert rules.applicable(RULES, known) == RULES


def test_what_rules_record_is_not_what_they_read() -> None:
    read = rules.readings(rules.applicable(RULES, {rules.SERVICES}))

    assert {reading.selector for reading in read if not reading.may_be_absent} == {
        "http_server_request_duration_seconds_count",
        "http_server_request_duration_seconds_bucket",
        "up",
    }
    assert [reading.selector for reading in read if reading.may_be_absent] == [
        "db_client_connection_count",
        "db_client_connection_max",
    ]


def test_where_services_have_names_of_their_own_the_usual_ones_may_be_absent() -> None:
    record = [rules.WrittenRule(file, "service:a", metric) for file, metric in (("services", "a"), ("own-names", "b"))]

    assert [(one.selector, one.may_be_absent) for one in rules.readings(record)] == [("a", True), ("b", True)]
    assert [(one.selector, one.may_be_absent) for one in rules.readings(record[:1])] == [("a", False)]


def test_series_are_looked_for_by_their_job() -> None:
    [reading] = rules.readings([rules.WrittenRule("node", "A", 'node_load1{job="node",instance!="a"} > 2', alert=True)])

    assert (reading.selector, reading.rules) == ('node_load1{job="node"}', ("A",))


def test_an_expression_that_is_wrong_names_its_rule() -> None:
    with pytest.raises(InputError, match=r"^node: A: expected .*, got the end in: sum\(up$"):
        rules.readings([rules.WrittenRule("node", "A", "sum(up", alert=True)])


@pytest.mark.parametrize(
    "document",
    [
        {"groups": 1},
        {"groups": [{"name": "a", "rules": [{"expr": "up"}]}]},
        {"groups": [{"name": "a", "rules": ["x"]}]},
    ],
)
def test_what_is_no_rule_is_bad_input(document: Any) -> None:
    with pytest.raises(InputError, match=r"^node: "):
        rules.parse({"node": document})


def test_the_lines_of_rules_have_their_file() -> None:
    two = rules.parse({"a": {"groups": [{"name": "g", "rules": [{"record": "x:y", "expr": "up"}]}]}, "b": {}})

    assert rules.expressions(two) == (("a: x:y", "up"),)


CASE = {"eval_time": "1m", "alertname": "A"}
FIRING = {"eval_time": "2m", "alertname": "A", "exp_alerts": [{"exp_labels": {"severity": "page"}}]}
LATER = {"eval_time": "1h", "alertname": "A"}


@pytest.mark.parametrize(
    ("cases", "expected"),
    [
        ([CASE, FIRING, LATER], ()),
        ([CASE, LATER], ("A (page): no test in which it fires",)),
        ([CASE, FIRING], ("A (page): no test in which it resolves",)),
        ([FIRING, LATER], ("A (page): no test in which it must not fire",)),
        ([], ("A (page): no test in which it fires",)),
    ],
)
def test_an_alert_has_to_fire_to_resolve_and_to_be_quiet(cases: list[Any], expected: tuple[str, ...]) -> None:
    rule = rules.WrittenRule("node", "A", "up == 0", alert=True, labels={"severity": "page"})

    assert rules.untested([rule], {"node": {"tests": [{"alert_rule_test": cases}]}}) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("up", [Selector("up")]),
        ("1 + 2e3 - 0x1F", []),
        (
            'up{job="a", instance=~"b.*",}',
            [Selector("up", (Matcher("job", "=", "a"), Matcher("instance", "=~", "b.*")))],
        ),
        ('{__name__=~"a|b"}', [Selector("", (Matcher("__name__", "=~", "a|b"),))]),
        ("sum by (a, b) (rate(x_total[5m])) / on (a) group_left (b) y", [Selector("x_total"), Selector("y")]),
        ("sum(x) without (le) > bool 3", [Selector("x")]),
        ("max_over_time(rate(x[5m])[1h:30s] offset 1d) @ end()", [Selector("x")]),
        ("x offset -5m and y @ 1609746000 unless z", [Selector("x"), Selector("y"), Selector("z")]),
        ("histogram_quantile(0.99, a:b:c) # p99", [Selector("a:b:c")]),
        ("-x ^ 2 * time()", [Selector("x")]),
        ("topk(3, x) or vector(1)", [Selector("x")]),
        ("x + x", [Selector("x")]),
        ('count_values("v", x)', [Selector("x")]),
    ],
)
def test_the_series_of_an_expression_are_found(expression: str, expected: list[Selector]) -> None:
    assert list(selectors(expression)) == expected


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "sum(up",
        "up)",
        "up up",
        "up{job=}",
        "up{job=a}",
        'up{="a"}',
        'up{job=~"("}',
        "{}",
        "rate(up[5x])",
        "rate(up[])",
        "no_such_function(up)",
        "up + ",
        "up and bool up",
        "sum by job (up)",
        "up offset",
        'up{job="a}',
        "up $ 1",
        "by",
        "up[5m",
    ],
)
def test_what_prometheus_would_not_accept_is_a_fault(expression: str) -> None:
    with pytest.raises(PromQLError):
        selectors(expression)
