"""Linkerd: the sidecar of a service, and who is let in at which port.

Its Pods get a proxy by their annotation, and let nobody in by default (``default-inbound-policy: deny``). Each port at
which the service is known to listen has a Server, and an AuthorizationPolicy that says who may speak to it:

- the accounts of services that share a network with it (MeshTLSAuthentication);
- any identity of the mesh, at ports that are published, as in its NetworkPolicy (``network/policies.py``), and in an
  external network, of which the accounts of other projects are not known;
- everybody (NetworkAuthentication) at the port of ``x-slipway.ingress``, unless the ingress is in the mesh as well
  (``MESH_INGRESS``).

Only the last one lets in who has no identity, and so no mTLS. Probes by HTTP are let in by Linkerd itself, at their
paths, as long as no route is attached to a Server; ours are attached to Services (``linkerd_routes.py``).

What is not known to speak HTTP is opaque: carried as it comes, also where the server speaks first.
https://linkerd.io/2/reference/authorization-policy/, https://linkerd.io/2/reference/proxy-configuration/
"""

from collections.abc import Iterator, Sequence
from typing import Any

from ....model.stack.stack import Service
from .. import labels
from ..names import label
from ..network.policies import admitted_ports, is_external, networks_of
from ..network.ports import ContainerPort, container_ports
from ..network.services import is_asked
from ..outcome import KeyOutcome, ignored, inferred, refused, translated
from ..part import Part
from ..source import KubeSource
from ..workloads.kinds import ENDING, kind
from . import linkerd_routes
from .members import peers, plain_port
from .mesh import Mesh
from .protocols import http_ports
from .shares import HTTP_ROUTE

INJECT = "linkerd.io/inject"
DEFAULT_POLICY, DENY = "config.linkerd.io/default-inbound-policy", "deny"
# The second one is what 2.19 knows it by.
NATIVE = ("config.linkerd.io/proxy-enable-native-sidecar", "config.beta.linkerd.io/proxy-enable-native-sidecar")
GROUP = "policy.linkerd.io"
SERVER, POLICY = "Server", "AuthorizationPolicy"
IDENTITIES, ADDRESSES = "MeshTLSAuthentication", "NetworkAuthentication"
_VERSIONS = {SERVER: f"{GROUP}/v1beta3"}
_PEERS, _MESH, _ALL = (IDENTITIES, "networks"), (IDENTITIES, "mesh"), (ADDRESSES, "all")
_MOST_SERVERS = 100
_PAST = frozenset((4567, 4568))  # proxyInit.ignoreInboundPorts, as Linkerd is installed when nothing else is said
# https://linkerd.io/2/reference/authorization-policy/#server
_PROTOCOLS = {
    "http": "HTTP/1",
    "kubernetes.io/ws": "HTTP/1",
    "http2": "HTTP/2",
    "kubernetes.io/h2c": "HTTP/2",
    "grpc": "gRPC",
}


def member(source: KubeSource, service: Service) -> Part:
    """Return the sidecar of a service, and a Server and a policy for each of its ports."""
    ports = _served(source, service)
    admitted = {port.number: _admitted(source, service, port) for port in ports}
    notes = {INJECT: "enabled", DEFAULT_POLICY: DENY, **dict.fromkeys(NATIVE, "true")}
    if ports:
        notes[linkerd_routes.OPAQUE] = linkerd_routes.opaque(source, service, [port.number for port in ports])
    objects = [
        made
        for port in ports[:_MOST_SERVERS]
        for made in (_server(source, service, port), _policy(source, service, port.number, admitted[port.number]))
    ]
    known = [one for one in (_PEERS, _MESH, _ALL) if one in admitted.values()]
    objects += [_authentication(source, service, *one) for one in known]
    where = f"services.{service.name}"
    told = (*_outcomes(source, service, where), *_ports_told(source, service, ports, where))
    return Part(annotations=notes, objects=tuple(objects), outcomes=told)


def _served(source: KubeSource, service: Service) -> Sequence[ContainerPort]:
    """Return the TCP ports at which a service is asked; nobody asks a job that listens nowhere."""
    if not is_asked(source, service):
        return ()
    return [port for port in container_ports(source, service) if port.protocol == "tcp"]


def _admitted(source: KubeSource, service: Service, port: ContainerPort) -> tuple[str, str]:
    """Return who is let in at a port, as the kind and the name of an authentication: the widest one that holds."""
    if port.number == plain_port(source, service):
        return _ALL
    external = any(is_external(source, network) for network in networks_of(source, service))
    published = any(port.number == one.number and one.protocol == "tcp" for one in admitted_ports(source, service))
    return _MESH if external or published else _PEERS


