"""Blue-green on a real cluster: the switch under load, a release that gets sick after it, a deploy that is killed."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from .cluster import Cluster, until
from .shop import Shop, killed, made

TAKES = 90
_PAUSE = 0.02  # seconds between two requests
_MOST = 60_000  # requests of a test
SERVE = "mkdir -p /tmp/www && echo VERSION on $$HOSTNAME > /tmp/www/index.html && httpd -p 8080 -h /tmp/www"
UNTIL_SICK = f"{SERVE}; while test ! -f /tmp/sick; do sleep 0.2; done; exit 3"
HEALTHY = {"test": ["CMD", "test", "!", "-f", "/tmp/sick"], "interval": "1s", "retries": 1, "start_period": "5s"}


@pytest.fixture(scope="module")
def shop(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A stack that is deployed and switches; what a test deploys goes on to serve."""
    cluster.load_app("1")
    with cluster.namespace() as namespace:
        shop = made(tmp_path_factory.mktemp("slots") / "shop", namespace)
        write(shop, "1")
        shop.inv("deploy.prod")
        yield shop


def write(shop: Shop, version: str, monitor: str = "2s", **more: Any) -> None:
    own = {"rollout": "blue-green", "smoke": [{"url": "http://localhost:18080/", "body": version}]}
    deploy = {"replicas": 2, "update_config": {"monitor": monitor}}
    shop.write(version, **{"healthcheck": HEALTHY, "deploy": deploy, "x-slipway": own, **more})


def slot(shop: Shop) -> str:
    """Return the slot that the Service leads to."""
    return str(shop.place.get("service", "app")["spec"]["selector"].get("slipway/slot", ""))


def pods(shop: Shop, **labels: str) -> set[str]:
    """Return the Pods of the service that stay."""
    found = shop.place.get("pods", **{"app.kubernetes.io/name": "app", **labels})
    return {pod["metadata"]["name"] for pod in found if not pod["metadata"].get("deletionTimestamp")}


def in_slot(shop: Shop, name: str) -> set[str]:
    return {pod for pod in pods(shop) if pod.startswith(f"app-{name}-")}


@contextmanager
def asked(shop: Shop) -> Iterator[list[str]]:
    """Ask the Service one request after the other in a block; yields what it answers: a version, or a fault."""
    address = shop.place.get("service", "app")["spec"]["clusterIP"]
    answers: list[str] = []
    enough = threading.Event()

    def ask() -> None:
        while not enough.is_set() and len(answers) < _MOST:
            connection = http.client.HTTPConnection(address, 8080, timeout=60)
            try:
                connection.request("GET", "/")
                response = connection.getresponse()
                text = response.read().decode()
                answers.append(text.partition(" ")[0] if response.status == 200 else f"status {response.status}")
            except (OSError, http.client.HTTPException) as error:
                answers.append(f"lost: {error!r}")
            finally:
                connection.close()
            enough.wait(_PAUSE)

    client = threading.Thread(target=ask)
    client.start()
    try:
        until(lambda: bool(answers), "an answer")
        yield answers
    finally:
        enough.set()
        client.join()


def runs(answers: list[str]) -> list[str]:
    """Return answers without those that are as the one before."""
    return [one for number, one in enumerate(answers) if number == 0 or answers[number - 1] != one]


def test_a_switch_and_the_way_back_lose_no_request_and_no_client_sees_old_after_new(shop: Shop) -> None:
    before = slot(shop)
    assert before in ("blue", "green")
    write(shop, "2")
    plan = shop.json("deploy.plan", "--env", "prod")
    app = plan["changes"][0]
    assert (app["action"], app["rollout"], app["causes"], plan["interrupts"]) == ("roll", "blue-green", ["command"], [])
    assert [one["kind"] for one in plan["operations"]] == (
        ["start", "await healthy", "switch", "watch", "smoke", "remove"]
    )
    known = [one["id"] for one in shop.json("deploy.history", "--env", "prod")["releases"]]

    with asked(shop) as answers:
        deployed = shop.json("deploy.prod")
        there = slot(shop)
        shop.json("deploy.rollback", "--env", "prod")

    assert deployed["outcome"] == "deployed"
    assert [one["name"] for one in deployed["steps"]] == (
        ["roll out", "switch", "watch", "smoke test", "remove what served before", "record"]
    )
    assert runs(answers) == ["1", "2", "1"]
    assert (there != before, slot(shop)) == (True, before)
    until(lambda: pods(shop) == in_slot(shop, before), "the other Pods are gone")
    history = shop.json("deploy.history", "--env", "prod")["releases"]
    assert [one["outcome"] for one in history[:2]] == ["deployed", "deployed"]
    assert len(history) == len(known) + 2, "a step is no release"
    write(shop, "1")
    assert shop.json("deploy.plan", "--env", "prod")["changes"][0]["action"] == "unchanged"
    assert shop.json("deploy.status", "--env", "prod")["services"][0]["drift"] == []


