"""The reconciler against a simulated engine: what is true for every stack, release, fault and killed process.

A failing example prints the operations up to the fault. ``SLIPWAY_MODEL_EXAMPLES=5000`` tries more, at random.
"""

import os
from dataclasses import replace

from hypothesis import HealthCheck, assume, event, given, note, settings
from hypothesis import strategies as st

from tasks.reconcile.plan.desired import Desired

from . import deploying
from .deploying import DEPLOYED, KILLED, NOTHING, PAUSED, REFUSED, ROLLED_BACK, UNCHANGED, Ended, Fault, Project, Spec
from .drawn import Drawn, Interference, Part, changed, deaths, empty, interference, opened, orders, some_fault, stacks
from .watching import Watcher, assert_differences_reported, assert_jobs_ran_once, end

NONE = Fault()
Order = tuple[int, ...]
_EXAMPLES = int(os.environ.get("SLIPWAY_MODEL_EXAMPLES", "0"))
model = settings(
    max_examples=_EXAMPLES or 200,
    derandomize=not _EXAMPLES,
    database=None,
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)

WIDE = Drawn(
    (
        Part("s0", "start-first", replicas=2, parallelism=1, secret=True),
        Part("s1", "blue-green", restart=True),
        Part("s2", port=8002),
        Part("s3", health=False, after=(("s2", "service_healthy", True),)),
        Part("job", job=True, health=False, after=(("s2", "service_healthy", False),)),
        Part("app", "start-first", after=(("s2", "service_healthy", False),)),
        Part("front", proxy=True, port=8004, config="reload"),
    )
)
"""A stack of which many operations may be done in parallel."""


def deployed(project: Project, spec: Spec, fault: Fault = NONE, watcher: Watcher | None = None) -> Ended:
    """Deploy with a watcher that checks every operation; its trace is printed with a failing example."""
    seen = watcher or Watcher()
    try:
        ended = deploying.deploy(project, spec, fault, seen.see)
    finally:
        for line in seen.trace:
            note(line)
    note(f"=> {ended.outcome} {ended.reason}")
    return ended


def first(spec: Spec, order: Order = ()) -> Project:
    """Return an engine on which a first release runs; its operations, and all later ones, are done in ``order``."""
    ended = deployed(replace(empty(), order=order), spec)
    assert ended.outcome == DEPLOYED, ended.reason
    return ended.project


def assert_nothing_left(project: Project, spec: Spec) -> None:
    """Assert that a plan for what runs is empty."""
    desired = deploying.today(project.world, spec)
    plan = deploying.planned(project, desired)
    assert_files_read(project, desired)
    assert not plan.operations, [(operation.kind, operation.subject, operation.cause) for operation in plan.operations]
    assert not plan.changed


def assert_files_read(project: Project, desired: Desired) -> None:
    """Assert that running containers have read the wanted files, where files are exchanged in place."""
    for box in project.world.boxes:
        wanted = desired.wanted(box.fact.service).contents
        known = {target: wanted[target].digest for target in box.filled if target in wanted}
        assert not box.runs or box.read == box.filled == known, (box.fact.name, box.read, box.filled, known)


def assert_record_runs(project: Project, number: int, undo: bool = False) -> None:
    """Assert that a recorded release runs; ``undo``: as a deploy that failed leaves it."""
    record = project.records[number]
    desired = deploying.restored_for(project.world, record, undo)
    plan = deploying.planned(project, desired, back=True)
    assert_files_read(project, desired)
    assert not plan.operations, [(operation.kind, operation.subject, operation.cause) for operation in plan.operations]
    for box in project.world.boxes:
        if box.fact.service in record.images and not box.content.startswith("job"):
            assert box.fact.image_id == record.images[box.fact.service][1]
    spec = Spec(record.model, {})
    assert all(row[2] for row in end(project, spec.stack).values()), end(project, spec.stack)


@st.composite
def weeks(draw: st.DrawFn, releases: int = 3) -> tuple[Drawn, ...]:
    """Draw the releases of a stack, one after the other."""
    drawn_releases = [draw(stacks())]
    for _ in range(releases - 1):
        drawn_releases.append(draw(changed(drawn_releases[-1])))
    assume(all(any(part.present for part in drawn.parts) for drawn in drawn_releases))
    return tuple(drawn_releases)


