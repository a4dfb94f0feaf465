"""Replaces a network that has other options now, while its containers serve.

Docker can neither change nor rename a network, so the containers move out and back:

1. Create NAME-next with the new options and connect the containers that are not rolled out to it as well.
2. Roll the other services out: their new containers are in NAME-next, the old ones drain and are removed.
3. NAME now has only the containers of step 1: disconnect them, remove NAME, create it anew, connect them again.
4. Roll the services out once more, back into NAME, and remove NAME-next.

If that is not possible (see ``networks.hindrance``), the network is replaced in place, which interrupts its members.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from ...model.engine.facts import Container, Network, monitors
from ...model.errors import SlipwayError
from ...model.record import Record
from ...model.stack.stack import Service, parse
from ...model.stack.upstream import retarget
from .desired import Desired
from .difference import Policy, network_difference
from .networks import (
    NEXT,
    NEXT_LABEL,
    NetworkToMake,
    declared_networks,
    hindrance,
    is_rolled_out,
    unrepeatable_option,
    with_network_names,
)
from .observed import Observed
from .operation import (
    CONNECT,
    CREATE_NETWORK,
    DISCONNECT,
    RECREATE,
    REMOVE_NETWORK,
    REPLACE_NETWORK,
    SEED,
    Change,
    Operation,
)
from .rollout import levels
from .rollout_operations import rollout_operations

Names = Mapping[str, tuple[str, ...]]
"""Names of the containers that each service has after the operations planned so far."""
_LEFT = "a deploy ended half-way"


class NetworkMove(Record):
    """A network that is replaced, or whose NAME-next is left from a deploy that ended half-way.

    - ``anew``: the network has other options now and is replaced. ``cause``: why.
    - ``live``: members of NAME-next can be connected to the network while they run.
    - ``to_make``: the network as it should be. ``current``, ``second``: NAME and NAME-next on the engine.
    """

    name: str
    to_make: NetworkToMake
    anew: bool
    live: bool
    cause: tuple[str, ...]
    current: Network | None
    second: Network | None

    @property
    def next(self) -> str:
        """The name of the temporary network that stands in for it."""
        return self.name + NEXT


class NetworkMoves:
    """The networks of a reconciliation that differ; ``in_place``: those that are replaced at once, and why."""

    def __init__(self, observed: Observed, desired: Desired, differing: Mapping[str, Sequence[str]]) -> None:
        self._observed, self._desired, self._stack = observed, desired, desired.stack
        self._rolled = {name for name, service in self._stack.services.items() if is_rolled_out(self._stack, service)}
        self.in_place: dict[str, list[str]] = {}
        self._moves: list[NetworkMove] = []
        for name, (key, raw) in declared_networks(desired.model).items():
            second = observed.networks.get(name + NEXT)
            second = second if second and second.labels.get(NEXT_LABEL) == name else None
            differences, current = differing.get(name, ()), observed.networks.get(name)
            why = hindrance(name, observed, desired) if differences else ""
            if why:
                self.in_place[name] = [*differences, f"replaced in place: {why}"]
            if second or (differences and not why):
                to_make = NetworkToMake(key, raw, self._stack.project)
                anew = bool(differences) and not why
                live = not why and not unrepeatable_option(raw, current)
                self._moves.append(
                    NetworkMove(name, to_make, anew, live, tuple(differences) or (_LEFT,), current, second)
                )

    def _members(self, name: str) -> list[Container]:
        return [container for container in self._observed.containers if name in container.networks]

    @property
    def moving(self) -> bool:
        """Whether containers move to another network and back."""
        return bool(self._moves)

    # What the plan is decided on

    def as_if_connected(self) -> Observed:
        """Return what runs, as if NAME and NAME-next were the same network, so that a move is no difference by itself.

        A container that is not rolled out counts as connected to NAME; one that is rolled out counts only in the
        network that it has to leave.
        """
        if not self._moves:
            return self._observed
        return replace(self._observed, containers=tuple(map(self._as_if_connected, self._observed.containers)))

    def _as_if_connected(self, container: Container) -> Container:
        networks = list(container.networks)
        for move in self._moves:
            if not move.live or move.next not in networks:
                continue
            if container.service in self._rolled and move.name in networks:
                networks.remove(move.next if move.anew else move.name)
            elif container.service not in self._rolled and move.name not in networks and not container.oneoff:
                networks.append(move.name)
        return replace(container, networks=tuple(networks))

    def causes(self, service: Service) -> list[str]:
        """Return why a service has to be recreated because of its networks."""
        causes = [cause for name in service.networks for cause in self.in_place.get(name, ())]
        moved = [move for move in self._moves if move.anew and move.name in service.networks]
        return causes + [cause for move in moved for cause in move.cause if service.name in self._rolled]

    # Operations

    def replace_in_place(self, gone: Iterable[str], doubles: Iterable[Container]) -> tuple[list[Operation], list[str]]:
        """Return the operations that replace networks in place, and reasons against it.

        ``gone``: names of containers that are removed by then; ``doubles``: leftovers of an interrupted recreation.
        """
        operations, refused, project = [], [], {container.name for container in (*doubles, *self._observed.containers)}
        for name, causes in self.in_place.items():
            foreign = [
                container_name
                for container_name in self._observed.networks[name].containers
                if container_name not in project and not monitors(container_name, self._stack.project)
            ]
            if foreign:
                reason = f"{'; '.join(causes[:-1])}; it cannot be replaced while other containers are in it: "
                refused.append(reason + ", ".join(foreign))
                continue
            served = tuple(service.name for service in self._stack.services.values() if name in service.networks)
            # The engine lists only running members, but a stopped container could not start without its network.
            names = tuple(container.name for container in self._members(name) if container.name not in gone)
            operations.append(
                Operation(
                    REPLACE_NETWORK,
                    name,
                    services=served,
                    names=names,
                    cause=tuple(causes),
                    interrupts=tuple(service for service in served if self._observed.running(service)),
                    group=f"{REPLACE_NETWORK} {name}",
                )
            )
        return operations, refused

    def desired_in_next(self) -> Desired:
        """Return the desired state with NAME-next instead of each network that is replaced."""
        names = {move.name: move.next for move in self._moves if move.anew}
        if not names:
            return self._desired
        model = with_network_names(self._desired.model, names)
        return replace(self._desired, model=model, stack=parse(model))

    def in_next(self, operations: Iterable[Operation]) -> list[Operation]:
        """Return the operations of step 2, marked so that their containers are created in NAME-next."""
        names = {move.name: move.next for move in self._moves if move.anew}
        result = []
        for operation in operations:
            own_networks = [
                name for name in names if any(name in self._stack.services[s].networks for s in operation.services)
            ]
            group = (
                f"{operation.group} in {' '.join(names[name] for name in own_networks)}"
                if own_networks
                else operation.group
            )
            result.append(replace(operation, through=names, group=group))
        return result

    def connect_next(self) -> list[Operation]:
        """Return step 1: create NAME-next and connect the containers that stay; or finish an interrupted move."""
        operations: list[Operation] = []
        for move in self._moves:
            exists, names = move.second is not None, {container.name for container in self._members(move.next)}
            if move.anew:
                if move.second and self._stale(move):
                    operations += self._remove(move, move.next, self._members(move.next))
                    exists, names = False, set()
                if not exists:
                    operations.append(_create(move, move.next))
                members = {container.name for container in self._members(move.name)} | names
                operations += self._connect(move, move.next, self._named(members - names))
            elif move.live and names:
                if move.current is None:
                    operations.append(_create(move, move.name))
                operations += self._connect(
                    move, move.name, self._named(names - {container.name for container in self._members(move.name)})
                )
        return operations

    def _stale(self, move: NetworkMove) -> bool:
        """Whether a leftover NAME-next has the wrong options and no rolled-out container is in it."""
        serve = any(container.service in self._rolled for container in self._members(move.next))
        return not serve and bool(move.second and network_difference(move.next, move.to_make.raw, move.second))

    def replace_networks(self, afterwards: Names) -> list[Operation]:
        """Return step 3: remove each network, create it anew and connect the containers that stay."""
        operations: list[Operation] = []
        for move in self._moves:
            if move.anew:
                staying = [
                    container for service in self._staying(move) for container in self._observed.of(service.name)
                ]
                operations += self._remove(move, move.name, staying)
                operations += [_create(move, move.name), *self._connect(move, move.name, afterwards)]
        return operations

    def rollout_back(self, afterwards: Names, before: Sequence[Operation], policy: Policy) -> list[Operation]:
        """Return the rollouts of step 4, from NAME-next back into NAME; ``before``: the operations planned so far."""
        moved = {move.name: move.cause for move in self._moves if move.anew}
        operations: list[Operation] = []
        for service in (service for group in levels(self._stack) for service in group if service.name in self._rolled):
            causes = tuple(
                cause for name, network_causes in moved.items() if name in service.networks for cause in network_causes
            )
            if causes and afterwards.get(service.name, ()):
                observed = _predict(self._observed, service, afterwards.get(service.name, ()), before)
                operations += rollout_operations(
                    service, Change(service.name, RECREATE, causes), observed, self._desired, policy, known=True
                )
        return operations

    def remove_next(self, afterwards: Names) -> list[Operation]:
        """Return the end of step 4: disconnect what is still in NAME-next and remove it."""
        operations: list[Operation] = []
        for move in self._moves:
            leaving = [container for container in self._members(move.next) if container.service not in self._rolled]
            leaving_names = _names(leaving)
            for service in self._staying(move) if move.anew else ():
                leaving += [
                    _planned_container(service, name)
                    for name in afterwards.get(service.name, ())
                    if name not in leaving_names
                ]
            operations += self._remove(move, move.next, leaving)
        return operations

    def _staying(self, move: NetworkMove) -> list[Service]:
        members = [service for service in self._stack.services.values() if move.name in service.networks]
        return [service for service in members if service.name not in self._rolled]

    def _named(self, names: Collection[str]) -> Names:
        services = self._stack.services
        return {
            service: tuple(name for name in _names(self._observed.of(service)) if name in names) for service in services
        }

    def _connect(self, move: NetworkMove, network: str, names: Names) -> list[Operation]:
        """Return the operations that connect containers to a network.

        Containers of rolled-out services are connected only if there are several such services: these may call each
        other while only some have moved.
        """
        members = [service for service in self._stack.services.values() if move.name in service.networks]
        several = sum(service.name in self._rolled for service in members) > 1
        operations = []
        for service in members if several else self._staying(move):
            endpoint = self._desired.model["services"][service.name].get("networks") or {}
            options = endpoint.get(move.to_make.key) if isinstance(endpoint, Mapping) else None
            aliases = (service.name, *((options or {}).get("aliases") or ()))
            if containers := names.get(service.name):
                operations.append(
                    _operation(CONNECT, network, move, names=containers, services=(service.name,), aliases=aliases)
                )
        return operations

    def _remove(self, move: NetworkMove, network: str, inside: Sequence[Container]) -> list[Operation]:
        """Return the operations that disconnect containers and remove a network.

        It interrupts the running members if there are several, because their connections to each other break.
        """
        services = self._stack.services
        jobs = {name for name, service in services.items() if self._stack.one_off(service)}
        run = [
            container.service for container in inside if container.state == "running" and container.service not in jobs
        ]
        broken = run if len(run) > 1 else [name for name in run if name not in services]
        operations = [_operation(REMOVE_NETWORK, network, move)]
        if inside:
            leave = _operation(DISCONNECT, network, move, names=_names(inside), interrupts=tuple(dict.fromkeys(broken)))
            operations.insert(0, leave)
        return operations


def _create(move: NetworkMove, network: str) -> Operation:
    words = move.to_make.words(move.name if network == move.next else "")
    return _operation(CREATE_NETWORK, network, move, options=words)


def _operation(kind: str, network: str, move: NetworkMove, **more: tuple[str, ...]) -> Operation:
    return replace(Operation(kind, network, cause=move.cause, group=f"network {move.name}"), **more)  # type: ignore[arg-type]


def _names(containers: Iterable[Container]) -> tuple[str, ...]:
    return tuple(container.name for container in containers)


def _predict(observed: Observed, service: Service, names: Sequence[str], operations: Iterable[Operation]) -> Observed:
    """Return ``observed`` as it is after ``operations``: the service's containers are ``names``, known to the proxy."""
    text = observed.upstreams.get(service.name, "")
    for operation in operations:
        if operation.subject == service.name and operation.kind == SEED:
            text = operation.text
        elif operation.subject == service.name and operation.aim:
            with suppress(SlipwayError):  # the file was not read
                text = retarget(text, service.name, operation.aim)
    numbers = {container.name: container.number for container in observed.of(service.name)}
    planned = [
        replace(container, number=numbers.get(container.name, container.number))
        for container in (_planned_container(service, n) for n in names)
    ]
    others = [container for container in observed.containers if container.service != service.name]
    upstreams = {**observed.upstreams, service.name: text} if text else observed.upstreams
    return replace(observed, containers=(*others, *planned), upstreams=upstreams)


def _planned_container(service: Service, name: str) -> Container:
    """Return a container that a plan creates, as far as its name describes it."""
    number = name.rpartition("-")[2]
    return Container("", name, "", service.name, "", "running", int(number) if number.isdecimal() else 0, "healthy")
