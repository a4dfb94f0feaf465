"""The maintenance page of the sample's proxy: shown and gone without a reload, and without a lost connection."""

import http.client
import json
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator

import pytest

from .support import Sample, docker


@pytest.fixture
def served(sample: Sample) -> Iterator[Sample]:
    sample.inv("deploy.maintenance", "off")
    yield sample
    sample.inv("deploy.maintenance", "off")


def answer(sample: Sample, path: str = "/api/users?limit=1") -> tuple[int, str, str]:
    """Return status, Retry-After and body."""
    try:
        with urllib.request.urlopen(f"http://localhost:{sample.http_port}{path}", timeout=10) as found:
            return found.status, found.headers.get("Retry-After", ""), found.read().decode()
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
    docker("restart", f"{served.project}-nginx-1")
    deadline = time.monotonic() + 20
    while True:
        try:
            assert answer(served)[0] == 503
            break
        except (OSError, http.client.HTTPException):
            assert time.monotonic() < deadline
            time.sleep(0.1)
    served.inv("deploy.dev")
    assert answer(served)[0] == 503


def test_switching_on_and_off_under_load_loses_no_connection(served: Sample) -> None:
    ended = threading.Event()
    statuses: Counter[int] = Counter()
    failures: list[str] = []

    def load() -> None:
        connection = http.client.HTTPConnection("localhost", served.http_port, timeout=10)
        while not ended.is_set():
            try:
                connection.request("GET", "/api/users?limit=1")
                found = connection.getresponse()
                found.read()
                statuses[found.status] += 1
            except (OSError, http.client.HTTPException) as error:
                failures.append(repr(error))
                return
            time.sleep(0.01)
        connection.close()

    clients = [threading.Thread(target=load) for _ in range(4)]
    for one in clients:
        one.start()
    for state in ("on", "off", "on", "off"):
        time.sleep(0.5)
        served.inv("deploy.maintenance", state)
    time.sleep(0.5)
    ended.set()
    for one in clients:
        one.join()
    assert failures == []
    assert set(statuses) == {200, 503}
    assert min(statuses.values()) > 20


def test_a_dry_run_switches_nothing(served: Sample) -> None:
    assert "# put /etc/nginx/upstreams/maintenance in" in served.inv("--dry", "deploy.maintenance", "on").stdout
    assert answer(served)[0] == 200


def test_a_state_that_is_neither_on_nor_off_is_bad_input(served: Sample) -> None:
    assert "expected on or off, got 'of'" in served.inv("deploy.maintenance", "of", code=2).stderr
