"""The sample watched by its monitoring: what people look at, and whether the stores know of requests."""

import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.test.plan import junit
from tests.terminal import session

from .support import Sample
from .test_monitor import profile, removed

TAKES = 180  # seconds: a stack, its monitoring, and a deploy of it without traces
_TRACES = "TRACES_ENDPOINT=http://jaeger:4318\n"


@pytest.fixture(scope="module")
def watched(sample: Sample) -> Iterator[Path]:
    """The sample as staging runs it, with its monitoring and with traces; yields its layer of the profile."""
    layer = sample.envs_dir / "staging.local.env"
    before = layer.read_text()
    layer.write_text(before + profile() + _TRACES)
    try:
        sample.inv("setup", "deploy.staging")
        with removed(f"{sample.project}-staging"):
            sample.inv("monitor.up", "--env", "staging")
            sample.inv("monitor.check", "--env", "staging")  # from here on everything is counted
            yield layer
            sample.inv("deploy.down", "--env", "staging", "--volumes", "--yes")
    finally:
        layer.write_text(before)


def proof(sample: Sample, reports: Path, *words: str, code: int = 0) -> dict[str, Any]:
    """Return what `test.telemetry` has found."""
    return sample.json("test.telemetry", "--env", "staging", *words, code=code, SLIPWAY_REPORTS_DIR=str(reports))


def test_each_store_knows_of_the_requests(sample: Sample, watched: Path, tmp_path: Path) -> None:
    document = proof(sample, tmp_path)

    assert document["outcome"] == "passed"
    assert {check["outcome"] for check in document["checks"]} == {"passed"}
    stores = {(check["store"], check["service"]) for check in document["checks"]}
    assert {("metrics", "app"), ("metrics", "database"), ("metrics", "nginx"), ("logs", "database")} <= stores
    assert {("traces", "app"), ("traces", "nginx, app, database"), ("exemplars", "app")} <= stores
    written, _ = document["suites"][0]["reports"]
    assert junit.parse((tmp_path / written).read_bytes(), "junit.xml").count() == len(document["checks"])


def test_the_figures_are_those_of_the_requests(sample: Sample, watched: Path) -> None:
    document = sample.json("monitor.status", "--env", "staging", "--since", "2m")

    services = {one["service"]: one for one in document["services"]}
    app, database, nginx = (services[name] for name in ("app", "database", "nginx"))
    assert (app["source"], database["source"], nginx["source"]) == ("metrics", "exporter", "exporter")
    assert app["rate"] > 0 and app["errors"] == 0 and 0 < app["p50"] <= app["p99"] < 15
    assert app["remark"] is None and database["errors"] is None
    assert all(0 < one["memory"] < 1 and one["cpu_cores"] is not None for one in services.values())


def test_the_table_can_be_piped_and_watched(sample: Sample, watched: Path) -> None:
    words = sample.command("monitor.status", "--env", "staging", "--since", "1m", "--watch")
    with subprocess.Popen(words, env=sample.environment(), stdout=subprocess.PIPE, text=True) as piped:
        assert piped.stdout is not None
        piped.stdout.readline()
        piped.stdout.close()
        assert piped.wait(60) == 128 + signal.SIGPIPE
    with session(words, sample.environment(TERM="xterm-256color", LANG="C.UTF-8"), columns=100) as terminal:
        terminal.sees("database")
        first = terminal.emulator.text()
        terminal.until(lambda: terminal.raw.count("SERVICE") >= 3)
        assert len([line for line in terminal.emulator.text() if line.startswith("SERVICE")]) == 1, first
        terminal.type("\x03")
        assert terminal.end() == 130


def test_the_page_has_the_figures_the_releases_and_the_plots(sample: Sample, watched: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    document = sample.json("monitor.report", "--env", "staging", "--since", "15m", "--out", str(page))

    assert document["file"] == str(page)
    app = next(one for one in document["services"] if one["service"] == "app")
    assert app["requests"] > 0 and any(route["route"] == "/api/users" for route in app["routes"])
    text = page.read_text(encoding="utf-8")
    assert text.count("<svg viewBox") > 12 and "<script" not in text
    for heading in ("app", "database", "Host", "Restarts", "Releases"):
        assert f"<h2>{heading}</h2>" in text


def test_the_suite_is_one_of_inv_test_where_monitoring_is_on(sample: Sample, watched: Path) -> None:
    dry = sample.inv("--dry", "test", "--env", "staging").stdout
    assert "telemetry: it asks a running environment" in dry
    assert "telemetry" not in sample.inv("--dry", "test", "--env", "test").stdout


def test_a_service_whose_traces_go_nowhere_is_named(sample: Sample, watched: Path, tmp_path: Path) -> None:
    kept = watched.read_text()
    watched.write_text(kept.replace(_TRACES, ""))
    try:
        sample.inv("deploy.staging", "--yes")
        started = time.monotonic()
        document = proof(sample, tmp_path, "--wait", "60s", code=5)
    finally:
        watched.write_text(kept)

    assert time.monotonic() - started < 300
    reasons = {(check["store"], check["service"]): check["reason"] for check in document["checks"] if check["reason"]}
    assert "OTEL_EXPORTER_OTLP_ENDPOINT says where spans go" in reasons["traces", "app"]
    assert set(reasons) == {("traces", "app"), ("traces", "nginx, app, database"), ("exemplars", "app")}
    assert document["suites"][0]["reason"].startswith("missing: traces of app")
