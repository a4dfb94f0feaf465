"""The deploy lock: one container name on the engine. Its labels say who holds it, the engine when it was renewed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from .errors import InputError
from .schema import seconds
from .units import show_duration

LOCK_LABEL, TICKET_LABEL = "slipway.lock", "slipway.ticket"
DEPLOY, BACKUP = "", "backup"  # the scopes: a backup keeps another backup out, no deploy
_TICKET_TTL = 10.0  # seconds; for so long one who waited on another host and died holds up those behind
_LEAST_TTL = 2.0  # seconds; a renewal is due after a third of it


@dataclass(frozen=True)
class Lock:
    """Who wants to hold the lock of a project, and what for.

    ``process`` tells a process of this machine from others of the same number, on this machine and elsewhere;
    "" where that cannot be known. ``ttl`` is in seconds: a lock that was not renewed for so long has expired, one
    of 0 never does.
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
        """The container name that is the lock: the engine creates a name once."""
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
    """Return how long a place in the queue outlives one who is not heard of any more, in seconds."""
    return min(lock.ttl, _TICKET_TTL)


@dataclass(frozen=True)
class Held:
    """A lock that is held: ``token`` is this very one's and no other's, ever.

    ``created`` and ``renewed`` are the engine's time in seconds since the epoch, ``since`` the first as RFC 3339.
    """

    lock: Lock
    token: str
    created: float
    renewed: float
    since: str

    def __str__(self) -> str:
        return f"{self.lock.holder}@{self.lock.host} since {self.since} ({self.lock.reason})"


def container_name(project: str, scope: str = DEPLOY) -> str:
    """Return the name of a project's lock."""
    return f"{project}-slipway-{f'{scope}-' if scope else ''}lock"


def from_labels(labels: Mapping[str, str]) -> Lock:
    """Return the lock that labels describe; one that says no time to live never expires."""
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


def same_machine(one: Lock, other: Lock) -> bool:
    """Whether two holders see the same processes: then a process number means the same to both."""
    mine, theirs = (lock.process.rpartition("/")[0] for lock in (one, other))
    return one.host == other.host and bool(mine) and mine == theirs


def stale(held: Held, asking: Lock, alive: bool, now: float) -> str:
    """Return why a lock counts no more, "" while it does.

    ``alive`` says whether its process runs, and counts on its own machine only; ``now`` is the engine's time.
    """
    if same_machine(held.lock, asking) and held.lock.pid > 0 and not alive:
        return "that process is gone"
    silent = now - max(held.renewed, held.created)
    if held.lock.ttl and silent > held.lock.ttl:
        return f"it was not renewed for {show_duration(silent)}"
    return ""


def time_to_live(text: str) -> float:
    """Return LOCK_TTL in seconds; raises InputError for one that is too short to be renewed in."""
    ttl = seconds(text) or 0.0
    if ttl < _LEAST_TTL:
        raise InputError(f"LOCK_TTL: expected at least {_LEAST_TTL:g}s, got {text!r}", "60s is the default")
    return ttl


def waiting(text: str) -> float:
    """Return how long ``--wait`` lets a task wait, in seconds; raises InputError."""
    found = seconds(text) if text else 0.0
    if found is None:
        raise InputError(f"--wait: expected a duration such as 5m, got {text!r}", "for example --wait 90s")
    return found
