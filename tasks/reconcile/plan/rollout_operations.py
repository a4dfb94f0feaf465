"""Operations of a rollout: new containers of a service take over while the old ones still serve.

Batch by batch: create, start and await the new containers; point the proxy to them with the old ones as backup; watch
them; drain the proxy's old workers; note the new containers as proven; remove the old ones. A canary gets shares of the
requests first, each of which is watched.
"""

import math
from collections.abc import Sequence
from functools import cached_property

from ...model.engine.facts import Container
from ...model.stack.stack import Service, Stack
from ...model.stack.upstream import (
    ProxyTarget,
    canary_containers,
    first_upstream_file,
    has_pattern,
    is_nginx,
    named_servers,
    serving_containers,
)
from .desired import Desired
from .difference import Policy, matches, stuck_state
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
    WEIGHT,
    Change,
    Operation,
)
from .rollout import batches, new_names, rollout_group
from .staying import is_reached, kept_containers, old_and_dead

NAME_REFRESH = 1.0  # seconds in which the proxy resolves the addresses of new names


class _Rollout:
    """Collects the operations of one service; ``front``: a running proxy lists its containers in a file."""

    def __init__(
        self, service: Service, observed: Observed, stack: Stack, group: str, causes: tuple[str, ...] = ()
    ) -> None:
        self._service, self._observed, self._stack = service, observed, stack
        self._group, self._causes = group, causes
        text = observed.upstreams.get(service.name, "")
        self.front = bool(observed.front) and (service.by_proxy or has_pattern(text, service.name))
        self.named, self.canaries = serving_containers(text, service.name), canary_containers(text)
        self._told, self._leads = named_servers(text) - {service.name}, self.named
        self.shares: tuple[int, ...] = ()
        self.judged: float | None = None  # by numbers, for which the watch takes so many seconds at least
        self.operations: list[Operation] = []

    @cached_property
    def _reached(self) -> frozenset[str]:
        """The containers that the proxy can look up; a deploy with nothing to do never asks."""
        running = self._observed.running(self._service.name)
        return frozenset(container.name for container in running if is_reached(self._observed, container))

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
        """Point the proxy to ``names``, with ``backups`` if these fail; ``coming`` are only announced.

        ``again``: reload the proxy even if its file does not change, since a killed deploy may have written the file
        without a reload. If the proxy knew none of ``names`` before, they are announced first, while others serve: on a
        reload nginx keeps the address of a server only if it was one before, and that of a backup only if it was a
        backup, so until it had resolved the new names it would have nowhere to lead to, and answer 502.
        https://github.com/nginx/nginx/blob/master/src/http/modules/ngx_http_upstream_zone_module.c (preresolve)
        """
        if not self.front:
            return
        serves = not self._leads or self._reached & {*self._leads}  # the service's name, or a container
        if names and serves and not self._told & {*names}:
            self.add(POINT, self._leads, aim=ProxyTarget(self._leads, coming=tuple(names)), begun=again)
            self.rest(NAME_REFRESH)
        self.add(POINT, names, aim=ProxyTarget(tuple(names), tuple(backups), tuple(coming)), begun=again)
        self._told, self._leads = frozenset((*names, *backups, *coming)), tuple(names)

    def share_out(self, names: Sequence[str], canaries: Sequence[str], allowed: int) -> None:
        """Let the proxy give ``canaries`` each of the ``shares`` of the requests in turn, and ``names`` the others."""
        canary = self._service.slipway.canary
        if canary is None:
            return
        for share in self.shares:
            aim = ProxyTarget(tuple(names), canaries=tuple(canaries), share=share)
            self.add(WEIGHT, canaries, aim=aim, share=share)
            self.watch(canaries, allowed, canary.every, names, share)
            self._told = frozenset((*names, *canaries))

    def watch(
        self, names: Sequence[str], allowed: int, seconds: float, old: Sequence[str] = (), share: int = 0
    ) -> None:
        """Watch new containers, which get a share of the requests, in percent, or all (0); ``old`` served before."""
        failure, against = self._service.update.failure_action, tuple(old) if self.judged is not None else ()
        seconds = max(seconds, self.judged or 0.0)
        self.add(WATCH, names, seconds=seconds, failure=failure, allowed=allowed, share=share, against=against)

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
        """Point the proxy to containers that already serve, or did before; names new to it start as backups.

        It knows the address of every name in its file, since the file was changed one step at a time: also when it has
        not read the last one, with which a killed deploy may have led it to containers that were never proven.
        """
        if not self.front:
            return
        unknown = [name for name in names if name not in self._told]
        usable = [name for name in self.named if name in self._reached]
        if unknown and usable:
            self.point([name for name in usable if name in names] or usable, backups=unknown)
            self.rest(NAME_REFRESH)
        self.point(names, again=True)
        self.drain()
        self.named, self.canaries = tuple(names), ()


