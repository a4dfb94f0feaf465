"""How new containers of one service take over while the old ones serve, as operations."""

import math
from collections.abc import Sequence

from .desired import Desired
from .difference import Policy, matches, stuck_as
from .extension import BLUE_GREEN
from .facts import Container
from .observed import Observed
from .operation import (
    AWAIT,
    CREATE,
    DRAIN,
    POINT,
    PROVE,
    RECREATE,
    REMOVE,
    REST,
    RESTART,
    SEED,
    SMOKE,
    START,
    STOP,
    UNCHANGED,
    WATCH,
    Change,
    Operation,
)
from .rollout import batches, new_names
from .stack import Service, Stack
from .upstream import Aim, begun, leads, proven, serving

KNOWN = 1.0  # seconds in which the proxy asks for the addresses of new names


class _Rollout:
    """The operations of one service, added up; ``front``: a proxy names its containers in a file."""

    def __init__(
        self, service: Service, observed: Observed, stack: Stack, group: str, causes: tuple[str, ...] = ()
    ) -> None:
        self._service, self._observed, self._stack = service, observed, stack
        self._group, self._causes = group, causes
        text = observed.upstreams.get(service.name, "")
        self.front = bool(observed.front) and (service.rollout == BLUE_GREEN or leads(text, service.name))
        self.named = serving(text, service.name)
        self.operations: list[Operation] = []

    def add(self, kind: str, names: Sequence[str] = (), **more: object) -> None:
        self.operations.append(
            Operation(
                kind, self._service.name, services=(self._service.name,), names=tuple(names), cause=self._causes,
                group=self._group, **more,  # type: ignore[arg-type]
            )
        )  # fmt: skip

    def point(
        self, names: Sequence[str], backups: Sequence[str] = (), coming: Sequence[str] = (), again: bool = False
    ) -> None:
        """``again``: let the proxy read its file also where it says so already: it was perhaps killed before it did."""
        if self.front:
            self.add(POINT, names, aim=Aim(tuple(names), tuple(backups), tuple(coming)), begun=again)

    def rest(self, seconds: float) -> None:
        if self.front:
            self.add(REST, seconds=seconds)

    def drain(self) -> None:
        if self.front:
            self.add(DRAIN)

    def retire(self, names: Sequence[str]) -> None:
        if names:
            self.add(STOP, names)
            self.add(REMOVE, names)

    def lead_back(self, names: Sequence[str]) -> None:
        """Lead to containers that serve already or did before, by names that the proxy may have to learn first."""
        if not self.front:
            return
        unknown = [one for one in names if one not in self.named]
        there = {one.name for one in self._observed.running(self._service.name)}
        known = [one for one in self.named if one in there]
        if unknown and known:
            self.point(known, backups=unknown)
            self.rest(KNOWN)
        self.point(names, again=True)
        self.drain()
        self.named = tuple(names)


def port_of(service: Service, observed: Observed) -> int:
    """Return the one port that a service listens on, 0 where the Compose file and the image do not say which."""
    image = observed.images.get(service.image)
    ports = service.listens or (image.listens if image else ())
    return ports[0] if len(ports) == 1 else 0


def lacks_file(service: Service, observed: Observed) -> bool:
    """Whether a proxy runs that has no file yet by which it could lead to a service."""
    return bool(observed.front) and service.rollout == BLUE_GREEN and service.name not in observed.upstreams


def unknown_ports(stack: Stack, observed: Observed) -> list[tuple[str, str]]:
    """Return why the proxy's file of a service cannot be written, each with what to do about it."""
    lacking = [one for one in stack.services.values() if one.replicas and lacks_file(one, observed)]
    return [
        (
            f"the proxy has no file of service {one.name}, and nothing says which port it listens on",
            f'services.{one.name}: write expose: ["PORT"]',
        )
        for one in lacking
        if not port_of(one, observed)
    ]


def seeded(service: Service, observed: Observed, stack: Stack) -> list[Operation]:
    """Return the operation that gives the proxy the file of a service that it does not know yet."""
    if not lacks_file(service, observed):
        return []
    rollout = _Rollout(service, observed, stack, f"up {service.name}", ("the proxy has no file of it yet",))
    rollout.add(SEED, text=begun(service.name, port_of(service, observed), observed.upstreams))
    return rollout.operations


