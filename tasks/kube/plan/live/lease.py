"""A lock as a Lease, and back: who holds it stands in its annotations, since labels take few characters.

https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/lease-v1/
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ....model.lock import LOCK_LABEL, TICKET_LABEL, HeldLock, Lock, from_labels, ticket
from .. import labels

_KIND: Mapping[str, str] = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
_SCOPE = "slipway.lock.scope"


def of_lock(lock: Lock, moment: str) -> dict[str, Any]:
    """Return the Lease of a lock; ``moment`` is its time as RFC 3339 with microseconds."""
    return _lease(lock.name, LOCK_LABEL, lock, lock.labels(), moment)


def of_ticket(lock: Lock, identity: str, moment: str) -> dict[str, Any]:
    """Return the Lease of a place in the queue for a lock."""
    return _lease(f"{lock.name}-ticket-{identity}", TICKET_LABEL, lock, ticket(lock), moment)


def clock() -> dict[str, Any]:
    """Return a Lease that is only tried to be created, to learn the time of the API server."""
    return {**_KIND, "metadata": {"generateName": "slipway-clock-"}}


def queue(lock: Lock) -> str:
    """Return the label selector of the places in the queue for a lock."""
    return f"{labels.PROJECT}={lock.project},{_label(TICKET_LABEL)}={lock.scope or 'deploy'}"


def _lease(name: str, label: str, lock: Lock, notes: Mapping[str, str], moment: str) -> dict[str, Any]:
    marks = {**labels.of_project(lock.project), _label(label): lock.scope or "deploy"}
    spec = {
        "holderIdentity": f"{lock.holder}@{lock.host}",
        "acquireTime": moment,
        "renewTime": moment,
        "leaseDurationSeconds": max(int(lock.ttl), 1),  # for those who read Leases; Slipway reads its annotations
    }
    return {**_KIND, "metadata": {"name": name, "labels": marks, "annotations": dict(notes)}, "spec": spec}


def _label(name: str) -> str:
    return f"slipway.dev/{name.removeprefix('slipway.')}"


def is_lock(raw: Mapping[str, Any]) -> bool:
    """Whether a Lease is a lock of ours, or a place in the queue for one."""
    marks = raw["metadata"].get("labels") or {}
    return _label(LOCK_LABEL) in marks or _label(TICKET_LABEL) in marks


def held(raw: Mapping[str, Any]) -> HeldLock:
    """Return the lock that a Lease is; it was renewed when its managed fields last changed."""
    about = raw["metadata"]
    since = about["creationTimestamp"]
    times = [seconds(entry["time"]) for entry in about.get("managedFields") or () if entry.get("time")]
    lock = from_labels(about.get("annotations") or {})
    return HeldLock(lock, f"{about['uid']}/{about['name']}", seconds(since), max(times, default=seconds(since)), since)


def name(lock: HeldLock) -> str:
    """Return the name of the Lease of a lock."""
    return lock.token.partition("/")[2]


def renewal(token: str, moment: str) -> list[dict[str, Any]]:
    """Return the JSON patch that renews exactly the Lease of a token (RFC 6902: a failed test changes nothing)."""
    return [
        {"op": "test", "path": "/metadata/uid", "value": token.partition("/")[0]},
        {"op": "replace", "path": "/spec/renewTime", "value": moment},
    ]


def removal(token: str) -> dict[str, Any]:
    """Return the options with which the API server removes exactly the Lease of a token."""
    return {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": token.partition("/")[0]}}


def path(namespace: str, lease: str) -> str:
    """Return the path of a Lease on the API server."""
    return f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{lease}"


def is_another(said: str) -> bool:
    """Whether a command failed because the Lease of that name is another one by now."""
    return "testing value" in said or "(Conflict)" in said or "Precondition failed" in said or "(Invalid)" in said


def seconds(text: str) -> float:
    """Return a time of the API server in seconds since the epoch."""
    return datetime.fromisoformat(text).timestamp()
