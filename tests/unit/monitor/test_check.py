"""Whether the monitoring of a stack sees: what is a fault, and what is not."""

from collections import Counter
from typing import Any

from tasks.model.stack.telemetry.metrics import Metrics
from tasks.model.stack.telemetry.slo import Objective
from tasks.monitor.plan import check, rules
from tasks.monitor.plan.check import ABSENT, FAILED, OK, Checked
from tasks.monitor.plan.dashboards import PanelQuery
from tasks.monitor.plan.rules import Reading, WrittenRule
from tasks.monitor.plan.slo import level
from tasks.monitor.plan.targets import Watched, watched
from tasks.telemetry.plan.series import LoadedRule, ScrapeTarget
from tasks.telemetry.plan.servers import with_known_servers

OWN = ("alertmanager", "containers", "jaeger", "node", "prometheus")


def seen(**services: Any) -> Watched:
    model = {"name": "shop", "services": services, "networks": {"back": {"name": "shop_back"}}}
    return watched(with_known_servers(model), model)


APP = {
    "image": "x",
    "networks": {"back": None},
    "deploy": {"replicas": 2},
    "x-slipway": {"metrics": {"port": 9464}},
}
DATABASE = {"image": "postgres", "networks": {"back": None}, "environment": {"POSTGRES_DB": "shop"}}


def target(job: str, health: str = "up", error: str = "", **labels: str) -> ScrapeTarget:
    return ScrapeTarget(job, f"http://{job}/metrics", health, error, labels)


UP = tuple(target(job) for job in OWN)


def test_every_container_of_a_service_and_every_exporter_is_expected() -> None:
    assert check.expected_targets(seen(app=APP, db=DATABASE)) == Counter(
        {("app", "app"): 2, ("postgres", "db"): 1, **{(job, ""): 1 for job in OWN}}
    )


def test_targets_that_are_up_are_no_fault() -> None:
    app = [target("app", service="app", container=f"shop-app-{number}") for number in (1, 2)]
    found = check.checked_targets(seen(app=APP), (*UP, *app))

    assert check.failures(found) == ()
    assert Checked("target", "app shop-app-2") in found


def test_a_target_that_is_down_says_why_and_one_that_was_not_read_says_that() -> None:
    app = (
        target("app", "down", "connection refused", service="app", container="shop-app-1"),
        target("app", "unknown", service="app", container="shop-app-2"),
    )
    assert check.failures(check.checked_targets(seen(app=APP), (*UP, *app))) == (
        Checked("target", "app shop-app-1", FAILED, "connection refused"),
        Checked("target", "app shop-app-2", FAILED, "it was not read yet"),
    )


def test_a_target_that_prometheus_does_not_know_is_a_fault() -> None:
    app = (target("app", service="app"),)
    assert check.failures(check.checked_targets(seen(app=APP, db=DATABASE), (*UP, *app))) == (
        Checked("target", "app", FAILED, "Prometheus knows 1 of 2 such targets"),
        Checked("target", "postgres db", FAILED, "Prometheus knows 0 of 1 such targets"),
    )


def rule(name: str, health: str = "ok", error: str = "") -> LoadedRule:
    return LoadedRule(name, "g", "alerting", "up == 0", health, error)


def written(name: str, alert: bool = True) -> WrittenRule:
    return WrittenRule("services", name, "up == 0", alert, {"severity": "page"})


def test_a_rule_has_to_be_loaded_and_to_be_evaluated() -> None:
    loaded = (rule("Good"), rule("Bad", "err", "many-to-many matching"), rule("New", "unknown"))
    assert check.checked_rules([written("Good"), written("Gone")], loaded) == (
        Checked("rule", "Good"),
        Checked("rule", "Bad", FAILED, "many-to-many matching"),
        Checked("rule", "New", FAILED, "it was not evaluated yet"),
        Checked("rule", "Gone", FAILED, "Prometheus has not loaded it: inv monitor.up"),
    )


def test_of_rules_of_one_name_the_one_that_fails_counts() -> None:
    found = check.checked_rules([], (rule("Twice"), rule("Twice", "err", "x"), rule("Twice")))
    assert found == (Checked("rule", "Twice", FAILED, "x"),)


def test_an_alert_whose_condition_is_not_met_is_no_fault_as_long_as_what_it_reads_exists() -> None:
    readings = (
        Reading("pg_up", ("PostgreSQLDown",), False),
        Reading("pg_upp", ("Misspelt",), False),
        Reading("slipway_drift", ("Drift",), True),
    )
    assert check.checked_series(readings, lambda selector: selector == "pg_up") == (
        Checked("series", "pg_up"),
        Checked("series", "pg_upp", FAILED, "no data; read by Misspelt"),
        Checked("series", "slipway_drift", ABSENT, "not every project has it"),
    )


def test_an_alert_without_a_test_is_a_fault() -> None:
    fires = {"eval_time": "1m", "alertname": "Down", "exp_alerts": [{"exp_labels": {"severity": "page"}}]}
    quiet = {"eval_time": "0s", "alertname": "Down"}
    ends = {"eval_time": "2m", "alertname": "Down"}
    tests = {"services": {"tests": [{"alert_rule_test": [quiet, fires, ends]}]}}
    found = check.checked_tests([written("Down"), written("Untested"), written("rate:x", alert=False)], tests)

    assert [(one.name, one.outcome) for one in found] == [("Down (page)", OK), ("Untested (page)", FAILED)]


def test_rules_about_what_the_stack_has_not_got_are_left_out() -> None:
    assert check.jobs(seen(db=DATABASE)) == {*OWN, "postgres"}
    assert check.jobs(seen(app=APP)) == {*OWN, rules.SERVICES}


def test_the_table_counts_what_is_right_and_tells_what_need_not_be() -> None:
    checked = (
        Checked("target", "a"),
        Checked("target", "b", FAILED, "x"),
        Checked("series", "c"),
        Checked("series", "d", ABSENT, "y"),
    )
    assert check.summary(checked) == (
        ("targets are up", "1 of 2", "failed"),
        ("series that rules read exist", "1 of 1 (1 need not)", "ok"),
    )


def test_a_panel_has_to_return_data_unless_not_every_project_has_it() -> None:
    queries = [
        PanelQuery("node", "CPU", "a", False),
        PanelQuery("node", "Load", "b\n/ c", False),
        PanelQuery("node", "Drift", "d", True),
    ]

    assert check.checked_panels(queries, lambda expression: expression == "a") == (
        Checked("panel", "node: CPU"),
        Checked("panel", "node: Load", FAILED, "no data: b / c"),
        Checked("panel", "node: Drift", ABSENT, "not every project has it"),
    )


def test_an_objective_of_latency_needs_its_bucket() -> None:
    fast, all_of_them = Objective("fast", 0.99, 0.3), Objective("availability", 0.99)
    levels = [level("app", Metrics(9464), one, "app") for one in (fast, all_of_them)]

    assert check.checked_objectives(levels, {"app-fast": {"0.3", "+Inf"}}) == (Checked("series", "objective app-fast"),)
    [wrong] = check.checked_objectives(levels, {"app-fast": {"0.25", "0.5", "+Inf"}})
    assert (wrong.outcome, wrong.reason[-28:]) == (FAILED, "the nearest: 250ms and 500ms")
