"""The PromQL of rate, errors, duration and saturation."""

import pytest

from tasks.model.stack.telemetry.metrics import Metrics
from tasks.telemetry.plan import queries
from tasks.telemetry.plan.queries import Requests

APP = Requests("app")
_COUNT = "http_server_request_duration_seconds_count"


def test_the_rate_is_of_all_containers_of_the_service() -> None:
    assert APP.rate("5m") == f'sum (rate({_COUNT}{{service="app"}}[5m]))'


def test_a_window_may_be_a_number_of_seconds() -> None:
    assert APP.rate(1.5) == f'sum (rate({_COUNT}{{service="app"}}[1500ms]))'


def test_an_app_without_errors_has_a_share_of_0_and_one_without_requests_has_none() -> None:
    rate = f'sum (rate({_COUNT}{{service="app"}}[5m]))'
    failed = f'sum (rate({_COUNT}{{http_response_status_code=~"5..", service="app"}}[5m]))'

    assert APP.errors("5m") == f"({failed} or 0 * {rate}) / {rate}"


def test_a_quantile_is_of_the_buckets_of_all_containers() -> None:
    assert APP.quantile(0.99, "1m", version="1.2", by=("http_route",)) == (
        "histogram_quantile(0.99, sum by (le, http_route) "
        '(rate(http_server_request_duration_seconds_bucket{service="app", version="1.2"}[1m])))'
    )


def test_the_names_of_a_service_are_its_own() -> None:
    shop = Requests.of("shop", Metrics(1, duration="http_seconds", status="code"))
    assert shop.failures("1m").startswith('(sum (rate(http_seconds_count{code=~"5..", service="shop"}[1m])) or 0 * ')


def test_several_values_of_a_label_are_alternatives_read_literally() -> None:
    assert APP.rate("1m", container=("shop-app-1", "a.b")) == (
        f'sum (rate({_COUNT}{{service="app", container=~"shop-app-1|a\\\\.b"}}[1m]))'
    )


@pytest.mark.parametrize(
    ("text", "expected"), [("x", '"x"'), ('a"b', '"a\\"b"'), ("a\\b", '"a\\\\b"'), ("a\nb", '"a\\nb"')]
)
def test_a_text_cannot_end_its_quotes(text: str, expected: str) -> None:
    assert queries.quoted(text) == expected


def test_saturation_is_by_service() -> None:
    assert queries.memory_share(project="shop") == (
        'max by (service) (container_memory_working_set_bytes{project="shop"}'
        ' / container_spec_memory_limit_bytes{project="shop"})'
    )
    assert queries.cpu("5m") == "sum by (service) (rate(container_cpu_usage_seconds_total[5m]))"
