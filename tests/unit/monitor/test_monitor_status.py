"""monitor.status, with a server in place of Prometheus."""

import json
from pathlib import Path

import pytest
from watched_shop import Answers, project, watched

from tasks.model.errors import InputError, RefusedError
from tasks.monitor.view.status import run
from tests import schemas

BUSY: Answers = {
    "container_cpu_usage": [({"service": "web"}, 0.5), ({"service": "store"}, 0.1)],
    "/ container_spec": [({"service": "web"}, 0.75)],
    "container_memory": [({"service": "web"}, 9.6e7), ({"service": "store"}, 5e7)],
    "node_cpu": [({}, 4.0)],
    "histogram_quantile(0.99, sum by (le) (rate(http": [({}, 0.25)],
    "histogram_quantile(0.95, sum by (le) (rate(http": [({}, 0.1)],
    "histogram_quantile(0.5, sum by (le) (rate(http": [({}, 0.01)],
    'status_code=~"5.."': [({}, 0.02)],
    "http_server_request_duration_seconds_count": [({}, 12.5)],
    "pg_stat_database_xact_commit": [({}, 3.0)],
}


def shown(answers: Answers, tmp_path: Path, capsys: pytest.CaptureFixture[str], *names: str) -> str:
    with watched(answers, tmp_path) as (shop, _):
        run(shop, names, "5m", watch=False, json=False)
    return capsys.readouterr().out


def test_each_service_that_goes_on_has_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    header, web, store, worker, *sentences = shown(BUSY, tmp_path, capsys).splitlines()
    assert header.split() == ["SERVICE", "RATE", "ERRORS", "P50", "P95", "P99", "CPU", "MEMORY"]
    web = " ".join(web.replace("█", "").split())
    assert web == "web 12.5/s 2.00 % 10 ms 100 ms 250 ms 25.0 % 75.0 %"  # of its 2 cores, of its limit
    assert store.replace("█", "").split() == ["store", "3.00/s", "-", "-", "-", "-", "0.10", "50.0", "MB"]
    assert worker.split() == ["worker", *"-" * 7]
    assert sentences == [
        "store: the exporter counts transactions, and has neither errors nor latencies",
        "worker: no data in the last 5 m: no container of it was seen, and no metrics of it",
    ]


def test_without_any_data_nothing_is_zero(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = shown({}, tmp_path, capsys)
    assert [line.split()[1:] for line in out.splitlines()[1:4]] == [["-"] * 7] * 3
    assert out.count("no data in the last 5 m") == 3


def test_without_requests_there_are_no_errors_and_no_latencies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    idle = {**BUSY, "http_server_request_duration_seconds_count": [({}, 0.0)]}
    lines = shown(idle, tmp_path, capsys, "web").splitlines()
    assert lines[1].replace("▁", "").replace("█", "").split()[:6] == ["web", "0.00/s", "-", "-", "-", "-"]
    assert lines[2] == "web: no requests in the last 5 m, so there is no error ratio and no latency"


def test_a_service_without_metrics_of_its_own_is_seen_by_its_spans(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spans: Answers = {'calls_total{service_name="worker"': [({}, 2.0)], 'bucket{service_name="worker"': [({}, 0.3)]}
    lines = shown({**BUSY, **spans}, tmp_path, capsys, "worker").splitlines()
    assert lines[1].replace("█", "").split()[:2] == ["worker", "2.00/s"] and "300 ms" in lines[1]
    assert lines[2].startswith("worker: from the requests that were traced")


def test_that_no_request_was_traced_is_not_that_there_was_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spans: Answers = {'calls_total{service_name="worker"': [({}, 0.0)]}
    lines = shown({**BUSY, **spans, "container_cpu_usage": [({"service": "worker"}, 0.1)]}, tmp_path, capsys, "worker")
    assert lines.splitlines()[1].split()[:2] == ["worker", "-"]
    assert "no data of its requests" in lines


def test_the_document_is_as_its_schema_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with watched(BUSY, tmp_path) as (shop, _):
        run(shop, (), "10m", watch=False, json=True)
    document = json.loads(capsys.readouterr().out)
    assert schemas.faults(document) == []
    web, store, worker = document["services"]
    assert (document["environment"], document["since"], document["step"]) == ("staging", 600, 30)
    assert (web["source"], web["rate"], web["errors"], web["cpu"], web["cpu_of"]) == (
        "metrics",
        12.5,
        0.02,
        0.25,
        "limit",
    )
    assert web["trends"]["rate"] == [12.5] * 21
    assert (store["source"], store["unit"], store["cpu_of"]) == ("exporter", "transactions", "machine")
    assert (worker["rate"], worker["errors"], worker["trends"]["rate"]) == (None, None, [])


def test_the_figures_are_of_the_clock_of_prometheus(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with watched(BUSY, tmp_path) as (shop, server):
        run(shop, ("web",), "5m", watch=False, json=False)
    ranges = [asked.fields for asked in server.requests if asked.path == "/api/v1/query_range"]
    assert {fields["end"] for fields in ranges} == {"1795910400.000"}


@pytest.mark.parametrize("since", ["30s", "0s", "59s"])
def test_a_time_with_too_few_readings_is_refused(since: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        run(project(9, tmp_path), (), since, watch=False, json=False)
    assert "metrics are read every 15.0 s" in error.value.message


def test_a_service_that_is_not_there_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        run(project(9, tmp_path), ("wep",), "5m", watch=False, json=False)
    assert "did you mean web?" in error.value.hint


def test_without_prometheus_it_is_refused_with_the_way_to_start_it(tmp_path: Path) -> None:
    with pytest.raises(RefusedError) as error:
        run(project(9, tmp_path), (), "5m", watch=False, json=False)
    assert error.value.hint == "inv monitor.up --env staging"
