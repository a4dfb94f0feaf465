"""Every gate of `inv test.load` closes where it should, on a server that is really slow or broken."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .broken import Broken, make_broken
from .starting import Started, run
from .support import Sample, docker, leftovers, remove

TAKES = 150  # seconds: whole stacks come and go


@pytest.fixture(scope="module")
def own(sample: Sample) -> Iterator[Sample]:
    """The sample stack with a test environment of its own: what `inv test.load` brings up and removes."""
    name = f"{sample.project}-own"
    base = sample.envs_dir.parent
    lines = [f"COMPOSE_PROJECT_NAME={name}", f"IMAGE_REPOSITORY={name}"]
    lines += [f"SECRETS_DIR={base / 'secrets'}", f"TLS_DIR={base / 'tls'}"]
    lines += ["LOAD_RATE=30", "LOAD_DURATION=5s", "LOAD_P95_MAX=9s", "LOAD_P99_MAX=9s"]
    layer = sample.envs_dir / "test.local.env"
    before = layer.read_text()
    layer.write_text("\n".join(lines) + "\n")
    try:
        yield sample
    finally:
        layer.write_text(before)
        remove(name)
    assert leftovers(name) == []


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, sample: Sample) -> Iterator[Broken]:
    """The broken server and the sample's load generator."""
    reports = tmp_path_factory.mktemp("reports")
    # The sample's own load test builds the image of the generator.
    any_latency = {"LOAD_P95_MAX": "9s", "LOAD_P99_MAX": "9s"}
    words = ("test.load", "--env", "dev", "--rate", "5", "--duration", "1s")
    run(sample.command(*words), text="", env=sample.environment(SLIPWAY_REPORTS_DIR=str(reports), **any_latency))
    assert docker("image", "ls", "-q", f"{sample.project}/loadgen:dev"), "whatever a second under load came to"
    name = f"slipway-load-{os.getpid()}"
    base = tmp_path_factory.mktemp("broken") / "project"
    made = make_broken(base, name, f"{sample.project}/nginx:dev", f"{sample.project}/loadgen:dev")
    try:
        made.up("web")
        made.wait("web", "healthy")
        yield made
    finally:
        remove(name)
    assert leftovers(name) == []


def load(server: Broken, *words: str, code: int = 0, targets: str = "GET http://web:8081/ok", **extra: str) -> Any:
    server.write(targets=[targets])
    return server.json("test.load", "--env", "dev", *words, code=code, SLIPWAY_REPORTS_DIR=str(server.reports), **extra)


def stacks(name: str) -> list[str]:
    """Return the containers, networks and volumes of throw-away stacks."""
    return [
        *docker("ps", "-aq", "--filter", f"name={name}-load-").splitlines(),
        *docker("network", "ls", "-q", "--filter", f"name={name}-load-").splitlines(),
        *docker("volume", "ls", "-q", "--filter", f"name={name}-load-").splitlines(),
    ]


