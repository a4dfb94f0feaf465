"""What is to hold at every instant of a deploy, seen from outside: what clients reach, what is named, what is run."""

from collections import Counter
from dataclasses import dataclass, field, replace

from tasks.plan.desired import Desired
from tasks.plan.difference import drift
from tasks.plan.operation import STOP, Operation, Plan
from tasks.plan.stack import Service, Stack

from . import deploying, simulated
from .deploying import Project
from .drawn import PROJECT
from .simulated import Process, World


@dataclass
class Watcher:
    """Looks at the engine after each operation and holds it against the plan; what is broken is an AssertionError."""

    trace: list[str] = field(default_factory=list)
    plan: Plan | None = None
    served: dict[str, Service] = field(default_factory=dict)
    proven: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    fronted: bool = False

    def see(self, plan: Plan, one: Operation, before: Process, after: Process) -> None:
        """Hold an operation and what came of it."""
        if plan is not self.plan:
            self._begin(plan, before)
        self.trace.append(f"{one.number} {one.kind} {one.subject} {one.names} {one.cause}")
        names = {box.fact.name for box in before.world.boxes} | self.names
        strange = [name for name in one.names if name not in names and not name.startswith(f"{PROJECT}")]
        strange = [name for name in strange if name not in before.desired.names]
        assert not strange, self._told(f"names {strange}, which are not of the project")
        assert set(before.world.volumes) <= set(after.world.volumes), self._told("a volume is gone")
        ran = after.world.runs[len(before.world.runs) :]
        assert not [name for name, _, back, _ in ran if back], self._told("a job runs on a way back")
        self._hold_led(plan, one, before)
        self._hold_reached(plan, after)

    def _hold_led(self, plan: Plan, one: Operation, before: Process) -> None:
        """Hold that the proxy leads to what runs, and to nothing that is stopped then, by what it has read."""
        if one.aim and simulated.front(before.world, before.stack):
            running = {box.fact.name for box in before.world.boxes if box.runs}
            assert running & set(one.aim.containers), self._told(f"led to {one.aim.containers}, which do not run")
        if one.kind != STOP or not (self.fronted and simulated.front(before.world, before.stack)):
            return
        for box in before.world.named(one.names):
            service = before.stack.services.get(box.fact.service)
            if service and service.name not in plan.interrupts and service.rollout != "recreate" and box.runs:
                led, _, _ = simulated.roles(before.world.loaded.get(service.name, ""), service.name)
                assert box.fact.name not in led, self._told(f"the proxy leads to {box.fact.name}, which is stopped")

    def _begin(self, plan: Plan, before: Process) -> None:
        self.plan = plan
        self.fronted = bool(simulated.front(before.world, before.stack))
        self.names = {box.fact.name for box in before.world.boxes}
        self.trace.append(f"--- {'back' if before.back else 'forward'}: {[one for one in plan.changed]}")
        self.trace += [
            f"    {box.fact.name} {box.fact.id} {box.content} {box.fact.state}" for box in before.world.boxes
        ]
        self.served, self.proven = {}, set()
        for service in known(before.world, before.stack):
            now, _ = simulated.reached(before.world, before.stack, service)
            if simulated.behind(before.world, before.stack, service) and not simulated.front(
                before.world, before.stack
            ):
                continue  # nobody is led to it
            if now:  # where the backup serves alone, the next reload of the proxy takes a moment
                self.served[service.name] = service
            if service.rollout != "recreate" and now & before.world.proven:
                self.proven.add(service.name)

    def _hold_reached(self, plan: Plan, after: Process) -> None:
        for name, service in self.served.items():
            now, then = simulated.reached(after.world, after.stack, service)
            if name in plan.interrupts or service.update.failure_action == "continue":
                continue
            assert now or then, self._told(f"{name} is not reached, and nobody said so")
            good = not {box.fact.id for box in after.world.boxes} or (now | then) & after.world.proven
            assert good or name not in self.proven, self._told(f"{name} has nothing proven that is reached")

    def _told(self, words: str) -> str:
        return "\n".join((words, *self.trace))


def known(world: World, stack: Stack) -> list[Service]:
    """Return the services of a stack, and those that are in none any more and have containers."""
    gone = {box.fact.service for box in world.boxes if not box.content.startswith("job")} - set(stack.services)
    serving = [one for one in stack.services.values() if not stack.one_off(one)]
    return [*serving, *(Service(name, "") for name in sorted(gone))]


def hold_differences_told(project: Project, desired: Desired, plan: Plan) -> None:
    """Hold that every difference is the cause of an operation, or is told."""
    observed = deploying.observe(project.world, desired)
    acted = {name for one in plan.operations for name in one.services}
    for service in desired.stack.services.values():
        if drift(service, observed, desired) and not desired.stack.one_off(service):
            assert service.name in acted or plan.refusals, f"{service.name} differs, and nothing is done"
    for one in plan.operations:
        assert one.cause or one.kind in ("await healthy", "settle", "smoke", "start", "point proxy", "drain", "rest",
                                         "stop", "remove"), f"{one.kind} {one.subject} has no cause"  # fmt: skip


def hold_jobs_once(world: World) -> None:
    """Hold that a job that ended well is not run again as the same."""
    last: dict[str, tuple[str, bool]] = {}
    for name, identity, _, well in world.runs:
        assert last.get(name) != (identity, True), f"{name} ran twice as the same"
        last[name] = (identity, well)


def end(project: Project, stack: Stack) -> dict[str, tuple[object, int, bool]]:
    """Return what a deploy came to, whatever it took: images that run, whom the proxy leads to."""
    world = replace(project.world, fresh={})  # a moment later
    found: dict[str, tuple[object, int, bool]] = {}
    for service in known(world, stack):
        boxes = world.of([service.name])
        now, _ = simulated.reached(world, stack, service)
        running = {box.fact.id for box in boxes if box.runs}
        found[service.name] = (
            sorted(Counter((box.content, box.fact.state, box.fact.health) for box in boxes).items()),
            len(running),
            now == running,
        )
    return found
