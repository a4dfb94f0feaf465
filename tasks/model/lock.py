"""The deploy lock: a container name on the engine. Its labels name the lock holder."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

from .errors import InputError
from .profile.schema import seconds
from .record import Record
from .units import show_duration

LOCK_LABEL, TICKET_LABEL = "slipway.lock", "slipway.ticket"
# The scopes: a backup excludes other backups, an agent other agents, but neither excludes a deploy.
DEPLOY, BACKUP, AGENT = "", "backup", "gitops"
_TICKET_TTL = 10.0  # seconds that a process which died in the queue, on another host, blocks those behind it
_LEAST_TTL = 2.0  # seconds; a lock is renewed after a third of its time to live


class Lock(Record):
    """The lock of a project, with the process that asks for it and the reason.

    ``process`` identifies the process across machines and reused process numbers; "" where that cannot be known.
    ``ttl`` is in seconds: a lock that was not renewed for so long has expired; 0 never expires.
    """

    project: str
    holder: str
    host: str
    pid: int
    reason: str
    process: str = ""
    ttl: float = 60.0
    scope: str = DEPLOY

    @property
    def name(self) -> str:
        """The container name of the lock: the engine allows a name only once."""
        return container_name(self.project, self.scope)

    def labels(self) -> dict[str, str]:
        """Return the lock as labels."""
        return {
            LOCK_LABEL: self.project,
            "slipway.lock.scope": self.scope,
            "slipway.lock.holder": self.holder,
            "slipway.lock.host": self.host,
            "slipway.lock.pid": str(self.pid),
            "slipway.lock.process": self.process,
            "slipway.lock.ttl": f"{self.ttl:g}",
            "slipway.lock.reason": self.reason,
        }


def ticket(lock: Lock) -> dict[str, str]:
    """Return the labels of a place in the queue for a lock."""
    labels = replace(lock, ttl=ticket_ttl(lock)).labels()
    return {TICKET_LABEL: labels.pop(LOCK_LABEL), **labels}


def ticket_ttl(lock: Lock) -> float:
    """Return after how many seconds without renewal a place in the queue expires."""
    return min(lock.ttl, _TICKET_TTL)


class HeldLock(Record):
    """A lock that a process holds; ``token`` is unique for each time it is taken.

    ``created`` and ``renewed`` are the engine's time in seconds since the epoch, ``since`` is ``created`` as RFC 3339.
    """

    lock: Lock
    token: str
    created: float
    renewed: float
    since: str

    def __str__(self) -> str:
        return f"{self.lock.holder}@{self.lock.host} since {self.since} ({self.lock.reason})"


class LockStore(Protocol):
    """Where locks are: containers of an engine, or Leases of a cluster. All times are those of that place."""

    def now(self) -> float:
        """Return the time there in seconds since the epoch."""

    def find(self, name: str) -> HeldLock | None:
        """Return the lock of a name, None when it is free."""

    def take(self, lock: Lock) -> HeldLock | None:
        """Take a lock and return it; None when another process has it."""

    def queue(self, lock: Lock) -> tuple[HeldLock, ...]:
        """Return the places in the queue for a lock, in their order."""

    def queue_up(self, lock: Lock) -> HeldLock | None:
        """Take a place at the end of the queue for a lock."""

    def renew(self, held: HeldLock) -> bool:
        """Renew a lock; return False when exactly this lock no longer exists."""

    def drop(self, held: HeldLock) -> None:
        """Remove exactly this lock; no error when it is gone already."""


def container_name(project: str, scope: str = DEPLOY) -> str:
    """Return the container name of a project's lock."""
    return f"{project}-slipway-{f'{scope}-' if scope else ''}lock"


def from_labels(labels: Mapping[str, str]) -> Lock:
    """Return the lock that labels describe; without a time to live it never expires."""
    pid, ttl = labels.get("slipway.lock.pid", ""), labels.get("slipway.lock.ttl", "")
    return Lock(
        project=labels.get(LOCK_LABEL) or labels.get(TICKET_LABEL, ""),
        holder=labels.get("slipway.lock.holder", "unknown"),
        host=labels.get("slipway.lock.host", "unknown"),
        pid=int(pid) if pid.isdigit() else 0,
        reason=labels.get("slipway.lock.reason", "unknown"),
        process=labels.get("slipway.lock.process", ""),
        ttl=float(ttl) if ttl.replace(".", "", 1).isdigit() else 0.0,
        scope=labels.get("slipway.lock.scope", DEPLOY),
    )


def same_machine(first: Lock, second: Lock) -> bool:
    """Whether two lock holders run on one machine, so that a process number means the same to both."""
    mine, theirs = (lock.process.rpartition("/")[0] for lock in (first, second))
    return first.host == second.host and bool(mine) and mine == theirs


def stale(held: HeldLock, asking: Lock, alive: bool, now: float) -> str:
    """Return why a lock is no longer valid, "" while it is.

    ``alive`` says whether its process runs, and is used only on the same machine; ``now`` is the engine's time.
    """
    if same_machine(held.lock, asking) and held.lock.pid > 0 and not alive:
        return "that process is gone"
    silent = now - max(held.renewed, held.created)
    if held.lock.ttl and silent > held.lock.ttl:
        return f"it was not renewed for {show_duration(silent)}"
    return ""


def time_to_live(text: str) -> float:
    """Return LOCK_TTL in seconds; raises InputError when it is too short to renew the lock in time."""
    ttl = seconds(text) or 0.0
    if ttl < _LEAST_TTL:
        raise InputError(f"LOCK_TTL: expected at least {_LEAST_TTL:g}s, got {text!r}", "60s is the default")
    return ttl


def wait_seconds(text: str) -> float:
    """Return the value of ``--wait`` in seconds, 0 for none; raises InputError for what is no duration."""
    duration = seconds(text) if text else 0.0
    if duration is None:
        raise InputError(f"--wait: expected a duration such as 5m, got {text!r}", "for example --wait 90s")
    return duration
