"""The deploy lock: one container name on the engine, whose labels say who holds it."""

from collections.abc import Mapping
from dataclasses import dataclass

LOCK_LABEL = "slipway.lock"


@dataclass(frozen=True)
class Lock:
    """Who holds the lock of a project, since when (RFC 3339 UTC), and what for."""

    project: str
    holder: str
    host: str
    pid: int
    since: str
    reason: str

    @property
    def name(self) -> str:
        """The container name that is the lock: the engine creates a name once."""
        return container_name(self.project)

    def labels(self) -> dict[str, str]:
        """Return the lock as labels."""
        return {
            LOCK_LABEL: self.project,
            "slipway.lock.holder": self.holder,
            "slipway.lock.host": self.host,
            "slipway.lock.pid": str(self.pid),
            "slipway.lock.since": self.since,
            "slipway.lock.reason": self.reason,
        }


def container_name(project: str) -> str:
    """Return the name of a project's lock."""
    return f"{project}-slipway-lock"


def from_labels(labels: Mapping[str, str]) -> Lock:
    """Return the lock that labels describe."""
    pid = labels.get("slipway.lock.pid", "")
    return Lock(
        project=labels.get(LOCK_LABEL, ""),
        holder=labels.get("slipway.lock.holder", "unknown"),
        host=labels.get("slipway.lock.host", "unknown"),
        pid=int(pid) if pid.isdigit() else 0,
        since=labels.get("slipway.lock.since", "unknown"),
        reason=labels.get("slipway.lock.reason", "unknown"),
    )


def stale(lock: Lock, this_host: str, holder_alive: bool) -> bool:
    """Whether the holder is a process of this host that has ended; another host's holder is never judged."""
    return lock.host == this_host and lock.pid > 0 and not holder_alive
