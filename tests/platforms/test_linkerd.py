"""What ``MESH=linkerd`` applies, by the schemas of Linkerd on a real API server; its proxies are not there."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tasks.kube.live.inventory import documents
from tests.cluster.cluster import APP, Cluster, Namespace
from tests.cluster.conftest import cluster, namespace
from tests.cluster.shop import HEALTH, SERVE, USER, Shop, made
from tests.e2e.support import until

from . import linkerd_schemas

__all__ = ["cluster", "namespace"]

pytestmark = pytest.mark.timeout(1800)
needs_linkerd = pytest.mark.skipif(
    not linkerd_schemas.CHECKOUT,
    reason="SLIPWAY_LINKERD names no checkout of linkerd2",
)
# An address of this machine only: else the port would be published, and open to all of the mesh.
HTTP = [{"target": 8080, "published": "18080", "host_ip": "127.0.0.1", "app_protocol": "http"}]
PLURALS = {
    "HTTPRoute": "httproutes",
    "Server": "servers",
    "AuthorizationPolicy": "authorizationpolicies",
    "MeshTLSAuthentication": "meshtlsauthentications",
    "NetworkAuthentication": "networkauthentications",
}
SLOTTED = ("web", "web-blue", "web-green")
CANARY = {"weight": [20], "every": "6s"}


def write(shop: Shop, version: str) -> None:
    """Write the Compose file: a server, one that an ingress leads to, one that speaks no HTTP, and a job."""
    common = {"image": f"{APP}:1", "user": USER, "stop_grace_period": "1s"}
    serve = {**common, "command": ["sh", "-c", SERVE.replace("VERSION", version)], "healthcheck": HEALTH}
    idle = {**common, "command": ["sh", "-c", "sleep 100000"]}
    services: dict[str, Any] = {
        "web": {**serve, "networks": ["front", "back"], "ports": HTTP, "x-slipway": {"canary": CANARY}},
        "edge": {
            **serve, "networks": ["front"], "ports": ["18081:8080"],
            "x-slipway": {"rollout": "recreate", "ingress": {"host": "shop.example.com", "class": "none"}},
        },
        "queue": {**idle, "networks": ["back"], "expose": ["4222"], "x-slipway": {"rollout": "recreate"}},
        "asks": {**common, "command": ["sh", "-c", "exit 0"], "networks": ["back"], "x-slipway": {"job": "once"}},
    }  # fmt: skip
    model = {"services": services, "networks": {"front": {}, "back": {"internal": True}}}
    (shop.project_dir / "compose.yaml").write_text(json.dumps(model))


@pytest.fixture
def shop(cluster: Cluster, namespace: Namespace, tmp_path: Any) -> Iterator[Shop]:
    """A project with ``MESH=linkerd`` and a namespace for it."""
    linkerd_schemas.define(cluster, *linkerd_schemas.gateway_api())
    found = made(tmp_path / "shop", namespace)
    found.profile(MESH="linkerd")
    write(found, "1")
    yield found


@pytest.fixture
def linkerd(shop: Shop) -> Shop:
    """The project, on a cluster that knows Linkerd's policies, too."""
    linkerd_schemas.define(shop.place.cluster, *linkerd_schemas.policies())
    return shop


def rendered(shop: Shop) -> list[dict[str, Any]]:
    """Return the objects that are applied."""
    out = shop.project_dir / "objects"
    shop.inv("kube.render", "--env", "prod", "--out", str(out))
    built = shop.place.kubectl("kustomize", str(out / "overlays" / "prod")).stdout
    return [dict(each) for each in documents(built)]


def judged(place: Namespace, made: dict[str, Any]) -> str:
    """Return why the API server would not create an object of a mesh, "" where it would: it knows every field.

    kubectl would judge by itself as long as the server has not published the schema of a new definition.
    https://kubernetes.io/docs/reference/using-api/api-concepts/#field-validation
    """
    path = f"/apis/{made['apiVersion']}/namespaces/{place.name}/{PLURALS[made['kind']]}"
    words = ("create", f"--raw={path}?dryRun=All&fieldValidation=Strict", "-f", "-")
    return place.kubectl(*words, stdin=json.dumps(made), check=False).stderr


