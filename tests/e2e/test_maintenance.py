"""The maintenance page of the sample's proxy: switched on and off without a reload and without a lost connection."""

import http.client
import json
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator

import pytest

from .support import Sample, docker, until


@pytest.fixture
def served(sample: Sample) -> Iterator[Sample]:
    sample.inv("deploy.maintenance", "off")
    yield sample
    sample.inv("deploy.maintenance", "off")


def answer(sample: Sample, path: str = "/api/users?limit=1") -> tuple[int, str, str]:
    """Return status, Retry-After and body."""
    try:
        with urllib.request.urlopen(f"http://localhost:{sample.http_port}{path}", timeout=60) as response:
            return response.status, response.headers.get("Retry-After", ""), response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers.get("Retry-After", ""), error.read().decode()


def test_the_page_is_503_with_retry_after_as_json_and_nginx_stays_healthy(served: Sample) -> None:
    assert answer(served)[:2] == (200, "")
    assert served.json("deploy.status")["maintenance"] is False
    served.inv("deploy.maintenance", "on")
    status, retry, body = answer(served)
    assert (status, retry, json.loads(body)["error"]["code"]) == (503, "30", "maintenance")
    nginx = f"{served.project}-nginx-1"
    assert docker("exec", nginx, "curl", "-s", "http://127.0.0.1:8082/health") == "ok"
    assert served.json("deploy.status")["maintenance"] is True
    assert "the maintenance page is on" in served.inv("deploy.status").stderr
    assert "is on already" in served.inv("deploy.maintenance", "on").stderr
    served.inv("deploy.maintenance", "off")
    assert answer(served)[:2] == (200, "")
    assert "is off already" in served.inv("deploy.maintenance", "off").stderr


def test_the_page_outlives_a_restart_of_the_proxy(served: Sample) -> None:
    served.inv("deploy.maintenance", "on")
    nginx = f"{served.project}-nginx-1"
    docker("restart", nginx)
    until(lambda: docker("inspect", "--format={{.State.Health.Status}}", nginx) == "healthy", "nginx is healthy", 120)
    assert answer(served)[0] == 503
    served.inv("deploy.dev")
    assert answer(served)[0] == 503


def test_a_deploy_while_the_page_is_on_is_refused_before_anything_changes(served: Sample) -> None:
    running = ("ps", "-q", "--no-trunc", "--filter", f"label=com.docker.compose.project={served.project}")
    before = sorted(docker(*running).split())
    served.inv("deploy.maintenance", "on")
    (gate,) = served.json("deploy.plan", LOG_LEVEL="warn")["gates"]
    assert gate["unmet"].startswith(f"the maintenance page of {served.project} is on")
    said = served.inv("deploy.dev", code=3, LOG_LEVEL="warn").stderr.splitlines()
    assert said[-2] == f"not deployed to dev: {gate['unmet']}"
    assert said[-1] == "  hint: inv deploy.maintenance off --env dev"
    assert sorted(docker(*running).split()) == before


def test_switching_on_and_off_under_load_loses_no_connection(served: Sample) -> None:
    ended = threading.Event()
    statuses: Counter[int] = Counter()
    failures: list[str] = []

    def load() -> None:
        connection = http.client.HTTPConnection("localhost", served.http_port, timeout=60)
        while not ended.is_set():
            try:
                connection.request("GET", "/api/users?limit=1")
                response = connection.getresponse()
                response.read()
                statuses[response.status] += 1
            except (OSError, http.client.HTTPException) as error:
                failures.append(repr(error))
                return
            time.sleep(0.01)
        connection.close()

    clients = [threading.Thread(target=load) for _ in range(4)]
    for client in clients:
        client.start()

    def more_of(status: int) -> None:
        wanted = statuses[status] + 25
        until(lambda: statuses[status] >= wanted or failures, f"more answers with {status}")

    try:
        more_of(200)
        for state, status in (("on", 503), ("off", 200), ("on", 503), ("off", 200)):
            served.inv("deploy.maintenance", state)
            more_of(status)
    finally:
        ended.set()
        for client in clients:
            client.join()
    assert failures == []
    assert set(statuses) == {200, 503}
    assert min(statuses.values()) > 20


def test_a_dry_run_switches_nothing(served: Sample) -> None:
    assert "# put /etc/nginx/upstreams/maintenance in" in served.inv("--dry", "deploy.maintenance", "on").stdout
    assert answer(served)[0] == 200


def test_a_state_that_is_neither_on_nor_off_is_bad_input(served: Sample) -> None:
    assert "expected on or off, got 'of'" in served.inv("deploy.maintenance", "of", code=2).stderr
