"""The production stage: small, without a shell, nothing published but nginx."""

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .lean import ready
from .starting import Started
from .support import ROOT, Sample, docker, leftovers, until


@pytest.fixture(scope="module")
def staging(sample: Sample) -> Iterator[Sample]:
    """The sample stack as staging runs it."""
    sample.inv("setup", "deploy.staging")
    yield sample
    sample.inv("deploy.down", "--env", "staging")


def test_staging_publishes_nothing_but_nginx_and_leads_http_to_https(staging: Sample) -> None:
    services = {
        service["service"]: service["ports"]
        for service in staging.json("deploy.status", "--env", "staging")["services"]
    }
    assert {name for name, ports in services.items() if ports} == {"nginx"}
    assert "seed" not in services
    containers = staging.json("ps", "--env", "staging")["containers"]
    assert {container["service"] for container in containers if container["ports"]} == {"nginx"}
    answer = docker("exec", f"{staging.project}-staging-nginx-1", "curl", "-s", "-o", "/dev/null", "-w",
                    "%{http_code} %{redirect_url}", "http://localhost:8080/api/users")  # fmt: skip
    assert answer.startswith("308 https://")


def test_version_is_what_git_says_the_build_carries(staging: Sample) -> None:
    carried = staging.json("image.tags", "--env", "staging")["images"]
    served = docker("exec", f"{staging.project}-staging-nginx-1", "curl", "-s", "http://app:8000/version")
    assert json.loads(served)["version"] == carried[0]["version"]


def test_a_certificate_without_a_known_authority_closes_the_gate(staging: Sample, tmp_path: Path) -> None:
    # Staging declares no self-signed certificate, and gets one.
    extra = {"SLIPWAY_REPORTS_DIR": str(tmp_path), "SMOKE_CA": ""}
    document = staging.json("test.smoke", "--env", "staging", code=5, **extra)
    reasons = [check["reason"] for check in document["checks"] if check["check"].endswith("/health")]
    assert any("self-signed certificate" in (reason or "") for reason in reasons)


def test_the_production_image_is_one_static_binary_within_its_budget(staging: Sample) -> None:
    report = staging.json("build.size", "--env", "staging", "--service", "app")["images"][0]
    assert 0 < report["size"] <= report["budget"]
    assert not report["over_budget"]
    assert len([layer for layer in report["layers"] if layer["size"]]) == 2  # certificates and the binary


def test_shell_in_an_image_without_one_enters_its_namespaces(staging: Sample) -> None:
    script = "cat /proc/1/root/etc/hostname; tr '\\0' ' ' </proc/1/cmdline"
    result = staging.inv("shell", "--env", "staging", "--service", "app", "--command", script)
    container = docker("inspect", "--format", "{{.Config.Hostname}}", f"{staging.project}-staging-app-1")
    assert result.stdout.split() == [container, "/app"]


def test_shell_enters_a_container_that_has_one(staging: Sample) -> None:
    result = staging.inv("shell", "--env", "staging", "--service", "database", "--command", "echo $PGDATA")
    assert result.stdout.strip() == "/var/lib/postgresql/data"


def test_what_the_containers_may_do_differs_from_the_benchmark_in_nothing_that_is_not_accepted(staging: Sample) -> None:
    report = staging.json("scan.hardening", "--env", "staging")
    assert report["outcome"] == "passed"
    assert report["findings"] == []
    assert {item["id"] for item in report["accepted"]} == {
        "CIS-5.14",
        "CIS-5.15",
    }  # the test's ports are not 80 and 443
    assert all(item["reason"] for item in report["accepted"])
    assert {item["service"] for item in report["containers"]} == {"app", "database", "nginx"}
    assert all(item["capabilities"] == [] and item["read_only"] for item in report["containers"])


def test_prod_asks_before_it_deploys_and_refuses_without_a_terminal(sample: Sample) -> None:
    sample.inv("setup")
    result = sample.inv("deploy.prod", code=3)
    assert "there is no terminal to ask on" in result.stderr
    assert docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={sample.project}-prod") == ""


