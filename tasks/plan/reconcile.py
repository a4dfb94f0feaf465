"""What runs and what is to run, reconciled: the one function that decides what a deploy does, and in which order.

Deploys, roll backs, ways back, what is done about a killed deploy, drift and dry runs are this function with another
``desired``. The order: what has to be free is freed first; what others depend on comes before them; jobs run once and
forward only; new containers are proven before old ones leave; what is gone leaves last.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from .desired import Desired
from .difference import Policy, change, stuck_as
from .extension import BLUE_GREEN, JOBS
from .extension import RECREATE as RECREATED
from .facts import Container
from .observed import Observed, doubles
from .operation import (
    AWAIT,
    BACKUP,
    BUILD,
    CREATE,
    GO,
    NAME,
    POINT,
    PULL,
    RECREATE,
    RELOAD,
    REMOVE,
    REPLACE_NETWORK,
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
    interrupts_of,
    numbered,
)  # fmt: skip
from .resources import NEW_CONTAINERS, compared, followed, holders, leaving
from .rolling import following, leftover, made_names, rolled, scaled, seeded, unknown_ports, watched
from .rollout import levels
from .stack import Service
from .upstream import Aim, leads, serving


def reconcile(observed: Observed, desired: Desired, policy: Policy) -> Plan:
    """Return the plan that makes what runs what is desired; no operations where it is so already."""
    return _Reconciler(observed, desired, policy).plan()


class _Reconciler:
    """One reconciliation; what it finds is added up in order."""

    def __init__(self, observed: Observed, desired: Desired, policy: Policy) -> None:
        self._doubles = doubles(observed)
        rest = tuple(one for one in observed.containers if one not in self._doubles)
        self._observed, self._desired, self._policy = replace(observed, containers=rest), desired, policy
        self._stack = desired.stack
        self._operations: list[Operation] = []
        self._told: list[str] = []
        self._refusals: list[tuple[str, str]] = []
        self._networks: dict[str, list[str]] = {}
        self._freed: set[str] = set()
        self._removed: set[str] = set()

    def plan(self) -> Plan:
        self._compare_resources()
        changes = followed(
            self._stack, self._observed, {one.name: self._change(one) for one in self._stack.services.values()}
        )
        gone, orphans = leaving(self._stack, self._observed, self._policy)
        self._refusals += unknown_ports(self._stack, self._observed)
        self._clear()
        self._prepare(changes)
        self._back_up([one for one in changes.values() if one.action == RUN], self._running)
        self._free(changes, gone)
        self._replace_networks(changes)
        if self._first(changes):
            self._everything(changes)
            if any(map(self._has_data, self._proxies())):  # its file may name containers of before
                self._lead_anew(changes)
        else:
            for group in levels(self._stack):
                self._level([changes[one.name] for one in group])
            self._lead_anew(changes)
        self._leave(gone)
        self._finish(changes)
        if self._operations and self._desired.files:
            cause = ("files as the release had them",)
            self._operations.insert(0, Operation(RESTORE, "files", group=RESTORE, cause=cause))
        every = (*changes.values(), *self._gone_changes(gone))
        operations = numbered(self._operations)
        shown = tuple(replace(one, interrupts=interrupts_of(operations, one.service)) for one in every)
        return Plan(shown, operations, tuple(self._told), orphans, tuple(self._refusals))

    # What differs

    def _compare_resources(self) -> None:
        found = compared(self._desired, self._observed)
        self._networks, self._told = found.networks, found.told
        self._refusals += found.refusals

    def _refuse(self, reason: str, hint: str) -> None:
        self._refusals.append((reason, hint))

    def _change(self, service: Service) -> Change:
        found = change(service, self._observed, self._desired, self._policy)
        causes = [word for name in service.networks for word in self._networks.get(name, ())]
        if not causes or found.action in (CREATE, RUN) or self._stack.one_off(service):
            return found
        return Change(service.name, RECREATE, (*(found.causes if found.action != WAIT else ()), *causes))

    def _gone_changes(self, gone: Iterable[Container]) -> list[Change]:
        names = dict.fromkeys(one.service for one in gone if one.service not in self._stack.services)
        return [Change(name, GO, ("it is in no Compose file any more",)) for name in names]

    # What is done, in order

    def _add(self, kind: str, subject: str, group: str = "", **more: object) -> None:
        self._operations.append(Operation(kind, subject, group=group or f"{kind} {subject}", **more))  # type: ignore[arg-type]

    def _clear(self) -> None:
        """Remove what is left of containers that were being made anew: Compose trips over two of one number."""
        if names := tuple(one.name for one in self._doubles):
            cause = ("another container has its number",)
            for kind in (STOP, REMOVE):
                self._add(kind, " ".join(names), "remove doubles", names=names, cause=cause)

    def _prepare(self, changes: Mapping[str, Change]) -> None:
        """Build and pull, give names back their images, and wake what is paused."""
        built = [name for name, one in changes.items() if self._desired.wanted(name).build]
        if built:
            causes = tuple(dict.fromkeys(self._desired.wanted(name).build for name in built))
            self._add(BUILD, " ".join(built), BUILD, services=tuple(built), cause=causes)
        pulled = tuple(name for name, one in changes.items() if one.action == PULL)
        if pulled:
            self._add(PULL, " ".join(pulled), PULL, services=pulled, cause=("pull_policy",))
        if names := self._renamed():
            self._add(NAME, " ".join(names), "images", names=tuple(names), cause=("as the release has them",))
        paused = [one for one in self._observed.containers if one.state == "paused" and not one.oneoff]
        if paused:
            names = [one.name for one in paused]
            self._add(UNPAUSE, " ".join(names), UNPAUSE, names=tuple(names), cause=("paused",))

    def _renamed(self) -> list[str]:
        images = self._observed.images
        return [name for name, id_ in self._desired.names.items() if name not in images or images[name].id != id_]

    def _free(self, changes: Mapping[str, Change], gone: tuple[Container, ...]) -> None:
        """Let go of ports and names that something new needs before it takes them."""
        for service in self._stack.services.values():
            if changes[service.name].action not in (*NEW_CONTAINERS, RUN, START, SCALE):
                continue
            for holder in holders(service, self._observed):
                self._let_go(service, holder, changes, gone)

    def _let_go(
        self, service: Service, holder: Container, changes: Mapping[str, Change], gone: tuple[Container, ...]
    ) -> None:
        if holder.name in self._freed:
            return
        what = f"{service.name} needs its port or name"
        group = f"free {holder.service}"
        if holder in gone:
            self._freed.add(holder.name)
            self._removed.add(holder.name)
            self._add(STOP, holder.name, group, names=(holder.name,), cause=(what,), interrupts=(holder.service,))
            self._add(REMOVE, holder.name, group, names=(holder.name,), cause=("it is in no Compose file any more",))
        elif holder.service in changes and changes[holder.service].action == RECREATE:
            self._freed.add(holder.name)
            self._add(STOP, holder.name, group, names=(holder.name,), cause=(what,), interrupts=(holder.service,))
        else:
            taken = ", ".join(sorted({text.partition("->")[0].rpartition(":")[2] for text in holder.ports}))
            in_file = holder.service in self._stack.services
            self._refuse(
                f"{service.name} needs what {holder.name} of service {holder.service} has (port {taken or 'none'}, "
                f"name {holder.name}){'' if in_file else ', which is in no Compose file any more'}",
                f"remove it: docker rm --force {holder.name}, or deploy with COMPOSE_REMOVE_ORPHANS=true"
                if not in_file
                else f"publish another port for {service.name}",
            )

    def _replace_networks(self, changes: Mapping[str, Change]) -> None:
        for name, words in self._networks.items():
            network = self._observed.networks[name]
            # The engine lists only those that run; one that is stopped could not be started again without the network.
            mine = [one.name for one in self._observed.containers if name in one.networks]
            project = {*(one.name for one in self._doubles), *(one.name for one in self._observed.containers)}
            foreign = [one for one in network.containers if one not in project]
            if foreign:
                self._refuse(
                    f"{'; '.join(words)}; it cannot be made anew while containers of others are in it: "
                    f"{', '.join(foreign)}",
                    "take them out of it first: docker network disconnect",
                )
                continue
            served = tuple(one.name for one in self._stack.services.values() if name in one.networks)
            interrupted = tuple(one for one in served if self._observed.running(one))
            names = tuple(one for one in mine if one not in self._removed)
            self._add(
                REPLACE_NETWORK, name, names=names, cause=tuple(words), interrupts=interrupted, services=served
            )  # fmt: skip

    def _first(self, changes: Mapping[str, Change]) -> bool:
        """Whether nothing runs yet and there is no data to be saved: then the order is Compose's own, and parallel."""
        nothing = not any(self._observed.of(name) for name in changes) and not self._policy.back
        migrates = any(one.action == RUN and self._job(name) for name, one in changes.items())
        data = any(one.slipway.backup and self._has_data(one) for one in self._stack.services.values())
        return nothing and not (migrates and data and self._policy.backup)

    def _everything(self, changes: Mapping[str, Change]) -> None:
        every = tuple(changes)
        counts = {name: self._stack.service(name).replicas for name in every}
        causes = tuple(dict.fromkeys(word for one in changes.values() for word in one.causes))
        names = self._names(every)
        self._add(UP, " ".join(every), UP, services=every, names=names, counts=counts, cause=causes)

    def _level(self, changes: list[Change]) -> None:
        """Bring in what changes among services that do not depend on each other."""
        jobs = [one for one in changes if one.action == RUN]
        self._back_up(jobs, self._has_data)
        for one in jobs:
            self._add(RUN, one.service, services=(one.service,), cause=one.causes)
        waiting = tuple(one.service for one in changes if one.action == WAIT and self._job(one.service))
        if waiting:
            self._add(AWAIT, " ".join(waiting), f"run {' '.join(waiting)}", services=waiting, cause=("it is running",))
        rolled_out = [one for one in changes if self._rolls(one)]
        plain = [one for one in changes if one not in rolled_out and not self._job(one.service)]
        self._plain(plain)
        for service in (self._stack.service(one.service) for one in changes if one.action != UNCHANGED):
            self._operations += seeded(service, self._observed, self._stack)
        for one in plain:
            self._operations += following(self._stack.service(one.service), one, self._observed, self._stack)
            if one.action == RELOAD:
                self._add(RELOAD, one.service, services=(one.service,), cause=one.causes)
        for one in changes:
            service = self._stack.service(one.service)
            if one in rolled_out:
                self._operations += rolled(service, one, self._observed, self._desired, self._policy)
            elif one.action == SCALE:
                self._operations += scaled(service, one, self._observed, self._stack, self._timeout([service.name]))
            elif one.action in (UNCHANGED, WAIT) and not self._job(one.service):
                self._operations += leftover(service, self._observed, self._desired)

    def _lead_anew(self, changes: Mapping[str, Change]) -> None:
        """Lead a proxy that begins to run only now to what serves by then: it did not follow meanwhile."""
        begins = (CREATE, RECREATE, START, RESTART)
        proxies = [one.name for one in self._proxies()]
        if self._observed.front or not any(changes[name].action in begins for name in proxies):
            return
        for service in self._stack.services.values():
            text = self._observed.upstreams.get(service.name, "")
            if service.rollout == BLUE_GREEN or (service.rollout != RECREATED and leads(text, service.name)):
                names = self._afterwards(service, changes[service.name])
                if names and set(names) != set(serving(text, service.name)):
                    why = (f"{', '.join(proxies)} did not run",)
                    self._add(POINT, service.name, services=(service.name,), names=names, cause=why, aim=Aim(names))

    def _proxies(self) -> list[Service]:
        return [one for one in self._stack.services.values() if one.slipway.proxy.upstreams]

    def _afterwards(self, service: Service, one: Change) -> tuple[str, ...]:
        """Return the names of the containers that a service has when all that is planned for it is done."""
        there = self._observed.of(service.name)
        if one.action in NEW_CONTAINERS and not self._rolls(one):
            return made_names(service, self._stack, there)
        names = [each.name for each in there]
        for each in self._operations:
            if each.subject == service.name and each.kind in (CREATE, REMOVE):
                names = [name for name in names if name not in each.names] + list(
                    each.names if each.kind == CREATE else ()
                )
        return tuple(names)

    def _job(self, name: str) -> bool:
        return self._stack.one_off(self._stack.service(name))

    def _rolls(self, one: Change) -> bool:
        service = self._stack.service(one.service)
        possible = service.rollout != RECREATED and service.replicas > 0 and not self._job(one.service)
        cut_off = any(name in self._networks for name in service.networks)
        return possible and one.action == RECREATE and bool(self._observed.running(one.service)) and not cut_off

    def _plain(self, changes: list[Change]) -> None:
        """Create, recreate, start and restart services of one level: each kind at once, then wait for all of them."""
        by_action = {
            action: tuple(one.service for one in changes if one.action == action)
            for action in (CREATE, RECREATE, START, RESTART)
        }
        causes = {one.service: one.causes for one in changes}
        touched = tuple(name for names in by_action.values() for name in names)
        if not touched:
            return
        group = f"up {' '.join(touched)}"
        for action, names in by_action.items():
            if not names:
                continue
            why = tuple(dict.fromkeys(word for name in names for word in causes[name]))
            more = self._acted(action, names)
            self._operations.append(
                Operation(action, " ".join(names), services=names, cause=why, group=group, **more)  # type: ignore[arg-type]
            )
        if fresh := (*by_action[CREATE], *by_action[RECREATE]):
            self._add(START, " ".join(fresh), group, services=fresh, names=self._names(fresh))
        self._add(AWAIT, " ".join(touched), group, services=touched, seconds=self._timeout(touched))

    def _acted(self, action: str, names: tuple[str, ...]) -> dict[str, object]:
        counts = {name: self._stack.service(name).replicas for name in names}
        if action == CREATE:
            return {"counts": counts, "names": self._names(names)}
        there = [one for name in names for one in self._observed.of(name)]
        if action == RECREATE:
            interrupted = tuple(name for name in names if self._observed.running(name))
            return {"counts": counts, "interrupts": interrupted, "names": tuple(one.name for one in there)}
        if action == RESTART:
            # Beside one that is stuck another one may be stopped: `docker restart` starts it.
            stuck = any(map(stuck_as, there))
            acted = [one for one in there if not stuck or stuck_as(one) or one.state != "running"]
            running = () if stuck else tuple(dict.fromkeys(one.service for one in there if one.state == "running"))
            return {"names": tuple(one.name for one in acted), "interrupts": running}
        return {"names": tuple(one.name for one in there if one.state != "running")}

    def _names(self, services: Iterable[str]) -> tuple[str, ...]:
        """Return what Compose will call the containers of services."""
        made = (made_names(self._stack.service(name), self._stack, self._observed.of(name)) for name in services)
        return tuple(name for names in made for name in names)

    def _timeout(self, names: Iterable[str]) -> float:
        return max((self._policy.timeouts.get(name, self._policy.timeout) for name in names), default=0.0)

    def _back_up(self, jobs: list[Change], ready: Callable[[Service], bool]) -> None:
        """Save the data before a migration works on it, once: at the start, or when its database has been started."""
        services = self._stack.services
        if not self._policy.backup or not any(services[one.service].slipway.job == JOBS[0] for one in jobs):
            return
        done = {one.subject for one in self._operations if one.kind == BACKUP}
        for service in services.values():
            if service.slipway.backup is not None and service.name not in done and ready(service):
                self._add(BACKUP, service.name, BACKUP, services=(service.name,), cause=("a migration runs",))

    def _running(self, service: Service) -> bool:
        return any(one.health != "unhealthy" for one in self._observed.running(service.name))

    def _has_data(self, service: Service) -> bool:
        return any(name in self._observed.volumes for name in service.volumes)

    def _leave(self, gone: tuple[Container, ...]) -> None:
        left = [one for one in gone if one.name not in self._freed]
        if not left:
            return
        names = tuple(one.name for one in left)
        services = " ".join(dict.fromkeys(one.service for one in left))
        running = tuple(dict.fromkeys(one.service for one in left if one.state == "running"))
        cause = ("in no Compose file any more",) if not self._policy.back else ("not in this release",)
        group = f"remove {services}"
        self._add(STOP, services, group, names=names, cause=cause, interrupts=running)
        self._add(REMOVE, services, group, names=names, cause=cause)

    def _finish(self, changes: Mapping[str, Change]) -> None:
        """Hold at the end that all is ready, that it stays so, and that it answers."""
        waits = any(one.action == WAIT for one in changes.values())
        if not self._operations and not waits:
            return
        # On a way back the jobs that are there are those of what is left, and have done what they did.
        every = tuple(name for name in self._stack.services if not (self._policy.back and self._job(name)))
        self._add(AWAIT, "every service", "verify", services=every, seconds=self._timeout(every))
        fresh = tuple(name for name, one in changes.items() if one.action not in (UNCHANGED, RELOAD, PULL, RUN))
        blind = [
            one
            for one in map(self._stack.service, fresh)
            if not watched(one, self._observed) and not self._job(one.name)
        ]
        blind = [one for one in blind if not self._rolls(changes[one.name])]
        if blind:
            seconds = max(self._policy.settling(one) for one in blind)
            names = tuple(one.name for one in blind)
            self._add(SETTLE, " ".join(names), "verify", services=names, seconds=seconds)
        if self._policy.smoke:
            self._add(SMOKE, self._stack.project, SMOKE)
