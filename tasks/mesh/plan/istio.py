"""How far a service is in the mesh of Istio: sidecars of its Pods, mTLS, and who is let in besides those that may."""

from collections.abc import Iterable, Iterator, Mapping

from ...kube.plan import labels
from .membership import (
    Membership,
    MeshCheck,
    Raw,
    compared,
    labels_of,
    named,
    pods_of,
    with_sidecar,
    without_sidecar,
)

SIDECAR = "istio-proxy"
AUTHENTICATION, AUTHORIZATION = "PeerAuthentication", "AuthorizationPolicy"
STRICT, ALLOW = "STRICT", "ALLOW"


def memberships(wanted: Iterable[Raw], live: Iterable[Raw], names: Mapping[str, str]) -> tuple[Membership, ...]:
    """Return how far each service is in the mesh that has policies in ``wanted``.

    ``live`` are the Pods and the policies of the namespace, ``names`` the services by their names on the cluster.
    """
    given, there = tuple(wanted), tuple(live)
    found = (each for each in given if each["kind"] == AUTHORIZATION)
    return tuple(_membership(each, given, there, names) for each in found)


def _membership(policy: Raw, wanted: Iterable[Raw], live: Iterable[Raw], names: Mapping[str, str]) -> Membership:
    name, own = policy["metadata"]["name"], policy["spec"]["selector"]["matchLabels"]
    pods = pods_of(live, own)
    ready = with_sidecar(pods, SIDECAR)
    faults = without_sidecar(len(pods), ready)
    for kind in (AUTHENTICATION, AUTHORIZATION):
        faults += compared(named(wanted, kind, name), named(live, kind, name), f"{kind} {name}")
    faults += _others(live, own, name)
    authentication = named(live, AUTHENTICATION, name)
    return Membership(names.get(name, name), len(pods), ready, _mtls(authentication), tuple(faults))


def _mtls(there: Raw | None) -> str:
    """Return what a policy says of mTLS: ``STRICT, 8080 PERMISSIVE``."""
    if there is None:
        return ""
    spec = there.get("spec") or {}
    ports = (f"{port} {said.get('mode')}" for port, said in sorted((spec.get("portLevelMtls") or {}).items()))
    return ", ".join([str((spec.get("mtls") or {}).get("mode", "UNSET")), *ports])


def _others(live: Iterable[Raw], own: Mapping[str, str], name: str) -> Iterator[str]:
    """Yield policies of others that open what ours close: of several that allow, one is enough.

    A PeerAuthentication without a selector gives way to ours.
    https://istio.io/latest/docs/concepts/security/#authorization-policies
    """
    for raw in live:
        spec, called = raw.get("spec") or {}, raw["metadata"]["name"]
        chosen = ((spec.get("selector") or {}).get("matchLabels") or {}).items()
        if (labels.PROJECT in labels_of(raw) and called == name) or not chosen <= own.items():
            continue
        if raw["kind"] == AUTHORIZATION and spec.get("action", ALLOW) == ALLOW:
            yield f"{AUTHORIZATION} {called} lets others in as well"
        elif raw["kind"] == AUTHENTICATION and chosen and (spec.get("mtls") or {}).get("mode") != STRICT:
            yield f"{AUTHENTICATION} {called} is about it, too"


CHECK = MeshCheck(
    ("pods", "peerauthentications.security.istio.io", "authorizationpolicies.security.istio.io"), memberships
)
