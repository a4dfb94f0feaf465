"""What test.telemetry asks a stack, and whether the stores know of it."""

from dataclasses import replace
from typing import Any

import pytest
from support import stack

from tasks.telemetry.plan.traces import Exemplar, TraceSpan
from tasks.test.plan.telemetry import Evidence, Expected, Sent, aims, complete, expected, judge, missing, traceparent

SMOKE = [
    {"url": "https://localhost:8443/health"},
    {"url": "https://localhost:8443/version", "status": 200},
    {"url": "http://localhost:8080/health", "status": 308},
    {"url": "https://localhost:8443/", "method": "HEAD"},
]
LOAD = {
    "role": "load-generator",
    "load": {"targets": ["GET http://front:8081/api/users?limit=20", "HEAD http://front:8081/x"]},
}
OWN = {"metrics": {"port": 9464}}
SERVICES: dict[str, Any] = {
    "front": {"image": "front", "x-slipway": {"smoke": SMOKE, "metrics": {"exporter": "nginx", "port": 8083}}},
    "web": {"image": "web", "x-slipway": OWN},
    "store": {"image": "store", "x-slipway": {"role": "database"}},
    "tidy": {"image": "tidy", "x-slipway": {"job": "once"}},
}
WANTED = Expected(("web",), ("front",), ("store",), {"web": "web"}, ("store",))
TRACE, OTHER = "a" * 32, "b" * 32


def shop(**more: Any) -> Any:
    return stack({**SERVICES, **more})


def span(name: str, kind: str, service: str = "web", **attributes: str) -> TraceSpan:
    return TraceSpan(TRACE, name, service, name, kind, attributes=attributes)


def found(**changes: Any) -> Evidence:
    """Return evidence that nothing is missing in, unless changed."""
    aim = aims(shop(), shop(load={"image": "load", "x-slipway": LOAD}))[0]
    good = Evidence(
        since=1000.0,
        sent=(Sent(aim, TRACE, 200), Sent(aim, OTHER, 200)),
        scraped={"web": 1001.0, "front": 1002.0, "store": 1000.0},
        traces={TRACE: (span("GET /api/users", "server"), span("SELECT", "client", **{"db.system": "postgresql"}))},
        exemplars=(Exemplar(TRACE, 0.01, 1001.0),),
        lines={"web": 4, "front": 9, "store": 1},
        logged={"web": frozenset({TRACE}), "front": frozenset({TRACE, OTHER})},
    )
    return replace(good, **changes)


def reasons(evidence: Evidence, wanted: Expected = WANTED) -> dict[tuple[str, str], str]:
    return {(row.store, row.service): row.reason for row in judge(wanted, evidence) if row.outcome == "failed"}


def test_a_target_of_load_is_asked_where_the_smoke_checks_ask_its_service() -> None:
    found = aims(shop(), shop(load={"image": "load", "x-slipway": LOAD}))
    assert [(aim.service, aim.check.origin, str(aim.check)) for aim in found] == [
        ("front", "host", "GET https://localhost:8443/api/users?limit=20"),
        ("front", "host", "GET https://localhost:8443/health"),
        ("front", "host", "GET https://localhost:8443/version"),
    ]


def test_a_target_whose_service_nobody_checks_is_asked_from_inside() -> None:
    bare = stack({"front": {"image": "front"}})
    wide = stack({"front": {"image": "front"}, "load": {"image": "load", "x-slipway": LOAD}})
    (aim,) = aims(bare, wide)
    assert (aim.check.origin, str(aim.check)) == ("container", "GET http://front:8081/api/users?limit=20")


def test_a_target_outside_of_the_stack_is_not_asked() -> None:
    load = {"load": {"targets": ["GET http://elsewhere.example/"]}}
    assert aims(stack({"front": {"image": "x"}}), stack({"load": {"image": "x", "x-slipway": load}})) == ()


def test_what_is_expected_of_a_service_is_what_it_says() -> None:
    wanted = expected(shop(), {"front": {}, "web": {"OTEL_SERVICE_NAME": "shop-web"}})
    assert wanted == Expected(("web",), ("front",), ("store",), {"web": "shop-web"}, ("store",))


def test_a_service_that_is_told_where_spans_go_is_expected_to_make_some_also_where_it_is_told_nothing() -> None:
    wanted = expected(shop(), {"front": {"OTEL_EXPORTER_OTLP_ENDPOINT": ""}})
    assert wanted.traced == {"front": "front", "web": "web"}


def test_a_job_is_not_expected_to_have_anything() -> None:
    assert "tidy" not in expected(shop(), {}).services