@model
@given(weeks(), st.lists(interference(), min_size=2, max_size=2), orders())
def test_a_plan_carried_out_leaves_nothing_to_do(
    week: tuple[Drawn, ...], acts: list[Interference], order: Order
) -> None:
    project = first(week[0].spec(), order)
    assert_nothing_left(project, week[0].spec())
    for drawn, act in zip(week[1:], acts, strict=True):
        project = act.on(project)
        spec = drawn.spec()
        checked = deploying.checked_out(project, spec)
        desired = deploying.today(checked.world, spec)
        assert_differences_reported(checked, desired, deploying.planned(checked, desired, pulled=True))
        unread = not any(box.fact.service == "front" for box in project.world.boxes)
        ended = deployed(project, spec)
        if ended.outcome == REFUSED:
            return
        assert ended.outcome in (DEPLOYED, UNCHANGED), ended.reason
        project = ended.project
        if unread:  # where there is no container of the proxy its file cannot be read before
            project = deployed(project, spec).project
        assert_nothing_left(project, spec)
        assert all(row[2] for row in end(project, spec.stack).values()), end(project, spec.stack)


@model
@given(weeks(), orders())
def test_a_job_that_ended_well_is_not_run_again(week: tuple[Drawn, ...], order: Order) -> None:
    project = first(week[0].spec(), order)
    for drawn in (*week[1:], week[-1], week[-1]):
        project = deployed(project, drawn.spec()).project
    assert_jobs_ran_once(project.world)


@model
@given(stacks(), orders())
def test_a_clone_with_the_same_bytes_changes_nothing(drawn: Drawn, order: Order) -> None:
    project = first(drawn.spec(), order)
    clone = Drawn(drawn.parts, drawn.network, "/clone").spec()
    project = deploying.checked_out(project, clone)
    assert_nothing_left(project, clone)


@model
@given(weeks(2), st.lists(deaths(), min_size=1, max_size=3), orders())
def test_a_deploy_killed_anywhere_comes_to_the_same_end(
    week: tuple[Drawn, ...], faults: list[Fault], order: Order
) -> None:
    project, spec = first(week[0].spec(), order), week[1].spec()
    wanted = deployed(project, spec)
    assume(wanted.outcome != REFUSED)
    for fault in faults:
        project = deployed(project, spec, fault).project
    ended = deployed(project, spec)
    assert ended.outcome in (DEPLOYED, UNCHANGED), (ended.outcome, ended.reason)
    assert_nothing_left(ended.project, spec)
    assert end(ended.project, spec.stack) == end(wanted.project, spec.stack)
    assert_jobs_ran_once(ended.project.world)


@model
@given(stacks(), deaths(), orders())
def test_a_first_deploy_killed_anywhere_comes_to_the_same_end(drawn: Drawn, fault: Fault, order: Order) -> None:
    killed = deployed(replace(empty(), order=order), drawn.spec(), fault)
    assert killed.outcome == KILLED
    ended = deployed(killed.project, drawn.spec())
    assert ended.outcome in (DEPLOYED, UNCHANGED), (ended.outcome, ended.reason)
    assert_nothing_left(ended.project, drawn.spec())
    assert end(ended.project, drawn.spec().stack) == end(first(drawn.spec(), order), drawn.spec().stack)


@model
@given(opened(), st.lists(some_fault(), max_size=2), st.lists(deaths(), max_size=1))
def test_a_network_with_other_options_comes_to_the_same_end(
    week: tuple[Drawn, Drawn], faults: list[Fault], more_faults: list[Fault]
) -> None:
    project, spec = first(week[0].spec()), week[1].spec()
    wanted = deployed(project, spec)
    assume(wanted.outcome != REFUSED)
    moved = any(operation.kind == "create network" for operation in wanted.plan.operations)
    event("made before the old one is removed" if moved else "replaced in place")
    for fault in faults:
        project = deployed(project, spec, fault).project
    for fault in more_faults:  # and back to the release before, from any state
        project = deploying.to_record(project, project.records[0], fault, Watcher().see).project
    ended = deployed(project, spec)
    assert ended.outcome in (DEPLOYED, UNCHANGED), (ended.outcome, ended.reason)
    assert_nothing_left(ended.project, spec)
    assert not [name for name in ended.project.world.networks if name.endswith("-next")]
    assert end(ended.project, spec.stack) == end(wanted.project, spec.stack)


