"""Istio: the sidecar of a service, mTLS, and who is let in.

Its Pods get a sidecar by their label, and each service has two policies of its own:

- PeerAuthentication STRICT: nothing without an identity of the mesh is spoken to. The one exception is the port of
  ``x-slipway.ingress``, unless the ingress is in the mesh as well (``MESH_INGRESS``). Probes are asked of the sidecar.
- AuthorizationPolicy: the accounts of services that share a network with it are let in, everybody at ports that are
  published or led to, as in its NetworkPolicy (``network/policies.py``), which stays and guards what is not TCP.

https://istio.io/latest/docs/setup/additional-setup/sidecar-injection/,
https://istio.io/latest/docs/reference/config/security/authorization-policy/
"""

from collections.abc import Iterator
from typing import Any

from ....model.stack.stack import Service
from .. import labels
from ..names import label
from ..network.policies import admitted_ports, is_external, networks_of
from ..outcome import KeyOutcome, inferred, translated
from ..part import Part
from ..source import KubeSource
from ..workloads.kinds import ENDING, kind
from . import istio_routes
from .members import peers, plain_port
from .mesh import Mesh
from .shares import VIRTUAL_SERVICE

INJECT, NATIVE = "sidecar.istio.io/inject", "sidecar.istio.io/nativeSidecar"
SECURITY = "security.istio.io/v1"
_ACCOUNTS = 16  # of one source in a policy, by its schema


def member(source: KubeSource, service: Service) -> Part:
    """Return the sidecar of a service and its policies."""
    name = label(service.name)
    return Part(
        labels={INJECT: "true"},
        annotations={NATIVE: "true"},
        objects=(
            _policy(source, name, "PeerAuthentication", _authentication(source, service)),
            _policy(source, name, "AuthorizationPolicy", _authorization(source, service)),
        ),
        outcomes=tuple(_outcomes(source, service, f"services.{service.name}")),
    )


def _policy(source: KubeSource, name: str, kind: str, rules: dict[str, Any]) -> dict[str, Any]:
    own = labels.of_service(source.stack.project, name)
    spec = {"selector": {"matchLabels": own}, **rules}
    return {"apiVersion": SECURITY, "kind": kind, "metadata": {"name": name, "labels": own}, "spec": spec}


def _authentication(source: KubeSource, service: Service) -> dict[str, Any]:
    port = plain_port(source, service)
    found: dict[str, Any] = {"mtls": {"mode": "STRICT"}}
    return {**found, "portLevelMtls": {str(port): {"mode": "PERMISSIVE"}}} if port else found


def _authorization(source: KubeSource, service: Service) -> dict[str, Any]:
    """Return who is let in. Without any rule nobody is."""
    rules: list[dict[str, Any]] = []
    if known := peers(source, service):
        several = [known[start : start + _ACCOUNTS] for start in range(0, len(known), _ACCOUNTS)]
        rules.append({"from": [{"source": {"serviceAccounts": accounts}} for accounts in several]})
    if any(is_external(source, network) for network in networks_of(source, service)):
        rules.append({"from": [{"source": {"principals": ["*"]}}]})
    if ports := [str(port.number) for port in admitted_ports(source, service) if port.protocol == "tcp"]:
        rules.append({"to": [{"operation": {"ports": ports}}]})
    return {"action": "ALLOW", **({"rules": rules} if rules else {})}


def _outcomes(source: KubeSource, service: Service, where: str) -> Iterator[KeyOutcome]:
    name = label(service.name)
    ends = "; it ends after the job" if kind(source, service) in ENDING else ""
    yield inferred(where, f"sidecar, ServiceAccount {name}, PeerAuthentication", f"MESH=istio, mTLS is STRICT{ends}")
    for network in networks_of(source, service):
        if network in (source.raw(service.name).get("networks") or {}):
            yield translated(f"{where}.networks.{network}", "AuthorizationPolicy")
        if is_external(source, network):
            reason = "which accounts other projects have in it is not known: labels of Pods decide (NetworkPolicy)"
            yield inferred(f"networks.{network}.external", "AuthorizationPolicy: any identity of the mesh", reason)
    if port := plain_port(source, service):
        reason = f"port {port} takes requests without mTLS too; MESH_INGRESS=mesh where the ingress has a sidecar"
        yield inferred(f"{where}.x-slipway.ingress", "PeerAuthentication: PERMISSIVE", reason)


MESH = Mesh(
    # https://istio.io/latest/docs/ops/deployment/application-requirements/
    user=1337,
    ports=frozenset((15000, 15001, 15002, 15004, 15006, 15008, 15020, 15021, 15053, 15090)),
    outside=Part(labels={INJECT: "false"}),
    weights=VIRTUAL_SERVICE,
    member=member,
    routed=istio_routes.routed,
    told=istio_routes.told,
    divides=istio_routes.divides,
)
