"""What is true at every moment of a deploy, seen from outside: what clients reach, what is named, what is run."""

from collections import Counter
from dataclasses import dataclass, field, replace

from tasks.model.stack.stack import Service, Stack
from tasks.model.stack.upstream import canary_containers, serving_containers
from tasks.reconcile.plan.desired import Desired
from tasks.reconcile.plan.difference import drift, matches
from tasks.reconcile.plan.networks import NETWORK_KINDS
from tasks.reconcile.plan.observed import Stamp
from tasks.reconcile.plan.operation import (
    AWAIT,
    DRAIN,
    POINT,
    PROVE,
    REMOVE,
    REST,
    SETTLE,
    SMOKE,
    START,
    STOP,
    WATCH,
    WEIGHT,
    Operation,
    Plan,
)

from . import deploying, simulated
from .deploying import Project
from .drawn import PROJECT
from .simulated import Box, Process, World


@dataclass
class Watcher:
    """Compares the engine with the plan after each operation; raises AssertionError with the trace."""

    trace: list[str] = field(default_factory=list)
    plan: Plan | None = None
    served: dict[str, Service] = field(default_factory=dict)
    proven: set[str] = field(default_factory=set)
    linked: set[tuple[str, str]] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    ready: set[str] = field(default_factory=set)
    fronted: bool = False
    good: dict[str, tuple[set[str], int]] = field(default_factory=dict)
    watched: dict[str, int] = field(default_factory=dict)
    served_by: set[str] = field(default_factory=set)
    known: set[tuple[str, str]] = field(default_factory=set)

    def see(self, plan: Plan, operation: Operation, before: Process, after: Process) -> None:
        """Check an operation and its result."""
        if plan is not self.plan:
            self._begin(plan, before)
        self.trace.append(
            f"{operation.number} {operation.kind} {operation.subject} {operation.names} {operation.cause}"
        )
        names = {box.fact.name for box in before.world.boxes} | self.names
        unknown_names = [name for name in operation.names if name not in names and not name.startswith(f"{PROJECT}")]
        unknown_names = [name for name in unknown_names if name not in before.desired.names]
        assert not unknown_names, self._message(f"names {unknown_names}, which do not belong to the project")
        assert set(before.world.volumes) <= set(after.world.volumes), self._message("a volume is gone")
        ran = after.world.runs[len(before.world.runs) :]
        assert not [name for name, _, back, _ in ran if back], self._message("a job runs on a way back")
        for name, (ids, count) in self.good.items():
            left = ids & {box.fact.id for box in after.world.boxes if box.runs}
            assert len(left) >= count, self._message(f"a way back touches what is as it should be of {name}")
        self._assert_led(plan, operation, before)
        self._assert_ready(plan, operation, before)
        self._assert_reached(plan, after)
        self._assert_share(plan, operation, after)
        for name, other in self.linked:
            if not {name, other} & set(plan.interrupts):
                assert linked(after.world, after.stack, self.served[name], other), self._message(
                    f"{name} has lost {other}"
                )

    def _assert_led(self, plan: Plan, operation: Operation, before: Process) -> None:
        """Assert that the proxy, by the files that it read, leads to running containers and to none being stopped."""
        if operation.aim and simulated.front(before.world, before.stack):
            running = {box.fact.name for box in before.world.boxes if box.runs}
            # The container that it leads to may end just as the backup is written: then the backup serves.
            led = {*operation.aim.containers, *operation.aim.backups}  # none: all of the service, by its name
            assert running & (led or {box.fact.name for box in before.world.of([operation.subject])}), self._message(
                f"led to {operation.aim}, which do not run"
            )
        if operation.kind != STOP or not (self.fronted and simulated.front(before.world, before.stack)):
            return
        for box in before.world.named(operation.names):
            service = before.stack.services.get(box.fact.service)
            if service and service.name not in plan.interrupts and service.rollout != "recreate" and box.runs:
                led, _, _ = simulated.roles(before.world.loaded.get(service.name, ""), service.name)
                assert box.fact.name not in led, self._message(f"the proxy leads to {box.fact.name}, which is stopped")

    def _assert_ready(self, plan: Plan, operation: Operation, before: Process) -> None:
        """Assert that where a proven container serves the proxy is not led to others before they were ready."""
        if operation.kind == AWAIT:
            self.ready |= {*operation.names}
        if not operation.aim or operation.subject not in self.proven or operation.subject in plan.interrupts:
            return
        led, _, _ = simulated.roles(before.world.loaded.get(operation.subject, ""), operation.subject)
        known = self.ready | {box.fact.name for box in before.world.boxes if box.fact.id in before.world.proven}
        unready = {*operation.aim.containers, *operation.aim.canaries} - known - {*led}
        assert not unready, self._message(f"led to {unready}, which were never ready")

    def _assert_share(self, plan: Plan, operation: Operation, after: Process) -> None:
        """Assert that new containers of a canary get no more requests than the next share that was not watched yet."""
        if operation.kind == WATCH:
            self.watched[operation.subject] = operation.share or 100
        elif operation.kind == PROVE:
            self.served_by |= {*operation.names}
        for name, service in self.served.items():
            canary = service.slipway.canary
            if canary is None or after.back or not self.fronted or name in plan.interrupts:
                continue
            text = after.world.loaded.get(name, "")
            led = set(serving_containers(text, name))
            fresh = {
                box.fact.name for box in after.world.of([name]) if _made_of(box) not in self.known
            } - self.served_by
            if not led & self.served_by and not canary_containers(text) and name not in self.proven:
                continue  # nothing that could serve was there when it began
            share = sum(part for host, part in simulated.shares(text, name).items() if host in fresh)
            allowed = next((step for step in canary.weight if step > self.watched.get(name, 0)), 100)
            assert 100 * share <= allowed + 1e-6, self._message(f"{name}: new containers get {share:.1%} of requests")

    def _begin(self, plan: Plan, before: Process) -> None:
        self.plan, self.ready, self.watched = plan, set(), {}
        self.served_by = {box.fact.name for box in before.world.boxes}
        self.known = {_made_of(box) for box in before.world.boxes if box.fact.id in before.world.proven}
        self.fronted = bool(simulated.front(before.world, before.stack))
        self.names = {box.fact.name for box in before.world.boxes}
        self.trace.append(f"--- {'back' if before.back else 'forward'}: {list(plan.changed)}")
        self.trace += [
            f"    {box.fact.name} {box.fact.id} {box.content} {box.fact.state}" for box in before.world.boxes
        ]
        self.good = as_they_should_be(plan, before) if before.back else {}
        self.served, self.proven = {}, set()
        for service in known(before.world, before.stack):
            now, _ = simulated.reached(before.world, before.stack, service)
            if simulated.behind(before.world, before.stack, service) and not simulated.front(
                before.world, before.stack
            ):
                continue  # the proxy does not run: no request reaches the service
            if now:  # where the backup serves alone, the next reload of the proxy takes a moment
                self.served[service.name] = service
            if service.rollout != "recreate" and now & before.world.proven:
                self.proven.add(service.name)
        self.linked = {
            (name, other)
            for name, service in self.served.items()
            for other in service.depends_on
            if service.rollout != "recreate"
            and service.update.failure_action != "continue"
            and linked(before.world, before.stack, service, other)
        }

    def _assert_reached(self, plan: Plan, after: Process) -> None:
        for name, service in self.served.items():
            now, then = simulated.reached(after.world, after.stack, service)
            if name in plan.interrupts or service.update.failure_action == "continue":
                continue
            assert now or then, self._message(f"{name} is not reached, and the plan does not announce it")
            _, soon = simulated.reached(replace(after.world, fresh={}), after.stack, service)  # a backup stands by
            good = not {box.fact.id for box in after.world.boxes} or (now | then | soon) & after.world.proven
            assert good or name not in self.proven, self._message(
                f"{name} is reached only by containers that are not proven"
            )

    def _message(self, words: str) -> str:
        return "\n".join((words, *self.trace))