def _made(source: KubeSource, service: Service, kind: str, ending: object, spec: dict[str, Any]) -> dict[str, Any]:
    """Return an object of Linkerd; with a dot in its name it is no other service's, whatever that is called."""
    name = label(service.name)
    about = {"name": f"{name}.{ending}", "labels": labels.of_service(source.stack.project, name)}
    return {"apiVersion": _VERSIONS.get(kind, f"{GROUP}/v1alpha1"), "kind": kind, "metadata": about, "spec": spec}


def _server(source: KubeSource, service: Service, port: ContainerPort) -> dict[str, Any]:
    own = labels.of_service(source.stack.project, label(service.name))
    protocol = "unknown" if port.number in http_ports(source, service) else "opaque"
    spec = {
        "podSelector": {"matchLabels": own},
        "port": port.number,
        "proxyProtocol": _PROTOCOLS.get(port.application, protocol),
        "accessPolicy": DENY,
    }
    return _made(source, service, SERVER, port.number, spec)


def _policy(source: KubeSource, service: Service, number: int, admitted: tuple[str, str]) -> dict[str, Any]:
    kind, ending = admitted
    name = label(service.name)
    spec = {
        "targetRef": {"group": GROUP, "kind": SERVER, "name": f"{name}.{number}"},
        "requiredAuthenticationRefs": [{"group": GROUP, "kind": kind, "name": f"{name}.{ending}"}],
    }
    return _made(source, service, POLICY, number, spec)


def _authentication(source: KubeSource, service: Service, kind: str, ending: str) -> dict[str, Any]:
    if kind == ADDRESSES:
        spec: dict[str, Any] = {"networks": [{"cidr": "0.0.0.0/0"}, {"cidr": "::/0"}]}
    elif ending == _MESH[1]:
        spec = {"identities": ["*"]}
    else:
        spec = {"identityRefs": [{"kind": "ServiceAccount", "name": name} for name in peers(source, service)]}
    return _made(source, service, kind, ending, spec)


def _outcomes(source: KubeSource, service: Service, where: str) -> Iterator[KeyOutcome]:
    ends = "; it ends after the job" if kind(source, service) in ENDING else ""
    reason = f"MESH=linkerd, nobody is let in who is not named, and by mTLS{ends}"
    yield inferred(where, f"sidecar, ServiceAccount {label(service.name)}, {DEFAULT_POLICY}: {DENY}", reason)
    for network in networks_of(source, service):
        if network in (source.raw(service.name).get("networks") or {}):
            yield translated(f"{where}.networks.{network}", POLICY)
        if is_external(source, network):
            reason = "which accounts other projects have in it is not known: labels of Pods decide (NetworkPolicy)"
            yield inferred(f"networks.{network}.external", f"{IDENTITIES}: any identity of the mesh", reason)
    if port := plain_port(source, service):
        reason = f"port {port} takes requests without mTLS too; MESH_INGRESS=mesh where the ingress has a sidecar"
        yield inferred(f"{where}.x-slipway.ingress", f"{ADDRESSES}: everybody", reason)


def _ports_told(
    source: KubeSource, service: Service, ports: Sequence[ContainerPort], where: str
) -> Iterator[KeyOutcome]:
    if ports:
        numbers = ", ".join(str(port.number) for port in ports[:_MOST_SERVERS])
        yield inferred(f"{where}.expose", SERVER, f"{numbers}: nobody is let in at other ports; expose names them")
    elif is_asked(source, service):
        yield inferred(f"{where}.expose", SERVER, "no port is known, so nobody is let in; expose names them")
    if len(ports) > _MOST_SERVERS:
        hint = f"name at most {_MOST_SERVERS} ports, or set MESH to another one"
        yield refused(f"{where}.ports", f"Linkerd has a Server for each port, and these are {len(ports)}", hint)
    if past := [str(port.number) for port in ports if port.number in _PAST]:
        reason = f"{', '.join(past)}: Linkerd leads it past its proxies (proxyInit.ignoreInboundPorts), without mTLS"
        yield ignored(f"{where}.ports", f"{reason}; the NetworkPolicy guards it")


MESH = Mesh(
    user=2102,
    ports=frozenset((4140, 4143, 4190, 4191)),
    outside=Part(annotations={INJECT: "disabled"}),
    weights=HTTP_ROUTE,
    member=member,
    routed=linkerd_routes.routed,
    told=linkerd_routes.told,
    divides=linkerd_routes.divides,
)
