"""Who may speak to whom: what the networks of the Compose file let through, and nothing else."""

from typing import Any

from outside import source

from tasks.kube.plan.network.policies import part
from tasks.kube.plan.part import Part
from tasks.kube.plan.source import KubeSource

DNS = {
    "to": [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
            "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
        },
        {"ipBlock": {"cidr": "169.254.20.10/32"}},
    ],
    "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}],
}
FRONT, BACK = {"frontend": None}, {"backend": None}
SAMPLE: dict[str, dict[str, Any]] = {
    "nginx": {"networks": FRONT, "ports": [{"target": 8443, "published": "443"}]},
    "app": {"networks": {**FRONT, **BACK}},
    "database": {"networks": BACK},
}
NETWORKS = {
    "frontend": {"name": "shop_frontend", "ipam": {}},
    "backend": {"name": "shop_backend", "ipam": {}, "internal": True},
}


def policy(found: KubeSource, service: str) -> Part:
    return part(found, found.stack.services[service])


def spec(found: KubeSource, service: str) -> dict[str, Any]:
    (found_policy,) = policy(found, service).objects
    assert (found_policy["apiVersion"], found_policy["kind"]) == ("networking.k8s.io/v1", "NetworkPolicy")
    rules: dict[str, Any] = found_policy["spec"]
    return rules


def of_network(name: str) -> dict[str, Any]:
    return {"podSelector": {"matchLabels": {"app.kubernetes.io/part-of": "shop", f"network.slipway/{name}": "true"}}}


def admits(found: KubeSource, client: str, server: str) -> bool:
    """Whether the policy of one service admits the Pods of another one."""
    carried = {"app.kubernetes.io/part-of": "shop", **policy(found, client).labels}
    peers = [peer for rule in spec(found, server)["ingress"] for peer in rule.get("from", [])]
    return any(peer["podSelector"]["matchLabels"].items() <= carried.items() for peer in peers)


def test_services_of_one_network_reach_each_other_and_no_others() -> None:
    found = source(SAMPLE, networks=NETWORKS)
    reached = {(client, server) for client in SAMPLE for server in SAMPLE if admits(found, client, server)}
    assert reached == {
        ("nginx", "nginx"),
        ("nginx", "app"),
        ("app", "nginx"),
        ("app", "app"),
        ("app", "database"),
        ("database", "app"),
        ("database", "database"),
    }


def test_what_is_published_is_open_to_all_and_nothing_else_is() -> None:
    found = source(SAMPLE, networks=NETWORKS)
    assert spec(found, "nginx") == {
        "podSelector": {"matchLabels": {"app.kubernetes.io/part-of": "shop", "app.kubernetes.io/name": "nginx"}},
        "policyTypes": ["Ingress"],
        "ingress": [{"from": [of_network("frontend")]}, {"ports": [{"port": 8443, "protocol": "TCP"}]}],
    }
    assert spec(found, "app")["ingress"] == [{"from": [of_network("frontend"), of_network("backend")]}]


def test_a_service_of_internal_networks_reaches_its_peers_and_dns_only() -> None:
    found = source(SAMPLE, networks=NETWORKS)
    assert spec(found, "database") == {
        "podSelector": {"matchLabels": {"app.kubernetes.io/part-of": "shop", "app.kubernetes.io/name": "database"}},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": [of_network("backend")]}],
        "egress": [{"to": [of_network("backend")]}, DNS],
    }
    outcomes = {outcome.key: outcome.kind for outcome in policy(found, "database").outcomes}
    assert outcomes == {"networks.backend.internal": "translated"}


def test_a_service_of_another_network_too_reaches_the_world() -> None:
    assert spec(source(SAMPLE, networks=NETWORKS), "app")["policyTypes"] == ["Ingress"]


def test_nothing_is_published_from_an_internal_network() -> None:
    database = {"networks": BACK, "ports": [{"target": 5432, "published": "5432"}]}
    found = source({"database": database}, networks=NETWORKS)
    assert spec(found, "database")["ingress"] == [{"from": [of_network("backend")]}]


def test_a_port_of_the_loopback_interface_is_not_open() -> None:
    web = {"networks": FRONT, "ports": [{"target": 80, "published": "80", "host_ip": "127.0.0.1"}]}
    assert spec(source({"web": web}, networks=NETWORKS), "web")["ingress"] == [{"from": [of_network("frontend")]}]


def test_ports_that_follow_each_other_are_a_range() -> None:
    ports = [{"target": number, "protocol": protocol} for protocol in ("udp", "tcp") for number in (7, 5, 6, 9)]
    found = source({"web": {"networks": FRONT, "ports": [*ports, {"target": 10, "protocol": "udp"}]}})
    assert spec(found, "web")["ingress"][1]["ports"] == [
        {"port": 5, "endPort": 7, "protocol": "TCP"},
        {"port": 9, "protocol": "TCP"},
        {"port": 5, "endPort": 7, "protocol": "UDP"},
        {"port": 9, "endPort": 10, "protocol": "UDP"},
    ]


def test_services_without_networks_share_the_default_one() -> None:
    found = source({"a": {}, "b": {"networks": {"default": None}}})
    assert admits(found, "a", "b") and admits(found, "b", "a")


def test_a_service_without_network_reaches_nobody_and_nobody_reaches_it() -> None:
    found = source({"a": {"network_mode": "none", "expose": ["80"]}})
    assert spec(found, "a") == {
        "podSelector": {"matchLabels": {"app.kubernetes.io/part-of": "shop", "app.kubernetes.io/name": "a"}},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [],
        "egress": [],
    }
    assert policy(found, "a").labels == {}


def test_a_service_in_the_network_of_its_node_has_no_policy() -> None:
    assert policy(source({"a": {"network_mode": "host"}}), "a").objects == ()


def test_a_network_of_several_projects_is_a_label_of_its_own_name() -> None:
    found = source({"a": {"networks": {"edge": None}}}, networks={"edge": {"name": "public", "external": True}})
    assert policy(found, "a").labels == {"external-network.slipway/public": "true"}
    peer = {"namespaceSelector": {}, "podSelector": {"matchLabels": {"external-network.slipway/public": "true"}}}
    assert spec(found, "a")["ingress"] == [{"from": [peer]}]
    assert [(outcome.key, outcome.kind) for outcome in policy(found, "a").outcomes] == [
        ("networks.edge.external", "inferred")
    ]


def test_names_of_networks_that_are_no_labels_stay_different() -> None:
    found = source({"a": {"networks": {"_x": None, "x_": None, "y" * 70: None}}})
    keys = list(policy(found, "a").labels)
    assert len(set(keys)) == 3
    assert all(len(key.partition("/")[2]) <= 63 and key.partition("/")[2][0].isalnum() for key in keys)


def test_what_a_network_declares_is_named() -> None:
    networks = {
        "front": {"driver": "bridge", "ipam": {"config": [{"subnet": "172.28.0.0/16"}]}, "driver_opts": {"a": "b"}},
        "lan": {"driver": "macvlan"},
    }
    found = source({"a": {"networks": {"front": None, "lan": None}}}, networks=networks)
    assert {outcome.key: outcome.kind for outcome in policy(found, "a").outcomes} == {
        "networks.front.driver": "ignored",
        "networks.front.ipam": "ignored",
        "networks.front.driver_opts": "ignored",
        "networks.lan.driver": "refused",
    }