def test_a_missing_secret_is_named_before_anything_runs(sample: Sample) -> None:
    lacking = {"SECRETS_DIR": "/nonexistent", "GENERATE_SECRETS": "false"}
    said = sample.inv("setup", SLIPWAY_ENV="staging", **lacking).stderr
    assert "this machine is ready, but for staging these secret files do not exist: /nonexistent/database_pass" in said
    result = sample.inv("deploy.staging", code=2, SECRETS_DIR="/nonexistent", GENERATE_SECRETS="false")
    assert "/nonexistent/database_password" in result.stderr


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed on this machine")
def test_the_makefile_calls_the_tasks() -> None:
    for target, words in (("build-dev", "build.dev"), ("deploy-staging", "deploy.staging"), ("logs", "logs")):
        line = subprocess.run(
            ["make", "-n", "-C", str(ROOT / "docker_project"), target], check=True, capture_output=True, text=True
        ).stdout
        assert f"inv {words}" in line


def test_a_rehearsal_is_the_production_path_with_development_secrets_and_leaves_nothing(staging: Sample) -> None:
    rehearsal = f"{staging.project}-staging-rehearsal"
    staging.projects.append(rehearsal)
    layer = staging.envs_dir / "staging-rehearsal.local.env"
    told = staging.inv("deploy.staging", "--rehearse").stderr
    values = {entry["key"]: entry for entry in staging.json("env.show", "staging-rehearsal")["values"]}
    assert values["COMPOSE_PROJECT_NAME"]["value"] == rehearsal
    assert values["HTTPS_PORT"]["value"] not in ("443", str(staging.https_port))
    report = staging.json("deploy.status", "--env", "staging-rehearsal")
    assert {service["health"] for service in report["services"] if service["state"] == "running"} == {"healthy"}

    removal = told.partition("remove it:  inv ")[2].splitlines()[0]
    staging.inv(*removal.split())
    assert leftovers(rehearsal) == []
    assert not layer.exists()
    assert docker("ps", "-q", "--filter", f"label=com.docker.compose.project={staging.project}-staging") != ""


def test_requests_that_take_five_seconds_complete_across_the_switch(staging: Sample) -> None:
    """The service's image is from scratch: nothing in it could be run to drain it."""
    project = f"{staging.project}-staging"
    port = docker("port", f"{project}-nginx-1", "8443").splitlines()[0].rpartition(":")[2]
    handler = staging.project_dir / "app" / "src" / "handlers" / "users.go"
    source = handler.read_text()
    psql = ["docker", "exec", "-i", f"{project}-database-1", "psql", "-qAtU", "slipway", "slipway"]
    ask = ["curl", "-sk", "-o", "/dev/null", "-w", "%{http_code} %{time_total}", "--max-time", "60",
           f"https://localhost:{port}/api/users?limit=1"]  # fmt: skip
    events = subprocess.Popen(
        ["docker", "events", "--since", f"{time.time():.6f}", "--filter", f"label=com.docker.compose.project={project}",
         "--format", "{{.Action}}\t{{index .Actor.Attributes \"name\"}}"], stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        handler.write_text(source + "\nvar _ = 1\n")
        task = Started(staging.command("deploy.staging"), env=staging.environment(), stderr=subprocess.DEVNULL)
        assert events.stdout
        next(line for line in events.stdout if ready(*line.rstrip("\n").split("\t")))
        lock = subprocess.Popen(psql, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert lock.stdin and lock.stdout
        lock.stdin.write("BEGIN; LOCK TABLE users; SELECT 'locked';\n")
        lock.stdin.flush()
        assert lock.stdout.readline() == "locked\n"
        asked = [subprocess.Popen(ask, stdout=subprocess.PIPE, text=True) for _ in range(10)]
        stub = ("exec", f"{project}-nginx-1", "curl", "-s", "http://127.0.0.1:8083/stub_status")
        until(lambda: int(docker(*stub).split()[2]) > len(asked), "all requests are there")
        time.sleep(5)
        lock.communicate("COMMIT;\n", timeout=60)
        answers = [client.communicate()[0].split() for client in asked]
        assert [status for status, _ in answers] == ["200"] * 10
        assert min(float(seconds) for _, seconds in answers) > 3, "they were in flight all the time"
        assert task.wait(240) == 0
        assert lock.returncode == 0
    finally:
        handler.write_text(source)
        events.kill()
        events.communicate()