def test_where_each_store_knows_of_the_requests_nothing_is_missing() -> None:
    rows = judge(WANTED, found())
    assert complete(rows) and missing(rows) == ""
    assert {row.outcome for row in rows} == {"passed"}


@pytest.mark.parametrize(
    ("changes", "store", "service", "reason"),
    [
        ({"scraped": {"front": 1002.0, "store": 1000.0}}, "metrics", "web", "no data"),
        ({"scraped": {"web": 999.0, "front": 1002.0, "store": 1000.0}}, "metrics", "web", "no data since the requests"),
        ({"lines": {"web": 4, "front": 9}}, "logs", "store", "no line is kept of its containers"),
        ({"exemplars": ()}, "exemplars", "web", "no exemplar since the requests names a trace"),
        ({"exemplars": (Exemplar(TRACE, 1, 9.0),)}, "exemplars", "web", "no exemplar since the requests names a trace"),
        ({"exemplars": (Exemplar("c" * 32, 1, 1009.0),)}, "exemplars", "web",
         f"no trace of 1 exemplars is stored, such as {'c' * 32}"),
    ],
)  # fmt: skip
def test_what_one_store_does_not_know_is_named(changes: Any, store: str, service: str, reason: str) -> None:
    assert reasons(found(**changes)) == {(store, service): reason}


def test_a_service_without_spans_is_named_and_what_says_where_they_go() -> None:
    bad = reasons(found(traces={}, exemplars=()))
    assert bad["traces", "web"].startswith("no trace of 2 requests is stored; its OTEL_EXPORTER_OTLP_ENDPOINT")
    assert bad["traces", "front, web, store"] == "no trace of the requests is stored"
    rows = judge(WANTED, found(traces={}, exemplars=()))
    assert missing(rows) == "traces of web, front, web, store; exemplars of web"


def test_a_service_that_the_requests_do_not_reach_may_make_spans_of_other_work() -> None:
    wanted = replace(WANTED, traced={"web": "web", "worker": "worker"})
    assert reasons(found(), wanted) == {("traces", "worker"): "no span of it in 1 traces"}
    assert reasons(found(active=frozenset({"worker"})), wanted) == {}


def test_a_trace_that_ends_before_the_database_is_told() -> None:
    bad = reasons(found(traces={TRACE: (span("GET /api/users", "server"),)}))
    assert bad == {("traces", "front, web, store"): f"no span of {TRACE} asks a database"}


def test_a_trace_whose_id_no_line_of_a_log_names_is_told() -> None:
    bad = reasons(found(logged={"front": frozenset({TRACE})}))
    assert bad == {("traces", "front, web, store"): f"no line of web names {TRACE}"}


def test_the_trace_that_comes_furthest_is_the_one_that_is_told_of() -> None:
    spans = {
        TRACE: (span("GET", "server"),),
        OTHER: (span("GET", "server"), span("SELECT", "client", **{"db.system": "x"})),
    }
    bad = reasons(found(traces=spans, logged={"web": frozenset({OTHER}), "front": frozenset({OTHER})}))
    assert bad == {}


def test_requests_that_are_not_answered_are_named() -> None:
    sent = found().sent
    bad = reasons(found(sent=(replace(sent[0], status=502), replace(sent[1], error="no answer within 3.0 s"))))
    assert bad["requests", "front"] == (
        "GET https://localhost:8443/api/users?limit=20: status 502; "
        "GET https://localhost:8443/api/users?limit=20: no answer within 3.0 s"
    )


def test_where_requests_are_not_answered_nothing_else_is_missing() -> None:
    sent = tuple(replace(one, status=502) for one in found().sent)
    rows = judge(WANTED, found(sent=sent, traces={}, exemplars=()))
    assert missing(rows) == "requests of front"
    assert {row.outcome for row in rows if row.store in ("traces", "exemplars")} == {"skipped"}


def test_a_stack_that_nobody_can_ask_does_not_pass() -> None:
    assert "there is nothing to ask" in reasons(found(sent=()))["requests", "-"]


def test_without_a_service_that_makes_spans_there_is_nothing_to_cross() -> None:
    rows = judge(Expected(others=("store",)), found())
    assert [(row.store, row.outcome) for row in rows][-2:] == [("traces", "skipped"), ("exemplars", "skipped")]


def test_a_request_says_that_its_trace_is_to_be_recorded() -> None:
    assert traceparent(TRACE, "c" * 16) == f"00-{TRACE}-{'c' * 16}-01"
