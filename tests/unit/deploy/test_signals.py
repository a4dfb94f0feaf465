"""What a deploy tells monitoring when it has ended: on a fake engine, to a server that takes traces."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from fake_shop import Shop, empty
from fakes import Fate
from store_server import serving
from support import ROOT

from tasks.db import backup
from tasks.deploy.signals.metrics import tell_drift
from tasks.model.errors import DeployError

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A project of which nothing runs yet; its deploys leave metrics."""
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "GRAFANA_URL", "TRACEPARENT"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "metrics").mkdir()
    shop = empty(tmp_path, monkeypatch, DEPLOY_METRICS_DIR=str(tmp_path / "metrics"))
    shop.project.settings.backups_dir = tmp_path / "backups"
    return shop


def traced(body: bytes) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the span of a deploy, and those of its steps."""
    whole, *steps = json.loads(body)["resourceSpans"][0]["scopeSpans"][0]["spans"]
    return whole, steps


def test_a_deploy_is_a_trace_with_a_span_for_each_operation(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.says(1)
    with serving(lambda _: (200, b"{}")) as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.port}")
        monkeypatch.setenv("TRACEPARENT", f"{CALLER}01")
        shop.deploy()
    (asked,) = server.requests
    whole, steps = traced(asked.body)

    assert asked.path == "/v1/traces"
    assert whole["name"] == "deploy shop"
    assert (whole["traceId"], whole["parentSpanId"]) == (CALLER[3:35], CALLER[36:52])
    assert {step["parentSpanId"] for step in steps} == {whole["spanId"]}
    assert [step["name"] for step in steps] == ["up web", "verify: web healthy", "record"]
    attributes = {entry["key"]: entry["value"] for entry in whole["attributes"]}
    assert attributes["slipway.outcome"] == {"stringValue": "deployed"}
    assert attributes["slipway.release"] == {"intValue": "1"}


def test_a_deploy_that_fails_says_so_in_its_trace_and_its_metrics(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.says(1)
    shop.deploy()
    text = (tmp_path / "metrics" / "slipway-shop.prom").read_text()
    assert 'slipway_deploy_outcome{project="shop",environment="dev",outcome="deployed"} 1\n' in text
    drift = (tmp_path / "metrics" / "slipway-shop-drift.prom").read_text()
    assert drift.endswith('slipway_drift{project="shop",environment="dev",service="web"} 0\n')
    shop.says(2, Fate("unhealthy"))
    with serving(lambda _: (200, b"{}")) as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.port}")
        with pytest.raises(DeployError):
            shop.deploy()
    whole, steps = traced(server.requests[0].body)

    assert whole["status"]["code"] == 2
    assert "shop-web-1 is unhealthy" in whole["status"]["message"]
    assert [step["name"] for step in steps if step["status"]["code"] == 2]
    text = (tmp_path / "metrics" / "slipway-shop.prom").read_text()
    assert 'outcome="rolled-back"} 1\n' in text
    assert 'slipway_release_info{project="shop",environment="dev",release="1"' in text
    files = {path.name for path in (tmp_path / "metrics").iterdir()}
    assert files == {"slipway-shop.prom", "slipway-shop-lock.prom", "slipway-shop-drift.prom"}
    lock = (tmp_path / "metrics" / "slipway-shop-lock.prom").read_text()
    assert lock.endswith('slipway_lock_held_since_seconds{project="shop",environment="dev"} 0\n')


def test_what_cannot_be_told_is_a_warning(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "metrics").rmdir()
    with serving(lambda _: (503, b"full")) as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.port}")
        monkeypatch.setenv("GRAFANA_URL", f"http://127.0.0.1:{server.port}/")
        shop.says(1)
        shop.deploy()
    said = capsys.readouterr().err

    assert shop.history() == [(1, "deployed")]
    assert "the trace of this deploy: http://127.0.0.1:" in said
    assert "HTTP status 503 full" in said
    assert "the metrics of this deploy: " in said
    assert "the annotation of this deploy: " in said


def test_drift_and_a_new_backup_are_told_between_deploys(shop: Shop, tmp_path: Path) -> None:
    shop.says(1)
    shop.deploy()
    tell_drift(shop.project, {"web": 2})
    backup._tell(shop.project)
    own = 'project="shop",environment="dev"'
    drift, made = ((tmp_path / "metrics" / f"slipway-shop-{name}.prom").read_text() for name in ("drift", "backup"))
    assert drift.endswith(f'slipway_drift{{{own},service="web"}} 2\n')
    assert abs(float(made.rpartition(" ")[2]) - time.time()) < 60
    assert f"slipway_backup_timestamp_seconds{{{own}}}" in made


def test_a_backup_that_nobody_can_be_told_of_is_a_warning(
    shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.says(1)
    (tmp_path / "metrics").rmdir()
    backup._tell(shop.project)
    assert "monitoring was not told: " in capsys.readouterr().err


def test_a_caller_that_is_not_sampled_gets_no_span(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.says(1)
    with serving(lambda _: (200, b"{}")) as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.port}")
        monkeypatch.setenv("TRACEPARENT", f"{CALLER}00")
        shop.deploy()
    assert server.requests == []


def test_grafana_gets_an_annotation(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.says(1)
    with serving(lambda _: (200, b"{}")) as server:
        monkeypatch.setenv("GRAFANA_URL", f"http://127.0.0.1:{server.port}/")
        shop.deploy()
    (asked,) = server.requests
    document = json.loads(asked.body)

    assert asked.path == "/api/annotations"
    assert document["tags"] == ["slipway", "shop", "dev", "deployed"]
    assert document["time"] <= document["timeEnd"]


def test_a_deploy_of_which_nothing_is_told_loads_nothing_for_it() -> None:
    program = "from tasks.deploy import carry_out\nimport sys, json\njson.dump(sorted(sys.modules), sys.stdout)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    names = set(json.loads(done.stdout))

    assert "tasks.deploy.signals.signals" in names
    told = {"trace", "deploy_metrics", "own_metrics", "textfiles", "spans", "metrics", "annotation", "post"}
    told |= {"prometheus", "comparison"}
    rooms = ("tasks.deploy.", "tasks.telemetry.")
    assert [name for name in names if name.startswith(rooms) and name.rpartition(".")[2] in told] == []
