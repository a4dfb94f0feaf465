"""Locks on a cluster: each is a Lease, which the API server creates only once.

https://kubernetes.io/docs/concepts/architecture/leases/ - All times are those of the API server: when it created the
Lease, and when it noted the last renewal in the Lease's managed fields. The clocks of lock holders do not matter.
"""

import json
import uuid
from datetime import UTC, datetime

from ...host.project import Project
from ...model.lock import HeldLock, Lock
from ..plan.live import lease
from ..plan.live.faults import exists_already, is_missing
from .cluster import Cluster


class LeaseLocks:
    """The locks of a namespace, with the methods of the locks of an engine."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def now(self) -> float:
        """Return the API server's time in seconds since the epoch: that of a Lease that would be created now."""
        made = self._cluster.read("create", "--dry-run=server", "--filename", "-", stdin=_text(lease.clock()))
        return lease.seconds(made["metadata"]["creationTimestamp"])

    def find(self, name: str) -> HeldLock | None:
        """Return the lock of a name, None when it is free."""
        raw = self._cluster.read("get", "lease", name, "--show-managed-fields", missing="null")
        return lease.held(raw) if raw else None

    def take(self, lock: Lock) -> HeldLock | None:
        """Take a lock and return it; None when another process has it."""
        return self._create(lease.of_lock(lock, _moment()))

    def queue(self, lock: Lock) -> tuple[HeldLock, ...]:
        """Return the places in the queue for a lock, in the order in which they were taken."""
        listed = self._cluster.read("get", "lease", "--selector", lease.queue(lock), "--show-managed-fields")
        places = [lease.held(raw) for raw in listed["items"]]
        return tuple(sorted(places, key=lambda place: (place.created, place.token)))

    def queue_up(self, lock: Lock) -> HeldLock | None:
        """Take a place at the end of the queue for a lock."""
        return self._create(lease.of_ticket(lock, uuid.uuid4().hex[:12], _moment()))

    def renew(self, held: HeldLock) -> bool:
        """Renew a lock; return False when exactly this lock no longer exists."""
        name, patch = lease.name(held), json.dumps(lease.renewal(held.token, _moment()))
        command = self._cluster.kubectl("patch", "lease", name, "--type=json", "--patch", patch)
        result = self._cluster.tried(command)
        if result.exit_code == 0:
            return True
        if is_missing(result.stderr) or lease.is_another(result.stderr):
            return False
        raise self._cluster.fault(result, command)

    def drop(self, held: HeldLock) -> None:
        """Remove exactly this lock, never a later one of its name; no error when it is gone already."""
        path = lease.path(self._cluster.namespace, lease.name(held))
        body = _text(lease.removal(held.token))
        command = self._cluster.kubectl("delete", "--raw", path, "--filename", "-", stdin=body)
        result = self._cluster.tried(command)
        if result.exit_code and not is_missing(result.stderr) and not lease.is_another(result.stderr):
            raise self._cluster.fault(result, command)

    def _create(self, wanted: dict[str, object]) -> HeldLock | None:
        words = ("create", "--filename", "-", "--show-managed-fields", "--output", "json")
        command = self._cluster.kubectl(*words, stdin=_text(wanted))
        result = self._cluster.tried(command)
        if result.exit_code == 0:
            return lease.held(json.loads(result.stdout))
        if exists_already(result.stderr):
            return None
        raise self._cluster.fault(result, command)


def use(project: Project) -> None:
    """Let the locks of a project be Leases of its cluster."""
    project.locks = lambda: LeaseLocks(Cluster(project))


def _moment() -> str:
    """Return the time as a Lease has it, in microseconds; it is for people only."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _text(wanted: object) -> str:
    return json.dumps(wanted)
