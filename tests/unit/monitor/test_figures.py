"""The figures of a service, and what is said where there are none."""

import math

import pytest

from tasks.model.stack.telemetry.metrics import KINDS, Metrics
from tasks.monitor.view.plan import figures as plan
from tasks.monitor.view.plan.figures import Period, ServiceFigures
from tasks.monitor.view.plan.sources import EXPORTER, METRICS, SPANS, sources
from tasks.telemetry.plan.series import Series

WEB = Metrics(9464, "/metrics")


def series(*points: tuple[float, float], **labels: str) -> tuple[Series, ...]:
    return (Series(labels, points),)


def test_a_share_of_no_requests_is_not_known() -> None:
    assert plan.value(series((10.0, math.nan))) is None
    assert plan.value(()) is None
    assert plan.value(series((10.0, 0.0))) == 0.0


def test_a_curve_has_a_gap_where_nothing_was_measured() -> None:
    during = Period(100.0, 160.0, 20.0, 60.0)
    assert plan.curve(series((100.0, 1.0), (140.0, math.nan), (160.0, 4.0)), during) == (1.0, None, None, 4.0)


def test_without_a_value_there_is_no_curve() -> None:
    during = Period(100.0, 160.0, 20.0, 60.0)
    assert plan.curve((), during) == ()
    assert plan.curve(series((100.0, math.nan)), during) == ()


def test_the_points_of_a_short_time_are_no_closer_than_the_scrapes() -> None:
    during = plan.period(0.0, 300.0, 15.0)
    assert (during.step, during.window, during.times[-1], len(during.times)) == (15, 60, 300.0, 21)


def test_the_points_of_a_long_time_look_back_to_the_one_before() -> None:
    during = plan.period(0.0, 86_400.0, 15.0, 240)
    assert (during.step, during.window, during.times[-1]) == (360, 360, 86_400.0)


def test_the_newest_moment_is_always_a_point() -> None:
    during = plan.period(0.0, 100.0, 15.0)
    assert during.times[-1] == 100.0 and during.start > 0


def test_a_container_without_a_limit_is_compared_with_the_machine() -> None:
    assert plan.saturation(0.5, 2.0, 8.0) == (0.25, "limit")
    assert plan.saturation(0.5, 0.0, 8.0) == (0.0625, "machine")
    assert plan.saturation(0.5, 0.0, None) == (None, "")
    assert plan.saturation(None, 2.0, 8.0) == (None, "")


def test_a_service_that_nobody_has_seen_is_said_to_have_no_data() -> None:
    sentence = plan.remark(ServiceFigures("web"), WEB, 300.0)
    assert sentence == "no data in the last 5 m: no container of it was seen, and no metrics of it"


def test_a_service_without_metrics_is_told_from_one_without_requests() -> None:
    seen = ServiceFigures("web", cores=0.1, bytes=1e6)
    assert "x-slipway.metrics" in plan.remark(seen, None, 300.0)
    assert "http_server_request_duration_seconds_count" in plan.remark(seen, WEB, 300.0)
    idle = ServiceFigures("web", METRICS, rate=0.0)
    assert plan.remark(idle, WEB, 300.0) == ("no requests in the last 5 m, so there is no error ratio and no latency")


def test_requests_whose_status_nobody_counts_are_not_said_to_have_no_errors() -> None:
    sentence = plan.remark(ServiceFigures("web", METRICS, rate=2.0, p50=0.1), WEB, 300.0)
    assert "no request has the label http_response_status_code" in sentence


def test_where_all_is_known_nothing_is_said() -> None:
    assert plan.remark(ServiceFigures("web", METRICS, rate=2.0, errors=0.0, p50=0.1), WEB, 300.0) == ""


def test_a_document_has_null_for_what_is_not_known() -> None:
    document = ServiceFigures("web").document(WEB, 300.0)
    assert (document["rate"], document["errors"], document["memory"], document["source"]) == (None,) * 4
    assert document["remark"].startswith("no data")


def test_a_service_is_looked_for_in_its_own_metrics_first_and_then_in_its_spans() -> None:
    assert [source.kind for source in sources("web", WEB, "5m")] == [METRICS, SPANS]
    assert [source.kind for source in sources("store", Metrics(5432, exporter="postgres"), "5m")] == [SPANS, EXPORTER]
    assert [source.kind for source in sources("worker", Metrics(exporter="none"), "5m")] == [SPANS]
    assert [source.kind for source in sources("worker", None, "5m")] == [SPANS]


@pytest.mark.parametrize("exporter", KINDS)
def test_what_each_exporter_counts_is_known(exporter: str) -> None:
    source = sources("store", Metrics(1, exporter=exporter), "5m")[-1]
    assert source.rate.startswith("sum(rate(") and '{service="store"}' in source.rate and "{}" not in source.rate


def test_the_histogram_and_the_label_of_a_service_are_called_what_it_calls_them() -> None:
    own = sources("web", Metrics(9464, "/metrics", "took_seconds", "code"), "5m")[0]
    assert own.rate == 'sum (rate(took_seconds_count{service="web"}[5m]))'
    assert own.errors.endswith(' and on () count(count_over_time(took_seconds_count{code!="", service="web"}[5m]))')


def test_spans_are_those_in_which_a_service_answers() -> None:
    spans = sources("web", None, 300)[0]
    assert spans.p99.startswith("histogram_quantile(0.99, ") and "_duration_seconds_bucket" in spans.p99
    assert '"SPAN_KIND_SERVER"' in spans.rate and "[300000ms]" in spans.rate
