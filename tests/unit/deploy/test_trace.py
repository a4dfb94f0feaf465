"""The trace of a deploy: where it goes by the variables of OpenTelemetry, and what is in it."""

from typing import Any

import pytest

from tasks.deploy.plan.trace import Destination, Parent, Span, destination, document, parent, resource

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
IDS = ["a" * 32, "b" * 16, "c" * 16, "d" * 16]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"00-{TRACE}-{SPAN}-01", Parent(TRACE, SPAN, True)),
        (f"00-{TRACE}-{SPAN}-00", Parent(TRACE, SPAN, False)),
        (f" 00-{TRACE.upper()}-{SPAN}-03 ", Parent(TRACE, SPAN, True)),
        (f"cc-{TRACE}-{SPAN}-01-what-will-be", Parent(TRACE, SPAN, True)),
        ("", Parent()),
        (f"ff-{TRACE}-{SPAN}-01", Parent()),
        (f"00-{'0' * 32}-{SPAN}-01", Parent()),
        (f"00-{TRACE}-{'0' * 16}-01", Parent()),
        (f"00-{TRACE}-{SPAN}", Parent()),
    ],
)
def test_the_caller_may_have_a_trace_already(text: str, found: Parent) -> None:
    assert parent(text) == found


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, Destination("http://c:4318/v1/traces", {}, 3.0)),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318/x/"}, Destination("http://c:4318/x/v1/traces", {}, 3.0)),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://t/in"}, Destination("http://t/in", {}, 3.0)),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_SDK_DISABLED": "true"}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_TRACES_EXPORTER": "none"}, None),
        (
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c",
                "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20x, tenant=a",
                "OTEL_EXPORTER_OTLP_TIMEOUT": "1500",
            },
            Destination("http://c/v1/traces", {"authorization": "Bearer x", "tenant": "a"}, 1.5),
        ),
    ],
)
def test_the_variables_of_opentelemetry_say_where_it_goes(
    environment: dict[str, str], found: Destination | None
) -> None:
    assert destination(environment) == found


def test_the_variables_name_the_resource() -> None:
    assert resource({}, {"deployment.environment.name": "prod"}) == {
        "service.name": "slipway", "deployment.environment.name": "prod",
    }  # fmt: skip
    environment = {"OTEL_SERVICE_NAME": "cd", "OTEL_RESOURCE_ATTRIBUTES": "team=a,service.name=b"}
    assert resource(environment, {}) == {"service.name": "cd", "team": "a"}


def spans(made: dict[str, Any]) -> list[dict[str, Any]]:
    (of,) = made["resourceSpans"]
    (scope,) = of["scopeSpans"]
    return list(scope["spans"])


def test_each_step_is_a_span_within_that_of_the_deploy() -> None:
    steps = [Span("create app-2", 100.5, 101.0), Span("watch app-2", 101.0, 105.0, "breach", {"slipway.step": 2})]
    made = document(Span("deploy shop", 100.0, 106.0, "rolled-back"), steps, IDS, Parent(), {"service.name": "slipway"})
    whole, create, watch = spans(made)

    assert made["resourceSpans"][0]["resource"]["attributes"] == [
        {"key": "service.name", "value": {"stringValue": "slipway"}}
    ]
    assert {span["traceId"] for span in (whole, create, watch)} == {"a" * 32}
    assert "parentSpanId" not in whole
    assert [span["parentSpanId"] for span in (create, watch)] == ["b" * 16] * 2
    assert (create["startTimeUnixNano"], create["endTimeUnixNano"]) == ("100500000000", "101000000000")
    assert whole["status"] == {"code": 2, "message": "rolled-back"}
    assert create["status"] == {"code": 1}
    assert watch["attributes"] == [{"key": "slipway.step", "value": {"intValue": "2"}}]


def test_a_trace_of_the_caller_goes_on() -> None:
    (whole,) = spans(document(Span("deploy", 1.0, 2.0), [], IDS[:2], Parent(TRACE, SPAN), {}))
    assert (whole["traceId"], whole["parentSpanId"], whole["spanId"]) == (TRACE, SPAN, "b" * 16)
