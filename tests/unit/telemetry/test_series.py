"""What Prometheus answers, as plain data."""

from typing import Any

import pytest

from tasks.telemetry.plan.series import Series, parse_alerts, parse_rules, parse_series, parse_targets, total


def vector(*values: str) -> dict[str, Any]:
    result = [{"metric": {"n": str(number)}, "value": [10, value]} for number, value in enumerate(values)]
    return {"resultType": "vector", "result": result}


def test_a_series_of_a_query_has_one_point() -> None:
    assert parse_series(vector("2.5")) == (Series({"n": "0"}, ((10.0, 2.5),)),)


def test_a_series_of_a_range_has_all_its_points() -> None:
    raw = {"resultType": "matrix", "result": [{"metric": {}, "values": [[10, "1"], [25, "2"]]}]}
    (series,) = parse_series(raw)

    assert (series.points, series.value) == (((10.0, 1.0), (25.0, 2.0)), 2.0)


def test_a_number_alone_is_a_series_without_labels() -> None:
    assert parse_series({"resultType": "scalar", "result": [10, "3"]}) == (Series({}, ((10.0, 3.0),)),)


def test_nothing_divided_by_nothing_is_no_data_and_infinity_is() -> None:
    assert [series.value for series in parse_series(vector("NaN", "+Inf", "0"))] == [float("inf"), 0.0]


def test_a_native_histogram_has_no_single_number() -> None:
    raw = {"resultType": "vector", "result": [{"metric": {}, "histogram": [10, {"count": "1"}]}]}
    assert parse_series(raw) == ()


def test_a_text_is_no_result() -> None:
    with pytest.raises(ValueError, match="a result of type string"):
        parse_series({"resultType": "string", "result": [10, "x"]})


def test_the_sum_of_no_series_is_no_number() -> None:
    assert (total(()), total(parse_series(vector("0"))), total(parse_series(vector("1", "2")))) == (None, 0.0, 3.0)


def test_a_target_says_why_it_is_down_and_when_it_was_read() -> None:
    raw = {
        "labels": {"job": "app", "service": "app"},
        "scrapeUrl": "http://10.0.0.2:9464/metrics",
        "health": "down",
        "lastError": "connection refused",
        "lastScrape": "2026-11-29T12:00:00.250000123Z",
    }
    never = {**raw, "scrapeUrl": "http://10.0.0.1:9464/metrics", "lastScrape": "0001-01-01T00:00:00Z"}
    first, second = parse_targets({"activeTargets": [raw, never]})

    assert (first.url, first.scraped) == ("http://10.0.0.1:9464/metrics", 0.0)
    assert (second.job, second.health, second.error) == ("app", "down", "connection refused")
    assert second.scraped == pytest.approx(1795953600.25)


def test_a_time_may_be_of_another_zone() -> None:
    raw = {"labels": {"alertname": "A"}, "state": "firing", "value": "1e+00"}
    utc, local = parse_alerts(
        {"alerts": [{**raw, "activeAt": "2026-11-29T12:00:00Z"}, {**raw, "activeAt": "2026-11-29T13:00:00.5+01:00"}]}
    )
    assert local.since - utc.since == 0.5


def test_alerts_are_in_the_order_in_which_they_came() -> None:
    alerts = parse_alerts(
        {
            "alerts": [
                {"labels": {"alertname": name}, "state": "pending", "value": "7", "activeAt": f"2026-11-29T12:{at}:00Z"}
                for name, at in (("Later", "30"), ("Sooner", "10"))
            ]
        }
    )
    assert [(alert.name, alert.value) for alert in alerts] == [("Sooner", 7.0), ("Later", 7.0)]


def test_rules_are_in_the_order_in_which_they_are_evaluated() -> None:
    rules = [
        {"name": "b", "type": "recording", "query": "sum(up)", "health": "ok"},
        {"name": "a", "type": "alerting", "query": "up == 0", "health": "err", "lastError": "x", "state": "inactive"},
    ]
    first, second = parse_rules({"groups": [{"name": "g", "rules": rules}]})

    assert (first.name, first.group, first.kind, first.state) == ("b", "g", "recording", "")
    assert (second.expression, second.health, second.error, second.state) == ("up == 0", "err", "x", "inactive")