def _names(containers: Sequence[Container]) -> tuple[str, ...]:
    return tuple(one.name for one in containers)


def made_names(service: Service, stack: Stack, there: Sequence[Container]) -> tuple[str, ...]:
    """Return what Compose calls the containers of a service that it makes, or makes anew: each keeps its number.

    What is too many goes, those of the greatest numbers; what is missing goes on from there.
    """
    if service.container_name:
        return (service.container_name,)
    kept = [f"{stack.project}-{service.name}-{one.number}" for one in there[: service.replicas]]
    return (*dict.fromkeys(kept), *new_names(stack.project, service.name, there, service.replicas - len(kept)))


def _noted_proven(observed: Observed, container: Container) -> bool:
    """Whether nothing was noted that speaks against a container: that a rollout began with it and did not end."""
    stamp = observed.state.stamps.get(container.id)
    return stamp is None or stamp.proven


def _proven(service: Service, observed: Observed, containers: Sequence[Container]) -> list[Container]:
    """Return those of containers that were watched to the end: as was noted of them, else as the proxy's file says."""
    running = {one.name for one in observed.running(service.name)}
    text = observed.upstreams.get(service.name, "")
    led = proven(text, service.name, running, service.replicas)
    found = []
    for one in containers:
        stamp = observed.state.stamps.get(one.id)
        if one.state == "running" and (stamp.proven if stamp else not led or one.name in led):
            found.append(one)
    return found


def rolled(service: Service, change: Change, observed: Observed, desired: Desired, policy: Policy) -> list[Operation]:
    """Return the operations by which new containers of a service take over from those that run."""
    rollout = _Rollout(service, observed, desired.stack, f"{service.rollout} {service.name}", change.causes)
    there = observed.of(service.name)
    alike = [one for one in there if matches(service, one, observed, desired)]
    kept = _proven(service, observed, alike)
    if policy.back and not kept:
        # What ran before a deploy needs no watch, unless it is of a way back that did not come to its end.
        kept = [one for one in alike if one.state == "running" and _noted_proven(observed, one)]
    kept = kept[: service.replicas]
    if kept and len(kept) >= service.replicas:
        _keep(rollout, there, kept)
        return rollout.operations
    # What was begun and not proven leaves first: what serves goes on serving alone.
    fresh = [one for one in alike if one not in kept]
    old = [one for one in there if one.state == "running" and one not in fresh]
    dead = [one for one in there if one not in old]
    if not old:
        old, dead = fresh, [one for one in there if one not in fresh]
    if dead:
        # One that runs may be led to by what the proxy read before its file was written.
        if {one.name for one in dead} & set(rollout.named) or any(one.state == "running" for one in dead):
            rollout.lead_back(_names(old))
        rollout.retire(_names(dead))
    _batched(rollout, service, observed, desired, policy, tuple(old))
    return rollout.operations


def _keep(rollout: _Rollout, there: Sequence[Container], kept: Sequence[Container]) -> None:
    """Let those serve alone that are what they are to be."""
    rollout.lead_back(_names(kept))
    rollout.retire([one.name for one in there if one not in kept])


