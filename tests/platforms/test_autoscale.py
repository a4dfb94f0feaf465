"""A service that scales by its CPU, with the numbers of the real metrics-server."""

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.conftest import cluster
from tests.cluster.shop import SERVE, Shop, made
from tests.e2e.support import until

from . import metrics_server

__all__ = ["cluster"]

pytestmark = pytest.mark.timeout(1800)
MOST = 3
# It works as long as a file is there, as hard as its limit lets it.
BUSY = "(while :; do if test -f /tmp/busy; then :; else sleep 1; fi; done) & "


@pytest.fixture(scope="module")
def shop(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A stack with a service that scales, deployed to a cluster that has metrics."""
    metrics_server.install(cluster)
    cluster.load_app("1")
    with cluster.namespace() as namespace:
        shop = made(tmp_path_factory.mktemp("scale") / "shop", namespace)
        cpus = {"reservations": {"cpus": "0.05"}, "limits": {"cpus": "0.1"}}
        shop.write(
            command=["sh", "-c", BUSY + SERVE.replace("VERSION", "1")],
            deploy={"resources": cpus, "update_config": {"order": "start-first", "monitor": "1s"}},
            **{
                "x-slipway": {
                    "scale": {"min": 1, "max": MOST, "cpu": "60%"},
                    "smoke": [{"url": "http://localhost:18080/", "body": "1"}],
                }
            },
        )
        shop.inv("deploy.prod")
        yield shop


def told(shop: Shop) -> dict[str, Any]:
    """Return what `kube.autoscale` says of the service; without numbers its exit code is 5."""
    words = shop.command("kube.autoscale", "--env", "prod", "--json")
    done = subprocess.run(words, env=shop.environment(), capture_output=True, text=True, timeout=120)
    assert done.returncode in (0, 5), done.stderr
    (one,) = json.loads(done.stdout)["autoscalers"]
    found: dict[str, Any] = one
    return found


def pods(shop: Shop) -> list[str]:
    """Return the names of the Pods that serve."""
    listed = shop.place.get("pods", **{"app.kubernetes.io/name": "app"})
    return [pod["metadata"]["name"] for pod in listed if pod["metadata"].get("deletionTimestamp") is None]


def test_a_service_that_rests_has_a_number_and_a_busy_one_gets_pods_up_to_its_bound(shop: Shop) -> None:
    until(lambda: (told(shop)["cpu"] or 100) < 60, "the autoscaler has its numbers, and the service rests", 180)
    first = told(shop)
    assert first["state"] == "works", first
    assert (first["min"], first["max"], first["target"], first["pods"]) == (1, MOST, 60, 1), first
    (only,) = pods(shop)
    shop.place.kubectl("exec", only, "-c", "app", "--", "sh", "-c", ": > /tmp/busy")
    until(lambda: len(pods(shop)) == MOST, "the busy Pod got others beside it", 240)
    until(lambda: told(shop)["pods"] == MOST, "kube.autoscale sees them", 60)
    assert told(shop)["state"] in ("works", "at most")


def test_a_deploy_leaves_the_number_of_pods_to_the_autoscaler(shop: Shop) -> None:
    assert len(pods(shop)) == MOST
    plan = shop.json("deploy.plan", "--env", "prod")
    assert [one for one in plan["changes"] if one["action"] != "unchanged"] == [], plan
    assert shop.json("deploy.prod")["outcome"] == "unchanged"
    assert len(pods(shop)) == MOST
