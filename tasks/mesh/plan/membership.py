"""How far a service is in a mesh: what is the same in each of them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ...model.record import Record

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


class MeshCheck(Record):
    """How a mesh is checked: the kinds that the cluster is asked for, and what their objects say.

    ``memberships`` gets the objects as they should be, those that are there, and the services by their names on the
    cluster.
    """

    kinds: tuple[str, ...]
    memberships: Callable[[Iterable[Raw], Iterable[Raw], Mapping[str, str]], tuple[Membership, ...]]


def labels_of(raw: Raw) -> dict[str, str]:
    """Return the labels of an object."""
    return raw["metadata"].get("labels") or {}


def pods_of(live: Iterable[Raw], own: Mapping[str, str]) -> list[Raw]:
    """Return the Pods with some labels that have not ended and stay."""
    return [raw for raw in live if raw["kind"] == "Pod" and _serves(raw) and own.items() <= labels_of(raw).items()]


def _serves(pod: Raw) -> bool:
    return not pod["metadata"].get("deletionTimestamp") and (pod.get("status") or {}).get("phase") not in _ENDED


def with_sidecar(pods: Iterable[Raw], sidecar: str) -> int:
    """Return how many Pods have a sidecar that is ready: a native one is an init container that goes on."""
    return sum(any(one["name"] == sidecar and one.get("ready") for one in _statuses(pod)) for pod in pods)


def _statuses(pod: Raw) -> tuple[Raw, ...]:
    status = pod.get("status") or {}
    return (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ()))


def without_sidecar(number: int, ready: int) -> list[str]:
    """Return what is wrong where fewer Pods than there are have a sidecar that is ready."""
    return [] if ready == number else [f"{number - ready} of {number} Pods have no sidecar that is ready"]


def named(objects: Iterable[Raw], kind: str, name: str) -> Raw | None:
    """Return an object by its kind and its name, None where it is not there."""
    return next((raw for raw in objects if raw["kind"] == kind and raw["metadata"]["name"] == name), None)


def compared(wanted: Raw | None, there: Raw | None, what: str) -> Iterator[str]:
    """Yield how a policy is not as it should be."""
    if wanted is not None and there is None:
        yield f"{what} is missing"
    elif wanted is not None and there is not None and wanted["spec"] != there["spec"]:
        yield f"{what} says something else"
