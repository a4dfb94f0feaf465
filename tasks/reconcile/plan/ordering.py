"""Finds out which operations of a plan may run in parallel: numbers them and says which have to be done before each.

An operation changes some things (containers of services, a network to create) and needs others unchanged. Two
operations conflict if one changes what the other changes or needs: then the earlier one in the plan is done first.
Operations without a conflict may run in parallel. A kind of operation that is not listed here conflicts with all
others: a new kind is safe from the start, and becomes parallel when ``_Touching`` knows what it touches.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from ...model.engine.facts import Container
from ...model.stack import extension
from ...model.stack.stack import Service, Stack
from .observed import Observed
from .operation import (
    AWAIT,
    CREATE,
    DRAIN,
    POINT,
    PROVE,
    RECREATE,
    RELOAD,
    REMOVE,
    REPLACE_NETWORK,
    REST,
    RESTART,
    RUN,
    SEED,
    SMOKE,
    START,
    STOP,
    UP,
    WATCH,
    WEIGHT,
    Operation,
)

OF_SERVICES = frozenset(
    {
        *(UP, CREATE, RECREATE, RUN, START, RESTART, STOP, REMOVE, AWAIT, WATCH, PROVE, REST),
        *(SEED, POINT, WEIGHT, DRAIN, RELOAD, SMOKE, REPLACE_NETWORK),
    }
)
"""Kinds that change only the services they name and need what those depend on. All other kinds touch everything."""
_BY_COMPOSE = (UP, CREATE, RECREATE, RUN)


@dataclass(frozen=True)
class Touch:
    """What an operation changes, and what it needs unchanged: services, `network NAME` and `volume NAME`."""

    changes: frozenset[str]
    needs: frozenset[str] = frozenset()


@dataclass
class _Last:
    """For one thing: the number of the operation that changed it last, and of those that have needed it since."""

    change: int = 0
    needs: list[int] = field(default_factory=list)


def ordered(operations: Iterable[Operation], stack: Stack, observed: Observed) -> tuple[Operation, ...]:
    """Return the operations with ``number``, ``after`` and ``undo`` filled in."""
    listed = tuple(operations)
    touching = _Touching(listed, stack, observed)
    befores = _befores([touching.of(operation) for operation in listed])
    return tuple(
        replace(operation, number=number, after=before, undo=undo_names(operation, stack, observed))
        for number, (operation, before) in enumerate(zip(listed, befores, strict=True), 1)
    )


class _Touching:
    """Finds out what the operations of a plan touch."""

    def __init__(self, operations: Sequence[Operation], stack: Stack, observed: Observed) -> None:
        self._stack = stack
        self._owners = {container.name: container.service for container in observed.containers}
        wanted = {name for service in stack.services.values() for name in _resources(service)}
        self._missing = wanted - {*map(_network, observed.networks), *map(_volume, observed.volumes)}
        self._rolled = {operation.subject for operation in operations if operation.kind == WATCH}
        self._proxies = frozenset(
            service.name for service in stack.services.values() if service.slipway.proxy.upstreams
        )
        self._under: dict[str, frozenset[str]] = {}

    def of(self, operation: Operation) -> Touch | None:
        """Return what an operation touches, None for everything. Has to be called in the order of the plan."""
        if operation.kind not in OF_SERVICES or not set(operation.services) <= set(self._stack.services):
            return None
        if operation.kind == SMOKE:
            return self._smoke(operation)
        if operation.kind == REPLACE_NETWORK:
            return self._network(operation)
        if not operation.services:
            return None  # it removes containers of unknown services, or leftovers of a recreation
        services = [self._stack.service(name) for name in operation.services]
        under = frozenset().union(*(self.under(service.name) for service in services))
        if any(service.rollout != extension.RECREATE for service in services):
            under |= self._proxies
        changes = frozenset(operation.services)
        if any(map(self._stack.one_off, services)):
            changes |= under  # a job changes the data of the services that it depends on
        if operation.kind in _BY_COMPOSE:
            changes |= self._made({name for service in services for name in _resources(service)})
            under |= {name for service in services for name in _resources(service)}
        return Touch(changes, under - changes)

    def _made(self, resources: set[str]) -> frozenset[str]:
        """Return the missing networks and volumes that Compose creates with this operation, the first to need them."""
        made = frozenset(resources & self._missing)
        self._missing -= made
        return made

    def _smoke(self, operation: Operation) -> Touch | None:
        """Return what a smoke test inside a rollout touches: it needs all services that are not rolled out themselves.

        The final smoke test (without ``names``) touches everything.
        """
        if not operation.names or operation.subject not in self._stack.services:
            return None
        changes = frozenset((operation.subject,))
        needs = {*self._stack.services, *self._proxies} - self._rolled
        return Touch(changes, (frozenset(needs) | self.under(operation.subject)) - changes)

    def _network(self, operation: Operation) -> Touch | None:
        owners = {self._owners.get(name, "") for name in operation.names}
        if not owners <= set(self._stack.services):
            return None
        self._missing.add(_network(operation.subject))
        return Touch(frozenset((*operation.services, *owners, _network(operation.subject))))

    def under(self, name: str) -> frozenset[str]:
        """Return all direct and indirect dependencies of a service; Compose has refused cycles."""
        if name not in self._under:
            service = self._stack.services[name]
            direct = {other for other in (*service.depends_on, *service.shares) if other in self._stack.services}
            self._under[name] = frozenset(direct).union(*map(self.under, direct))
        return self._under[name]


def _resources(service: Service) -> Iterator[str]:
    yield from map(_network, service.networks)
    yield from map(_volume, service.volumes)


def _network(name: str) -> str:
    return f"network {name}"


def _volume(name: str) -> str:
    return f"volume {name}"


def _befores(touches: Sequence[Touch | None]) -> list[tuple[int, ...]]:
    """Return for each operation the numbers that it has to wait for, without those implied by others among them.

    A touch of None conflicts with everything.
    """
    result: list[tuple[int, ...]] = []
    earlier = [0]  # for each number the set of all operations before it, as bits
    last: dict[str, _Last] = {}
    barrier, open_ends = 0, set[int]()  # last that touched everything; operations without successor
    for number, touch in enumerate(touches, 1):
        if touch is None:
            before = open_ends or ({barrier} if barrier else set())
            last.clear()
            barrier, open_ends = number, set()
        else:
            before = _in_the_way(last, touch, number) or ({barrier} if barrier else set())
            open_ends = (open_ends - before) | {number}
        kept, implied = [], 0
        for candidate in sorted(before, reverse=True):
            if not implied >> candidate & 1:
                kept.append(candidate)
                implied |= earlier[candidate] | 1 << candidate
        earlier.append(implied)
        result.append(tuple(sorted(kept)))
    return result


def _in_the_way(last: dict[str, _Last], touch: Touch, number: int) -> set[int]:
    before = set()
    for name in touch.needs:
        record = last.setdefault(name, _Last())
        before.add(record.change)
        record.needs.append(number)
    for name in touch.changes:
        record = last.get(name, _Last())
        before |= {record.change, *record.needs}
        last[name] = _Last(number)
    return before - {0}


def undo_names(operation: Operation, stack: Stack, observed: Observed) -> tuple[str, ...]:
    """Return the names of the containers that an operation may leave behind if it fails half way.

    To recreate a container Compose first creates the new one next to the old one, named ID_NAME with the id of the old.
    """
    present = {container.name for container in observed.containers}
    if operation.kind in (CREATE, UP):
        return tuple(name for name in operation.names if name not in present)
    if operation.kind not in (RECREATE, RUN):
        return ()
    names = []
    for service in (stack.service(name) for name in operation.services):
        containers = observed.of(service.name)
        for container in containers:
            name = service.container_name or f"{stack.project}-{service.name}-{container.number}"
            names.append(f"{container.id[:12]}_{name}")
        if not containers:
            names.append(service.container_name or f"{stack.project}-{service.name}-1")
    return tuple(names)


def containers_to_remove(
    operation: Operation, before: Iterable[Container], now: Iterable[Container]
) -> tuple[str, ...]:
    """Return the names of the containers to remove after an operation failed half way: its own that never started.

    ``before`` are the containers when it began. The last container with a number that existed before is kept: the next
    deploy recreates it.
    """
    containers = tuple(now)
    earlier_places = {(container.service, container.number) for container in before}
    others = {(container.service, container.number) for container in containers if container.name not in operation.undo}
    unstarted = [
        container for container in containers if container.name in operation.undo and container.state == "created"
    ]
    places = {container.name: (container.service, container.number) for container in unstarted}
    return tuple(name for name, place in places.items() if place in others or place not in earlier_places)
