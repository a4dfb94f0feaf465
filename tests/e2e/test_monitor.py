"""What monitors a stack, on a real engine: it comes up beside the sample, sees it, outlives its deploys, and goes."""

import json
import ssl
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.life.load import Api, load

from .support import Checkout, Sample, docker, free_port, leftovers, remove, until

TAKES = 150  # seconds: two stacks, and the monitoring of each
_PORTS = ("PROMETHEUS_PORT", "ALERTMANAGER_PORT", "JAEGER_PORT")
_HOOK = "http://127.0.0.1:9/planted-7d1f"  # nobody listens there


def profile() -> str:
    """Return the lines of a profile with ports of its own, and short intervals."""
    ports = "".join(f"{name}={free_port()}\n" for name in _PORTS)
    return f"{ports}MONITOR_INTERVAL=2s\nMONITOR_RETENTION=1d\nALERT_WEBHOOK={_HOOK}\n"


@contextmanager
def removed(project: str) -> Iterator[str]:
    """Yield the name of the project that monitors one, and remove all of it in the end, without the code under test."""
    name = f"{project}-monitoring"
    yield name
    containers = docker("ps", "-aq", "--filter", f"label=slipway.monitors={project}").split()
    if containers:
        docker("rm", "-f", *containers)
    if volumes := docker("volume", "ls", "-q", "--filter", f"label=slipway.monitors={project}").split():
        docker("volume", "rm", *volumes)
    remove(name)
    assert leftovers(name) == []


def left(project: str) -> list[str]:
    """Return what is left of the monitoring of a project, without its images."""
    return [
        *docker("ps", "-aq", "--filter", f"label=slipway.monitors={project}").split(),
        *docker("volume", "ls", "-q", "--filter", f"label=slipway.monitors={project}").split(),
        *docker("network", "ls", "-q", "--filter", f"label=com.docker.compose.project={project}-monitoring").split(),
    ]


def ids(project: str) -> set[str]:
    """Return the containers that monitor a project."""
    return set(docker("ps", "-q", "--filter", f"label=slipway.monitors={project}").split())


def value(address: str, expression: str) -> str:
    """Return what Prometheus answers to an expression that has one series, "" without data."""
    query = urlencode({"query": expression})
    with urllib.request.urlopen(f"{address}/api/v1/query?{query}", timeout=10) as answer:
        series = json.load(answer)["data"]["result"]
    return str(series[0]["value"][1]) if series else ""


@pytest.fixture(scope="module")
def staging(sample: Sample) -> Iterator[str]:
    """The name of the sample's project as staging runs it, with its monitoring."""
    layer = sample.envs_dir / "staging.local.env"
    before = layer.read_text()
    layer.write_text(before + profile())
    project = f"{sample.project}-staging"
    try:
        sample.inv("setup", "deploy.staging")
        with removed(project):
            document = sample.json("monitor.up", "--env", "staging")
            assert (document["project"], document["outcome"]) == (f"{project}-monitoring", "started")
            assert {one["health"] for one in document["services"]} == {"healthy"}
            yield project
            sample.inv("deploy.down", "--env", "staging", "--volumes", "--yes")
    finally:
        layer.write_text(before)


def test_it_sees_every_target_and_every_rule_has_its_series(sample: Sample, staging: str) -> None:
    document = sample.json("monitor.check", "--env", "staging")

    assert document["outcome"] == "passed"
    names = {one["name"] for one in document["checks"] if one["kind"] == "target" and one["outcome"] == "ok"}
    assert {name.partition(" ")[0] for name in names} >= {"postgres", "blackbox", "containers", "node", "prometheus"}
    assert {one["kind"] for one in document["checks"]} >= {"target", "rule", "series", "test"}


def test_again_nothing_changes_and_it_takes_seconds(sample: Sample, staging: str) -> None:
    before, started = ids(staging), time.monotonic()
    assert sample.json("monitor.up", "--env", "staging")["outcome"] == "unchanged"
    assert time.monotonic() - started < 60
    assert ids(staging) == before


def test_its_pages_are_on_the_loopback_interface_only(sample: Sample, staging: str) -> None:
    document = sample.json("monitor.open", "--env", "staging")

    assert (set(document["addresses"]), document["tunnel"]) == ({"prometheus", "alertmanager", "jaeger"}, "")
    with urllib.request.urlopen(f"{document['addresses']['prometheus']}/-/ready", timeout=10) as answer:
        assert answer.status == 200
    published = docker("ps", "--filter", f"label=slipway.monitors={staging}", "--format", "{{.Ports}}")
    assert "0.0.0.0:" not in published and "[::]:" not in published


