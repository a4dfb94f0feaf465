"""Two nodes: Pods on both of them, volumes of each, and a stack that loses no request when a node is emptied."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.setup.check import why_not
from tasks.setup.plan.check import CLUSTER_TESTS
from tests.e2e.support import until

from .clients import asking
from .cluster import Cluster, processes, started
from .objects import named, pod
from .shop import Shop, made

TAKES = 100
RATE = 100.0  # requests a second


@pytest.fixture(scope="module")
def pair() -> Iterator[Cluster]:
    """A cluster of two nodes, with the image of the stack."""
    if reason := why_not(CLUSTER_TESTS):
        pytest.skip(reason)
    with started(nodes=2, grace=20) as cluster:
        cluster.load_app("1")
        yield cluster


@pytest.fixture(scope="module")
def shop(pair: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A stack that is deployed."""
    with pair.namespace() as namespace:
        shop = made(tmp_path_factory.mktemp("nodes") / "shop", namespace)
        shop.profile(HEALTH_TIMEOUT="2m")
        shop.inv("deploy.prod")
        yield shop


def places(shop: Shop) -> list[str]:
    """Return the nodes of the Pods that stay."""
    found = shop.place.get("pods", **{"app.kubernetes.io/name": "app"})
    return sorted(raw["spec"]["nodeName"] for raw in found if not raw["metadata"].get("deletionTimestamp"))


def test_pods_of_a_service_are_on_both_nodes_and_its_address_leads_to_both(pair: Cluster, shop: Shop) -> None:
    assert places(shop) == [*pair.nodes]
    with asking(shop.address, 8080, RATE) as requests:
        until(lambda: len({one.answer for one in requests.all}) == 2, "both Pods have answered")
    assert requests.lost == []

    shop.write("2")
    shop.inv("deploy.prod")

    assert places(shop) == [*pair.nodes]


def test_a_node_that_is_drained_takes_no_request_along(pair: Cluster, shop: Shop) -> None:
    with asking(shop.address, 8080, RATE) as requests:
        pair.kubectl("drain", "node-1", "--ignore-daemonsets", "--timeout=240s")
        shop.place.rolled_out("deployment/app")
    pair.kubectl("uncordon", "node-1")

    assert places(shop) == ["node-2", "node-2"]
    assert requests.reasons() == {}
    assert len(requests.all) > RATE


def test_a_claim_gets_a_volume_of_the_node_of_its_pod(pair: Cluster) -> None:
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    container = {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    with pair.namespace() as namespace:
        writes = pod(pair.load_app("1"), "sh", "-c", "echo kept > /data/file", volumes=volumes, container=container)
        writes |= {"restartPolicy": "Never", "nodeSelector": {"kubernetes.io/hostname": "node-2"}}
        namespace.apply([named("PersistentVolumeClaim", "data", spec=claim), named("Pod", "write", spec=writes)])
        namespace.wait("--for=jsonpath={.status.phase}=Succeeded", "pod/write")
        volume = namespace.get("pvc", "data")["spec"]["volumeName"]
        spec = json.loads(pair.kubectl("get", "pv", volume, "-o", "json").stdout)["spec"]
    assert "node-2" in json.dumps(spec["nodeAffinity"])
    assert Path(spec["local"]["path"], "file").read_text() == "kept\n"


def test_a_node_without_power_is_silent_and_comes_back(pair: Cluster, shop: Shop) -> None:
    pair.kubectl("drain", "node-1", "--ignore-daemonsets", "--timeout=240s")
    with asking(shop.address, 8080, RATE) as requests:
        until(lambda: len(requests.all) > RATE, "answers")
        pair.kill_node("node-2")
        until(lambda: len(requests.lost) > RATE, "requests that are lost")
    until(lambda: "unknown" in shop.inv("ps", "--env", "prod").stdout, "the cluster has found out")
    said = shop.inv("deploy.status", "--env", "prod")
    assert "node-2 does not answer: nobody knows whether its Pod there still runs" in said.stderr
    assert {row["state"] for row in shop.json("ps", "--env", "prod")["containers"] if row["service"] == "app"} == {
        "unknown"
    }
    pair.kubectl("uncordon", "node-1")
    assert set(requests.reasons()) <= {"TimeoutError", "ETIMEDOUT", "EHOSTUNREACH"}  # nothing refuses a connection
    assert processes(str(pair.layout.nodes[1].directory)) == []

    pair.start_node("node-2")
    shop.place.rolled_out("deployment/app")
    until(lambda: len(shop.answers()) == 1, "the Pods serve again")