def _batched(
    rollout: _Rollout,
    service: Service,
    observed: Observed,
    desired: Desired,
    policy: Policy,
    old: tuple[Container, ...],
) -> None:
    project = desired.stack.project
    now, update = list(_names(old)), service.update
    if rollout.front and set(rollout.named) != set(now):
        # The service's own name would lead to the new containers before they are ready.
        rollout.lead_back(now)
    taken = 0
    count = max(service.replicas, 1)
    every = new_names(project, service.name, old, count)  # the others have left by then
    for number, batch in enumerate(batches(service, now)):
        fresh = every[taken : taken + batch.count]
        if number and update.delay:
            rollout.add(REST, seconds=update.delay)
        taken += batch.count
        staying = tuple(one for one in now if one not in batch.leaving)
        allowed = math.floor(update.max_failure_ratio * len(fresh))
        rollout.add(CREATE, fresh, counts={service.name: len(now) + len(fresh)}, begun=True)
        rollout.add(START, fresh, begun=True)
        timeout = policy.timeouts.get(service.name, policy.timeout)
        rollout.add(AWAIT, fresh, seconds=timeout, failure=update.failure_action)
        rollout.point(now, coming=fresh)
        rollout.rest(KNOWN)
        rollout.point((*staying, *fresh), backups=[one for one in batch.leaving if one in now])
        seconds = _watch(service, observed, policy)
        rollout.add(WATCH, fresh, seconds=seconds, failure=update.failure_action, allowed=allowed)
        if policy.smoke and rollout.front and not set(staying) & set(_names(old)):
            rollout.add(SMOKE, fresh, failure=update.failure_action)
        rollout.drain()
        rollout.add(PROVE, fresh)
        rollout.point((*staying, *fresh))
        rollout.retire(batch.leaving)
        now = [*staying, *fresh]


def watched(service: Service, observed: Observed) -> bool:
    """Whether a service has a health check, of the Compose file or of its image."""
    image = observed.images.get(service.image)
    return service.health_check or bool(image and image.health_check and not service.health_disabled)


def _watch(service: Service, observed: Observed, policy: Policy) -> float:
    """Return how long new containers are watched: without a health check long enough for one that dies to be seen."""
    monitor = service.update.monitor
    return monitor if watched(service, observed) else max(monitor, policy.settling(service))


def scaled(service: Service, change: Change, observed: Observed, stack: Stack, timeout: float) -> list[Operation]:
    """Return the operations that give a service more or fewer containers."""
    rollout = _Rollout(service, observed, stack, f"scale {service.name}", change.causes)
    there = observed.of(service.name)
    ordered = sorted(there, key=lambda one: (one.state != "running", bool(stuck_as(one)), one.number))
    kept = ordered[: service.replicas]
    surplus = [one for one in there if one not in kept]
    # Those that are there and do not run count: one that runs is surplus only where all that stay run.
    fresh = new_names(stack.project, service.name, there, service.replicas - len(kept))
    ill = [one.name for one in kept if stuck_as(one) == "unhealthy"]
    woken = (*(one.name for one in kept if one.state != "running"), *fresh)
    if rollout.named and any(one.state == "running" for one in surplus):
        rollout.lead_back(_names(kept))
    rollout.retire(_names(surplus))
    if fresh:
        rollout.add(CREATE, fresh, counts={service.name: service.replicas})
    if ill:
        rollout.add(RESTART, ill)
    if woken:
        rollout.add(START, woken, begun=True)
    if ill or woken:
        rollout.add(AWAIT, woken, seconds=timeout)
    if rollout.named and woken:
        rollout.lead_back((*(one for one in _names(kept) if one not in woken), *woken))
    return rollout.operations


def following(service: Service, change: Change, observed: Observed, stack: Stack) -> list[Operation]:
    """Return how the proxy follows what was made anew of a service whose containers it names."""
    rollout = _Rollout(service, observed, stack, f"up {service.name}", change.causes)
    if change.action == UNCHANGED or not rollout.named or service.rollout == "recreate":
        return []
    there = made_names(service, stack, observed.of(service.name))
    if change.action not in (CREATE, RECREATE):
        there = _names(observed.of(service.name))
    anew = change.action in (CREATE, RECREATE, START, RESTART)
    if anew or set(there) != set(rollout.named):
        rollout.point(there, again=anew)  # by the same names they have other addresses
    return rollout.operations


def leftover(service: Service, observed: Observed, desired: Desired) -> list[Operation]:
    """Return how the proxy is led to what serves where it leads to something else, after a deploy that was killed."""
    why = ("the proxy leads to something else",)
    rollout = _Rollout(service, observed, desired.stack, f"{service.rollout} {service.name}", why)
    there = [one.name for one in observed.running(service.name)]
    if rollout.named and rollout.front and service.rollout != "recreate" and set(rollout.named) != set(there) and there:
        rollout.lead_back(there)
    return rollout.operations
