"""A plan as data: ordered, typed operations; each says why it is needed and which services it interrupts."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import field
from typing import Any

from ...model.record import Record
from ...model.stack.upstream import ProxyTarget

BUILD, PULL, NAME = "build", "pull", "name images"
RESTORE, REPLACE_NETWORK, BACKUP, RUN = "restore files", "replace network", "backup", "run"
UP, CREATE, RECREATE, START, UNPAUSE, RESTART = "up", "create", "recreate", "start", "unpause", "restart"
AWAIT, SETTLE, WATCH, SMOKE = "await healthy", "settle", "watch", "smoke"
SEED, POINT, REST, DRAIN, RELOAD = "write proxy file", "point proxy", "rest", "drain", "reload"
WEIGHT = "weight"
SWITCH = "switch"  # on a cluster: the Services lead to the Pods in the other slot
STOP, REMOVE, PROVE = "stop", "remove", "prove"
CREATE_NETWORK, REMOVE_NETWORK = "create network", "remove network"
CONNECT, DISCONNECT = "connect", "disconnect"

# Actions of a `Change` besides kinds of operations; REMOVE_SERVICE: the service is in no Compose file any more.
UNCHANGED, WAIT, SCALE, REMOVE_SERVICE = "unchanged", "wait", "scale", "remove"
TO_BUILD = "image to be built"  # a cause


class Operation(Record):
    """One operation of a plan.

    - ``kind``: what is done; one of the constants above. ``subject``: what it is done to (services, a network, …).
    - ``services``, ``names``: the services and the containers (or image names) concerned.
    - ``cause``: why it is needed. ``interrupts``: the services that cannot be reached while it runs.
    - ``group``: the step of the report that it belongs to. ``number``: its place in the plan, from 1. ``after``: the
      numbers of the operations that have to be done first.
    - ``undo``: containers that it creates and that have to be removed if it fails half way.
    - ``counts``: how many containers each service has afterwards.
    - ``seconds``: how long it waits at most.
    - ``aim``: the containers that the proxy is pointed to. ``share``: the percentage of requests that new containers
      get from a WEIGHT on, or while they are watched; 0 for all.
    - ``against``: the old containers that new ones are compared with by numbers while they are watched, none: they are
      not compared.
    - ``failure``: ``update_config.failure_action`` of the service. ``allowed``: how many of ``names`` may fail.
    - ``begun``: part of a rollout, so new containers count only after PROVE; for POINT, reload the proxy even if its
      file does not change.
    - ``text``: the first content of a proxy file.
    - ``options``: options of ``docker network create``. ``aliases``: further names of containers in a network.
    - ``through``: temporary names of networks during this operation, by their real name.
    """

    kind: str
    subject: str
    services: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    cause: tuple[str, ...] = ()
    interrupts: tuple[str, ...] = ()
    group: str = ""
    number: int = 0
    after: tuple[int, ...] = ()
    undo: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    aim: ProxyTarget | None = None
    share: int = 0
    against: tuple[str, ...] = ()
    failure: str = ""
    allowed: int = 0
    begun: bool = False
    text: str = ""
    options: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    through: Mapping[str, str] = field(default_factory=dict)

    def title(self, project: str, checked: Collection[str] = ()) -> str:
        """Return what is done to what, for people: ``start web-2`` (containers without the project's name).

        ``checked`` are the services with a health check: what has none is never called healthy.
        """
        short = [name.removeprefix(f"{project}-") for name in self.names]
        subject = _some(short or self.services or (self.subject,))
        aim = self.aim.coming or self.aim.containers if self.aim else ()
        proxied = _some([name.removeprefix(f"{project}-") for name in aim])
        awaited = "healthy" if {*self.services} <= {*checked} else "ready"
        share = f"{self.share} %"
        words = {
            WEIGHT: f"{self.kind} {share} {subject}",
            WATCH: f"{self.kind} {subject}{f' at {share}' if self.share else ''}",
            AWAIT: f"{'verify: ' if self.group == 'verify' else ''}{subject} {awaited}",
            SETTLE: f"{_some(self.services)} keeps running",
            POINT: f"{'announce' if self.aim and self.aim.coming else 'proxy →'} {proxied}",
            SEED: f"proxy file of {self.subject}",
            REST: "proxy looks up new names" if self.aim is None and not self.names else "rest",
            DRAIN: f"drain old workers of {self.subject}",
            PROVE: f"{subject} proven",
            SMOKE: "smoke test",
            BACKUP: f"backup {self.subject}",
            RESTORE: self.kind,
            UP: f"up {_some(self.services)}",
        }
        network = self.kind in (CONNECT, DISCONNECT)
        return words.get(self.kind) or f"{self.kind} {subject}{f' ({self.subject})' if network else ''}"

    def document(self) -> dict[str, Any]:
        """Return the operation as JSON data."""
        return {
            "kind": self.kind,
            "subject": self.subject,
            "cause": "; ".join(self.cause),
            "interrupts": list(self.interrupts),
            "after": list(self.after),
            "undo": list(self.undo),
            **({"share": self.share} if self.share else {}),
            **({"against": list(self.against)} if self.against else {}),
        }


def _some(names: Sequence[str]) -> str:
    """Return the first names of several."""
    more = f" and {len(names) - 2} more" if len(names) > 3 else ""
    return ", ".join(names[: 2 if more else 3]) + more


class Change(Record):
    """What happens to a service, and why; ``interrupts`` are the services that cannot be reached meanwhile."""

    service: str
    action: str
    causes: tuple[str, ...] = ()
    interrupts: tuple[str, ...] = ()


class Plan(Record):
    """The changes and the ordered operations of a deploy; no operations when there is nothing to do.

    ``told``: differences that are reported but that no operation removes. ``orphans``: names of containers that stay
    although their service is in no Compose file. ``refusals``: why the plan cannot be carried out, each with a hint.
    """

    changes: tuple[Change, ...] = ()
    operations: tuple[Operation, ...] = ()
    told: tuple[str, ...] = ()
    orphans: tuple[str, ...] = ()
    refusals: tuple[tuple[str, str], ...] = ()

    @property
    def changed(self) -> tuple[Change, ...]:
        """The changes of services that are not left as they are."""
        return tuple(change for change in self.changes if change.action != UNCHANGED)

    @property
    def interrupts(self) -> tuple[str, ...]:
        """The services that cannot be reached at some point of the plan."""
        return tuple(dict.fromkeys(name for operation in self.operations for name in operation.interrupts))

    @property
    def jobs(self) -> tuple[str, ...]:
        """The services that run as jobs."""
        return tuple(dict.fromkeys(operation.subject for operation in self.operations if operation.kind == RUN))

    @property
    def rolled(self) -> tuple[str, ...]:
        """The services that are rolled out: their new containers take over while the old ones serve."""
        return tuple(dict.fromkeys(operation.subject for operation in self.operations if operation.kind == WATCH))


def interrupted_by(operations: Iterable[Operation], service: str) -> tuple[str, ...]:
    """Return the service alone if any of the operations interrupts it, else nothing."""
    return (service,) if any(service in operation.interrupts for operation in operations) else ()
