"""Who is in the mesh, as whom, and who is let in: sidecars, accounts, mTLS and authorization of Istio.

Each service has a ServiceAccount, which is its identity in the mesh, and three policies of its own:

- Its Pods get a sidecar by their label, whatever the namespace says. It is a native sidecar, which ends after the
  container that it serves: so a Job with one ends, too, also as a hook of Helm, and reaches services behind mTLS.
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
from ..network.ingress import ingress_port
from ..network.policies import admitted_ports, is_external, networks_of
from ..network.ports import container_ports
from ..outcome import KeyOutcome, ignored, inferred, refused, translated
from ..part import Part
from ..source import ISTIO, KubeSource
from ..workloads.kinds import ENDING, deployed, kind
from ..workloads.references import for_hook

KEYS: frozenset[str] = frozenset()

INJECT, NATIVE = "sidecar.istio.io/inject", "sidecar.istio.io/nativeSidecar"
SECURITY = "security.istio.io/v1"
_OUTSIDE = ("none", "host")
_ACCOUNTS = 16  # of one source in a policy, by its schema
# https://istio.io/latest/docs/ops/deployment/application-requirements/
_USER = 1337
_PORTS = frozenset((15000, 15001, 15002, 15004, 15006, 15008, 15020, 15021, 15053, 15090))


def in_mesh(source: KubeSource, service: Service) -> bool:
    """Whether the Pods of a service have a sidecar: all have, but those in no network of the cluster."""
    outside = source.raw(service.name).get("network_mode") in _OUTSIDE
    return source.settings.mesh == ISTIO and deployed(service) and not outside


def part(source: KubeSource, service: Service) -> Part:
    """Return the sidecar of a service, its account and its policies; nothing without a mesh."""
    if source.settings.mesh != ISTIO:
        return Part()
    where, name = f"services.{service.name}", label(service.name)
    if not in_mesh(source, service):
        mode = source.raw(service.name)["network_mode"]
        reason = f"it has no sidecar with network_mode: {mode}, and services of the mesh do not answer it"
        return Part(labels={INJECT: "false"}, outcomes=(ignored(f"{where}.network_mode", reason),))
    own = labels.of_service(source.stack.project, name)
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "labels": own}}
    return Part(
        labels={INJECT: "true"},
        annotations={NATIVE: "true"},
        pod={"serviceAccountName": name},
        objects=(
            {**account, "automountServiceAccountToken": False},
            _policy(source, name, "PeerAuthentication", _authentication(source, service)),
            _policy(source, name, "AuthorizationPolicy", _authorization(source, service)),
        ),
        outcomes=tuple(_outcomes(source, service, where)),
    )


def _policy(source: KubeSource, name: str, kind: str, rules: dict[str, Any]) -> dict[str, Any]:
    own = labels.of_service(source.stack.project, name)
    spec = {"selector": {"matchLabels": own}, **rules}
    return {"apiVersion": SECURITY, "kind": kind, "metadata": {"name": name, "labels": own}, "spec": spec}


def _plain_port(source: KubeSource, service: Service) -> int:
    """Return the port that takes plain text, too: that of an ingress outside of the mesh; 0 for none."""
    return 0 if source.settings.mesh_ingress else ingress_port(source, service)


def _authentication(source: KubeSource, service: Service) -> dict[str, Any]:
    port = _plain_port(source, service)
    found: dict[str, Any] = {"mtls": {"mode": "STRICT"}}
    return {**found, "portLevelMtls": {str(port): {"mode": "PERMISSIVE"}}} if port else found


def _authorization(source: KubeSource, service: Service) -> dict[str, Any]:
    """Return who is let in. Without any rule nobody is."""
    rules: list[dict[str, Any]] = []
    if known := _accounts(source, service):
        several = [known[start : start + _ACCOUNTS] for start in range(0, len(known), _ACCOUNTS)]
        rules.append({"from": [{"source": {"serviceAccounts": accounts}} for accounts in several]})
    if any(is_external(source, network) for network in networks_of(source, service)):
        rules.append({"from": [{"source": {"principals": ["*"]}}]})
    if ports := [str(port.number) for port in admitted_ports(source, service) if port.protocol == "tcp"]:
        rules.append({"to": [{"operation": {"ports": ports}}]})
    return {"action": "ALLOW", **({"rules": rules} if rules else {})}


def _accounts(source: KubeSource, service: Service) -> list[str]:
    """Return the accounts of services that share a network with a service, its own included."""
    shared = frozenset(networks_of(source, service))
    found: list[str] = []
    for other in source.stack.services.values():
        if in_mesh(source, other) and shared & frozenset(networks_of(source, other)):
            name = label(other.name)
            found += [name, for_hook(name)] if kind(source, other) in ENDING else [name]
    return sorted(found)


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
    if port := _plain_port(source, service):
        reason = f"port {port} takes requests without mTLS too; MESH_INGRESS=mesh where the ingress has a sidecar"
        yield inferred(f"{where}.x-slipway.ingress", "PeerAuthentication: PERMISSIVE", reason)
    ports = container_ports(source, service)
    if udp := [str(port.number) for port in ports if port.protocol != "tcp"]:
        yield ignored(
            f"{where}.ports", f"a mesh carries TCP: {', '.join(udp)}/udp is guarded by the NetworkPolicy only"
        )
    if taken := sorted({port.number for port in ports if port.number in _PORTS}):
        hint = "let the service listen at another port"
        yield refused(f"{where}.ports", f"the sidecar listens at {', '.join(map(str, taken))} itself", hint)
    said = str(source.raw(service.name).get("user") or "").partition(":")[0]
    if said == str(_USER) or (not said and source.image(service.name).uid == _USER):
        reason = f"user {_USER} is the sidecar's: what it sends goes past the mesh"
        yield refused(f"{where}.user", reason, "let the service run as another user")