def port_of(service: Service, observed: Observed) -> int:
    """Return the port that a service listens on, 0 if the Compose file and the image declare none or several."""
    image = observed.images.get(service.image)
    ports = service.listens or (image.listens if image else ())
    return ports[0] if len(ports) == 1 else 0


def lacks_proxy_file(service: Service, observed: Observed) -> bool:
    """Whether the running proxy still lacks the upstream file of a blue-green service."""
    return bool(observed.front) and service.by_proxy and service.name not in observed.upstreams


def unknown_ports(stack: Stack, observed: Observed) -> list[tuple[str, str]]:
    """Return a reason and a hint for each service whose proxy file cannot be written because its port is unknown."""
    lacking = [
        service for service in stack.services.values() if service.replicas and lacks_proxy_file(service, observed)
    ]
    return [
        (
            f"the proxy has no file of service {service.name}, and nothing says which port it listens on",
            f'services.{service.name}: write expose: ["PORT"]',
        )
        for service in lacking
        if not port_of(service, observed)
    ]


def without_shares(stack: Stack, observed: Observed) -> list[tuple[str, str]]:
    """Return a reason and a hint for each canary whose proxy cannot give a server a share of the requests."""
    kinds = [service.slipway.proxy.kind for service in stack.services.values() if service.slipway.proxy.upstreams]
    return [
        (
            f"services.{name}.x-slipway.canary: the proxy is of no kind that is known to take weights",
            "say x-slipway.proxy.kind, or rollout: blue-green",
        )
        for name, text in observed.upstreams.items()
        if stack.services[name].slipway.canary and kinds[:1] == [""] and not is_nginx(text)
    ]


def seed_operations(service: Service, observed: Observed, stack: Stack) -> list[Operation]:
    """Return the operation that writes the proxy's first file of a service; nothing if it has one."""
    if not lacks_proxy_file(service, observed):
        return []
    rollout = _Rollout(service, observed, stack, f"up {service.name}", ("the proxy has no file of it yet",))
    rollout.add(SEED, text=first_upstream_file(service.name, port_of(service, observed), observed.upstreams))
    return rollout.operations


def _names(containers: Sequence[Container]) -> tuple[str, ...]:
    return tuple(container.name for container in containers)


def container_names(service: Service, stack: Stack, containers: Sequence[Container]) -> tuple[str, ...]:
    """Return the names of a service's containers after Compose has created, recreated or scaled it.

    Recreated containers keep their numbers, the greatest numbers are removed first, new ones count on from the last.
    """
    if service.container_name:
        return (service.container_name,)
    kept = [f"{stack.project}-{service.name}-{container.number}" for container in containers[: service.replicas]]
    return (*dict.fromkeys(kept), *new_names(stack.project, service.name, containers, service.replicas - len(kept)))


def rollout_operations(
    service: Service, change: Change, observed: Observed, desired: Desired, policy: Policy, known: bool = False
) -> list[Operation]:
    """Return the operations with which new containers of a service take over from the running ones.

    ``known``: the release serves already, so that a canary takes over at once and no numbers judge, as on a way back.
    """
    rollout = _Rollout(service, observed, desired.stack, rollout_group(service), change.causes)
    if not (policy.back or known):
        rollout.judged = 2 * policy.interval if service.slipway.watch else None
        rollout.shares = service.slipway.canary.weight if service.slipway.canary and rollout.front else ()
    containers = observed.of(service.name)
    alike = [container for container in containers if matches(service, container, observed, desired)]
    kept = kept_containers(service, alike, observed, policy)
    if kept and len(kept) >= service.replicas:
        _keep(rollout, containers, kept)
        return rollout.operations
    staying = kept if policy.back else []
    old, dead = old_and_dead(service, observed, alike, kept, staying)
    if dead:
        # The proxy may still send requests to a running container: its file can be newer than what it has read.
        if {container.name for container in dead} & {*rollout.named, *rollout.canaries} or any(
            container.state == "running" for container in dead
        ):
            rollout.lead_back(_names([*staying, *old]))
        rollout.retire(_names(dead))
    _batched(rollout, service, observed, desired, policy, old, staying)
    return rollout.operations


def _keep(rollout: _Rollout, containers: Sequence[Container], kept: Sequence[Container]) -> None:
    """Point the proxy to the containers that are up to date already, and remove the others."""
    rollout.lead_back(_names(kept))
    rollout.retire([container.name for container in containers if container not in kept])