def _up(own: Sample, reports: Path) -> "subprocess.Popen[str]":
    """Start a load test, and return once its stack is there."""
    process = Started(
        own.command("test.load", "--duration", "60s"),
        env=own.environment(SLIPWAY_REPORTS_DIR=str(reports)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not docker("ps", "-q", "--filter", f"name={own.project}-own-load-.*-load-"):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.2)
    return process


def test_a_stack_of_its_own_is_loaded_measured_and_removed_also_what_a_kill_left_behind(
    own: Sample, tmp_path: Path
) -> None:
    name, reports = f"{own.project}-own", {"SLIPWAY_REPORTS_DIR": str(tmp_path)}
    first = own.json("test.load", "--save-baseline", **reports)
    assert first["outcome"] == "passed"
    assert first["load"]["requests"] >= 142
    assert first["load"]["codes"] == {"200": first["load"]["requests"]}
    assert 0 < first["load"]["latencies"]["p50"] <= first["load"]["latencies"]["p95"]
    assert stacks(name) == []
    page = (tmp_path / first["run"] / "load" / "plot.html").read_text()
    assert "<svg" in page
    assert "src=" not in page and "href=" not in page

    process = _up(own, tmp_path)
    process.kill()
    process.communicate(timeout=30)
    assert stacks(name)
    result = own.inv("test.load", "--json", **reports)
    assert "left behind by a run that was killed" in result.stderr
    assert stacks(name) == []
    second = json.loads(result.stdout)
    assert second["baseline"]["p95"] == first["load"]["latencies"]["p95"]
    history = [json.loads(line) for line in (tmp_path / "history" / "load.jsonl").read_text().splitlines()]
    assert [entry["outcome"] for entry in history] == ["passed", "passed"]


def test_a_stack_that_crashes_at_its_start_is_no_pass_and_is_removed(own: Sample, tmp_path: Path) -> None:
    broken = own.project_dir / "docker-compose.broken.yml"
    broken.write_text('services: {app: {entrypoint: ["/no-such-program"], healthcheck: {start_period: 1s}}}\n')
    files = f"docker-compose.yml:docker-compose.test.yml:{broken.name}"
    settings = {"COMPOSE_FILE": files, "HEALTH_TIMEOUT": "240s"}
    try:
        result = subprocess.run(
            own.command("test.load", "--json"),
            env=own.environment(SLIPWAY_REPORTS_DIR=str(tmp_path), **settings),
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
    finally:
        broken.unlink()
    assert result.returncode == 5, result.stderr
    assert "Traceback" not in result.stderr
    suite = json.loads(result.stdout)["suites"][0]
    assert suite["outcome"] == "failed"
    assert "no such file" in suite["reason"]
    assert "not started: app" in suite["reason"]
    assert stacks(f"{own.project}-own") == []


def test_a_stack_whose_secrets_are_missing_is_bad_input(own: Sample, tmp_path: Path) -> None:
    extra = {"SLIPWAY_REPORTS_DIR": str(tmp_path), "SECRETS_DIR": str(tmp_path / "none")}
    said = own.inv("test.load", code=2, **extra).stderr
    assert "none/database_password" in said
    assert "./inv setup makes them" in said


def test_the_generator_has_tests_of_its_own(own: Sample, tmp_path: Path) -> None:
    document = own.json("test.unit", "--service", "loadgen", SLIPWAY_REPORTS_DIR=str(tmp_path), COMPOSE_PROFILES="load")
    assert document["suites"][0]["tests"] >= 4


def test_a_fast_endpoint_passes(server: Broken) -> None:
    assert load(server)["outcome"] == "passed"


def test_a_published_port_of_the_stack_leads_to_the_stack(server: Broken) -> None:
    target = f"GET https://localhost:{server.port(8443)}/"
    assert load(server, targets=target)["load"]["failures"] == 0


def test_a_slow_endpoint_closes_the_gates_of_p95_and_p99(server: Broken) -> None:
    limits = {"LOAD_P95_MAX": "200ms", "LOAD_P99_MAX": "200ms"}
    document = load(server, targets="GET http://web:8081/slow", code=5, **limits)
    assert document["suites"][0]["outcome"] == "failed"
    assert "is over LOAD_P95_MAX=200.00 ms" in document["suites"][0]["reason"]
    assert "is over LOAD_P99_MAX" in document["suites"][0]["reason"]


def test_errors_close_the_gate_and_are_not_kept_as_the_baseline(server: Broken) -> None:
    document = load(server, "--save-baseline", targets="GET http://web:8081/broken", code=5)
    assert not (server.reports / "baselines" / "load-dev.json").exists()
    assert "100.00 % errors are over LOAD_ERROR_MAX=1 %" in document["suites"][0]["reason"]
    assert "503 Service" in document["suites"][0]["reason"]


def test_a_rate_that_cannot_be_reached_is_never_a_pass(server: Broken) -> None:
    document = load(server, "--rate", "100000", "--duration", "2s", "--save-baseline", code=5, LOAD_ERROR_MAX="100")
    assert document["suites"][0]["outcome"] == "invalid"
    assert "the generator reached" in document["suites"][0]["reason"]
    assert not (server.reports / "baselines" / "load-dev.json").exists()


def test_a_baseline_that_is_none_is_bad_input_and_not_a_pass(server: Broken) -> None:
    server.write()
    file = server.reports / "baselines" / "load-dev.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text('{"values": ')
    try:
        said = server.inv("test.load", "--env", "dev", code=2, SLIPWAY_REPORTS_DIR=str(server.reports)).stderr
    finally:
        file.unlink()
    assert "load-dev.json: is not a baseline" in said


@pytest.mark.parametrize("host", ["example.com", "169.254.169.254", "localhost:1"])
def test_a_host_that_is_not_the_stack_is_refused(server: Broken, host: str) -> None:
    server.write(targets=[f"GET http://{host}/"])
    said = server.inv("test.load", "--env", "dev", code=3, SLIPWAY_REPORTS_DIR=str(server.reports)).stderr
    assert "--allow-host" in said


def test_a_host_that_is_allowed_by_name_is_asked(server: Broken) -> None:
    # Inside the generator's container nothing listens there: it was asked, and does not answer.
    document = load(server, "--allow-host", "127.0.0.1", targets="GET http://127.0.0.1:1/", code=5)
    assert any("connection refused" in error for error in document["load"]["errors"])


def test_a_stack_that_does_not_run_is_not_loaded(server: Broken, tmp_path: Path) -> None:
    server.write()
    said = server.inv(
        "test.load", "--env", "dev", code=3, SLIPWAY_REPORTS_DIR=str(tmp_path), COMPOSE_PROJECT_NAME="slipway-load-none"
    ).stderr
    assert "service web of slipway-load-none is not running" in said
    assert leftovers("slipway-load-none") == []


def test_a_generator_whose_report_cannot_be_read_is_never_a_pass(server: Broken) -> None:
    real, server.generator = server.generator, server.image
    try:
        document = load(server, code=5)
    finally:
        server.generator = real
    assert document["suites"][0]["outcome"] == "invalid"


@pytest.mark.parametrize(
    ("words", "extra", "named"),
    [
        ([], {"LOAD_P95_MAX": "fast"}, "LOAD_P95_MAX: expected a duration"),
        ([], {"LOAD_ERROR_MAX": "few"}, "LOAD_ERROR_MAX: expected a percentage"),
        (["--rate", "many"], {}, "--rate: expected"),
        (["--duration", "long"], {}, "--duration: expected"),
    ],
)
def test_a_threshold_that_is_no_number_is_bad_input(
    server: Broken, words: list[str], extra: dict[str, str], named: str
) -> None:
    assert named in server.inv("test.load", "--env", "dev", *words, code=2, **extra).stderr


def test_a_dry_run_prints_the_load_and_sends_none(server: Broken, tmp_path: Path) -> None:
    reports = tmp_path / "none"
    server.write()
    lines = server.inv("--dry", "test.load", "--env", "dev", SLIPWAY_REPORTS_DIR=str(reports)).stdout
    assert "loadgen -rate 40 -duration 5s" in lines
    assert not reports.exists()