def test_no_secret_is_in_what_the_engine_tells_of_containers_and_images(sample: Sample, staging: str) -> None:
    told = docker("inspect", *ids(staging))
    images = {one["Image"] for one in json.loads(told)}
    mounted = f"--volume={staging}-monitoring_secrets-postgres-exporter:/s:ro"
    read = ("--entrypoint=cat", f"{sample.project}/database:dev", "/s/database_password")
    password = docker("run", "--rm", "--network=none", mounted, *read)

    assert len(password) > 30
    for text in (told, docker("inspect", *images), *(docker("history", "--no-trunc", image) for image in images)):
        assert password not in text and _HOOK not in text


def test_the_exporter_of_the_database_sees_statistics_and_no_rows(sample: Sample, staging: str) -> None:
    client = ["psql", "--username=slipway", "--dbname=slipway", "--tuples-only", "--no-align", "--command"]

    def asked(statement: str) -> str:
        return docker("exec", f"{staging}-database-1", *client, statement)

    roles = "SELECT string_agg(r.rolname, ' ') FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid "
    assert asked(f"{roles} WHERE m.member = 'monitoring'::regrole") == "pg_monitor"
    assert asked("SELECT has_table_privilege('monitoring', 'users', 'SELECT')") == "f"
    address = sample.json("monitor.open", "--env", "staging")["addresses"]["prometheus"]
    until(lambda: value(address, "pg_up") == "1", "the exporter reaches the database")


def test_what_is_missing_is_named(sample: Sample, staging: str) -> None:
    docker("stop", f"{staging}-monitoring-postgres-exporter-1")
    address = sample.json("monitor.open", "--env", "staging")["addresses"]["prometheus"]
    until(lambda: value(address, 'up{job="postgres"}') == "0", "it is read once more")
    document: dict[str, Any] = json.loads(
        sample.inv("monitor.check", "--env", "staging", "--wait", "100ms", "--json", code=5).stdout
    )
    failed = [one for one in document["checks"] if one["outcome"] == "failed"]
    assert [one["name"].partition(" ")[0] for one in failed if one["kind"] == "target"] == ["postgres"]
    assert failed[0]["reason"]
    assert sample.json("monitor.up", "--env", "staging")["outcome"] == "started"
    sample.inv("monitor.check", "--env", "staging")


def test_a_release_is_seen_without_touching_the_monitoring(sample: Sample, staging: str) -> None:
    before = ids(staging)
    sample.inv("deploy.staging", LOG_LEVEL="debug")

    assert ids(staging) == before
    assert sample.json("monitor.check", "--env", "staging")["outcome"] == "passed"


_WATCHED = """
services:
  app:
    deploy: {update_config: {monitor: 20s}}
    x-slipway: {metrics: {port: 9464}, watch: {errors: 1%, p99: 200x, requests: 50}}
"""
_LIST = "func (a *api) listUsers(w http.ResponseWriter, r *http.Request) error {\n"


def _counted(sample: Sample, expression: str) -> list[str]:
    """Return the values that Prometheus has for an expression."""
    address = sample.json("monitor.open", "--env", "staging")["addresses"]["prometheus"]
    query = urlencode({"query": expression})
    with urllib.request.urlopen(f"{address}/api/v1/query?{query}", timeout=10) as answer:
        return [one["value"][1] for one in json.load(answer)["data"]["result"]]


