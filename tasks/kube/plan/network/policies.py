"""Who may speak to whom: a NetworkPolicy for each service, which admits what its Compose networks would let through.

A Pod carries a label for each network of its service; a policy admits the Pods with a label of the same network. What
is published is open to all, as on Compose, and so is what an ingress leads to. A service whose networks are all
``internal`` reaches them and DNS only.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ....model.stack.stack import Service
from .. import labels
from ..mesh.control_plane import OPAQUE, REACHED
from ..names import label
from ..outcome import KeyOutcome, ignored, inferred, refused, translated
from ..part import Part
from ..source import KubeSource
from .ingress import ingress_port
from .ports import ContainerPort, container_ports

KEYS: frozenset[str] = frozenset()

_NETWORK, _EXTERNAL = "network.slipway", "external-network.slipway"
_PLAIN_DRIVERS = ("", "bridge", "overlay")
_ADDRESSES = "addresses of Pods are the cluster's"
_UNUSED = {
    "ipam": _ADDRESSES,
    "enable_ipv4": _ADDRESSES,
    "enable_ipv6": _ADDRESSES,
    "driver_opts": "the cluster has a network of its own",
    "attachable": "labels of a Pod decide in which networks it is",
    "labels": "a network is no object of the cluster",
}
# kube-dns is the label of the cluster's DNS everywhere, whatever server it is; the address is that of its cache on a
# node. https://kubernetes.io/docs/tasks/administer-cluster/nodelocaldns/
_DNS: Mapping[str, Any] = {
    "to": [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
            "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
        },
        {"ipBlock": {"cidr": "169.254.20.10/32"}},
    ],
    "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}],
}


def part(source: KubeSource, service: Service) -> Part:
    """Return the NetworkPolicy of a service and the labels of its Pods that other policies look for."""
    raw = source.raw(service.name)
    if raw.get("network_mode") == "host":
        return Part()  # policies do not apply to a Pod in its node's network
    networks = networks_of(source, service)
    outcomes = [outcome for name in networks for outcome in _declared(name, _network(source, name))]
    own = labels.of_service(source.stack.project, label(service.name))
    spec = {"podSelector": {"matchLabels": own}, **_rules(source, service, networks)}
    metadata = {"name": label(service.name), "labels": own}
    policy = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}
    marks = {key: "true" for name in networks for key in [mark(source, name)]}
    return Part(labels=marks, objects=(policy,), outcomes=tuple(outcomes))


def mark(source: KubeSource, network: str) -> str:
    """Return the key of the label of Pods in a network of the model; an external one has its own name."""
    section = _network(source, network)
    if section.get("external"):
        return f"{_EXTERNAL}/{_label_name(str(section.get('name') or network))}"
    return f"{_NETWORK}/{_label_name(network)}"


def _label_name(name: str) -> str:
    """Return a name as the name of a label, which ends with letters or digits and has at most 63 characters."""
    cleaned = re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-_.")
    if cleaned == name and len(name) <= 63:
        return name
    return f"{cleaned[:50]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}".strip("-_.")


def networks_of(source: KubeSource, service: Service) -> tuple[str, ...]:
    """Return the networks of a service; one that names none is in the default one."""
    raw = source.raw(service.name)
    mode = str(raw.get("network_mode") or "")
    if mode == "none":
        return ()
    if mode == "bridge":
        return ("bridge",)
    # Compose prints the default network of a service that names none.
    return tuple(raw.get("networks") or {"default": None})


def is_external(source: KubeSource, network: str) -> bool:
    """Whether a network may have Pods of other projects."""
    return bool(_network(source, network).get("external"))


def _network(source: KubeSource, name: str) -> Mapping[str, Any]:
    section: Mapping[str, Any] = (source.model.get("networks") or {}).get(name) or {}
    return section


def _rules(source: KubeSource, service: Service, networks: tuple[str, ...]) -> dict[str, Any]:
    peers = [_peer(source, name) for name in networks]
    inner = _is_inner(source, networks)
    admitted: list[dict[str, Any]] = [{"from": peers}] if peers else []
    if networks and (open_ports := _open(source, service)):
        admitted.append({"ports": open_ports})
    if not inner:
        return {"policyTypes": ["Ingress"], "ingress": admitted}
    reached = [{"to": peers}, dict(_DNS)] if peers else []
    if peers and (control_plane := REACHED.get(source.settings.mesh)):
        reached.append(dict(control_plane))
    return {"policyTypes": ["Ingress", "Egress"], "ingress": admitted, "egress": reached}


def _is_inner(source: KubeSource, networks: tuple[str, ...]) -> bool:
    return all(_is_internal(source, name) for name in networks)


def _is_internal(source: KubeSource, network: str) -> bool:
    return str(_network(source, network).get("internal", "")).lower() == "true"


def _peer(source: KubeSource, network: str) -> dict[str, Any]:
    selector = {mark(source, network): "true"}
    if is_external(source, network):
        # Whoever is in it, of whatever project and namespace, says so by the label.
        return {"namespaceSelector": {}, "podSelector": {"matchLabels": selector}}
    return {"podSelector": {"matchLabels": {**labels.of_project(source.stack.project), **selector}}}


def admitted_ports(source: KubeSource, service: Service) -> tuple[ContainerPort, ...]:
    """Return the ports that are open to all: published ones, but not out of networks that are all internal."""
    networks, led = networks_of(source, service), ingress_port(source, service)
    inner = _is_inner(source, networks)
    known = container_ports(source, service) if networks else ()
    return tuple(port for port in known if (port.open and not inner) or port.number == led)


def _open(source: KubeSource, service: Service) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    admitted = {(port.protocol.upper(), port.number) for port in admitted_ports(source, service)}
    if sidecar := OPAQUE.get(source.settings.mesh):
        admitted |= {(protocol, sidecar) for protocol, _ in admitted if protocol == "TCP"}
    for protocol, number in sorted(admitted):
        last = found[-1] if found else {}
        if last.get("protocol") == protocol and number == last.get("endPort", last["port"]) + 1:
            last["endPort"] = number
        else:
            found.append({"port": number, "protocol": protocol})
    return found


def _declared(name: str, section: Mapping[str, Any]) -> Iterator[KeyOutcome]:
    """Yield what became of the declaration of a network."""
    key = f"networks.{name}"
    if str(section.get("internal", "")).lower() == "true":
        yield translated(f"{key}.internal", "NetworkPolicy: egress to its services and to DNS")
    if section.get("external"):
        reason = "Pods of other projects are in it when they have its label"
        yield inferred(f"{key}.external", f"label {_EXTERNAL}/{_label_name(str(section.get('name') or name))}", reason)
    driver = str(section.get("driver") or "")
    if driver in _PLAIN_DRIVERS:
        outcomes = [ignored(f"{key}.driver", "the cluster has a network of its own")] if driver else []
    else:
        hint = "take it out, or accept with a reason that it is the cluster's network"
        outcomes = [
            refused(f"{key}.driver", f"no Pod has a network of driver {driver}", hint, accept="KUBE-NETWORK-DRIVER")
        ]
    yield from outcomes
    yield from (ignored(f"{key}.{field}", reason) for field, reason in _UNUSED.items() if section.get(field))
