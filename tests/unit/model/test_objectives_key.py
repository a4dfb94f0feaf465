"""The objectives that a service states for its requests."""

from typing import Any

import pytest
from support import stack

from tasks.model.errors import InputError
from tasks.model.stack.telemetry.slo import Objective, parse, parse_files


def test_a_service_without_objectives_has_none() -> None:
    assert stack({"web": {}}).service("web").slipway.slo == ()


def test_objectives_are_ratios_and_seconds() -> None:
    said = [
        {"name": "availability", "objective": "99.95%"},
        {"name": "fast", "objective": "99 %", "latency": "300ms"},
    ]
    web = stack({"web": {"x-slipway": {"slo": said}}}).service("web")

    assert web.slipway.slo == (Objective("availability", 0.9995), Objective("fast", 0.99, 0.3))


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({}, "slo: expected a list, got {}"),
        (["a"], "slo[0]: expected a mapping, got 'a'"),
        ([{"name": "a", "objective": "99%", "window": "7d"}], "slo[0]: unknown key 'window'"),
        ([{"objective": "99%"}], "slo[0].name: expected a name, got None"),
        ([{"name": "Fast ones", "objective": "99%"}], "slo[0].name: expected a name, got 'Fast ones'"),
        ([{"name": "a"}], "slo[0].objective: expected a percentage, got None"),
        ([{"name": "a", "objective": 99.9}], "slo[0].objective: expected a percentage, got 99.9"),
        ([{"name": "a", "objective": "0.999"}], "slo[0].objective: expected a percentage, got '0.999'"),
        ([{"name": "a", "objective": "100%"}], "slo[0].objective: an objective of 1 allows no error at all"),
        ([{"name": "a", "objective": "101%"}], "slo[0].objective: an objective of 1.01 allows no error at all"),
        ([{"name": "a", "objective": "0%"}], "slo[0].objective: an objective of 0 allows every error"),
        ([{"name": "a", "objective": "99%", "latency": "0s"}], "slo[0].latency: expected more than 0, got '0s'"),
        (
            [{"name": "a", "objective": "99%", "latency": 300}],
            "slo[0].latency: expected a duration such as 30s, got '300'",
        ),
        ([{"name": "a", "objective": "99%"}, {"name": "a", "objective": "98%"}], "slo: two objectives are called a"),
    ],
)
def test_an_objective_that_cannot_be_watched_is_refused_in_one_line(raw: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(raw, "slo")

    assert caught.value.message == message
    assert caught.value.hint
    assert caught.value.exit_code == 2


def test_a_hundred_percent_is_named_with_its_service() -> None:
    with pytest.raises(InputError, match=r"^services\.web\.x-slipway\.slo\[0\]\.objective: "):
        stack({"web": {"x-slipway": {"slo": [{"name": "a", "objective": "100%"}]}}})


def test_files_of_openslo_are_named_at_the_top() -> None:
    assert stack({}, **{"x-slipway": {"openslo": ["slo/shop.yaml"]}}).openslo == ("slo/shop.yaml",)
    assert stack({}).openslo == ()
    for wrong in ("slo.yaml", [1], [""]):
        with pytest.raises(InputError, match=r"^x-slipway\.openslo: expected a list of files"):
            parse_files(wrong, "x-slipway.openslo")