def _made_of(box: Box) -> tuple[str, str]:
    """Return what makes a container a new one to a canary: its network may be another one, and it serves as before."""
    return box.content, box.fact.config_hash


def as_they_should_be(plan: Plan, before: Process) -> dict[str, tuple[set[str], int]]:
    """Return the proven containers that are as a release wants them, and how many of them it needs, by service.

    Without services of which others share something, and without any while networks are replaced.
    """
    observed, good = deploying.observe(before.world, before.desired), {}
    if any(operation.kind in NETWORK_KINDS for operation in plan.operations):
        return {}
    services = before.stack.services.values()
    for service in services:
        bound = any(service.name in (*other.shares, *other.restarts_with) for other in services)
        if bound or service.shares or service.restarts_with or before.stack.one_off(service):
            continue
        ids = {
            fact.id
            for fact in observed.running(service.name)
            if fact.id in before.world.proven
            and before.state.stamps.get(fact.id, Stamp()).proven
            and matches(service, fact, observed, before.desired)
        }
        freed = any(operation.group == f"free {service.name}" for operation in plan.operations)
        if ids and not freed:
            good[service.name] = (ids, min(len(ids), service.replicas))
    return good


def known(world: World, stack: Stack) -> list[Service]:
    """Return the services of a stack, and the removed services that still have containers."""
    gone = {box.fact.service for box in world.boxes if not box.content.startswith("job")} - set(stack.services)
    serving = [service for service in stack.services.values() if not stack.one_off(service)]
    return [*serving, *(Service(name, "") for name in sorted(gone))]


