"""How far a service is in the mesh of Linkerd: proxies of its Pods, and who is let in besides those that may.

What a Pod has no Server for is closed by its annotation, so a policy of somebody else opens a port only where it is
about a Server or a route, or brings a Server. https://linkerd.io/2/reference/authorization-policy/
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

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

SIDECAR = "linkerd-proxy"
DEFAULT_POLICY, DENY = "config.linkerd.io/default-inbound-policy", "deny"
SERVER, POLICY, OLD_POLICY = "Server", "AuthorizationPolicy", "ServerAuthorization"
IDENTITIES, ADDRESSES = "MeshTLSAuthentication", "NetworkAuthentication"
_ACCOUNT, _POD, _ROUTES = "ServiceAccount", "Pod", ("HTTPRoute", "GRPCRoute")
_OURS = (SERVER, POLICY, IDENTITIES, ADDRESSES)


def memberships(wanted: Iterable[Raw], live: Iterable[Raw], names: Mapping[str, str]) -> tuple[Membership, ...]:
    """Return how far each service is in the mesh that has an account in ``wanted``.

    ``live`` are the Pods, the policies and the routes of the namespace, ``names`` the services by their names on the
    cluster.
    """
    given, there = tuple(wanted), tuple(live)
    accounts = (each for each in given if each["kind"] == _ACCOUNT)
    return tuple(_membership(each, given, there, names) for each in accounts)


def _membership(account: Raw, wanted: tuple[Raw, ...], live: tuple[Raw, ...], names: Mapping[str, str]) -> Membership:
    name = account["metadata"]["name"]
    own = {key: labels_of(account)[key] for key in (labels.PROJECT, labels.SERVICE)}
    policies = [each for each in wanted if each["kind"] in _OURS and own.items() <= labels_of(each).items()]
    pods = pods_of(live, own)
    ready, closed = with_sidecar(pods, SIDECAR), sum(_is_closed(pod) for pod in pods)
    faults = without_sidecar(len(pods), ready)
    if closed < len(pods):
        faults.append(f"{len(pods) - closed} of {len(pods)} Pods let everybody in where no Server is")
    for each in policies:
        kind, called = each["kind"], each["metadata"]["name"]
        faults += compared(each, named(live, kind, called), f"{kind} {called}")
    ours = {(each["kind"], each["metadata"]["name"]) for each in wanted}
    theirs = [raw for raw in live if raw["kind"] != _POD and (raw["kind"], raw["metadata"]["name"]) not in ours]
    faults += _others(theirs, policies, [labels_of(pod) for pod in pods] or [own])
    return Membership(
        names.get(name, name), len(pods), ready, _mtls(policies, live, closed == len(pods)), tuple(faults)
    )


def _is_closed(pod: Raw) -> bool:
    return (pod["metadata"].get("annotations") or {}).get(DEFAULT_POLICY) == DENY


def _mtls(policies: Iterable[Raw], live: Iterable[Raw], closed: bool) -> str:
    """Return what the policies that are there say of mTLS: ``STRICT, 8080 PERMISSIVE``."""
    there = [named(live, POLICY, each["metadata"]["name"]) for each in policies if each["kind"] == POLICY]
    if not closed or None in there:
        return ""
    plain = (
        each["metadata"]["name"].rpartition(".")[2]
        for each in there
        if each and IDENTITIES not in [one.get("kind") for one in each["spec"]["requiredAuthenticationRefs"]]
    )
    return ", ".join(["STRICT", *(f"{port} PERMISSIVE" for port in sorted(plain, key=int))])


def _others(theirs: list[Raw], policies: list[Raw], pods: list[dict[str, str]]) -> Iterator[str]:
    """Yield what of others opens what ours close: of several policies one is enough; ``pods`` are labels of Pods."""
    servers = {each["metadata"]["name"]: labels_of(each) for each in policies if each["kind"] == SERVER}
    routes = {(raw["kind"], raw["metadata"]["name"]) for raw in theirs if _leads_to(raw, servers)}
    for raw in theirs:
        kind, called, spec = raw["kind"], raw["metadata"]["name"], raw.get("spec") or {}
        if kind == SERVER and any(_selects(spec.get("podSelector"), each) for each in pods):
            yield f"{SERVER} {called} is about it, too"
        elif kind == POLICY and _is_about(spec.get("targetRef") or {}, servers, routes):
            yield f"{POLICY} {called} lets others in as well"
        elif kind == OLD_POLICY and _names(spec.get("server") or {}, servers):
            yield f"{OLD_POLICY} {called} lets others in as well"


def _leads_to(raw: Raw, servers: Mapping[str, Any]) -> bool:
    parents = (raw.get("spec") or {}).get("parentRefs") or ()
    return raw["kind"] in _ROUTES and any(one.get("kind") == SERVER and one.get("name") in servers for one in parents)


def _is_about(target: Raw, servers: Mapping[str, Any], routes: set[tuple[str, str]]) -> bool:
    """Whether a policy is about one of some Servers or routes, or about the namespace and so about all."""
    kind, name = str(target.get("kind", "")), str(target.get("name", ""))
    return kind == "Namespace" or (kind == SERVER and name in servers) or (kind, name) in routes


def _names(said: Raw, servers: Mapping[str, Mapping[str, str]]) -> bool:
    if "selector" in said:
        return any(_selects(said["selector"], each) for each in servers.values())
    return said.get("name") in servers


def _selects(selector: Raw | None, has: Mapping[str, str]) -> bool:
    """Whether a selector of labels finds an object with these; an empty one finds all.

    https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
    """
    if selector is None:
        return False
    expressions = selector.get("matchExpressions") or ()
    return (selector.get("matchLabels") or {}).items() <= has.items() and all(_holds(one, has) for one in expressions)


def _holds(expression: Raw, has: Mapping[str, str]) -> bool:
    value, values = has.get(expression["key"]), expression.get("values") or ()
    meanings = {
        "In": value in values,
        "NotIn": value not in values,
        "Exists": value is not None,
        "DoesNotExist": value is None,
    }
    return meanings[expression["operator"]]


CHECK = MeshCheck(
    (
        "pods",
        "servers.policy.linkerd.io",
        "authorizationpolicies.policy.linkerd.io",
        "meshtlsauthentications.policy.linkerd.io",
        "networkauthentications.policy.linkerd.io",
        "serverauthorizations.policy.linkerd.io",
        "httproutes.policy.linkerd.io",
        "httproutes.gateway.networking.k8s.io",
        "grpcroutes.gateway.networking.k8s.io",
    ),
    memberships,
)
