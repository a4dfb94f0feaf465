"""Where a service has metrics: x-slipway.metrics."""

from typing import Any

import pytest
from support import service

from tasks.model.errors import InputError
from tasks.model.stack.telemetry.metrics import Metrics


def said(**fields: Any) -> Metrics | None:
    return service("web", **{"x-slipway": {"metrics": fields}}).slipway.metrics


def test_a_service_that_says_nothing_has_no_metrics() -> None:
    assert service("web").slipway.metrics is None


def test_a_port_is_enough() -> None:
    expected = Metrics(9464, "/metrics", "http_server_request_duration_seconds", "http_response_status_code", "")
    assert said(port=9464) == expected


def test_a_port_of_a_variable_is_a_number() -> None:
    assert said(port="9464") == said(port=9464)


def test_its_histogram_and_its_label_may_have_other_names() -> None:
    assert said(port=1, path="/m", duration="http_seconds", status="code") == Metrics(1, "/m", "http_seconds", "code")


@pytest.mark.parametrize(
    ("exporter", "expected"),
    [
        ({"exporter": "postgres"}, Metrics(5432, "", exporter="postgres")),
        ({"exporter": "mysql", "port": 3307}, Metrics(3307, "", exporter="mysql")),
        ({"exporter": "redis"}, Metrics(6379, "", exporter="redis")),
        ({"exporter": "nginx", "port": 8083}, Metrics(8083, "/stub_status", exporter="nginx")),
        ({"exporter": "none"}, Metrics(exporter="none")),
    ],
)
def test_an_exporter_has_the_metrics_of_a_server_that_has_none(exporter: dict[str, Any], expected: Metrics) -> None:
    assert said(**exporter) == expected


@pytest.mark.parametrize(
    ("fields", "message", "hint"),
    [
        ({}, ".port: expected a port of the container, got None", "as in {port: 9464}"),
        ({"port": 0}, ".port: expected a port of the container, got 0", "as in {port: 9464}"),
        ({"port": True}, ".port: expected a port of the container, got True", "as in {port: 9464}"),
        ({"port": 1, "path": "metrics"}, ".path: expected a path, got 'metrics'", "as in {path: /metrics}"),
        ({"port": 1, "paht": "/"}, ": unknown key 'paht'", "there are: port, path, duration, status, exporter"),
        (
            {"port": 1, "duration": "http_seconds_bucket"},
            ".duration: 'http_seconds_bucket' is one part of a histogram",
            "name the histogram: http_seconds",
        ),
        (
            {"port": 1, "status": "http.status"},
            ".status: expected the name of a label, got 'http.status'",
            "as in http_response_status_code",
        ),
        (
            {"exporter": "mongo"},
            ".exporter: expected one of postgres, mysql, redis, nginx, none, got 'mongo'",
            "a service that has metrics itself needs none: {port: 9464}",
        ),
        ({"exporter": "redis", "path": "/x"}, ".path: it means nothing with exporter: redis", "take it out"),
        ({"exporter": "none", "port": 1}, ".port: it means nothing with exporter: none", "take it out"),
        ({"exporter": "nginx"}, ".port: expected a port of the container, got None", "as in {port: 9464}"),
    ],
)
def test_what_is_not_valid_is_named(fields: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        said(**fields)
    assert (caught.value.message, caught.value.hint) == (f"services.web.x-slipway.metrics{message}", hint)


def test_a_word_in_place_of_the_mapping_is_refused() -> None:
    with pytest.raises(InputError, match="expected a mapping, got 9464"):
        service("web", **{"x-slipway": {"metrics": 9464}})
