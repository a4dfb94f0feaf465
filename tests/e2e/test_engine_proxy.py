"""What reads the engine for the monitoring, on a real engine: it answers three requests and refuses all others."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .support import ROOT, Checkout, Sample, docker, leftovers, remove

TAKES = 120  # seconds, half of them for the sample

MONITORING = ROOT / "docker_project" / "monitoring"
FILE = MONITORING / "docker-compose.monitoring.yml"
COMPOSE = f"""
x-slipway: {{accept: {{CIS-5.15: restarted as in production}}}}
services:
  engine-proxy:
    extends: {{file: {FILE}, service: engine-proxy}}
  container-exporter:
    extends: {{file: {FILE}, service: container-exporter}}
networks:
  monitoring: {{internal: true}}
  engine: {{internal: true}}
"""
BASES = """
services:
  engine-proxy: &go
    build: {additional_contexts: {"golang:1.27-alpine": "docker-image://slipway-base/golang:1.27"}}
  container-exporter: *go
"""


@pytest.fixture(scope="module")
def reading(tmp_path_factory: pytest.TempPathFactory, sample: Sample) -> Iterator[Checkout]:
    """engine-proxy and container-exporter, which watch the sample."""
    name, directory = f"slipway-small-{os.getpid()}-engine", tmp_path_factory.mktemp("reading")
    envs, generated = directory / "envs", directory / "generated"
    for path in (envs, generated):
        path.mkdir()
    services = {"app": {"port": 8000, "path": "/health", "replicas": 1, "network": f"{sample.project}_frontend"}}
    (generated / "targets.json").write_text(json.dumps({"project": sample.project, "services": services}))
    (directory / "compose.yaml").write_text(COMPOSE)
    (directory / "bases.yaml").write_text(BASES)
    values = {
        "COMPOSE_PROJECT_NAME": name,
        "COMPOSE_FILE": "compose.yaml",
        "BASE_IMAGES_OVERRIDE": "bases.yaml",
        "MONITORED_PROJECT": sample.project,
        "MONITORING_GENERATED": str(generated),
        "MONITORING_SECRETS_DIR": str(directory),
    }
    (envs / "base.env").write_text("".join(f"{key}={value}\n" for key, value in values.items()))
    (envs / "dev.env").write_text("HEALTH_TIMEOUT=30s\n")
    if (machine := ROOT / "envs" / "base.local.env").exists():
        shutil.copy(machine, envs)
    made = Checkout(directory, envs, [name])
    try:
        made.inv("deploy.dev")
        yield made
    finally:
        remove(name)
    assert leftovers(name) == []


@pytest.fixture
def ask(reading: Checkout, sample: Sample) -> Callable[..., tuple[int, str]]:
    """Ask from a container in a network of the project; return the status and the body."""

    def ask(url: str, method: str = "GET", network: str = "engine") -> tuple[int, str]:
        curl = ("curl", "--silent", "--max-time", "20", "--request", method, "--write-out", "\n%{http_code}", url)
        attached = ("--network", f"{reading.projects[0]}_{network}")
        body, _, status = docker("run", "--rm", *attached, f"{sample.project}/nginx:dev", *curl).rpartition("\n")
        return int(status), body

    return ask


def test_the_proxy_tells_of_the_project_and_of_no_other(
    ask: Callable[..., tuple[int, str]], sample: Sample, reading: Checkout
) -> None:
    status, body = ask("http://engine-proxy:2375/containers/json")
    shown: list[dict[str, Any]] = json.loads(body)

    assert status == 200
    assert {one["Labels"]["com.docker.compose.project"] for one in shown} == {sample.project}
    assert f"/{sample.project}-app-1" in {name for one in shown for name in one["Names"]}
    assert "database_password" not in body
    other = docker("inspect", "--format", "{{.Id}}", f"{reading.projects[0]}-engine-proxy-1")
    assert ask(f"http://engine-proxy:2375/containers/{other}/stats")[0] == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/containers/APP/json"),
        ("GET", "/containers/APP/logs?stdout=1"),
        ("GET", "/containers/APP/archive?path=/"),
        ("POST", "/containers/APP/stop"),
        ("POST", "/containers/APP/exec"),
        ("DELETE", "/containers/APP?force=1"),
        ("POST", "/containers/create"),
        ("POST", "/containers/json"),
        ("GET", "/v1.45/containers/json"),
        ("GET", "/images/json"),
        ("GET", "/events"),
        ("GET", "/volumes"),
        ("PUT", "/info"),
    ],
)
def test_everything_else_is_refused(
    ask: Callable[..., tuple[int, str]], sample: Sample, method: str, path: str
) -> None:
    app = docker("inspect", "--format", "{{.Id}}", f"{sample.project}-app-1")

    assert ask(f"http://engine-proxy:2375{path.replace('APP', app)}", method)[0] == 403
    assert docker("inspect", "--format", "{{.State.Status}}", app) == "running"


def test_the_proxy_is_out_of_reach_of_other_networks(reading: Checkout) -> None:
    networks = docker(
        "inspect", "--format", "{{json .NetworkSettings.Networks}}", f"{reading.projects[0]}-engine-proxy-1"
    )
    assert set(json.loads(networks)) == {f"{reading.projects[0]}_engine"}
    assert docker("network", "inspect", "--format", "{{.Internal}}", f"{reading.projects[0]}_engine") == "true"


def test_the_containers_are_measured_and_found(ask: Callable[..., tuple[int, str]], sample: Sample) -> None:
    status, metrics = ask("http://container-exporter:9101/metrics", network="monitoring")
    lines = [line for line in metrics.splitlines() if f'container="{sample.project}-app-1"' in line]
    values = {line.partition("{")[0]: float(line.rpartition(" ")[2]) for line in lines}

    assert status == 200
    assert values["container_memory_working_set_bytes"] > 1e6
    assert values["container_cpu_usage_seconds_total"] > 0
    assert values["container_health_status"] == 1
    assert f'compose_service_replicas{{project="{sample.project}",service="app"}} 1' in metrics.splitlines()
    address = docker(
        "inspect",
        "--format",
        f'{{{{(index .NetworkSettings.Networks "{sample.project}_frontend").IPAddress}}}}',
        f"{sample.project}-app-1",
    )
    [target] = json.loads(ask("http://container-exporter:9101/targets", network="monitoring")[1])
    assert target["targets"] == [f"{address}:8000"]
    assert (target["labels"]["job"], target["labels"]["__metrics_path__"]) == ("app", "/health")


def test_hardening_finds_nothing_but_what_is_accepted(reading: Checkout) -> None:
    report = reading.json("scan.hardening")
    accepted = {(entry["where"], entry["id"]) for entry in report["accepted"]}

    assert (report["outcome"], report["findings"]) == ("passed", [])
    assert accepted - {(service, "CIS-5.15") for service in ("engine-proxy", "container-exporter")} == {
        ("engine-proxy", "CIS-4.1"),
        ("engine-proxy", "CIS-5.32"),
    }


def test_the_go_tests_pass(reading: Checkout, tmp_path: Path) -> None:
    reports = str(tmp_path / "reports")
    words = ("test.unit", "--env", "dev", "--service", "container-exporter", "--json")
    document = json.loads(reading.inv(*words, SLIPWAY_REPORTS_DIR=reports).stdout)

    assert document["outcome"] == "passed"
    assert {row["package"].rpartition("/")[2]: row["failures"] for row in document["packages"] if row["tests"]} == {
        "containers": 0,
        "exporter": 0,
        "proxy": 0,
    }
