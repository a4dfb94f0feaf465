"""A stack in a real mesh, by ``MESH=istio``: networks decide who talks, and weights what a canary gets."""

import http.client
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.cluster import APP, Cluster
from tests.cluster.conftest import cluster
from tests.cluster.shop import HEALTH, SERVE, USER, Shop, made
from tests.e2e.support import until

from . import istio_mesh

__all__ = ["cluster"]

pytestmark = pytest.mark.timeout(1800)
# An address of this machine only: else the port would be published, and open to all of the mesh.
HTTP = [{"target": 8080, "published": "18080", "host_ip": "127.0.0.1", "app_protocol": "http"}]
# Of 300 requests one in five goes to the canary: 60, and less than 30 or more than 90 one time in 50,000.
REQUESTS, LEAST, MOST = 300, 30, 90
CANARY = {"weight": [20], "every": "25s"}
UNTIL_SICK = SERVE.replace("exec ", "") + " & while test ! -f /tmp/sick; do sleep 0.2; done; exit 3"
IDLE = {"command": ["sh", "-c", "sleep 100000"], "stop_grace_period": "1s"}


def write(shop: Shop, version: str, **web: Any) -> None:
    """Write the Compose file: a server, a service that shares its network, one that does not, and a job."""
    common = {"image": f"{APP}:1", "user": USER}
    serve = ["sh", "-c", SERVE.replace("VERSION", version)]
    services = {
        "web": {
            **common, "command": serve, "healthcheck": HEALTH, "networks": ["front"], "ports": HTTP,
            "stop_grace_period": "1s", "deploy": {"replicas": 2}, "x-slipway": {"canary": CANARY}, **web,
        },
        "friend": {**common, **IDLE, "networks": ["front"]},
        "stranger": {**common, **IDLE, "networks": ["back"]},
        "asks": {
            **common, "command": ["sh", "-c", "wget -q -O - http://web:8080/"], "networks": ["front"],
            "restart": "on-failure:5", "x-slipway": {"job": "once"}, "depends_on": ["web"],
        },
    }  # fmt: skip
    model = {"services": services, "networks": {"front": {}, "back": {}}}
    (shop.project_dir / "compose.yaml").write_text(json.dumps(model))


