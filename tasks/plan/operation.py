"""A plan as data: typed operations in their order, each with its cause and what it interrupts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .upstream import Aim

BUILD, PULL, NAME = "build", "pull", "name images"
RESTORE, REPLACE_NETWORK, BACKUP, RUN = "restore files", "replace network", "backup", "run"
UP, CREATE, RECREATE, START, UNPAUSE, RESTART = "up", "create", "recreate", "start", "unpause", "restart"
AWAIT, SETTLE, WATCH, SMOKE = "await healthy", "settle", "watch", "smoke"
SEED, POINT, REST, DRAIN, RELOAD = "write proxy file", "point proxy", "rest", "drain", "reload"
STOP, REMOVE, PROVE = "stop", "remove", "prove"

# What a service needs: nothing, a look until it is healthy, a question to the registry, or a change of its containers.
UNCHANGED, WAIT, SCALE, GO = "unchanged", "wait", "scale", "remove"


@dataclass(frozen=True)
class Operation:
    """One operation of a plan.

    ``subject`` is what it is done to, ``services`` and ``names`` the services and containers concerned; ``interrupts``
    the services that cannot be reached meanwhile. ``group`` is the step of the report that it is part of, ``number``
    its place in the plan and ``after`` the places of those that have to be done before it. ``counts`` says how many
    containers a service has afterwards, ``seconds`` how long it waits, ``failure`` what a failure leads to
    (``update_config.failure_action``), ``allowed`` how many of ``names`` may fail. ``begun``: of a rollout, whose
    containers count only when they are proven. ``text`` is what a file of the proxy begins with.
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
    counts: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    aim: Aim | None = None
    failure: str = ""
    allowed: int = 0
    begun: bool = False
    text: str = ""

    def document(self) -> dict[str, Any]:
        """Return the operation as JSON data."""
        return {
            "kind": self.kind,
            "subject": self.subject,
            "cause": "; ".join(self.cause),
            "interrupts": list(self.interrupts),
            "after": list(self.after),
        }


@dataclass(frozen=True)
class Change:
    """What happens to one service, and why; ``interrupts`` are the services that cannot be reached meanwhile."""

    service: str
    action: str
    causes: tuple[str, ...] = ()
    interrupts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """The changes and the ordered operations of a deploy; no operations when there is nothing to do.

    ``told`` are differences that no operation takes away, ``orphans`` containers of services that are in no file and
    stay. ``refusals`` are why it cannot be carried out, each with what to do about it.
    """

    changes: tuple[Change, ...] = ()
    operations: tuple[Operation, ...] = ()
    told: tuple[str, ...] = ()
    orphans: tuple[str, ...] = ()
    refusals: tuple[tuple[str, str], ...] = ()

    @property
    def changed(self) -> tuple[Change, ...]:
        """The services that something happens to."""
        return tuple(one for one in self.changes if one.action != UNCHANGED)

    @property
    def interrupts(self) -> tuple[str, ...]:
        """The services that cannot be reached at some time of it."""
        return tuple(dict.fromkeys(name for one in self.operations for name in one.interrupts))

    @property
    def rolled(self) -> tuple[str, ...]:
        """The services whose new containers take over while the old ones serve."""
        return tuple(dict.fromkeys(one.subject for one in self.operations if one.kind == WATCH))


def numbered(operations: Iterable[Operation]) -> tuple[Operation, ...]:
    """Return the operations with their numbers; each comes after the one before it."""
    return tuple(
        replace(one, number=number, after=(number - 1,) if number > 1 else ())
        for number, one in enumerate(operations, 1)
    )


def interrupts_of(operations: Iterable[Operation], service: str) -> tuple[str, ...]:
    """Return which services cannot be reached because of what happens to one."""
    return (service,) if any(service in one.interrupts for one in operations) else ()