def _batched(
    rollout: _Rollout,
    service: Service,
    observed: Observed,
    desired: Desired,
    policy: Policy,
    old: Sequence[Container],
    kept: Sequence[Container] = (),
) -> None:
    """Replace ``old`` containers batch by batch; those that are ``kept`` serve all the while, and count."""
    project, update = desired.stack.project, service.update
    current = list(_names([*kept, *old]))
    if rollout.front and (rollout.canaries or set(rollout.named) != set(current)):
        # The service's own name would resolve to the new containers before they are ready.
        rollout.lead_back(current)
    started = 0
    count = max(service.replicas, 1) - len(kept)
    new = new_names(project, service.name, [*kept, *old], count)  # the other containers are removed by then
    for number, batch in enumerate(batches(service, _names(old), count)):
        fresh = new[started : started + batch.count]
        if number and update.delay:
            rollout.add(REST, seconds=update.delay)
        started += batch.count
        staying = tuple(name for name in current if name not in batch.leaving)
        allowed = math.floor(update.max_failure_ratio * len(fresh))
        rollout.add(CREATE, fresh, counts={service.name: len(current) + len(fresh)}, begun=True)
        rollout.add(START, fresh, begun=True)
        timeout = policy.timeouts.get(service.name, policy.timeout)
        rollout.add(AWAIT, fresh, seconds=timeout, failure=update.failure_action)
        rollout.point(current, coming=fresh)
        rollout.rest(NAME_REFRESH)
        rollout.share_out(current, fresh, allowed)
        rollout.point((*staying, *fresh), backups=[name for name in batch.leaving if name in current])
        rollout.watch(fresh, allowed, _watch(service, observed, policy), current)
        if policy.smoke and rollout.front and not set(staying) & set(_names(old)):
            rollout.add(SMOKE, fresh, failure=update.failure_action)
        rollout.drain()
        rollout.add(PROVE, fresh)
        rollout.point((*staying, *fresh))
        rollout.retire(batch.leaving)
        current = [*staying, *fresh]


def has_health_check(service: Service, observed: Observed) -> bool:
    """Whether a service has a health check, in the Compose file or in its image."""
    image = observed.images.get(service.image)
    return service.health_check or bool(image and image.health_check and not service.health_disabled)


def _watch(service: Service, observed: Observed, policy: Policy) -> float:
    """Return how long new containers are watched, in seconds; without a health check long enough to see one exit."""
    monitor = service.update.monitor
    return monitor if has_health_check(service, observed) else max(monitor, policy.settling(service))


def scale_operations(
    service: Service, change: Change, observed: Observed, stack: Stack, timeout: float
) -> list[Operation]:
    """Return the operations that give a service more or fewer containers."""
    rollout = _Rollout(service, observed, stack, f"scale {service.name}", change.causes)
    containers = observed.of(service.name)
    ordered = sorted(
        containers, key=lambda container: (container.state != "running", bool(stuck_state(container)), container.number)
    )
    kept = ordered[: service.replicas]
    surplus = [container for container in containers if container not in kept]
    # Running containers are sorted first, so a running one is surplus only if all that stay run.
    fresh = new_names(stack.project, service.name, containers, service.replicas - len(kept))
    ill = [container.name for container in kept if stuck_state(container) == "unhealthy"]
    woken = (*(container.name for container in kept if container.state != "running"), *fresh)
    if rollout.canaries or (rollout.named and any(container.state == "running" for container in surplus)):
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
        rollout.lead_back((*(name for name in _names(kept) if name not in woken), *woken))
    return rollout.operations


def follow_operations(service: Service, change: Change, observed: Observed, stack: Stack) -> list[Operation]:
    """Return the operation that points the proxy to recreated or restarted containers; nothing if it lists none."""
    rollout = _Rollout(service, observed, stack, f"up {service.name}", change.causes)
    if change.action == UNCHANGED or not rollout.named or service.rollout == "recreate":
        return []
    names = container_names(service, stack, observed.of(service.name))
    if change.action not in (CREATE, RECREATE):
        names = _names(observed.of(service.name))
    restarted = change.action in (CREATE, RECREATE, START, RESTART)
    if restarted or set(names) != set(rollout.named):
        rollout.point(names, again=restarted)  # the same names have new addresses
    return rollout.operations


def started_proxy_operations(
    service: Service, observed: Observed, stack: Stack, names: Sequence[str], causes: tuple[str, ...]
) -> list[Operation]:
    """Return the operations that point a proxy that was just started to ``names``."""
    rollout = _Rollout(service, observed, stack, f"{POINT} {service.name}", causes)
    rollout.front = True
    rollout.point(names)
    return rollout.operations


def leftover_operations(service: Service, observed: Observed, desired: Desired) -> list[Operation]:
    """Return the operations that point the proxy back to the running containers after a killed deploy."""
    why = ("the proxy points to other containers",)
    rollout = _Rollout(service, observed, desired.stack, rollout_group(service), why)
    running = [container.name for container in observed.running(service.name)]
    if (
        rollout.named
        and rollout.front
        and service.rollout != "recreate"
        and (rollout.canaries or set(rollout.named) != set(running))
        and running
    ):
        rollout.lead_back(running)
    return rollout.operations
