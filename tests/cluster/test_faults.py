"""Faults on a cluster: each is there, and ends whoever is killed: the task, or the Pod that keeps its time."""

import hashlib
import json
import urllib.request
from collections.abc import Iterator

import pytest

from tasks.setup.check import why_not
from tasks.setup.plan.check import CLUSTER_TESTS
from tests.e2e.support import ROOT, docker, until

from .cluster import Cluster, started
from .shop import Shop, killed, made

TAKES = 90
HELPER = ROOT / "docker_project" / "chaos" / "helper"


def helper_image() -> str:
    """Return the name of the image of helper containers, which has Python; it is built where it is missing."""
    content = b"\0".join((HELPER / name).read_bytes() for name in ("Dockerfile", "fault.py"))
    name = f"slipway-chaos:{hashlib.sha256(content).hexdigest()[:12]}"
    if not docker("image", "ls", "-q", name):
        local = docker("image", "ls", "-q", "slipway-base/debian:trixie")
        base = ["--build-context=debian:trixie-slim=docker-image://slipway-base/debian:trixie"] if local else []
        docker("build", "--quiet", f"--tag={name}", *base, str(HELPER))
    return name


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A cluster of these tests: while its node is drained no Pod of others could start."""
    if reason := why_not(CLUSTER_TESTS):
        pytest.skip(reason)
    with started() as made:
        yield made


@pytest.fixture(scope="module")
def shop(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A stack that is deployed; the nodes have the image of the Jobs."""
    image = helper_image()
    cluster.load_app("1")
    cluster.load(image)
    with cluster.namespace() as namespace:
        shop = made(tmp_path_factory.mktemp("faults") / "shop", namespace)
        shop.profile(CHAOS_IMAGE=image)
        shop.inv("deploy.prod")
        yield shop


def served(shop: Shop) -> bool:
    """Whether a client gets an answer within a second."""
    try:
        with urllib.request.urlopen(f"http://{shop.address}:8080/", timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def active(shop: Shop) -> dict[str, str]:
    """Return the state of each fault that is told of."""
    return {one["fault"]: one["state"] for one in shop.json("chaos.list", "--env", "prod")["active"]}


def inject(*words: str) -> tuple[str, ...]:
    """Return the words that make a fault in the web server."""
    return ("chaos.inject", *words, "--service", "app", "--env", "prod", "--allow-prod")


def pods(shop: Shop) -> set[str]:
    """Return the names of the Pods that stay."""
    found = shop.place.get("pods", **{"app.kubernetes.io/name": "app"})
    return {raw["metadata"]["name"] for raw in found if not raw["metadata"].get("deletionTimestamp")}


def test_a_cut_ends_by_itself_though_its_runner_was_killed(shop: Shop) -> None:
    before = shop.place.get("networkpolicy", "app")["spec"]
    runner = shop.begun(*inject("cut", "--for", "30s", "--stay"))
    try:
        until(lambda: active(shop) == {"cut": "active"}, "its Job is there", 60)
        until(lambda: not served(shop), "nothing gets through", 60)
    finally:
        killed(runner)
    assert active(shop) == {"cut": "active"}
    until(lambda: served(shop), "it serves again", 120)
    assert shop.place.get("networkpolicy", "app")["spec"] == before
    until(lambda: active(shop) == {"cut": "undone"}, "its Job has ended", 60)


def test_pods_are_killed_at_once_and_others_serve(shop: Shop) -> None:
    before = pods(shop)
    shop.inv(*inject("pod-kill"))
    shop.place.rolled_out("deployment/app")
    assert len(pods(shop)) == 2 and not pods(shop) & before
    until(lambda: served(shop), "others serve")


def test_a_drained_node_takes_pods_again_though_the_pod_that_keeps_the_time_was_killed(
    cluster: Cluster, shop: Shop
) -> None:
    def cordoned() -> bool:
        [node] = json.loads(cluster.kubectl("get", "nodes", "-o", "json").stdout)["items"]
        return bool(node["spec"].get("unschedulable"))

    before = pods(shop)
    said = shop.inv(*inject("drain", "--for", "10m")).stderr
    assert "Pods that leave it: app-" in said and cordoned()
    until(lambda: len(pods(shop) & before) == 1, "one Pod has left; the budget keeps the other: there is no other node")
    until(lambda: served(shop), "the other one serves")
    label = "slipway.chaos.fault=drain"
    shop.place.kubectl("delete", "pods", "-l", label, "--grace-period=0", "--force")
    until(lambda: not cordoned(), "its Job was started again, and only undoes", 60)
    shop.place.rolled_out("deployment/app")

    shop.inv(*inject("cut", "--for", "10m"))
    until(lambda: not served(shop), "nothing gets through")
    said = shop.inv("chaos.stop", "--env", "prod").stderr
    assert "cut in app: undone" in said
    until(lambda: served(shop), "it serves again")
    kinds = "jobs,serviceaccounts,roles,rolebindings,networkpolicies"
    assert shop.place.kubectl("get", kinds, "-l", "slipway.chaos", "-o", "name").stdout == ""
    wide = cluster.kubectl("get", "clusterroles,clusterrolebindings", "-l", "slipway.chaos", "-o", "name").stdout
    assert shop.place.name not in wide


def test_faults_are_refused_where_they_must_not_be(shop: Shop) -> None:
    words = ("chaos.inject", "cut", "--service", "app", "--env", "prod")
    assert "prod is production" in shop.inv(*words, code=3).stderr
    assert "kill is not made on Kubernetes" in shop.inv(*inject("kill"), code=2).stderr
    shop.place.apply([foreign()])
    try:
        said = shop.inv(*inject("cut", "--for", "10m"), code=3).stderr
    finally:
        shop.place.kubectl("delete", "networkpolicy", "foreign")
    assert "the network policy foreign lets its traffic through as well" in said
    until(lambda: served(shop), "it serves")
    assert active(shop) == {}


def foreign() -> dict[str, object]:
    """Return a network policy of somebody else that lets all through."""
    return {
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "foreign"},
        "spec": {"podSelector": {}, "ingress": [{}]},
    }  # fmt: skip
