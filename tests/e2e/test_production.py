"""The production stage: small, without a shell, nothing published but nginx."""

import json
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from .support import ROOT, Sample, docker


@pytest.fixture(scope="module")
def staging(sample: Sample) -> Iterator[Sample]:
    """The sample stack as staging runs it."""
    sample.inv("setup", "deploy.staging")
    yield sample
    sample.inv("deploy.down", "--env", "staging")


def test_staging_publishes_nothing_but_nginx_and_leads_http_to_https(staging: Sample) -> None:
    services = {one["service"]: one["ports"] for one in staging.json("deploy.status", "--env", "staging")["services"]}
    assert {name for name, ports in services.items() if ports} == {"nginx"}
    assert "seed" not in services
    answer = docker("exec", f"{staging.project}-staging-nginx-1", "curl", "-s", "-o", "/dev/null", "-w",
                    "%{http_code} %{redirect_url}", "http://localhost:8080/api/users")  # fmt: skip
    assert answer.startswith("308 https://")


def test_version_is_what_git_says_the_build_carries(staging: Sample) -> None:
    carried = staging.json("image.tags", "--env", "staging")["images"]
    served = docker("exec", f"{staging.project}-staging-nginx-1", "curl", "-s", "http://app:8000/version")
    assert json.loads(served)["version"] == carried[0]["version"]


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
    assert {one["id"] for one in report["accepted"]} == {"CIS-5.14", "CIS-5.15"}  # the test's ports are not 80 and 443
    assert all(one["reason"] for one in report["accepted"])
    assert {one["service"] for one in report["containers"]} == {"app", "database", "nginx"}
    assert all(one["capabilities"] == [] and one["read_only"] for one in report["containers"])


def test_prod_asks_before_it_deploys_and_refuses_without_a_terminal(sample: Sample) -> None:
    sample.inv("setup")
    result = sample.inv("deploy.prod", code=3)
    assert "there is no terminal to ask on" in result.stderr
    assert docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={sample.project}-prod") == ""


def test_a_missing_secret_is_named_before_anything_runs(sample: Sample) -> None:
    result = sample.inv("deploy.staging", code=2, SECRETS_DIR="/nonexistent", GENERATE_SECRETS="false")
    assert "/nonexistent/database_password" in result.stderr


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed on this machine")
def test_the_makefile_calls_the_tasks() -> None:
    for target, words in (("build-dev", "build.dev"), ("deploy-staging", "deploy.staging"), ("logs", "logs")):
        line = subprocess.run(
            ["make", "-n", "-C", str(ROOT / "docker_project"), target], check=True, capture_output=True, text=True
        ).stdout
        assert f"inv {words}" in line
