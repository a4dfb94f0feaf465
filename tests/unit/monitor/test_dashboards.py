"""The dashboards that the monitoring comes with, what is wrong with one, and what its panels ask."""

import json
from copy import deepcopy
from typing import Any

import pytest
import yaml
from support import ROOT

from tasks.model.errors import InputError
from tasks.model.stack.telemetry.metrics import Metrics
from tasks.monitor.plan import dashboards, rules
from tasks.monitor.plan.promql import selectors

GRAFANA = ROOT / "docker_project" / "monitoring" / "grafana"
BOARDS = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted((GRAFANA / "dashboards").glob("*.json"))
}
SOURCES = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "datasources.yml").read_text(encoding="utf-8"))
IDS = {source["uid"]: source for source in SOURCES["datasources"]}
QUERIES = dashboards.queries(BOARDS)


def board(**panel: Any) -> dict[str, Any]:
    """Return a dashboard without a fault, but for what the panel is said to have."""
    good = {
        "id": 1,
        "type": "timeseries",
        "title": "Up",
        "gridPos": {"x": 0, "y": 0, "w": 12, "h": 8},
        "datasource": {"uid": "prometheus"},
        "fieldConfig": {"defaults": {"unit": "short"}},
        "targets": [{"refId": "A", "expr": 'up{job=~"$job"}', "legendFormat": "{{job}}"}],
    }
    variable = {
        "type": "query",
        "name": "job",
        "datasource": {"uid": "prometheus"},
        "query": "label_values(up, job)",
        "includeAll": True,
        "allValue": ".+",
    }
    return {"uid": "a", "title": "A", "panels": [{**good, **panel}], "templating": {"list": [variable]}}


def test_the_dashboards_have_no_fault() -> None:
    assert dashboards.faults(BOARDS, IDS) == ()
    assert set(BOARDS) == {"services", "postgres", "nginx", "containers", "node", "releases"}


def test_the_ids_of_dashboards_and_data_sources_are_fixed() -> None:
    assert set(IDS) == {"prometheus", "jaeger", "alertmanager"}
    assert {name: one["uid"] for name, one in BOARDS.items()} == {
        "services": "slipway-services",
        "postgres": "slipway-postgres",
        "nginx": "slipway-nginx",
        "containers": "slipway-containers",
        "node": "slipway-host",
        "releases": "slipway-releases",
    }


def test_an_exemplar_leads_to_its_trace_and_a_trace_to_its_logs() -> None:
    [destination] = IDS["prometheus"]["jsonData"]["exemplarTraceIdDestinations"]
    shown = [
        target
        for panel in BOARDS["services"]["panels"]
        for target in panel.get("targets", ())
        if target.get("exemplar")
    ]
    texts = [panel["options"]["content"] for panel in BOARDS["services"]["panels"] if panel["type"] == "text"]

    assert (destination["name"], destination["datasourceUid"]) == ("trace_id", "jaeger")
    assert len(shown) >= 2
    # Recorded series have no exemplars.
    assert all("http_server_request_duration_seconds_bucket{" in target["expr"] for target in shown)
    assert any("inv logs" in text and "--trace" in text for text in texts)
    assert IDS["jaeger"]["jsonData"]["tracesToMetrics"]["datasourceUid"] == "prometheus"


def test_nobody_changes_a_dashboard_in_place() -> None:
    assert [name for name, one in BOARDS.items() if one["editable"] or "id" in one] == []


def test_every_panel_is_asked_without_variables() -> None:
    asked = [target for one in BOARDS.values() for panel in one["panels"] for target in panel.get("targets", ())]

    assert len(QUERIES) == len(asked) + len(BOARDS) + sum(len(one["templating"]["list"]) for one in BOARDS.values())
    assert [query.expression for query in QUERIES if "$" in query.expression] == []
    assert len(asked) > 70


def test_what_panels_read_is_recorded_or_measured_by_a_job_that_a_rule_or_a_panel_names() -> None:
    """A metric that is written wrongly has no data, which a dashboard does not show as a fault."""
    path = ROOT / "docker_project" / "monitoring" / "prometheus" / "rules" / "services.yml"
    recorded = {rule.name for rule in rules.parse({"services": yaml.safe_load(path.read_text(encoding="utf-8"))})}
    read = {selector.metric for query in QUERIES for selector in selectors(query.expression)}

    assert {metric for metric in read if metric.startswith("service:")} <= recorded


