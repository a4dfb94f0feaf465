"""Traces and exemplars as Jaeger and Prometheus answer them."""

import json

import pytest
from store_server import serving, success

from tasks.model.errors import RefusedError
from tasks.telemetry.jaeger import Jaeger
from tasks.telemetry.plan.traces import parse_exemplars, parse_traces
from tasks.telemetry.prometheus import Prometheus
from tasks.telemetry.stores import Store

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
# What Jaeger 1.76 answers to GET /api/traces?traceID=…, shortened.
ANSWER = {
    "data": [
        {
            "traceID": TRACE,
            "spans": [
                {
                    "traceID": TRACE,
                    "spanID": "b7ad6b7169203331",
                    "operationName": "SELECT shop.users",
                    "references": [{"refType": "CHILD_OF", "traceID": TRACE, "spanID": "00f067aa0ba902b7"}],
                    "startTime": 1795900000002000,
                    "duration": 800,
                    "tags": [
                        {"key": "span.kind", "type": "string", "value": "client"},
                        {"key": "db.system.name", "type": "string", "value": "postgresql"},
                        {"key": "db.response.returned_rows", "type": "int64", "value": 20},
                    ],
                    "logs": [],
                    "processID": "p1",
                    "warnings": None,
                },
                {
                    "traceID": TRACE,
                    "spanID": "00f067aa0ba902b7",
                    "operationName": "GET /api/users",
                    "references": [{"refType": "CHILD_OF", "traceID": TRACE, "spanID": "aaaaaaaaaaaaaaaa"}],
                    "startTime": 1795900000001000,
                    "duration": 2500,
                    "tags": [{"key": "span.kind", "type": "string", "value": "server"}],
                    "processID": "p1",
                },
            ],
            "processes": {"p1": {"serviceName": "web", "tags": []}},
        }
    ],
    "total": 0,
    "errors": [{"code": 404, "msg": "trace not found", "traceID": "1"}],
}


def store(port: int, name: str = "jaeger") -> Store:
    return Store(name, port, "staging", "", 5.0)


def test_the_spans_of_a_trace_are_in_order_of_time() -> None:
    served, asked = parse_traces(ANSWER)[TRACE]
    assert (served.service, served.name, served.kind, served.start) == (
        "web",
        "GET /api/users",
        "server",
        1795900000.001,
    )
    assert served.seconds == pytest.approx(0.0025)
    assert (asked.parent, asked.kind, asked.attributes["db.response.returned_rows"]) == (served.span, "client", "20")


@pytest.mark.parametrize("name", ["db.system.name", "db.system"])
def test_a_span_that_asks_a_database_says_which(name: str) -> None:
    answer = json.loads(json.dumps(ANSWER).replace("db.system.name", name))
    served, asked = parse_traces(answer)[TRACE]
    assert (served.database, asked.database) == ("", "postgresql")


def test_zeros_that_jaeger_leaves_out_of_an_id_are_put_back() -> None:
    short = {"data": [{"traceID": "abc", "spans": [{"traceID": "abc", "spanID": "1", "operationName": "x"}]}]}
    assert list(parse_traces(short)) == ["0" * 29 + "abc"]


def test_traces_are_asked_for_by_their_ids_at_once() -> None:
    with serving(lambda _: (200, json.dumps(ANSWER).encode())) as server:
        found = Jaeger(store(server.port)).traces([TRACE, "1" * 32])
    assert list(found) == [TRACE]
    assert [asked.path for asked in server.requests] == ["/api/traces"]


def test_nobody_is_asked_for_no_traces() -> None:
    assert Jaeger(store(9)).traces([]) == {}


def test_a_service_is_active_when_it_has_a_span_in_the_time() -> None:
    with serving(lambda _: (200, json.dumps(ANSWER).encode())) as server:
        assert Jaeger(store(server.port)).active("web", 10.0, 20.5)
    assert server.requests[0].fields == {"service": "web", "limit": "1", "start": "10000000", "end": "20500000"}
    with serving(lambda _: (200, b'{"data": [], "errors": null}')) as server:
        assert not Jaeger(store(server.port)).active("web", 10.0, 20.5)


@pytest.mark.parametrize("answer", [b"[]", b'{"data": [{"spans": []}]}', b'{"data": 4}'])
def test_what_is_not_jaeger_is_refused_with_its_address(answer: bytes) -> None:
    with serving(lambda _: (200, answer)) as server, pytest.raises(RefusedError) as error:
        Jaeger(store(server.port)).traces([TRACE])
    assert f"http://127.0.0.1:{server.port} does not answer as Jaeger does" in error.value.message


def test_exemplars_are_the_newest_first_and_those_without_a_trace_are_left_out() -> None:
    # As in https://prometheus.io/docs/prometheus/latest/querying/api/#querying-exemplars
    data = [
        {
            "seriesLabels": {"__name__": "took_bucket", "le": "0.1"},
            "exemplars": [
                {"labels": {"trace_id": TRACE}, "value": "0.02", "timestamp": 1000.5},
                {"labels": {"query": "x"}, "value": "0.03", "timestamp": 1002.0},
            ],
        },
        {"seriesLabels": {}, "exemplars": [{"labels": {"traceID": "AbC"}, "value": "6", "timestamp": 1001.0}]},
    ]
    newest, older = parse_exemplars(data)
    assert (newest.trace, newest.value, newest.time) == ("0" * 29 + "abc", 6.0, 1001.0)
    assert (older.trace, older.labels["le"]) == (TRACE, "0.1")


def test_exemplars_are_asked_for_between_two_times() -> None:
    with serving(lambda _: success([])) as server:
        assert Prometheus(store(server.port, "prometheus")).exemplars("took_bucket", 10.0, 20.0) == ()
    assert server.requests[0].fields == {"query": "took_bucket", "start": "10.000", "end": "20.000"}
