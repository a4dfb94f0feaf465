"""Objectives become rules with the names of Sloth; promtool's part is tests/contract/test_promtool_objectives.py."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from support import ROOT, stack

from tasks.model.errors import InputError
from tasks.model.stack.telemetry.metrics import Metrics
from tasks.model.stack.telemetry.slo import Objective
from tasks.monitor import objectives
from tasks.monitor.plan import burn_rates, openslo, own_names, rules
from tasks.monitor.plan.promql import selectors
from tasks.monitor.plan.slo import ServiceLevel, level, levels, refuse_twice, unmeasured

GOLDEN = ROOT / "tests" / "data" / "slo"
METRICS = {"port": 9464}
SLO = [
    {"name": "availability", "objective": "99.9%"},
    {"name": "fast", "objective": "99%", "latency": "300ms"},
]
OWN = {"port": 9464, "duration": "shop_seconds", "status": "code"}
USUAL = ROOT / "docker_project" / "monitoring" / "prometheus" / "rules"


def of_services(**services: Any) -> tuple[ServiceLevel, ...]:
    return levels(stack({name: {"x-slipway": said} for name, said in services.items()}))


def made(*found: ServiceLevel) -> dict[str, Any]:
    """Return the rules made for objectives by name, and window or severity where there are several."""
    document = yaml.safe_load(burn_rates.rules(found))
    named = {}
    for group in document["groups"]:
        for rule in group["rules"]:
            further = rule["labels"].get("severity", "") if "alert" in rule else ""
            named[rule.get("record") or f"{rule['alert']} {further}"] = rule
    return named


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("services", lambda: of_services(app={"metrics": METRICS, "slo": SLO})),
        ("own-names", lambda: of_services(web={"metrics": OWN, "slo": [{**SLO[1], "latency": "1s"}]})),
        (
            "openslo",
            lambda: openslo.levels(yaml.safe_load_all((GOLDEN / "openslo.yaml").read_text("utf-8")), "openslo.yaml"),
        ),
    ],
)
def test_rules_are_as_they_were(name: str, found: Any) -> None:
    assert burn_rates.rules(found()) == (GOLDEN / f"{name}.rules.yml").read_text(encoding="utf-8")


def test_services_whose_metrics_have_other_names_are_recorded_by_the_usual_names() -> None:
    usual = rules.parse({"services": yaml.safe_load((USUAL / "services.yml").read_text(encoding="utf-8"))})
    metrics = [Metrics(9464), Metrics(9464, duration="shop_seconds", status="code"), Metrics(9464, status="code")]
    text = own_names.rules(usual, metrics)
    shop, status = yaml.safe_load(text)["groups"]

    reading = [rule.name for rule in usual if not rule.alert and "(http_server_" in rule.expression.replace("\n", "")]
    assert {rule["record"] for rule in shop["rules"]} >= set(reading)
    assert {rule["record"] for rule in shop["rules"]} == {
        "service:http_server_requests:increase1m",
        "service:http_server_errors:increase1m",
        "service:http_server_requests:increase10m",
        "service:http_server_errors:increase10m",
        "service:http_server_requests:rate5m",
        "service:http_server_errors:rate5m",
        "service:http_server_request_duration_seconds_bucket:rate5m",
    }
    # Its requests are counted by the usual rules.
    assert {rule["record"].split(":")[1] for rule in status["rules"]} == {"http_server_errors"}
    assert "http_response_status_code" not in text
    for rule in shop["rules"]:
        assert {selector.metric for selector in selectors(rule["expr"])} <= {
            "shop_seconds_count",
            "shop_seconds_bucket",
            "up",
        }


def test_no_rules_are_written_where_every_service_has_the_usual_names() -> None:
    assert own_names.rules([], [Metrics(9464), Metrics(5432, exporter="postgres", status="x")]) == ""
    assert burn_rates.rules([]) == ""


def test_the_names_and_windows_are_those_of_sloth() -> None:
    found = made(*of_services(app={"metrics": METRICS, "slo": SLO[:1]}))

    windows = ("5m", "30m", "1h", "2h", "6h", "1d", "3d", "30d")
    assert {f"slo:sli_error:ratio_rate{window}" for window in windows} <= set(found)
    assert {"slo:objective:ratio", "slo:error_budget:ratio", "slo:time_period:days", "sloth_slo_info"} <= set(found)
    assert {
        "slo:current_burn_rate:ratio",
        "slo:period_burn_rate:ratio",
        "slo:period_error_budget_remaining:ratio",
    } <= set(found)
    ids = {"sloth_id": "app-availability", "sloth_service": "app", "sloth_slo": "availability"}
    assert found["slo:sli_error:ratio_rate1h"]["labels"] == {**ids, "sloth_window": "1h"}
    assert found["slo:objective:ratio"]["labels"] == ids
    page = found["SLOBurnRate page"]["labels"]
    assert page == {**ids, "severity": "page", "sloth_severity": "page", "service": "app"}


def test_alerts_look_at_a_long_and_a_short_window_and_at_how_many_requests_there_were() -> None:
    found = made(*of_services(app={"metrics": METRICS, "slo": SLO[:1]}))
    page, ticket = found["SLOBurnRate page"]["expr"], found["SLOBurnRate ticket"]["expr"]

    selector = '{sloth_id="app-availability", sloth_service="app", sloth_slo="availability"}'
    for window, factor in (("5m", 14.4), ("1h", 14.4), ("30m", 6), ("6h", 6)):
        assert f"ratio_rate{window}{selector} > ({factor:g} * 0.001)" in page
    for window, factor in (("2h", 3), ("1d", 3), ("6h", 1), ("3d", 1)):
        assert f"ratio_rate{window}{selector} > ({factor:g} * 0.001)" in ticket
    assert "slo:sli_requests:increase1h" in page
    assert ">= 139" in page


@pytest.mark.parametrize(
    ("budget", "factor", "least"), [(0.001, 14.4, 139), (0.001, 1, 2000), (0.01, 14.4, 50), (0.1, 6, 50)]
)
def test_a_single_bad_request_never_fires(budget: float, factor: float, least: int) -> None:
    assert burn_rates.least_requests(budget, factor) == least
    assert 1 / least < factor * budget


def test_an_objective_that_cannot_be_missed_so_quickly_fires_when_nothing_is_answered_well() -> None:
    page = made(*of_services(app={"metrics": METRICS, "slo": [{"name": "a", "objective": "90%"}]}))["SLOBurnRate page"]

    assert "> 0.99" in page["expr"]
    assert "> (6 * 0.1)" in page["expr"]


def test_every_expression_that_is_made_is_one() -> None:
    for rule in made(*of_services(app={"metrics": METRICS, "slo": SLO}, web={"metrics": OWN, "slo": SLO})).values():
        assert selectors(rule["expr"]) or rule["expr"].startswith("vector(")


def test_a_whole_bound_is_found_in_both_formats() -> None:
    found = level("app", Metrics(9464), Objective("fast", 0.99, 1.0), "app")

    assert found.histogram
    assert found.histogram.bucket == 'http_server_request_duration_seconds_bucket{service="app",le=~"1([.]0)?"}'


def test_a_service_that_does_not_measure_itself_cannot_have_an_objective() -> None:
    for said in (
        {"slo": SLO},
        {"slo": SLO, "metrics": {"exporter": "none"}},
        {"slo": SLO, "metrics": {"exporter": "redis"}},
    ):
        with pytest.raises(InputError, match=r"^services\.app\.x-slipway\.slo\[0\]: the service does not measure"):
            of_services(app=said)


@pytest.mark.parametrize(
    "bounds", [{}, {"app-fast": ["+Inf"]}, {"app-fast": ["0.1", "0.3", "1.0", "+Inf"]}, {"web-fast": ["1"]}]
)
def test_a_latency_that_is_a_bound_or_not_known_yet_is_accepted(bounds: Any) -> None:
    assert unmeasured(of_services(app={"metrics": METRICS, "slo": SLO}), bounds) == {}


def test_a_latency_that_is_no_bound_names_the_nearest() -> None:
    found = of_services(app={"metrics": METRICS, "slo": SLO})

    reasons = unmeasured(found, {"app-fast": ["0.1", "0.25", "0.5", "1.0", "+Inf"]})
    histogram = "http_server_request_duration_seconds"
    assert reasons == {"app-fast": f"no bucket of {histogram} has the bound 300ms; the nearest: 250ms and 500ms"}
    assert unmeasured(found, {"app-fast": ["1.0"]})["app-fast"].endswith("; the nearest: 1s")


def test_an_objective_is_stated_once() -> None:
    twice = [level("app", Metrics(9464), Objective("a", 0.99), where) for where in ("Compose", "slo.yaml")]

    with pytest.raises(InputError, match=r"^slo\.yaml: app-a is stated in Compose already$"):
        refuse_twice(twice)


def project(directory: Path, services: dict[str, Any], *files: str) -> Any:
    return SimpleNamespace(
        stack=stack(services, **{"x-slipway": {"openslo": list(files)}}),
        settings=SimpleNamespace(project_dir=directory),
    )


def test_the_files_of_rules_of_a_project(tmp_path: Path) -> None:
    (tmp_path / "slo.yaml").write_text((GOLDEN / "openslo.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    shop = {"app": {"x-slipway": {"metrics": METRICS, "slo": SLO}}, "web": {"x-slipway": {"metrics": OWN}}}
    files = objectives.rule_files(project(tmp_path, shop, "slo.yaml"), USUAL)

    assert set(files) == {"objectives.yml", "own-names.yml"}
    assert "app-availability" in files["objectives.yml"]
    assert "checkout-availability" in files["objectives.yml"]
    assert objectives.rule_files(project(tmp_path, {"web": {}}), USUAL) == {}


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("a: [", encoding="utf-8")

    with pytest.raises(InputError, match=r"^x-slipway\.openslo: slo\.yaml: No such file"):
        objectives.of_project(project(tmp_path, {}, "slo.yaml"))
    with pytest.raises(InputError, match=r"^broken\.yaml: "):
        objectives.of_project(project(tmp_path, {}, "broken.yaml"))


GOOD = {"metricSource": {"type": "Prometheus", "spec": {"query": 'sum(rate(r{c!~"5.."}[{{.window}}]))'}}}
TOTAL = {"metricSource": {"spec": {"query": "sum(rate(r[{{ .window }}]))"}}}
SPEC: dict[str, Any] = {
    "service": "app",
    "indicator": {"spec": {"ratioMetric": {"counter": True, "good": GOOD, "total": TOTAL}}},
    "budgetingMethod": "Occurrences",
    "timeWindow": [{"duration": "30d", "isRolling": True}],
    "objectives": [{"target": 0.999}],
}


def document(**changes: Any) -> dict[str, Any]:
    return {"apiVersion": "openslo/v1", "kind": "SLO", "metadata": {"name": "a"}, "spec": {**SPEC, **changes}}


def metric(**changes: Any) -> dict[str, Any]:
    return {"indicator": {"spec": {"ratioMetric": {"counter": True, "good": GOOD, "total": TOTAL, **changes}}}}


def query(text: Any, **source: Any) -> dict[str, Any]:
    return {"metricSource": {"spec": {"query": text}, **source}}


def test_an_openslo_document_is_an_objective() -> None:
    [found] = openslo.levels([document()], "slo.yaml")

    assert (found.id, found.ratio, found.spec) == ("app-a", 0.999, "openslo/v1")
    assert found.total == "sum(rate(r[{{.window}}]))"
    assert found.errors == (
        '((sum(rate(r[{{.window}}]))) - ((sum(rate(r{c!~"5.."}[{{.window}}]))) or 0 * (sum(rate(r[{{.window}}])))))'
    )


def test_a_counter_needs_no_window_and_bad_events_are_taken_as_they_are() -> None:
    bad = {"bad": query('r_total{code=~"5.."}'), "total": query("r_total"), "counter": True}
    [found] = openslo.levels([document(indicator={"spec": {"ratioMetric": bad}})], "slo.yaml")

    assert found.total == "sum(rate(r_total[{{.window}}]))"
    assert found.errors == ('((sum(rate(r_total{code=~"5.."}[{{.window}}]))) or 0 * (sum(rate(r_total[{{.window}}]))))')


def test_an_indicator_may_be_a_document_of_its_own_and_an_objective_one_of_several() -> None:
    indicator = {
        "apiVersion": "openslo/v1",
        "kind": "SLI",
        "metadata": {"name": "ok"},
        "spec": SPEC["indicator"]["spec"],
    }
    spec = {"indicatorRef": "ok", "objectives": [{"target": 0.9}, {"targetPercent": 99.95}]}
    slo = document(**spec)
    del slo["spec"]["indicator"]
    found = openslo.levels([indicator, slo, {"kind": "Service"}, None], "slo.yaml")

    assert [(one.id, one.ratio) for one in found] == [("app-a-0", 0.9), ("app-a-1", 0.9995)]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("text", "expected a document with apiVersion and kind"),
        ({**document(), "apiVersion": "openslo/v1alpha"}, "apiVersion: expected openslo/v1, got 'openslo/v1alpha'"),
        ({**document(), "metadata": {}}, "metadata.name: expected a name, got None"),
        ({**document(), "spec": []}, "a: spec: expected a mapping, got []"),
        (document(service="My App"), "a: spec.service: expected the name of a service, got 'My App'"),
        (document(budgetingMethod="Timeslices"), "a: spec.budgetingMethod Timeslices is not done here"),
        (
            document(timeWindow=[{"duration": "7d", "isRolling": True}]),
            "a: spec.timeWindow: only 30 days, rolling, are done here",
        ),
        (
            document(timeWindow=[{"duration": "1M", "isRolling": False}]),
            "a: spec.timeWindow: only 30 days, rolling, are done here",
        ),
        (document(objectives=[]), "a: spec.objectives: expected a list, got []"),
        (
            document(objectives=[{"target": 1}]),
            "a: spec.objectives[0].target: an objective of 1 allows no error at all",
        ),
        (
            document(objectives=[{"targetPercent": 100}]),
            "a: spec.objectives[0].targetPercent: an objective of 1 allows no error at all",
        ),
        (document(objectives=[{"target": 0}]), "a: spec.objectives[0].target: an objective of 0 allows every error"),
        (document(objectives=[{}]), "a: spec.objectives[0]: expected target or targetPercent, a number"),
        (
            document(objectives=[{"target": 0.9, "targetPercent": 90}]),
            "a: spec.objectives[0]: expected target or targetPercent, a number",
        ),
        (document(indicatorRef="b"), "a: no document of kind SLI is called 'b'"),
        (document(indicator={"spec": {"thresholdMetric": {}}}), "a: the indicator has no ratioMetric"),
        (
            document(**metric(total=query("r", type="Datadog"))),
            "a: ratioMetric.total: metricSource.type: expected Prometheus, got 'Datadog'",
        ),
        (
            document(**metric(total=query(""))),
            "a: ratioMetric.total.metricSource.spec.query: expected an expression, got ''",
        ),
        (
            document(**metric(total=query("sum(r)"))),
            "a: ratioMetric.total: the expression does not say over which time: sum(r)",
        ),
        (
            document(**metric(counter=False, total=query("r"))),
            "a: ratioMetric.total: the expression does not say over which time: r",
        ),
        (
            document(**metric(good=query("sum(rate(r[{{.window}}])"))),
            "a: ratioMetric.good: expected ), got the end in: sum(rate(r[5m])",
        ),
    ],
)
def test_what_an_openslo_document_cannot_have_is_refused_in_one_line(wrong: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        openslo.levels([wrong], "slo.yaml")

    assert (caught.value.message, bool(caught.value.hint)) == (f"slo.yaml: {message}", True)