def test_a_release_that_gets_sick_after_the_switch_leaves_those_pods_that_served(shop: Shop) -> None:
    before, served = slot(shop), pods(shop)
    write(shop, "3", monitor="5m")

    with asked(shop) as answers:
        task = shop.begun("deploy.prod")
        until(lambda: slot(shop) != before, "the switch", 300)
        new = sorted(pods(shop) - served)
        shop.place.kubectl("exec", new[0], "-c", "app", "--", "sh", "-c", "echo > /tmp/sick")
        _, said = task.communicate(timeout=600)

    assert task.returncode == 4, said
    assert "app: it runs and its health check does not pass" in said
    assert "serves, 2 containers run, all ready" in said
    assert runs(answers) == ["1", "3", "1"]
    assert (slot(shop), served & pods(shop)) == (before, served), "they never left"
    until(lambda: pods(shop) == served, "the new Pods are gone")
    assert shop.json("deploy.history", "--env", "prod")["releases"][1]["outcome"] == "rolled-back"
    write(shop, "1")
    assert shop.json("deploy.plan", "--env", "prod")["changes"][0]["action"] == "unchanged"


def test_a_deploy_that_was_killed_at_its_very_end_is_taken_back_by_the_next(shop: Shop) -> None:
    before = slot(shop)
    write(shop, "4", monitor="5m")
    task = shop.begun("deploy.prod")
    until(lambda: slot(shop) != before, "the switch", 300)
    killed(task)
    shop.place.kubectl("delete", "deployment", f"app-{before}")  # as helm does in the end
    assert shop.json("deploy.history", "--env", "prod")["releases"][1]["current"], "what it stands beside"
    write(shop, "1")

    with asked(shop) as answers:
        said = shop.inv("deploy.prod", "--wait", "1m").stderr

    assert "an earlier deploy was stopped before it ended" in said
    assert runs(answers) == ["4", "1"]
    until(lambda: pods(shop) == in_slot(shop, before), "the new Pods are gone")
    assert slot(shop) == before
    assert shop.json("deploy.history", "--env", "prod")["releases"][1]["outcome"] == "rolled-back"


def test_pods_that_end_after_a_rolling_update_lead_back(shop: Shop) -> None:
    before, served = slot(shop), pods(shop)
    shop.profile(REQUIRE_HEALTHCHECK="false")
    rolling = {"replicas": 2, "update_config": {"order": "start-first"}}
    command = ["sh", "-c", UNTIL_SICK.replace("VERSION", "5")]
    own: dict[str, Any] = {"healthcheck": {"disable": True}, "deploy": rolling, "x-slipway": {}}
    write(shop, "5", command=command, **own)
    task = shop.begun("deploy.prod", SETTLE="5m")
    until(lambda: shop.revisions()[-1] == "deployed" and not served & pods(shop), "all Pods are new", 300)
    assert slot(shop) == before, "what is not blue-green any more stays where it is"
    shop.place.kubectl("exec", sorted(pods(shop))[0], "-c", "app", "--", "sh", "-c", "echo > /tmp/sick")

    _, said = task.communicate(timeout=600)

    assert task.returncode == 4, said
    assert "app: it ended with exit code 3" in said
    assert "serves, 2 containers run, all ready" in said
    assert shop.answers() == {"1"}
    shop.profile()