@pytest.fixture(scope="module")
def shop(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A stack that is deployed into the mesh; its NetworkPolicies are away, so that the mesh alone decides."""
    istio_mesh.install(cluster)
    cluster.load_app("1")
    # The container that sets the sidecar's rules up needs NET_ADMIN, without Istio's CNI plugin.
    with cluster.namespace("privileged") as namespace:
        shop = made(tmp_path_factory.mktemp("mesh") / "shop", namespace)
        shop.profile(MESH="istio")
        write(shop, "1")
        assert shop.json("deploy.prod")["outcome"] == "deployed"
        namespace.kubectl("delete", "networkpolicy", "--all")
        yield shop


def asked(shop: Shop, client: str, *words: str) -> tuple[str, str]:
    """Let a service ask the server, and return what it got on stdout and on stderr."""
    ask = ("wget", "-q", "-O", "-", *words, "http://web:8080/")
    done = shop.place.kubectl("exec", f"deployment/{client}", "-c", client, "--", "timeout", "20", *ask, check=False)
    return done.stdout, done.stderr


def test_the_api_server_knows_every_field_of_what_is_applied(shop: Shop) -> None:
    checked = shop.json("kube.check", "--env", "prod", "--security", "privileged", code=5)
    wrong = [one for one in checked["findings"] if one["check"] != "images"]  # loaded, and in no registry
    assert wrong == []
    kinds = {one["kind"] for one in shop.json("kube.report", "--env", "prod")["objects"]}
    assert {"PeerAuthentication", "AuthorizationPolicy", "DestinationRule", "VirtualService"} <= kinds


def test_every_pod_has_a_native_sidecar_and_the_job_has_ended(shop: Shop) -> None:
    pods = [pod for pod in shop.place.get("pods") if not pod["metadata"].get("deletionTimestamp")]
    assert {pod["metadata"]["labels"]["app.kubernetes.io/name"] for pod in pods} == {
        "web",
        "friend",
        "stranger",
        "asks",
    }
    for pod in pods:
        (proxy,) = [one for one in pod["spec"]["initContainers"] if one["name"] == "istio-proxy"]
        assert proxy["restartPolicy"] == "Always"
    (job,) = shop.place.get("jobs")
    assert job["status"]["succeeded"] == 1
    assert shop.place.logs(f"job/{job['metadata']['name']}", "-c", "asks").startswith("1 on web-")


def test_the_check_of_the_mesh_finds_nothing_and_then_what_somebody_opens(shop: Shop) -> None:
    found = shop.json("mesh.check", "--env", "prod")["services"]
    assert {one["service"]: (one["sidecars"], one["mtls"], one["faults"]) for one in found} == {
        "web": (2, "STRICT", []),
        "friend": (1, "STRICT", []),
        "stranger": (1, "STRICT", []),
        "asks": (0, "STRICT", []),  # it has ended
    }
    everybody = {"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy", "metadata": {"name": "all"}}
    shop.place.apply([{**everybody, "spec": {"rules": [{}]}}])
    opened = shop.json("mesh.check", "--env", "prod", code=5)["services"]
    assert all(one["faults"] == ["AuthorizationPolicy all lets others in as well"] for one in opened)
    shop.place.kubectl("delete", "authorizationpolicy", "all")


def test_a_service_of_the_same_network_is_served(shop: Shop) -> None:
    assert asked(shop, "friend")[0].startswith("1 on web-")


def test_a_service_of_another_network_is_refused(shop: Shop) -> None:
    until(lambda: "403" in asked(shop, "stranger")[1], "the stranger gets 403")
    served, told = asked(shop, "stranger")
    assert served == "" and "wget: server returned error: HTTP/1.1 403 Forbidden" in told


def test_a_client_without_a_sidecar_is_refused(shop: Shop) -> None:
    address = shop.place.get("service", "web")["spec"]["clusterIP"]
    connection = http.client.HTTPConnection(address, 8080, timeout=20)
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        connection.request("GET", "/")
        connection.getresponse()
    connection.close()


def answers(shop: Shop, number: int) -> Counter[str]:
    """Let the service of the same network ask so many times, and count the versions that answer."""
    script = f"i=0; while test $i -lt {number}; do wget -q -O - http://web:8080/ || echo lost; i=$((i+1)); done"
    done = shop.place.kubectl("exec", "deployment/friend", "-c", "friend", "--", "sh", "-c", script)
    return Counter(line.partition(" ")[0] for line in done.stdout.splitlines())


def weights(shop: Shop) -> list[int]:
    """Return the weights by which requests are divided; none while they are not."""
    rules = shop.place.get("virtualservice", "web")["spec"]["http"]
    return [one.get("weight", 0) for one in rules[0]["route"] if one.get("weight") not in (None, 100)]


def test_a_canary_gets_its_share_of_the_requests_and_then_all(shop: Shop) -> None:
    assert answers(shop, 20) == {"1": 20}
    write(shop, "2")
    task = shop.begun("deploy.prod")
    until(lambda: weights(shop) == [80, 20], "the canary has its share", seconds=120)
    time.sleep(2)  # every sidecar has heard of it
    during = answers(shop, REQUESTS)
    _, said = task.communicate(timeout=240)
    assert task.returncode == 0, said
    sys.stderr.write(f"{REQUESTS} requests at 80 to 20: {dict(during)}\n")
    assert set(during) == {"1", "2"}, "and none is lost"
    assert LEAST < during["2"] < MOST
    assert answers(shop, 20) == {"2": 20}
    assert weights(shop) == []


def test_a_canary_that_gets_sick_gives_the_requests_back(shop: Shop) -> None:
    write(shop, "3", command=["sh", "-c", UNTIL_SICK.replace("VERSION", "3")])
    before = {pod["metadata"]["name"] for pod in shop.place.get("pods", **{"app.kubernetes.io/name": "web"})}
    task = shop.begun("deploy.prod")
    until(lambda: weights(shop) == [80, 20], "the canary has its share", seconds=120)
    time.sleep(2)
    pods = shop.place.get("pods", **{"app.kubernetes.io/name": "web"})
    new = next(pod["metadata"]["name"] for pod in pods if pod["metadata"]["name"] not in before)
    shop.place.kubectl("exec", new, "-c", "web", "--", "sh", "-c", "echo > /tmp/sick")
    meanwhile = answers(shop, REQUESTS)
    _, said = task.communicate(timeout=240)
    sys.stderr.write(f"{REQUESTS} requests while a canary gets sick: {dict(meanwhile)}\n")
    assert task.returncode == 4, said
    assert meanwhile["lost"] == 0 and meanwhile["2"] > MOST
    assert answers(shop, 20) == {"2": 20}
    assert weights(shop) == []