def test_the_api_server_knows_every_field_of_the_routes(shop: Shop) -> None:
    routes = [each for each in rendered(shop) if each["kind"] == "HTTPRoute"]
    assert {each["metadata"]["name"] for each in routes} == {
        "web.8080", "web.8080.idempotent", "edge.8080", "edge.8080.idempotent",
    }  # fmt: skip
    assert [judged(shop.place, each) for each in routes] == [""] * 4
    (rule,) = routes[0]["spec"]["rules"]
    wrong = {**routes[0], "spec": {**routes[0]["spec"], "rules": [{**rule, "weight": 1}]}}
    assert 'unknown field "spec.rules[0].weight"' in judged(shop.place, wrong)


@needs_linkerd
def test_the_api_server_knows_every_field_of_the_policies(linkerd: Shop) -> None:
    policies = [each for each in rendered(linkerd) if each["apiVersion"].startswith("policy.linkerd.io/")]
    assert {each["kind"] for each in policies} == set(PLURALS) - {"HTTPRoute"}
    assert {judged(linkerd.place, each) for each in policies} == {""}
    server = next(each for each in policies if each["kind"] == "Server")
    wrong = {**server, "spec": {**server["spec"], "protocol": "HTTP/1"}}
    assert 'unknown field "spec.protocol"' in judged(linkerd.place, wrong)


def weights(shop: Shop) -> list[tuple[str, int]]:
    """Return where both routes to the server lead, and with which weight; nothing while only one has been changed."""
    found = [shop.place.get("httproutes", name) for name in ("web.8080", "web.8080.idempotent")]
    backends = [[(one["name"], one["weight"]) for one in each["spec"]["rules"][0]["backendRefs"]] for each in found]
    return backends[0] if backends[0] == backends[1] else []


@needs_linkerd
def test_a_canary_gets_weights_of_the_routes_and_then_the_services(linkerd: Shop) -> None:
    linkerd.place.cluster.load_app("1")
    assert linkerd.json("deploy.prod")["outcome"] == "deployed"
    assert weights(linkerd) == [("web", 1)]
    assert linkerd.place.get("service", "web")["spec"]["selector"]["slipway/slot"] == "blue"
    write(linkerd, "2")
    task = linkerd.begun("deploy.prod")
    until(lambda: weights(linkerd) == [("web-blue", 80), ("web-green", 20)], "the canary has its share", seconds=120)
    _, said = task.communicate(timeout=240)
    assert task.returncode == 0, said
    assert weights(linkerd) == [("web", 1)]
    selectors = {name: linkerd.place.get("service", name)["spec"]["selector"]["slipway/slot"] for name in SLOTTED}
    assert selectors == {"web": "green", "web-blue": "blue", "web-green": "green"}
    changes = linkerd.json("deploy.plan", "--env", "prod")["changes"]
    assert {one["action"] for one in changes} == {"unchanged"}, "what the API server fills in is no change"


@needs_linkerd
def test_the_check_of_the_mesh_reads_what_was_applied(linkerd: Shop) -> None:
    linkerd.place.cluster.load_app("1")
    assert linkerd.json("deploy.prod")["outcome"] == "deployed"
    everybody = {
        "apiVersion": "policy.linkerd.io/v1alpha1", "kind": "AuthorizationPolicy", "metadata": {"name": "all"},
        "spec": {
            "targetRef": {"group": "policy.linkerd.io", "kind": "Server", "name": "queue.4222"},
            "requiredAuthenticationRefs": [],
        },
    }  # fmt: skip
    linkerd.place.apply([everybody])
    found = linkerd.json("mesh.check", "--env", "prod", code=5)["services"]
    without = "1 of 1 Pods have no sidecar that is ready"  # nothing here puts one into them
    assert {one["service"]: (one["mtls"], one["faults"]) for one in found} == {
        "web": ("STRICT", [without]),
        "edge": ("STRICT, 8080 PERMISSIVE", [without]),
        "queue": ("STRICT", [without, "AuthorizationPolicy all lets others in as well"]),
        "asks": ("STRICT", []),
    }
