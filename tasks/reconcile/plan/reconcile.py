"""Decides what a deploy does and in which order: compares what runs with what should run and returns a plan.

Deploys, roll backs, the way back from a failed deploy, the repair of a killed one, drift reports and dry runs all call
``reconcile`` and differ only in ``desired``. It is a pure function: it asks no engine and changes nothing.

The rules of the order:

1. Ports and names that something new needs are freed first.
2. A service comes after the services that it depends on.
3. Jobs (migrations) run once, and never on the way back.
4. New containers of a rollout are proven before the old ones are removed.
5. Containers of services that are in no Compose file any more are removed last.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from ...model.engine.facts import Container
from ...model.stack import extension
from ...model.stack.extension import JOBS
from ...model.stack.stack import Service
from ...model.stack.upstream import has_pattern, serving_containers
from .bring_up import bring_up_operations, names_after
from .desired import Desired
from .difference import Policy, service_change
from .network_moves import NetworkMoves
from .networks import is_rolled_out
from .observed import Observed, duplicates
from .operation import (  # fmt: skip
    AWAIT,
    BACKUP,
    BUILD,
    CREATE,
    NAME,
    PULL,
    RECREATE,
    RELOAD,
    REMOVE,
    REMOVE_SERVICE,
    RESTART,
    RESTORE,
    RUN,
    SCALE,
    SETTLE,
    SMOKE,
    START,
    STOP,
    UNCHANGED,
    UNPAUSE,
    UP,
    WAIT,
    Change,
    Operation,
    Plan,
    interrupted_by,
)
from .resources import NEW_CONTAINERS, blocking_containers, compare_resources, leaving_containers, with_dependents
from .rollout import levels
from .rollout_operations import (
    container_names,
    follow_operations,
    has_health_check,
    leftover_operations,
    rollout_operations,
    scale_operations,
    seed_operations,
    started_proxy_operations,
    unknown_ports,
    without_shares,
)
from .staying import is_reached, keeps_containers


def reconcile(observed: Observed, desired: Desired, policy: Policy) -> Plan:
    """Return the plan that turns ``observed`` into ``desired``; it has no operations when both are the same already."""
    return _Reconciler(observed, desired, policy).plan()


class _Reconciler:
    """One call of ``reconcile``: its methods append operations in the order in which they are carried out."""

    def __init__(self, observed: Observed, desired: Desired, policy: Policy) -> None:
        self._duplicates = duplicates(observed)
        remaining = tuple(container for container in observed.containers if container not in self._duplicates)
        self._observed, self._desired, self._policy = replace(observed, containers=remaining), desired, policy
        self._whole = observed  # including duplicates
        self._stack = desired.stack
        self._operations: list[Operation] = []
        self._remarks: list[str] = []
        self._refusals: list[tuple[str, str]] = []
        self._freed: set[str] = set()
        self._removed: set[str] = set()

    def plan(self) -> Plan:
        """Return the plan: find out what differs, then append the operations in the order of the module's rules."""
        self._compare_resources()
        changes = with_dependents(
            self._stack,
            self._observed,
            {service.name: self._change(service) for service in self._stack.services.values()},
        )
        gone, orphans = leaving_containers(self._stack, self._observed, self._policy)
        self._refusals += unknown_ports(self._stack, self._observed)
        self._refusals += without_shares(self._stack, self._observed) if not self._policy.back else []
        self._remove_duplicates()
        self._prepare(changes)
        self._back_up([change for change in changes.values() if change.action == RUN], self._is_running)
        self._free_resources(changes, gone)
        self._replace_networks()
        if self._is_first_deploy(changes):
            self._bring_up_everything(changes)
            self._operations += self._moving.remove_next({})
            if any(map(self._has_data, self._proxies())):  # the proxy's file may name containers that are gone
                self._point_started_proxy(changes)
        else:
            self._by_levels(changes)
        self._remove_leaving(gone)
        self._verify(changes)
        if self._operations and self._desired.files:
            cause = ("files as the release had them",)
            self._operations.insert(0, Operation(RESTORE, "files", group=RESTORE, cause=cause))
        every = (*changes.values(), *self._gone_changes(gone))
        operations = self._ordered()
        shown = tuple(replace(change, interrupts=interrupted_by(operations, change.service)) for change in every)
        return Plan(shown, operations, tuple(self._remarks), orphans, tuple(self._refusals))

    def _ordered(self) -> tuple[Operation, ...]:
        if self._operations:
            from .ordering import ordered  # imported late: most deploys have nothing to do

            return ordered(self._operations, self._stack, self._whole)
        return ()

    # What differs

    def _compare_resources(self) -> None:
        comparison = compare_resources(self._desired, self._observed)
        self._moving = NetworkMoves(self._observed, self._desired, comparison.networks)
        self._observed, self._remarks = self._moving.as_if_connected(), comparison.told
        self._refusals += comparison.refusals

    def _refuse(self, reason: str, hint: str) -> None:
        self._refusals.append((reason, hint))

    def _change(self, service: Service) -> Change:
        change = service_change(service, self._observed, self._desired, self._policy)
        causes = self._moving.causes(service)
        if not causes or change.action in (CREATE, RUN) or self._stack.one_off(service):
            return change
        return Change(service.name, RECREATE, (*(change.causes if change.action != WAIT else ()), *causes))

    def _gone_changes(self, gone: Iterable[Container]) -> list[Change]:
        names = dict.fromkeys(container.service for container in gone if container.service not in self._stack.services)
        return [Change(name, REMOVE_SERVICE, ("it is in no Compose file any more",)) for name in names]

    # What is done, in order

    def _add(self, kind: str, subject: str, group: str = "", **more: object) -> None:
        self._operations.append(Operation(kind, subject, group=group or f"{kind} {subject}", **more))  # type: ignore[arg-type]

    def _remove_duplicates(self) -> None:
        """Remove leftovers of an interrupted recreation: Compose fails on two containers with the same number."""
        if names := tuple(container.name for container in self._duplicates):
            cause = ("another container has its number",)
            for kind in (STOP, REMOVE):
                self._add(kind, " ".join(names), "remove duplicates", names=names, cause=cause)

    def _prepare(self, changes: Mapping[str, Change]) -> None:
        """Build and pull images, point image names to their images, and unpause containers."""
        built = [name for name, change in changes.items() if self._desired.wanted(name).build]
        if built:
            causes = tuple(dict.fromkeys(self._desired.wanted(name).build for name in built))
            self._add(BUILD, " ".join(built), BUILD, services=tuple(built), cause=causes)
        pulled = tuple(name for name, change in changes.items() if change.action == PULL)
        if pulled:
            self._add(PULL, " ".join(pulled), PULL, services=pulled, cause=("pull_policy",))
        if names := self._moved_names():
            origin = self._desired.origin
            group, cause = ("promote", origin) if origin else ("images", "as the release has them")
            self._add(NAME, " ".join(names), group, names=tuple(names), cause=(cause,))
        paused = [
            container for container in self._observed.containers if container.state == "paused" and not container.oneoff
        ]
        if paused:
            names = [container.name for container in paused]
            self._add(UNPAUSE, " ".join(names), UNPAUSE, names=tuple(names), cause=("paused",))

    def _moved_names(self) -> list[str]:
        images = self._observed.images
        return [name for name, id_ in self._desired.names.items() if name not in images or images[name].id != id_]

    def _free_resources(self, changes: Mapping[str, Change], gone: tuple[Container, ...]) -> None:
        """Free the ports and container names that a new container needs."""
        for service in self._stack.services.values():
            if changes[service.name].action not in (*NEW_CONTAINERS, RUN, START, SCALE):
                continue
            for holder in blocking_containers(service, self._observed):
                self._free_from(service, holder, changes, gone)

    def _free_from(
        self, service: Service, holder: Container, changes: Mapping[str, Change], gone: tuple[Container, ...]
    ) -> None:
        if holder.name in self._freed:
            return
        cause = f"{service.name} needs its port or name"
        group = f"free {holder.service}"
        if holder in gone:
            self._freed.add(holder.name)
            self._removed.add(holder.name)
            self._add(STOP, holder.name, group, names=(holder.name,), cause=(cause,), interrupts=(holder.service,))
            self._add(REMOVE, holder.name, group, names=(holder.name,), cause=("it is in no Compose file any more",))
        elif holder.service in changes and changes[holder.service].action == RECREATE:
            self._freed.add(holder.name)
            self._add(STOP, holder.name, group, names=(holder.name,), cause=(cause,), interrupts=(holder.service,))
        else:
            ports = ", ".join(sorted({text.partition("->")[0].rpartition(":")[2] for text in holder.ports}))
            in_file = holder.service in self._stack.services
            self._refuse(
                f"{service.name} needs what {holder.name} of service {holder.service} has (port {ports or 'none'}, "
                f"name {holder.name}){'' if in_file else ', which is in no Compose file any more'}",
                f"remove it: docker rm --force {holder.name}, or deploy with COMPOSE_REMOVE_ORPHANS=true"
                if not in_file
                else f"publish another port for {service.name}",
            )

    def _replace_networks(self) -> None:
        operations, refused = self._moving.replace_in_place(self._removed, self._duplicates)
        self._operations += operations
        for reason in refused:
            self._refuse(reason, "disconnect them first: docker network disconnect")

    def _by_levels(self, changes: Mapping[str, Change]) -> None:
        """Change all services, dependencies first; see ``network_moves`` for networks that are replaced meanwhile."""
        final = self._desired
        self._operations += self._moving.connect_next()
        start = len(self._operations)
        self._desired = self._moving.desired_in_next()
        self._stack = self._desired.stack
        for group in levels(self._stack):
            self._bring_up_level([changes[service.name] for service in group])
        self._desired, self._stack = final, final.stack
        self._point_started_proxy(changes)
        self._operations[start:] = self._moving.in_next(self._operations[start:])
        names = {name: self._names_afterwards(self._stack.service(name), change) for name, change in changes.items()}
        self._operations += self._moving.replace_networks(names)
        self._operations += self._moving.rollout_back(names, tuple(self._operations), self._policy)
        self._operations += self._moving.remove_next(names)

    def _is_first_deploy(self, changes: Mapping[str, Change]) -> bool:
        """Whether no container exists and no data has to be backed up: then a single parallel `up` is enough."""
        nothing = not any(self._observed.of(name) for name in changes) and not self._policy.back
        migrates = any(change.action == RUN and self._is_job(name) for name, change in changes.items())
        data = any(service.slipway.backup and self._has_data(service) for service in self._stack.services.values())
        return nothing and not (migrates and data and self._policy.backup)

    def _bring_up_everything(self, changes: Mapping[str, Change]) -> None:
        every = tuple(changes)
        counts = {name: self._stack.service(name).replicas for name in every}
        causes = tuple(dict.fromkeys(cause for change in changes.values() for cause in change.causes))
        names = names_after(every, self._observed, self._stack)
        self._add(UP, " ".join(every), UP, services=every, names=names, counts=counts, cause=causes)

    def _bring_up_level(self, changes: list[Change]) -> None:
        """Change services that do not depend on each other: jobs first, then restarts, rollouts and scaling."""
        jobs = [change for change in changes if change.action == RUN]
        self._back_up(jobs, self._has_data)
        for change in jobs:
            self._add(RUN, change.service, services=(change.service,), cause=change.causes)
        waiting = tuple(change.service for change in changes if change.action == WAIT and self._is_job(change.service))
        if waiting:
            self._add(AWAIT, " ".join(waiting), f"run {' '.join(waiting)}", services=waiting, cause=("it is running",))
        rolled_out = [change for change in changes if self._rolls_out(change)]
        plain = [change for change in changes if change not in rolled_out and not self._is_job(change.service)]
        self._operations += bring_up_operations(plain, self._observed, self._stack, self._policy)
        for service in (self._stack.service(change.service) for change in changes if change.action != UNCHANGED):
            self._operations += seed_operations(service, self._observed, self._stack)
        for change in plain:
            self._operations += follow_operations(
                self._stack.service(change.service), change, self._observed, self._stack
            )
            if change.action == RELOAD:
                self._add(RELOAD, change.service, services=(change.service,), cause=change.causes)
        for change in changes:
            service = self._stack.service(change.service)
            if change in rolled_out:
                self._operations += rollout_operations(service, change, self._observed, self._desired, self._policy)
            elif change.action == SCALE:
                self._operations += scale_operations(
                    service, change, self._observed, self._stack, self._policy.waiting([service.name])
                )
            elif change.action in (UNCHANGED, WAIT) and not self._is_job(change.service):
                self._operations += leftover_operations(service, self._observed, self._desired)

    def _point_started_proxy(self, changes: Mapping[str, Change]) -> None:
        """Point a proxy that starts in this deploy to the current containers: its file is from before it stopped."""
        begins = (CREATE, RECREATE, START, RESTART)
        proxies = [service.name for service in self._proxies()]
        if self._observed.front or not any(changes[name].action in begins for name in proxies):
            return
        for service in self._stack.services.values():
            text = self._observed.upstreams.get(service.name, "")
            if service.by_proxy or (service.rollout != extension.RECREATE and has_pattern(text, service.name)):
                names = self._names_afterwards(service, changes[service.name])
                if names and set(names) != set(serving_containers(text, service.name)):
                    why = (f"{', '.join(proxies)} did not run",)
                    self._operations += started_proxy_operations(service, self._observed, self._stack, names, why)

    def _proxies(self) -> list[Service]:
        return [service for service in self._stack.services.values() if service.slipway.proxy.upstreams]

    def _names_afterwards(self, service: Service, change: Change) -> tuple[str, ...]:
        """Return the names of the containers that a service has after the operations planned so far."""
        containers = self._observed.of(service.name)
        if change.action in (*NEW_CONTAINERS, RUN) and not self._rolls_out(change):
            return container_names(service, self._stack, containers)
        names = [container.name for container in containers]
        for operation in self._operations:
            if operation.subject == service.name and operation.kind in (CREATE, REMOVE):
                names = [name for name in names if name not in operation.names] + list(
                    operation.names if operation.kind == CREATE else ()
                )
        return tuple(names)

    def _is_job(self, name: str) -> bool:
        return self._stack.one_off(self._stack.service(name))

    def _rolls_out(self, change: Change) -> bool:
        service = self._stack.service(change.service)
        if change.action != RECREATE or any(name in self._moving.in_place for name in service.networks):
            return False
        if not self._moving.moving and keeps_containers(service, self._observed, self._desired, self._policy):
            return True
        running = self._observed.running(change.service)
        return is_rolled_out(self._stack, service) and any(is_reached(self._observed, one) for one in running)

    def _back_up(self, jobs: list[Change], ready: Callable[[Service], bool]) -> None:
        """Back up data once before a migration changes it; ``ready`` says whether a database can be backed up now."""
        services = self._stack.services
        if not self._policy.backup or not any(services[change.service].slipway.job == JOBS[0] for change in jobs):
            return
        done = {operation.subject for operation in self._operations if operation.kind == BACKUP}
        for service in services.values():
            if service.slipway.backup is not None and service.name not in done and ready(service):
                self._add(BACKUP, service.name, BACKUP, services=(service.name,), cause=("a migration runs",))

    def _is_running(self, service: Service) -> bool:
        return any(container.health != "unhealthy" for container in self._observed.running(service.name))

    def _has_data(self, service: Service) -> bool:
        return any(name in self._observed.volumes for name in service.volumes)

    def _remove_leaving(self, gone: tuple[Container, ...]) -> None:
        left = [container for container in gone if container.name not in self._freed]
        if not left:
            return
        names = tuple(container.name for container in left)
        services = " ".join(dict.fromkeys(container.service for container in left))
        running = tuple(dict.fromkeys(container.service for container in left if container.state == "running"))
        cause = ("in no Compose file any more",) if not self._policy.back else ("not in this release",)
        group = f"remove {services}"
        self._add(STOP, services, group, names=names, cause=cause, interrupts=running)
        self._add(REMOVE, services, group, names=names, cause=cause)

    def _verify(self, changes: Mapping[str, Change]) -> None:
        """Check at the end that every service is healthy, keeps running, and answers (smoke test)."""
        waits = any(change.action == WAIT for change in changes.values())
        if not self._operations and not waits:
            return
        # On the way back, jobs are those of the failed release: they are not waited for.
        every = tuple(name for name in self._stack.services if not (self._policy.back and self._is_job(name)))
        self._add(AWAIT, "every service", "verify", services=every, seconds=self._policy.waiting(every))
        fresh = tuple(name for name, change in changes.items() if change.action not in (UNCHANGED, RELOAD, PULL, RUN))
        unchecked = [
            service
            for service in map(self._stack.service, fresh)
            if not has_health_check(service, self._observed) and not self._is_job(service.name)
        ]
        unchecked = [service for service in unchecked if not self._rolls_out(changes[service.name])]
        if unchecked:
            seconds = max(self._policy.settling(service) for service in unchecked)
            names = tuple(service.name for service in unchecked)
            self._add(SETTLE, " ".join(names), "verify", services=names, seconds=seconds)
        if self._policy.smoke:
            self._add(SMOKE, self._stack.project, SMOKE)
