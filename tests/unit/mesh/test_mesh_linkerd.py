"""How far services are in the mesh of Linkerd, as their cluster says it."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from kube_data import kube_source

from tasks.kube.plan.source import KubeSettings
from tasks.kube.plan.translate import translate
from tasks.mesh.plan.linkerd import memberships
from tasks.mesh.plan.membership import Membership

Raw = dict[str, Any]
FRONT, BACK = {"front": None}, {"back": None}
INGRESS = {"ingress": {"host": "shop.example.com"}}
SERVICES = {
    "web": {"image": "web", "networks": FRONT, "expose": ["8080"]},
    "edge": {"image": "edge", "networks": FRONT, "expose": ["9000"], "x-slipway": INGRESS},
    "db": {"image": "db", "networks": BACK, "expose": ["5432"]},
}
TOP = {"networks": {"front": {"name": "front"}, "back": {"name": "back"}}}
WANTED: list[Raw] = json.loads(
    json.dumps(translate(kube_source(SERVICES, settings=KubeSettings(mesh="linkerd"), **TOP)).objects, default=dict)
)
POLICIES = [each for each in WANTED if each["apiVersion"].startswith("policy.linkerd.io/")]
NAMES = {"web": "web", "edge": "edge", "db": "db"}
GROUP = "policy.linkerd.io"


def pod(service: str, ready: bool = True, proxy: str = "linkerd-proxy", policy: str = "deny", **about: Any) -> Raw:
    """Return a Pod as the API server has it."""
    labels = {"app.kubernetes.io/part-of": "shop", "app.kubernetes.io/name": service}
    notes = {"config.linkerd.io/default-inbound-policy": policy}
    metadata = {"name": f"{service}-1", "labels": labels, "annotations": notes, **about}
    status = {"phase": "Running", "initContainerStatuses": [{"name": proxy, "ready": ready}]}
    return {"kind": "Pod", "metadata": metadata, "status": status}


def made(kind: str, name: str, labels: Mapping[str, str] | None = None, **spec: Any) -> Raw:
    """Return an object that somebody made by hand."""
    return {"kind": kind, "metadata": {"name": name, "labels": labels or {}}, "spec": spec}


def policy(name: str, kind: str, target: str) -> Raw:
    group = {"Server": GROUP, "Namespace": ""}.get(kind, "gateway.networking.k8s.io")
    reference = {"group": group, "kind": kind, "name": target}
    return made("AuthorizationPolicy", name, targetRef=reference, requiredAuthenticationRefs=[])


def of(service: str, *live: Raw) -> Membership:
    return {one.service: one for one in memberships(WANTED, live, NAMES)}[service]


def test_a_service_is_in_the_mesh_when_its_pods_have_proxies_and_its_policies_are_there() -> None:
    assert of("web", *POLICIES, pod("web"), pod("db")) == Membership("web", 1, 1, "STRICT")


def test_a_port_that_is_open_to_who_has_no_identity_is_told() -> None:
    assert of("edge", *POLICIES, pod("edge")) == Membership("edge", 1, 1, "STRICT, 9000 PERMISSIVE")


def test_pods_without_a_proxy_that_is_ready_are_told() -> None:
    found = of("web", *POLICIES, pod("web"), pod("web", ready=False), pod("web", proxy="istio-proxy"))
    assert (found.pods, found.sidecars) == (3, 1)
    assert found.faults == ("2 of 3 Pods have no sidecar that is ready",)


def test_pods_that_let_everybody_in_by_default_are_told() -> None:
    found = of("web", *POLICIES, pod("web"), pod("web", policy="all-unauthenticated"))
    assert (found.mtls, found.faults) == ("", ("1 of 2 Pods let everybody in where no Server is",))


def test_policies_that_are_missing_or_others_are_told() -> None:
    assert of("web", pod("web")).faults == (
        "Server web.8080 is missing",
        "AuthorizationPolicy web.8080 is missing",
        "MeshTLSAuthentication web.networks is missing",
    )
    opened = [
        {**each, "spec": {**each["spec"], "accessPolicy": "all-unauthenticated"}} if each["kind"] == "Server" else each
        for each in POLICIES
    ]
    assert of("web", *opened, pod("web")).faults == ("Server web.8080 says something else",)


ROUTE = made("HTTPRoute", "open", parentRefs=[{"group": GROUP, "kind": "Server", "name": "web.8080"}])
OWN = {"app.kubernetes.io/name": "web"}
SHOP = {"app.kubernetes.io/part-of": "shop"}


@pytest.mark.parametrize(
    ("other", "fault"),
    [
        ([policy("all", "Server", "web.8080")], "AuthorizationPolicy all lets others in as well"),
        ([policy("all", "Namespace", "shop")], "AuthorizationPolicy all lets others in as well"),
        ([policy("all", "Server", "db.5432")], ""),
        ([ROUTE, policy("all", "HTTPRoute", "open")], "AuthorizationPolicy all lets others in as well"),
        ([policy("all", "HTTPRoute", "of-another")], ""),
        ([made("Server", "mine", podSelector={"matchLabels": OWN}, port=9090)], "Server mine is about it, too"),
        ([made("Server", "mine", podSelector={}, port=9090)], "Server mine is about it, too"),
        ([made("Server", "mine", podSelector={"matchLabels": {"app.kubernetes.io/name": "db"}}, port=1)], ""),
        (
            [made("Server", "web.9090", {**SHOP, **OWN}, podSelector={"matchLabels": OWN})],
            "Server web.9090 is about it, too",
        ),
        (
            [made("ServerAuthorization", "old", server={"name": "web.8080"})],
            "ServerAuthorization old lets others in as well",
        ),
        (
            [made("ServerAuthorization", "old", server={"selector": {"matchLabels": OWN}})],
            "ServerAuthorization old lets others in as well",
        ),
        ([made("ServerAuthorization", "old", server={"name": "db.5432"})], ""),
        ([made("MeshTLSAuthentication", "any", identities=["*"])], ""),
    ],
)
def test_what_others_made_counts_where_it_opens_what_ours_close(other: list[Raw], fault: str) -> None:
    assert of("web", *POLICIES, pod("web"), *other).faults == ((fault,) if fault else ())


@pytest.mark.parametrize(
    ("operator", "values", "selected"),
    [
        ("In", ["web", "x"], True),
        ("In", ["x"], False),
        ("NotIn", ["web"], False),
        ("NotIn", ["x"], True),
        ("Exists", [], True),
        ("DoesNotExist", [], False),
    ],
)
def test_a_server_may_choose_pods_by_expressions(operator: str, values: list[str], selected: bool) -> None:
    expression = {"key": "app.kubernetes.io/name", "operator": operator, "values": values}
    server = made("Server", "mine", podSelector={"matchExpressions": [expression]}, port=9090)
    assert bool(of("web", *POLICIES, pod("web"), server).faults) == selected
