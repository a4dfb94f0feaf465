"""How far a service is in the mesh: sidecars of its Pods, mTLS, and who is let in besides those that may."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ...kube.plan import labels
from ...model.record import Record

SIDECAR = "istio-proxy"
AUTHENTICATION, AUTHORIZATION = "PeerAuthentication", "AuthorizationPolicy"
STRICT, ALLOW = "STRICT", "ALLOW"
_ENDED = ("Succeeded", "Failed")
Raw = Mapping[str, Any]


class Membership(Record):
    """A service in the mesh: its Pods, those of them with a sidecar that is ready, and what is wrong."""

    service: str
    pods: int
    sidecars: int
    mtls: str
    faults: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return it as JSON data; ``mtls`` is null where no policy says it."""
        return {
            "service": self.service,
            "pods": self.pods,
            "sidecars": self.sidecars,
            "mtls": self.mtls or None,
            "faults": list(self.faults),
        }

    def row(self) -> tuple[str, str, str, str]:
        """Return it as a row of a table."""
        return self.service, f"{self.sidecars} of {self.pods}", self.mtls or "-", "; ".join(self.faults) or "-"


def memberships(wanted: Iterable[Raw], live: Iterable[Raw], names: Mapping[str, str]) -> tuple[Membership, ...]:
    """Return how far each service is in the mesh that has policies in ``wanted``.

    ``live`` are the Pods and the policies of the namespace, ``names`` the services by their names on the cluster.
    """
    given, there = tuple(wanted), tuple(live)
    found = (each for each in given if each["kind"] == AUTHORIZATION)
    return tuple(_membership(each, given, there, names) for each in found)


def _membership(policy: Raw, wanted: Iterable[Raw], live: Iterable[Raw], names: Mapping[str, str]) -> Membership:
    name, own = policy["metadata"]["name"], policy["spec"]["selector"]["matchLabels"]
    pods = [raw for raw in live if raw["kind"] == "Pod" and _serves(raw) and own.items() <= _labels(raw).items()]
    ready = sum(_has_sidecar(pod) for pod in pods)
    faults = [] if ready == len(pods) else [f"{len(pods) - ready} of {len(pods)} Pods have no sidecar that is ready"]
    for kind in (AUTHENTICATION, AUTHORIZATION):
        faults += _compared(_one(wanted, kind, name), _one(live, kind, name), f"{kind} {name}")
    faults += _others(live, own, name)
    authentication = _one(live, AUTHENTICATION, name)
    return Membership(names.get(name, name), len(pods), ready, _mtls(authentication), tuple(faults))


def _serves(pod: Raw) -> bool:
    return not pod["metadata"].get("deletionTimestamp") and (pod.get("status") or {}).get("phase") not in _ENDED


def _labels(raw: Raw) -> dict[str, str]:
    return raw["metadata"].get("labels") or {}


def _has_sidecar(pod: Raw) -> bool:
    """Whether a Pod has a sidecar that is ready: a native one is an init container that goes on."""
    status = pod.get("status") or {}
    told = (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ()))
    return any(one["name"] == SIDECAR and one.get("ready") for one in told)


def _one(objects: Iterable[Raw], kind: str, name: str) -> Raw | None:
    return next((raw for raw in objects if raw["kind"] == kind and raw["metadata"]["name"] == name), None)


def _compared(wanted: Raw | None, there: Raw | None, what: str) -> Iterator[str]:
    if wanted is not None and there is None:
        yield f"{what} is missing"
    elif wanted is not None and there is not None and wanted["spec"] != there["spec"]:
        yield f"{what} says something else"


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
        if (labels.PROJECT in _labels(raw) and called == name) or not chosen <= own.items():
            continue
        if raw["kind"] == AUTHORIZATION and spec.get("action", ALLOW) == ALLOW:
            yield f"{AUTHORIZATION} {called} lets others in as well"
        elif raw["kind"] == AUTHENTICATION and chosen and (spec.get("mtls") or {}).get("mode") != STRICT:
            yield f"{AUTHENTICATION} {called} is about it, too"
