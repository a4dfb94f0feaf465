"""The sample measures itself: metrics are where they should be, and a trace leads from the proxy to the database."""

import json
import os
import re
import time
import urllib.error
import urllib.request

import pytest

from .collector import Collector, Span, another, collecting
from .support import Sample, docker, logged

_CALLER = "00f067aa0ba902b7"  # the span of the client
_PATIENCE = 60.0  # seconds
_WANTED = {"GET /api/users/{id}", "SELECT"}  # spans


def fetched(sample: Sample, url: str) -> str:
    """Return what a container of the stack's network gets from an address."""
    return docker("exec", f"{sample.project}-nginx-1", "curl", "--silent", "--fail", url)


def test_the_service_has_metrics_for_the_networks_of_the_stack_only(sample: Sample) -> None:
    sample.get("/api/users/1")
    text = fetched(sample, "http://app:9464/metrics")
    labels = 'http_request_method="GET",http_response_status_code="200",http_route="/api/users/{id}"'
    assert re.search(rf"^http_server_request_duration_seconds_count{{{re.escape(labels)}}} [1-9]", text, re.M)
    assert re.search(r"^db_client_connection_max 4$", text, re.M)
    with pytest.raises(urllib.error.HTTPError, match="404"):
        sample.get("/metrics")
    ports = json.loads(docker("inspect", f"{sample.project}-app-1"))[0]["NetworkSettings"]["Ports"]
    assert not any(ports.values())


def test_the_proxy_counts_itself_for_the_networks_of_the_stack_only(sample: Sample) -> None:
    assert re.match(r"Active connections: [1-9]", fetched(sample, "http://127.0.0.1:8083/stub_status"))
    with pytest.raises(urllib.error.HTTPError, match="404"):
        sample.get("/stub_status")


def test_the_proxy_begins_a_trace_where_the_client_sends_none_that_counts(sample: Sample) -> None:
    marker = f"measured-{os.urandom(4).hex()}"
    for header in ({}, {"traceparent": "00-" + "0" * 32 + "-00f067aa0ba902b7-01"}):
        sample.get("/api/users?limit=1", headers={"X-Request-ID": marker, **header})
    lines = logged(sample, 4, "--grep", marker)
    traces = {line["trace_id"] for line in lines}
    assert len(lines) == 4
    assert len(traces) == 2
    assert all(re.fullmatch(r"(?!0+$)[0-9a-f]{32}", trace) for trace in traces)
    assert {(line["trace_id"], line["service"]) for line in lines} == {(t, s) for t in traces for s in ("app", "nginx")}


def test_one_trace_leads_from_the_proxy_through_the_service_to_the_database(sample: Sample) -> None:
    with collecting(f"{sample.project}_frontend") as collector:
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "OTEL_BSP_SCHEDULE_DELAY": "100"}
        # nginx sends requests to both containers of this name; the one of the stack makes no spans.
        options = ("--use-aliases", "--entrypoint", "/app")
        with another(sample, "dev", f"{sample.project}-traced", variables, *options) as traced:
            spans, trace = recorded(sample, collector)
            said = [json.loads(line) for line in docker("logs", traced).splitlines() if trace in line]
    server = next(span for span in spans if span.name == "GET /api/users/{id}")
    query = next(span for span in spans if span.name == "SELECT")
    assert len(spans) == 2, spans  # none for getting a connection, or for preparing the statement
    assert (server.parent, query.parent) == (_CALLER, server.id)
    resource = dict(server.resource)
    assert (resource["service.name"], resource["deployment.environment.name"]) == ("app", "dev")
    assert resource["service.version"]
    assert {(line["trace_id"], line["span_id"]) for line in said} == {(trace, server.id)}
    proxy = logged(sample, 1, "--service", "nginx", "--trace", trace)
    assert [line["span_id"] for line in proxy] == [_CALLER]
    assert not any("/health" in span.name for span in collector.spans())


def recorded(sample: Sample, collector: Collector) -> tuple[list[Span], str]:
    """Send requests until the spans of one are there; returns them and the id of their trace."""
    traces = []
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        traces.append(os.urandom(16).hex())
        sample.get("/health", headers={"traceparent": f"00-{os.urandom(16).hex()}-{_CALLER}-01"})
        sample.get("/api/users/1", headers={"traceparent": f"00-{traces[-1]}-{_CALLER}-01"})
        time.sleep(0.3)
        for trace in traces:
            spans = [span for span in collector.spans() if span.trace == trace]
            if {span.name for span in spans} >= _WANTED:  # they may come in two batches
                return spans, trace
    raise AssertionError(f"no span of {len(traces)} requests has come")
