"""The reconciler against a simulated engine: what holds for every stack, release, fault and moment of death.

A failing example prints the operations up to the fault. ``SLIPWAY_MODEL_EXAMPLES=5000`` looks deeper, at random.
"""

import os

from hypothesis import HealthCheck, assume, given, note, settings
from hypothesis import strategies as st

from . import deploying
from .deploying import DEPLOYED, KILLED, NOTHING, PAUSED, REFUSED, ROLLED_BACK, UNCHANGED, Ended, Project, Spec, Upset
from .drawn import Drawn, Meddling, changed, deaths, empty, meddling, stacks, upsets
from .watching import Watcher, end, hold_differences_told, hold_jobs_once

NONE = Upset()
_EXAMPLES = int(os.environ.get("SLIPWAY_MODEL_EXAMPLES", "0"))
model = settings(
    max_examples=_EXAMPLES or 200,
    derandomize=not _EXAMPLES,
    database=None,
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)


def deployed(project: Project, spec: Spec, upset: Upset = NONE, watcher: Watcher | None = None) -> Ended:
    """Deploy under the eyes of a watcher."""
    seen = watcher or Watcher()
    try:
        ended = deploying.deploy(project, spec, upset, seen.see)
    finally:
        for line in seen.trace:
            note(line)
    note(f"=> {ended.outcome} {ended.reason}")
    return ended


def first(spec: Spec) -> Project:
    """Return an engine on which a release runs."""
    ended = deployed(empty(), spec)
    assert ended.outcome == DEPLOYED, ended.reason
    return ended.project


def hold_nothing_left(project: Project, spec: Spec) -> None:
    """Hold that a plan for what runs is empty."""
    plan = deploying.planned(project, deploying.today(project.world, spec))
    assert not plan.operations, [(one.kind, one.subject, one.cause) for one in plan.operations]
    assert not plan.changed


def hold_record(project: Project, number: int) -> None:
    """Hold that a recorded release runs."""
    record = project.records[number]
    plan = deploying.planned(project, deploying.recorded(project.world, record), back=True)
    assert not plan.operations, [(one.kind, one.subject, one.cause) for one in plan.operations]
    for box in project.world.boxes:
        if box.fact.service in record.images and not box.content.startswith("job"):
            assert box.fact.image_id == record.images[box.fact.service][1]
    spec = Spec(record.model, {})
    assert all(one[2] for one in end(project, spec.stack).values()), end(project, spec.stack)


@st.composite
def weeks(draw: st.DrawFn, releases: int = 3) -> tuple[Drawn, ...]:
    """Draw the releases that a stack goes through."""
    found = [draw(stacks())]
    for _ in range(releases - 1):
        found.append(draw(changed(found[-1])))
    assume(all(any(part.present for part in one.parts) for one in found))
    return tuple(found)


@model
@given(weeks(), st.lists(meddling(), min_size=2, max_size=2))
def test_a_plan_carried_out_leaves_nothing_to_do(week: tuple[Drawn, ...], acts: list[Meddling]) -> None:
    project = first(week[0].spec())
    hold_nothing_left(project, week[0].spec())
    for drawn, act in zip(week[1:], acts, strict=True):
        project = act.on(project)
        spec = drawn.spec()
        checked = deploying.checked_out(project, spec)
        desired = deploying.today(checked.world, spec)
        hold_differences_told(checked, desired, deploying.planned(checked, desired, pulled=True))
        unread = not any(box.fact.service == "front" for box in project.world.boxes)
        ended = deployed(project, spec)
        if ended.outcome == REFUSED:
            return
        assert ended.outcome in (DEPLOYED, UNCHANGED), ended.reason
        project = ended.project
        if unread:  # where there is no container of the proxy its file cannot be read before
            project = deployed(project, spec).project
        hold_nothing_left(project, spec)
        assert all(one[2] for one in end(project, spec.stack).values()), end(project, spec.stack)


@model
@given(weeks())
def test_a_job_that_ended_well_is_not_run_again(week: tuple[Drawn, ...]) -> None:
    project = first(week[0].spec())
    for drawn in (*week[1:], week[-1], week[-1]):
        project = deployed(project, drawn.spec()).project
    hold_jobs_once(project.world)


