"""What a real Prometheus answers is read as it is meant: numbers, no data, targets, rules, alerts, refusals."""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.model.errors import InputError, RefusedError
from tasks.telemetry.plan.queries import Requests, selector
from tasks.telemetry.plan.series import total
from tasks.telemetry.prometheus import Prometheus
from tasks.telemetry.stores import Store
from tests.e2e.support import docker, free_port

IMAGE = "slipway-base/prometheus:2.53"
_CONFIG = """\
global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 500ms}
rule_files: [rules.yml]
scrape_configs:
  - job_name: itself
    static_configs: [{targets: ["127.0.0.1:PORT"], labels: {project: shop, service: web}}]
  - job_name: nobody
    static_configs: [{targets: ["127.0.0.1:1"]}]
"""
_RULES = """\
groups:
  - name: one
    rules:
      - {record: "job:up:sum", expr: "sum by (job) (up)"}
      - alert: Down
        expr: up == 0
        labels: {severity: page}
        annotations: {summary: "{{ $labels.job }} is down"}
"""
WINDOW = "30s"  # a busy machine may miss some reads
# Its own requests, as the histogram of a service that calls them otherwise.
ITSELF = Requests("web", duration="prometheus_http_request_duration_seconds", status="code")


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """One of the stand-in images, in the network of this machine: it reads itself."""
    if not docker("image", "ls", "-q", IMAGE, check=False):
        pytest.skip(f"there is no image {IMAGE}: inv setup --all builds it")
    directory = tmp_path_factory.mktemp("prometheus")
    port = free_port()
    (directory / "prometheus.yml").write_text(_CONFIG.replace("PORT", str(port)))
    (directory / "rules.yml").write_text(_RULES)
    words = ["docker", "run", "--rm", "--network=host", f"--volume={directory}:/given", f"--user={os.getuid()}"]
    words += [f"--label=slipway.test.prometheus={os.getpid()}", IMAGE, "--config.file=/given/prometheus.yml"]
    words += ["--storage.tsdb.path=/given/data", f"--web.listen-address=127.0.0.1:{port}"]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log)
        try:
            asked = Prometheus(Store("prometheus", port, "dev"))
            _wait(asked, directory / "log")
            yield asked
        finally:
            process.terminate()  # docker hands it on
            process.wait(60)


def _wait(asked: Prometheus, log: Path) -> None:
    """Wait until its own requests were counted twice and the alert fires."""
    deadline = time.monotonic() + 90
    while True:
        try:
            if asked.query(ITSELF.quantile(0.5, WINDOW)) and asked.alerts():
                return
        except RefusedError:
            pass
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)


def test_a_number_is_that_number_and_no_data_is_none(prometheus: Prometheus) -> None:
    assert prometheus.value('up{job="itself"}') == 1.0
    assert prometheus.value('up{job="nobody"}') == 0.0
    assert prometheus.value('up{job="unknown"}') is None
    assert prometheus.value("0 / 0") is None
    assert prometheus.query("up", at=time.time() - 3600) == ()
    assert total(prometheus.query("up")) == 1.0


def test_a_range_has_the_points_that_there_are(prometheus: Prometheus) -> None:
    now = time.time()
    (series,) = prometheus.query_range('up{job="itself"}', now - 3600, now, 1)

    assert series.labels["service"] == "web"
    assert 1 <= len(series.points) < 3600
    # Prometheus counts in whole milliseconds.
    assert all(now - 3600.001 <= at <= now + 0.001 for at, _ in series.points)


def test_requests_are_counted_and_without_errors_their_share_is_0(prometheus: Prometheus) -> None:
    assert (prometheus.value(ITSELF.rate(WINDOW)) or 0) > 0
    assert (prometheus.value(ITSELF.count(WINDOW)) or 0) > 0
    assert prometheus.value(ITSELF.errors(WINDOW)) == 0.0
    assert 0 < (prometheus.value(ITSELF.quantile(0.99, 30)) or 0) < 10
    by_handler = prometheus.query(ITSELF.rate(WINDOW, by=("handler",)))
    assert "/api/v1/query" in {series.labels["handler"] for series in by_handler}


def test_a_service_without_requests_has_no_share_of_errors(prometheus: Prometheus) -> None:
    assert prometheus.value(ITSELF.errors(WINDOW, handler="/nobody/asks/this")) is None
    assert prometheus.value(Requests("web").errors(WINDOW)) is None


def test_a_metric_that_does_not_exist_is_known(prometheus: Prometheus) -> None:
    assert prometheus.exists(selector("up", job=("itself", "n.b")))
    assert not prometheus.exists("upp")
    assert not prometheus.exists("up", end=time.time() - 3600)


def test_targets_rules_and_alerts_are_read(prometheus: Prometheus) -> None:
    up, down = prometheus.targets()
    assert (up.job, up.health, up.labels["project"]) == ("itself", "up", "shop")
    assert time.time() - 60 < up.scraped <= time.time()
    assert (down.job, down.health) == ("nobody", "down") and "connection refused" in down.error

    assert [(rule.name, rule.kind, rule.health, rule.state) for rule in prometheus.rules()] == [
        ("job:up:sum", "recording", "ok", ""),
        ("Down", "alerting", "ok", "firing"),
    ]
    (alert,) = prometheus.alerts()
    assert (alert.name, alert.state, alert.value) == ("Down", "firing", 0.0)
    assert alert.annotations["summary"] == "nobody is down" and alert.labels["severity"] == "page"
    assert time.time() - 60 < alert.since <= time.time()


def test_an_expression_that_it_does_not_accept_is_bad_input(prometheus: Prometheus) -> None:
    with pytest.raises(InputError, match="parse error"):
        prometheus.query("sum(")