def test_a_release_that_answers_errors_is_taken_back_by_what_is_counted(sample: Sample, staging: str) -> None:
    (sample.project_dir / "watched.yml").write_text(_WATCHED)
    layer, source = sample.envs_dir / "staging.local.env", sample.project_dir / "app" / "src" / "handlers" / "users.go"
    profile_before, good = layer.read_text(), source.read_text()
    layer.write_text(f"{profile_before}COMPOSE_FILE=docker-compose.yml:docker-compose.prod.yml:watched.yml\n")
    failing = good.replace(
        _LIST, f"var listed atomic.Int64\n\n{_LIST}\tif listed.Add(1)%8 == 0 {{\n\t\treturn errPlanted\n\t}}\n"
    )
    failing = failing.replace("import (\n", 'import (\n\t"errors"\n').replace(
        '\t"strconv"\n', '\t"strconv"\n\t"sync/atomic"\n'
    )
    failing += '\nvar errPlanted = errors.New("planted")\n'

    context = ssl.create_default_context(cafile=str(sample.certificate))
    port = next(int(line.partition("=")[2]) for line in profile_before.splitlines() if line.startswith("HTTPS_PORT="))

    def body(key: str) -> str:
        return json.dumps({"name": key, "email": f"{key}@example.com"})

    try:
        sample.inv("deploy.staging")
        sample.inv("monitor.up", "--env", "staging")
        source.write_text(failing)
        with load(Api(port, "/api/users", "/api/users?limit=5", body, lambda: context), 60) as requests:
            time.sleep(8.0)
            until(lambda: len(requests.seconds) >= 200, "the old ones have served")
            document = json.loads(sample.inv("deploy.staging", "--json", code=4).stdout)
        assert {line.rpartition(": ")[2] for line in requests.failures} <= {"ValueError status 500"}
        assert (document["outcome"], document["watched"][0]["verdict"]) == ("rolled-back", "breach")
        assert document["watched"][0]["errors"] > 1
        newest = sample.json("deploy.history", "--env", "staging")["releases"][0]
        assert "requests failed (before: 0.0 %; at most 1.0 % more)" in newest["reason"]
        outcome = 'slipway_deploy_outcome{outcome="rolled-back"} == 1'
        until(lambda: _counted(sample, outcome) == ["1"], "the node exporter tells of the deploy")
    finally:
        source.write_text(good)
        layer.write_text(profile_before)
        (sample.project_dir / "watched.yml").unlink()
        sample.inv("deploy.staging")
        sample.inv("monitor.up", "--env", "staging")


def test_taken_down_it_leaves_its_history_and_the_stack(sample: Sample, staging: str) -> None:
    stack = docker("ps", "-q", "--filter", f"label=com.docker.compose.project={staging}")
    sample.inv("monitor.down", "--env", "staging")

    assert ids(staging) == set()
    assert f"{staging}-monitoring_prometheus" in docker("volume", "ls", "-q")
    assert docker("ps", "-q", "--filter", f"label=com.docker.compose.project={staging}") == stack
    assert "does not run" in sample.inv("monitor.check", "--env", "staging", code=3).stderr
    assert "kept" in sample.inv("monitor.down", "--env", "staging").stderr
    sample.inv("monitor.down", "--env", "staging", "--volumes", code=3)  # it asks
    sample.inv("monitor.down", "--env", "staging", "--volumes", "--yes")
    assert left(staging) == []


_FOREIGN = """
services:
  store:
    image: IMAGE
    environment: {POSTGRES_DB: shop, POSTGRES_PASSWORD: planted-9c2e}
    networks: [inner]
    x-slipway: {database: postgres}
networks:
  inner:
    INTERNAL
"""


def test_a_project_of_others_is_watched_and_its_networks_can_still_be_replaced(
    sample: Sample, small: Callable[..., Checkout], tmp_path: Path
) -> None:
    found = (sample.envs_dir / "base.local.env").read_text()  # whether a registry is reached, by which authority
    foreign = small(_FOREIGN.replace("INTERNAL", "internal: false"), profile=found + profile())
    project, file = foreign.projects[0], foreign.project_dir / "compose.yaml"
    assert "deploy it first: inv deploy.dev" in foreign.inv("monitor.up", code=3).stderr
    foreign.inv("deploy.dev")
    files = {path for path in foreign.project_dir.rglob("*") if path.is_file()}
    with removed(project) as monitoring:
        foreign.inv("monitor.up")
        foreign.inv("monitor.check")
        assert {path for path in foreign.project_dir.rglob("*") if path.is_file()} == files
        exporter, inside = f"{monitoring}-postgres-exporter-1", "{{json .NetworkSettings.Networks}}"
        network = json.loads(docker("inspect", "--format", inside, exporter))[f"{project}_inner"]["NetworkID"]

        file.write_text(file.read_text().replace("internal: false", "internal: true"))
        foreign.inv("deploy.dev")
        now = json.loads(docker("inspect", "--format", inside, exporter))[f"{project}_inner"]["NetworkID"]
        assert now != network
        foreign.inv("monitor.check")

        foreign.inv("clean")
        assert (ids(project), f"{monitoring}_prometheus" in docker("volume", "ls", "-q")) == (set(), True)
        foreign.inv("deploy.down", "--volumes", "--yes")
        assert left(project) == []
        foreign.inv("clean", "--images")
        assert docker("images", "-q", "--filter", f"label=com.docker.compose.project={monitoring}") == ""
