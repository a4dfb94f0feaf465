"""The names of a service on the network: a Service for its own name and for each of its aliases.

Inside the cluster a service is reached as in Compose, by name at the container's port. Nothing is published: no
Service is of type NodePort or LoadBalancer, and what leads in from outside is ``x-slipway.ingress``.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from ....model.stack.extension import ROLES
from ....model.stack.stack import Service
from .. import labels
from ..names import is_label, label
from ..outcome import KeyOutcome, ignored, inferred, refused, translated
from ..part import Part, together
from ..source import KubeSource
from .ports import ContainerPort, container_ports, linked, port_names
from .renamed import names_host

KEYS = frozenset(
    {"ports", "expose", "networks", "network_mode", "links", "external_links", "mac_address", "container_name"}
    | {"deploy.endpoint_mode"}
)

_ALIAS_LABEL = "alias.slipway"
_MOST_PORTS = 100  # a Service with more, such as the data ports of FTP, is headless: each port of the Pod is reached
_FIXED = ("ipv4_address", "ipv6_address", "link_local_ips", "mac_address", "interface_name")
_WITHOUT_MEANING = ("priority", "gw_priority", "driver_opts")


def part(source: KubeSource, service: Service) -> Part:
    """Return the Services of a service and the ports of its container."""
    raw, where = source.raw(service.name), f"services.{service.name}"
    ports = container_ports(source, service) if is_asked(source, service) else ()
    parts = [_mode(raw, where), _ports(service, raw, ports, where), _attachments(raw, where), _links(raw, where)]
    if raw.get("network_mode") in ("none", "host"):
        return together([*parts, _nameless(service, raw["network_mode"], where)])
    if is_asked(source, service):
        parts.append(Part(objects=(_object(source, service, ports, label(service.name)),)))
    return together([*parts, _aliases(source, service, ports), _container_name(source, service, ports)])


def _nameless(service: Service, mode: str, where: str) -> Part:
    """Return what became of the name of a container that has no network of the cluster."""
    if not service.container_name:
        return Part()
    return Part(outcomes=(ignored(f"{where}.container_name", f"nothing has a name with network_mode: {mode}"),))


def headless(service: Service, ports: tuple[ContainerPort, ...], raw: Mapping[str, Any]) -> bool:
    """Whether the name leads to the Pods themselves: no port is known, there are too many, or each Pod is its own."""
    own = service.slipway.role == ROLES[0] or bool(service.slipway.data)
    asked = (raw.get("deploy") or {}).get("endpoint_mode") == "dnsrr"
    return not 0 < len(ports) <= _MOST_PORTS or own or asked


def is_balanced(source: KubeSource, service: Service) -> bool:
    """Whether the name of a service is a Service with an address of its own, which leads to one Pod or another."""
    raw = source.raw(service.name)
    named = raw.get("network_mode") not in ("none", "host") and is_asked(source, service)
    return named and not headless(service, container_ports(source, service), raw)


def is_asked(source: KubeSource, service: Service) -> bool:
    """Whether others can want to reach a service; nobody asks a job that listens nowhere."""
    raw = source.raw(service.name)
    said = raw.get("ports") or raw.get("expose") or service.slipway.ingress
    return not source.stack.one_off(service) or bool(said)


def _object(
    source: KubeSource,
    service: Service,
    ports: tuple[ContainerPort, ...],
    name: str,
    selector: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    own = labels.of_service(source.stack.project, label(service.name))
    spec: dict[str, Any] = {"selector": {**(selector or own)}, "type": "ClusterIP"}
    if headless(service, ports, source.raw(service.name)):
        spec["clusterIP"] = "None"
    if 0 < len(ports) <= _MOST_PORTS:
        spec["ports"] = [_port(port, called) for port, called in zip(ports, port_names(ports), strict=True)]
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "labels": own}, "spec": spec}


def _port(port: ContainerPort, name: str) -> dict[str, Any]:
    found = {"name": name, "port": port.number, "targetPort": port.number, "protocol": port.protocol.upper()}
    return {**found, "appProtocol": port.application} if port.application else found


def _ports(service: Service, raw: Mapping[str, Any], ports: tuple[ContainerPort, ...], where: str) -> Part:
    name, outcomes = label(service.name), list[KeyOutcome]()
    if raw.get("ports"):
        way = (
            "x-slipway.ingress leads in from"
            if any(port.open for port in ports)
            else "kubectl port-forward reaches it from"
        )
        reason = f"its container's ports are reached inside the cluster; {way} outside"
        into, ingress = f"Service {name}", service.slipway.ingress
        outcomes.append(translated(f"{where}.ports", into) if ingress else inferred(f"{where}.ports", into, reason))
    if raw.get("expose"):
        outcomes.append(translated(f"{where}.expose", f"Service {name}"))
    if mode := (raw.get("deploy") or {}).get("endpoint_mode"):
        outcomes.append(translated(f"{where}.deploy.endpoint_mode", f"Service {name}: {mode}"))
    told = {f"{port.number}: {port.reason}" for port in ports if port.reason}
    if told and len(told) <= _MOST_PORTS:
        outcomes.append(inferred(f"{where}.expose", f"Service {name}", "; ".join(sorted(told))))
    if not ports:
        return Part(outcomes=tuple(outcomes))
    listed = [
        {"containerPort": port.number, "name": called, "protocol": port.protocol.upper()}
        for port, called in zip(ports, port_names(ports), strict=True)
    ]
    return Part(container={"ports": listed} if len(ports) <= _MOST_PORTS else {}, outcomes=tuple(outcomes))


def _mode(raw: Mapping[str, Any], where: str) -> Part:
    mode, key = str(raw.get("network_mode") or ""), f"{where}.network_mode"
    if mode == "host":
        hint = "publish ports instead, or accept it with a reason"
        pod = {"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"}
        reason = (
            "it would have the network of its node: its addresses, its ports, and all that other programs listen at"
        )
        return Part(pod=pod, outcomes=(refused(key, reason, hint, accept="KUBE-NETWORK-MODE"),))
    if mode.startswith(("service:", "container:")):
        hint = "put both in one network, or accept with a reason that each has an address of its own"
        reason = f"{mode}: only containers of one Pod have one address"
        return Part(outcomes=(refused(key, reason, hint, accept="KUBE-NETWORK-MODE"),))
    if mode == "none":
        return Part(outcomes=(translated(key, "NetworkPolicy without rules"),))
    return Part(outcomes=(ignored(key, "a Pod has the network of the cluster"),) if mode else ())


def _attachments(raw: Mapping[str, Any], where: str) -> Part:
    """Return what became of how a service is attached to its networks; aliases are a matter of their own."""
    outcomes = []
    if raw.get("mac_address"):
        outcomes.append(_fixed(f"{where}.mac_address"))
    for network, entry in (raw.get("networks") or {}).items():
        key = f"{where}.networks.{network}"
        outcomes.append(translated(key, "NetworkPolicy, labels of the Pods"))
        outcomes += [_fixed(f"{key}.{name}") for name in _FIXED if (entry or {}).get(name)]
        reason = "a Pod has one network and one way out"
        outcomes += [ignored(f"{key}.{name}", reason) for name in _WITHOUT_MEANING if (entry or {}).get(name)]
    return Part(outcomes=tuple(outcomes))


def _fixed(key: str) -> KeyOutcome:
    hint = "use the service's name instead, or accept with a reason that it has another one"
    return refused(
        key, "a Pod gets its address from the cluster, another one each time", hint, accept="KUBE-FIXED-ADDRESS"
    )


def _links(raw: Mapping[str, Any], where: str) -> Part:
    outcomes = []
    if raw.get("links"):
        outcomes.append(translated(f"{where}.links", "Service of each name"))
    if raw.get("external_links"):
        hint = "give the address as a variable, or accept with a reason that nothing has that name"
        reason = "the container that it links is in another project"
        outcomes.append(refused(f"{where}.external_links", reason, hint, accept="KUBE-EXTERNAL-LINKS"))
    return Part(outcomes=tuple(outcomes))


def _aliases(source: KubeSource, service: Service, ports: tuple[ContainerPort, ...]) -> Part:
    where, parts = f"services.{service.name}", []
    for alias, key in _said(source, service).items():
        owners = _owners(source, alias)
        if alias == label(service.name):
            continue
        if problem := _problem(source, alias, owners):
            hint = "use the service's own name, or accept with a reason that nothing has that name"
            parts.append(Part(outcomes=(refused(f"{where}.{key}", problem, hint, accept="KUBE-ALIASES"),)))
        else:
            parts.append(_alias(source, service, ports, alias, tuple(owners)))
            parts.append(Part(outcomes=(translated(f"{where}.{key}", f"Service {alias}"),)))
    return together(parts)


def _alias(
    source: KubeSource, service: Service, ports: tuple[ContainerPort, ...], alias: str, owners: tuple[str, ...]
) -> Part:
    """Return the Service of an alias; one that several services share finds their Pods by a label of its own."""
    if len(owners) == 1:
        return Part(objects=(_object(source, service, ports, alias),))
    mark = {f"{_ALIAS_LABEL}/{alias}": "true"}
    if service.name != owners[0]:
        return Part(labels=mark)
    every = {port for name in owners for port in container_ports(source, source.stack.services[name])}
    union = {(port.number, port.protocol): port for port in sorted(every, key=lambda port: port.reason)}
    selector = {**labels.of_project(source.stack.project), **mark}
    shared = _object(source, service, tuple(union[key] for key in sorted(union)), alias, selector)
    return Part(labels=mark, objects=(shared,))


def _said(source: KubeSource, service: Service) -> dict[str, str]:
    """Return the further names of a service in lower case, each with the key, below the service, that says it."""
    found = {alias: f"networks.{network}.aliases.{alias}" for network, alias in _of_networks(source, service.name)}
    linking = {alias.lower() for _, alias in linked(source, service)}
    return found | {alias: "links" for alias in sorted(linking) if alias not in found}


def _of_networks(source: KubeSource, name: str) -> Iterator[tuple[str, str]]:
    """Yield the aliases of a service in lower case, each with the network in which it has it."""
    for network, entry in (source.raw(name).get("networks") or {}).items():
        yield from ((network, str(alias).lower()) for alias in (entry or {}).get("aliases") or ())


def _owners(source: KubeSource, alias: str) -> dict[str, frozenset[str]]:
    """Return the services that have an alias, and in which networks; with a link, in none."""
    found: dict[str, frozenset[str]] = {}
    for name, service in source.stack.services.items():
        within = frozenset(network for network, other in _of_networks(source, name) if other == alias)
        if within or any(alias == other.lower() for _, other in linked(source, service)):
            found[name] = within
    return found


def _problem(source: KubeSource, alias: str, owners: Mapping[str, frozenset[str]]) -> str:
    """Return why an alias can be no Service, "" where it can."""
    if not is_label(alias):
        return f"{alias} can not be the name of a Service"
    if alias.lower() in {label(name) for name in source.stack.services}:
        return f"{alias} is a service, too"
    if len(owners) > 1 and not frozenset.intersection(*owners.values()):
        return f"{alias} is another service in each network, and Kubernetes has one"
    return ""


def _container_name(source: KubeSource, service: Service, ports: tuple[ContainerPort, ...]) -> Part:
    """Return a Service for the name of the container where others use it as a host."""
    name, key = service.container_name, f"services.{service.name}.container_name"
    if not name:
        return Part()
    into = f"Service {name.lower()}"
    if name.lower() in (label(service.name), *_said(source, service)):
        return Part(outcomes=(translated(key, into),))
    users = sorted({where for where, text in _naming(source, name)})
    if not users:
        return Part(outcomes=(ignored(key, "no other service uses it, and Pods have names of their own"),))
    if problem := _problem(source, name, {}):
        hint = f"use {label(service.name)} there, or accept with a reason that nothing has that name"
        reason = f"{problem}, and {', '.join(users)} names it"
        return Part(outcomes=(refused(key, reason, hint, accept="KUBE-ALIASES"),))
    return Part(objects=(_object(source, service, ports, name.lower()),), outcomes=(translated(key, into),))


def _naming(source: KubeSource, name: str) -> Iterator[tuple[str, str]]:
    for where, text in source.mentions.texts:
        if name in text and names_host(text, name, where.rpartition(".")[2]):
            yield where, text
