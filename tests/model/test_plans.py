"""What a plan says is what happens: for drawn stacks, mutations and interference, service by service."""

from collections import Counter
from dataclasses import dataclass, field

from hypothesis import given, target
from hypothesis import strategies as st

from tasks.deploy.plan.shown import KEEP, ROLL, action
from tasks.reconcile.plan.operation import (
    CREATE,
    PULL,
    RECREATE,
    RELOAD,
    REMOVE_SERVICE,
    RESTART,
    RUN,
    SCALE,
    START,
    WAIT,
    Change,
    Operation,
    Plan,
)

from . import deploying
from .deploying import DEPLOYED, UNCHANGED, Project
from .drawn import Drawn, Interference, interference, orders
from .simulated import Process, World
from .test_reconciler import Order, deployed, first, model, weeks
from .watching import Watcher

Ids = dict[str, set[str]]


@dataclass
class Happened(Watcher):
    """Notes what is done to containers while a plan is carried out."""

    acted: dict[str, set[str]] = field(default_factory=dict)
    away: set[str] = field(default_factory=set)
    made: Plan | None = None

    def see(self, plan: Plan, operation: Operation, before: Process, after: Process) -> None:
        """Note an operation, and the services that nothing runs of after it."""
        super().see(plan, operation, before, after)
        self.made = plan
        for name in operation.services:
            self.acted.setdefault(name, set()).add(operation.kind)
        then, now = ids(before.world, running=True), ids(after.world, running=True)
        self.away |= {name for name, had in then.items() if had and not now.get(name)}


def ids(world: World, running: bool = False) -> Ids:
    """Return the containers' ids by service."""
    found: Ids = {}
    for box in world.boxes:
        if box.runs or not running:
            found.setdefault(box.fact.service, set()).add(box.fact.id)
    return found


def unsure_services(plan: Plan) -> set[str]:
    """Return the services whose image is built, and those that follow them."""
    changes = {change.service: change.causes for change in plan.changes}
    unsure = {name for name, causes in changes.items() if any(one.startswith("image to be built") for one in causes)}
    following = ("it shares resources of ", "restart with ")
    for _ in changes:
        for name, causes in changes.items():
            words = {cause.removeprefix(start) for start in following for cause in causes if cause.startswith(start)}
            unsure |= {name} if words & unsure else set()
    return unsure


def allowed(change: Change, plan: Plan) -> set[str]:
    """Return what may happen by a plan: what it says, or less where a build or pull may have given the same image."""
    word = action(change, plan)
    unsure = unsure_services(plan) & {change.service}
    if word == PULL:
        return {KEEP, RECREATE, ROLL, PULL}
    return {word, KEEP, RELOAD, SCALE, START, RESTART, WAIT} if unsure else {word}


def assert_happened(word: str, before: set[str], after: set[str], acted: set[str], service: str) -> None:
    """Assert that the containers of a service went the way that the word of a plan says."""
    kept = before & after
    held = {
        KEEP: before == after and not acted & {CREATE, RECREATE, RESTART, RELOAD},
        WAIT: before == after,
        PULL: before == after,
        CREATE: bool(after) and not before,
        RECREATE: bool(after) and not kept and RECREATE in acted,
        ROLL: bool(after) and after != before and RECREATE not in acted,
        RELOAD: before == after and RELOAD in acted,
        RESTART: before == after and RESTART in acted,
        START: before == after and bool(acted & {START, RESTART}),
        SCALE: len(after) != len(before) and bool(kept) == bool(before and after),
        RUN: bool(after - before),
        REMOVE_SERVICE: not after,
    }
    assert held[word], f"{service}: {word}, but {sorted(before)} became {sorted(after)} by {sorted(acted)}"


def compared(shown: Plan, project: Project, happened: Happened, after: World) -> Counter[str]:
    """Compare a plan as it was shown with what happened; return how often each action was seen."""
    before, now, words = ids(project.world), ids(after), Counter[str]()
    made = {change.service: change for change in (happened.made or shown).changes}
    for change in shown.changes:
        then = made.get(change.service, Change(change.service, "unchanged"))
        word = action(then, happened.made or shown) if happened.made else KEEP
        assert word in allowed(change, shown), f"{change.service}: shown {action(change, shown)}, carried out {word}"
        name = change.service
        assert_happened(word, before.get(name, set()), now.get(name, set()), happened.acted.get(name, set()), name)
        words[word] += 1
    # What was stopped or paused before was away already: it may be unpaused, and then removed.
    unannounced = happened.away & ids(project.world, running=True).keys() - set(shown.interrupts)
    assert not unannounced, f"{unannounced} were away, unannounced"
    assert set(now) <= {change.service for change in shown.changes} | set(before), "containers of no planned service"
    return words


@model
@given(weeks(), st.lists(interference(), min_size=2, max_size=2), orders())
def test_what_a_plan_says_is_what_happens(week: tuple[Drawn, ...], acts: list[Interference], order: Order) -> None:
    project, words = first(week[0].spec(), order), Counter[str]()
    for drawn, act in zip(week[1:], acts, strict=True):
        project = act.on(project)
        spec = drawn.spec()
        project = deploying.checked_out(project, spec)
        shown = deploying.planned(project, deploying.today(project.world, spec))
        happened = Happened()
        ended = deployed(project, spec, watcher=happened)
        if ended.outcome not in (DEPLOYED, UNCHANGED):
            return
        words += compared(shown, project, happened, ended.project.world)
        project = ended.project
    target(float(len(words)))