def linked(world: World, stack: Stack, service: Service, other: str) -> bool:
    """Whether every container that a request for a service reaches shares a network with a running ``other``."""
    now, then = simulated.reached(world, stack, service)
    theirs = {network for box in world.of([other]) if box.runs for network in box.within}
    return all(box.within & theirs for box in world.boxes if box.fact.id in (now or then))


def assert_differences_reported(project: Project, desired: Desired, plan: Plan) -> None:
    """Assert that every difference has an operation or a refusal, and every operation a cause."""
    observed = deploying.observe(project.world, desired)
    causeless = {AWAIT, SETTLE, SMOKE, START, POINT, WEIGHT, DRAIN, REST, STOP, REMOVE}
    acted = {name for operation in plan.operations for name in operation.services}
    for service in desired.stack.services.values():
        if drift(service, observed, desired) and not desired.stack.one_off(service):
            assert service.name in acted or plan.refusals, f"{service.name} differs, and the plan does nothing"
    for operation in plan.operations:
        assert operation.cause or operation.kind in causeless, f"{operation.kind} {operation.subject} has no cause"


def assert_jobs_ran_once(world: World) -> None:
    """Assert that a job that succeeded is not run again with the same identity."""
    last: dict[str, tuple[str, bool]] = {}
    for name, identity, _, well in world.runs:
        assert last.get(name) != (identity, True), f"{name} ran twice as the same"
        last[name] = (identity, well)


def end(project: Project, stack: Stack) -> dict[str, tuple[object, int, bool]]:
    """Return the end state by service: its containers, how many run, and whether requests reach exactly those."""
    world = replace(project.world, fresh={})  # a moment later
    ends: dict[str, tuple[object, int, bool]] = {}
    for service in known(world, stack):
        boxes = world.of([service.name])
        now, _ = simulated.reached(world, stack, service)
        running = {box.fact.id for box in boxes if box.runs}
        ends[service.name] = (
            sorted(Counter((box.content, box.fact.state, box.fact.health) for box in boxes).items()),
            len(running),
            now == running,
        )
    return ends