@model
@given(weeks(2), deaths(), st.lists(deaths(), max_size=1), interference(), orders())
def test_from_anywhere_the_way_back_reaches_the_record(
    week: tuple[Drawn, ...], fault: Fault, more_faults: list[Fault], act: Interference, order: Order
) -> None:
    project, watcher = first(week[0].spec(), order), Watcher()
    killed = deployed(project, week[1].spec(), fault)
    assume(killed.outcome != REFUSED)
    project = act.on(killed.project)
    unread = not any(box.fact.service == "front" for box in project.world.boxes)
    for next_fault in (*more_faults, NONE, *([NONE] if unread else [])):
        ended = deploying.to_record(project, project.records[0], next_fault, watcher.see)
        project = ended.project
    for line in watcher.trace:
        note(line)
    assert ended.outcome == DEPLOYED, (ended.outcome, ended.reason)
    assert_record_runs(ended.project, 0)


@model
@given(weeks(4), st.integers(0, 3), orders())
def test_a_roll_back_reaches_any_record(week: tuple[Drawn, ...], wanted: int, order: Order) -> None:
    project = first(week[0].spec(), order)
    for drawn in week[1:]:
        project = deployed(project, drawn.spec()).project
    wanted %= len(project.records)
    watcher = Watcher()
    ended = deploying.to_record(project, project.records[wanted], see=watcher.see)
    for line in watcher.trace:
        note(line)
    assume(ended.outcome != REFUSED)
    assert ended.outcome == DEPLOYED, (ended.outcome, ended.reason)
    assert_record_runs(ended.project, wanted)


@model
@given(weeks(2), st.data(), orders())
def test_a_failed_deploy_leaves_the_release_before(week: tuple[Drawn, ...], data: st.DataObject, order: Order) -> None:
    project = first(week[0].spec(), order)
    bad = data.draw(changed(week[0], sick=True))
    assume(any(part.present for part in bad.parts))
    fault = data.draw(some_fault())
    ended = deployed(project, bad.spec(), fault)
    if ended.outcome in (REFUSED, DEPLOYED, UNCHANGED, PAUSED):
        return
    if ended.outcome == KILLED:
        ended = deploying.to_record(ended.project, ended.project.records[0])
        assert ended.outcome == DEPLOYED, (ended.outcome, ended.reason)
    else:
        assert ended.outcome == ROLLED_BACK, (ended.outcome, ended.reason)
    assert_record_runs(ended.project, 0, undo=ended.outcome == ROLLED_BACK)


@model
@given(stacks(), st.data(), orders())
def test_a_first_deploy_that_fails_leaves_nothing(drawn: Drawn, data: st.DataObject, order: Order) -> None:
    bad = data.draw(changed(drawn, sick=True))
    assume(any(part.present for part in bad.parts))
    ended = deployed(replace(empty(), order=order), bad.spec())
    if ended.outcome == NOTHING:
        assert not ended.project.world.boxes


@model
@given(orders(20), st.none() | some_fault(), st.booleans(), st.lists(st.booleans(), min_size=7, max_size=7))
def test_any_order_that_a_plan_allows_comes_to_the_same_end(
    order: Order, fault: Fault | None, network: bool, same: list[bool]
) -> None:
    project = first(WIDE.spec(), order)
    parts = [part if kept else replace(part, image=part.image + 1) for part, kept in zip(WIDE.parts, same, strict=True)]
    spec = Drawn(tuple(parts), int(network)).spec()
    wanted = deployed(replace(project, order=()), spec)
    ended = deployed(project, spec, fault or NONE)
    if ended.outcome == ROLLED_BACK:
        assert_record_runs(ended.project, 0)
        return
    if ended.outcome == KILLED:
        ended = deployed(ended.project, spec)
    assert ended.outcome in (DEPLOYED, UNCHANGED), (ended.outcome, ended.reason)
    assert_nothing_left(ended.project, spec)
    assert end(ended.project, spec.stack) == end(wanted.project, spec.stack)
    assert_jobs_ran_once(ended.project.world)