def test_a_project_without_a_proxy_is_not_asked_for_its_panels() -> None:
    some = dashboards.applicable(BOARDS, {rules.SERVICES, "containers", "node"})

    assert set(some) == {"services", "containers", "node", "releases"}
    assert set(dashboards.applicable(BOARDS, {"containers"})) == {"containers"}


def test_variables_get_values_or_stand_for_everything() -> None:
    everything = dashboards.queries({"a": board()})
    one = dashboards.queries(
        {"a": board(targets=[{"expr": 'rate(up{job=~"${job:regex}"}[$__rate_interval])'}])}, {"job": "x"}
    )

    assert [(query.panel, query.expression) for query in everything] == [
        ("variable job", "up"),
        ("Up", 'up{job=~".+"}'),
    ]
    assert one[1].expression == 'rate(up{job=~"x"}[1m])'


def test_a_panel_may_have_no_data_where_not_every_project_has_it() -> None:
    absent = {query.panel for query in QUERIES if query.file == "services" and query.may_be_absent}

    assert absent == {
        "annotation Deploys",
        "Requests being answered",
        "Database connections",
        "Waiting for a connection",
        "Errors left for 30 days",
        "Speed at which errors are spent",
        "Alerts that fire",
    }


def test_the_usual_metrics_may_be_absent_where_all_services_have_others() -> None:
    own, usual = Metrics(9464, duration="shop_seconds"), Metrics(9464)

    assert dashboards.usual_metrics([own]) == (
        "http_server_request_duration_seconds_count",
        "http_server_request_duration_seconds_bucket",
    )
    assert dashboards.usual_metrics([own, usual]) == ()
    assert dashboards.usual_metrics([Metrics(5432, exporter="postgres")]) == ()


def test_a_metric_that_a_project_has_not_got_may_be_absent() -> None:
    assert {query.may_be_absent for query in dashboards.queries({"a": board()}, absent={"up"})} == {True}
    assert {query.may_be_absent for query in dashboards.queries({"a": board()})} == {False}


def test_an_expression_that_is_wrong_names_its_panel() -> None:
    with pytest.raises(InputError, match=r"^a: Up: expected "):
        dashboards.queries({"a": board(targets=[{"expr": "sum(up"}])})


@pytest.mark.parametrize(
    ("panel", "fault"),
    [
        ({"datasource": {"uid": "loki"}}, "a: Up: no data source 'loki'"),
        ({"fieldConfig": {"defaults": {}}}, "a: Up: no unit"),
        ({"title": ""}, "a: title '' has 1 panels"),
        ({"targets": []}, "a: Up: it asks nothing"),
        ({"targets": [{"refId": "A", "expr": "up"}]}, "a: Up: no legend: up"),
        (
            {"targets": [{"refId": "A", "expr": "up)", "legendFormat": "a"}]},
            "a: Up: expected an operator, got ) in: up)",
        ),
        ({"targets": [{"refId": "A", "expr": 'up{a="$b"}', "legendFormat": "a"}]}, "a: Up: no variable $b"),
        ({"targets": [{"refId": "A", "expr": "up", "legendFormat": "a"}] * 2}, "a: Up: two expressions with one refId"),
        ({"gridPos": {"x": 16, "y": 0, "w": 12, "h": 8}}, "a: Up: it is wider than 24 columns"),
    ],
)
def test_a_fault_of_a_panel_is_named(panel: dict[str, Any], fault: str) -> None:
    assert dashboards.faults({"a": board()}, {"prometheus"}) == ()
    assert dashboards.faults({"a": board(**panel)}, {"prometheus"})[0] == fault


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"query": "up"}, "a: variable job: expected label_values(metric, label), got 'up'"),
        ({"allValue": ""}, "a: variable job: All has to be .+"),
        ({"datasource": {"uid": "x"}}, "a: variable job: no data source 'x'"),
    ],
)
def test_a_fault_of_a_variable_is_named(change: dict[str, Any], fault: str) -> None:
    wrong = board()
    wrong["templating"]["list"][0].update(change)

    assert dashboards.faults({"a": wrong}, {"prometheus"}) == (fault,)


def test_panels_are_told_apart() -> None:
    twice = board()
    twice["panels"].append(deepcopy(twice["panels"][0]))

    assert dashboards.faults({"a": twice}, {"prometheus"}) == (
        "a: id 1 has 2 panels",
        "a: title 'Up' has 2 panels",
        "a: Up and Up are on each other",
    )
    assert dashboards.faults({"a": board(), "b": board()}, {"prometheus"}) == (
        "uid 'a' has 2 dashboards",
        "title 'A' has 2 dashboards",
    )