@model
@given(stacks())
def test_a_clone_with_the_same_bytes_changes_nothing(drawn: Drawn) -> None:
    project = first(drawn.spec())
    clone = Drawn(drawn.parts, drawn.network, "/clone").spec()
    project = deploying.checked_out(project, clone)
    hold_nothing_left(project, clone)


@model
@given(weeks(2), st.lists(deaths(), min_size=1, max_size=3))
def test_a_deploy_killed_anywhere_comes_to_the_same_end(week: tuple[Drawn, ...], upset: list[Upset]) -> None:
    project, spec = first(week[0].spec()), week[1].spec()
    wanted = deployed(project, spec)
    assume(wanted.outcome != REFUSED)
    for one in upset:
        project = deployed(project, spec, one).project
    ended = deployed(project, spec)
    assert ended.outcome in (DEPLOYED, UNCHANGED), (ended.outcome, ended.reason)
    hold_nothing_left(ended.project, spec)
    assert end(ended.project, spec.stack) == end(wanted.project, spec.stack)
    hold_jobs_once(ended.project.world)


@model
@given(stacks(), deaths())
def test_a_first_deploy_killed_anywhere_comes_to_the_same_end(drawn: Drawn, upset: Upset) -> None:
    killed = deployed(empty(), drawn.spec(), upset)
    assert killed.outcome == KILLED
    ended = deployed(killed.project, drawn.spec())
    assert ended.outcome in (DEPLOYED, UNCHANGED), (ended.outcome, ended.reason)
    hold_nothing_left(ended.project, drawn.spec())
    assert end(ended.project, drawn.spec().stack) == end(first(drawn.spec()), drawn.spec().stack)


@model
@given(weeks(2), deaths(), st.lists(deaths(), max_size=1), meddling())
def test_from_anywhere_the_way_back_reaches_the_record(
    week: tuple[Drawn, ...], upset: Upset, again: list[Upset], act: Meddling
) -> None:
    project, watcher = first(week[0].spec()), Watcher()
    killed = deployed(project, week[1].spec(), upset)
    assume(killed.outcome != REFUSED)
    project = act.on(killed.project)
    unread = not any(box.fact.service == "front" for box in project.world.boxes)
    for one in (*again, NONE, *([NONE] if unread else [])):
        ended = deploying.to_record(project, project.records[0], one, watcher.see)
        project = ended.project
    for line in watcher.trace:
        note(line)
    assert ended.outcome == DEPLOYED, (ended.outcome, ended.reason)
    hold_record(ended.project, 0)


@model
@given(weeks(4), st.integers(0, 3))
def test_a_roll_back_reaches_any_record(week: tuple[Drawn, ...], wanted: int) -> None:
    project = first(week[0].spec())
    for drawn in week[1:]:
        project = deployed(project, drawn.spec()).project
    wanted %= len(project.records)
    watcher = Watcher()
    ended = deploying.to_record(project, project.records[wanted], see=watcher.see)
    for line in watcher.trace:
        note(line)
    assume(ended.outcome != REFUSED)
    assert ended.outcome == DEPLOYED, (ended.outcome, ended.reason)
    hold_record(ended.project, wanted)


@model
@given(weeks(2), st.data())
def test_a_failed_deploy_leaves_the_release_before(week: tuple[Drawn, ...], data: st.DataObject) -> None:
    project = first(week[0].spec())
    bad = data.draw(changed(week[0], sick=True))
    assume(any(part.present for part in bad.parts))
    upset = data.draw(upsets())
    ended = deployed(project, bad.spec(), upset)
    if ended.outcome in (REFUSED, DEPLOYED, UNCHANGED, PAUSED):
        return
    if ended.outcome == KILLED:
        ended = deploying.to_record(ended.project, ended.project.records[0])
        assert ended.outcome == DEPLOYED, (ended.outcome, ended.reason)
    else:
        assert ended.outcome == ROLLED_BACK, (ended.outcome, ended.reason)
    hold_record(ended.project, 0)


@model
@given(stacks(), st.data())
def test_a_first_deploy_that_fails_leaves_nothing(drawn: Drawn, data: st.DataObject) -> None:
    bad = data.draw(changed(drawn, sick=True))
    assume(any(part.present for part in bad.parts))
    ended = deployed(empty(), bad.spec())
    if ended.outcome == NOTHING:
        assert not ended.project.world.boxes
