"""Deploys, roll backs and ways back on the simulated engine, as ``tasks/host`` puts them together around the plan."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tasks.plan.desired import Desired, Wanted
from tasks.plan.difference import Policy
from tasks.plan.facts import Image
from tasks.plan.mounts import FILE, Content, Reference, redirected, references
from tasks.plan.observed import Observed
from tasks.plan.operation import BUILD, NAME, POINT, PULL, RECREATE, RUN, Operation, Plan
from tasks.plan.reconcile import reconcile
from tasks.plan.release import restored
from tasks.plan.spelling import spelled, with_namespaces
from tasks.plan.stack import Stack, parse
from tasks.plan.upstream import pointed

from . import engine, making, simulated
from .simulated import KEPT, Failed, GivenUp, Paused, Process, World

DEPLOYED, UNCHANGED, REFUSED = "deployed", "unchanged", "refused"
ROLLED_BACK, FAILED, PAUSED, KILLED, NOTHING = "rolled back", "failed", "paused", "killed", "nothing ran before"
DIES_BEFORE, DIES_AFTER, DIES_WITHIN = "dies before", "dies after", "dies within"
FAILS_BEFORE, FAILS_AFTER = "fails before", "fails after"
UPSETS = (DIES_BEFORE, DIES_AFTER, DIES_WITHIN, FAILS_BEFORE, FAILS_AFTER)


@dataclass(frozen=True)
class Spec:
    """A checkout: the rendered model, what each image that is built is built from and comes to, files by path."""

    model: Mapping[str, Any]
    images: Mapping[str, tuple[str, str]]
    disk: Mapping[str, str] = field(default_factory=dict)

    @property
    def stack(self) -> Stack:
        """The typed model."""
        return parse(self.model)


@dataclass(frozen=True)
class Record:
    """A recorded release: its model, reference, image and whether it is built by service, and its mounted files."""

    id: int
    model: Mapping[str, Any]
    images: Mapping[str, tuple[str, str, bool]]
    mounted: Mapping[str, Mapping[str, str]]
    services: tuple[str, ...] = ()


@dataclass(frozen=True)
class Upset:
    """What goes wrong at which operation of a plan, counted from 1, and again from the first after the last."""

    number: int = -1
    kind: str = ""


@dataclass(frozen=True)
class Project:
    """A project on its engine: the world, the releases that it has recorded, the services of its checkout."""

    world: World = field(default_factory=World)
    records: tuple[Record, ...] = ()
    files: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Ended:
    """How a deploy ended: the project then, the plan that was carried out, and the outcome in one word."""

    project: Project
    plan: Plan
    outcome: str
    reason: str = ""


class Killed(Exception):
    """The process died; ``world`` is what it left."""

    def __init__(self, world: World) -> None:
        super().__init__("killed")
        self.world = world


See = Callable[[Plan, Operation, Process, Process], None]
"""Told of every operation: the plan that it is of, and the process before and after it."""


def unseen(plan: Plan, one: Operation, before: Process, after: Process) -> None:
    """See nothing."""


# What is wanted, and what is seen


def _content(world: World, one: Reference) -> Content:
    digest = world.content(one.source) if one.held == FILE else one.source
    return Content(digest, one.source if one.held == FILE else "")


def _hashes(world: World, model: Mapping[str, Any], first: bool) -> dict[str, frozenset[str]]:
    """Return the hashes that count, as ``tasks/host/desire.py`` asks Compose for them."""
    containers = tuple(box.fact for box in world.boxes)
    found = {name: {simulated.config_hash(raw)} for name, raw in model["services"].items()} if first else {}
    if found and all(one.config_hash in found.get(one.service, {one.config_hash}) for one in containers):
        return {name: frozenset(texts) for name, texts in found.items()}
    resolved = with_namespaces(model, containers)
    for spelling in (resolved, spelled(resolved, containers)):
        for name, raw in spelling["services"].items():
            found.setdefault(name, set()).add(simulated.config_hash(raw))
    return {name: frozenset(texts) for name, texts in found.items()}


def today(world: World, spec: Spec) -> Desired:
    """Return what a checkout says."""
    stack = spec.stack
    causes = {
        name: "its sources changed"
        for name, one in stack.services.items()
        if one.build is not None and world.built.get(one.image) != spec.images[one.image][0]
    }
    services = {}
    hashes = _hashes(world, spec.model, first=True)
    for name, one in stack.services.items():
        found = references(spec.model, name)
        contents = {each.target: _content(world, each) for each in found}
        image = world.tags.get(one.image, "")
        services[name] = Wanted(image, hashes[name], causes.get(name, ""), found, contents)
    return Desired(stack, spec.model, services)


def recorded(world: World, record: Record) -> Desired:
    """Return what a release was."""
    names = {reference: image for reference, image, built in record.images.values() if built}
    called = {
        name: reference if built or world.tags.get(reference) == image else f"{reference}-{record.id}"
        for name, (reference, image, built) in record.images.items()
    }
    told = restored(record.model, called)
    places = {}
    for service, digests in record.mounted.items():
        for one in references(told, service):
            digest = digests.get(one.target)
            if digest and world.content(one.source) != digest:
                places[service, one.target] = f"{KEPT}{digest}"
    told = redirected(told, places)
    stack, hashes, services = parse(told), _hashes(world, told, first=False), {}
    for name in stack.services:
        found = references(told, name)
        contents = {each.target: _content(world, each) for each in found}
        for target in contents:
            if path := places.get((name, target)):
                contents[target] = Content(path.removeprefix(KEPT), path)
        services[name] = Wanted(record.images[name][1], hashes[name], "", found, contents)
    files = tuple(dict.fromkeys(path.removeprefix(KEPT) for path in places.values()))
    return Desired(stack, told, services, names, record.id, files)


def _inside(world: World, network: str) -> tuple[str, ...]:
    """Return the names of the containers that run in a network: the engine tells of no others."""
    return tuple(one.fact.name for one in world.boxes if network in one.fact.networks and one.runs)


def observe(world: World, desired: Desired) -> Observed:
    """Return one look at the engine."""
    seen = {}
    for box in world.boxes:
        for target, digest in box.pinned.items():
            seen[box.fact.id, target] = digest
        for target, path in box.roots.items():
            seen[box.fact.id, target] = world.content(path) or "nothing"
    proxies = simulated.front(world, desired.stack)
    inside = world.of([name for name, one in desired.stack.services.items() if one.slipway.proxy.upstreams])
    rolled = {name for name, one in desired.stack.services.items() if one.rollout != "recreate"}
    declared = [str(one["name"]) for one in (desired.model.get("networks") or {}).values()]
    networks = {
        name: replace(found, containers=_inside(world, name))
        for name, found in world.networks.items()
        if name in declared
    }
    return Observed(
        containers=tuple(box.fact for box in world.boxes),
        images={name: Image(id_, content=id_) for name, id_ in world.tags.items()},
        contents={box.fact.image_id: box.fact.image_id for box in world.boxes},
        networks=networks,
        volumes=world.volumes,
        state=world.state,
        seen=seen,
        upstreams={name: text for name, text in world.files.items() if name in rolled} if inside else {},
        front=tuple(box.fact.name for box in proxies),
    )


def policy(project: Project, back: bool = False, pulled: bool = False, orphans: bool | None = None) -> Policy:
    """Return what a profile without opinions says."""
    ours = project.files | {name for one in project.records for name in one.services}
    return Policy(back=back, orphans=orphans, ours=ours, timeout=60.0, pulled=pulled)


def planned(project: Project, desired: Desired, back: bool = False, pulled: bool = False) -> Plan:
    """Return the plan for what is desired."""
    return reconcile(observe(project.world, desired), desired, policy(project, back, pulled))


# Carrying out


def carried_out(process: Process, plan: Plan, upset: Upset = Upset(), see: See = unseen) -> Process:
    """Return the process at the end of a plan; raises Failed, Paused or Killed."""
    given_up, count = "", max(len(plan.operations), 1)
    for number, one in enumerate(plan.operations, 1):
        if one.group == given_up:
            continue
        kind = upset.kind if upset.kind and (upset.number - number) % count == 0 else ""
        before = process
        if kind == DIES_BEFORE:
            raise Killed(process.world)
        if kind == DIES_WITHIN:
            within = _within(process, one)
            see(plan, one, before, within)
            raise Killed(within.world)
        if kind == FAILS_BEFORE:
            raise Failed(process.save(), f"{one.kind} {one.subject} failed")
        try:
            process = engine.apply(process, one)
        except GivenUp as failure:
            process, given_up = failure.process, one.group
        except Failed as failure:
            see(plan, one, before, failure.process)
            raise type(failure)(failure.process.save(), f"{one.kind} {one.subject}: {failure.reason}") from None
        see(plan, one, before, process)
        if kind == DIES_AFTER:
            raise Killed(process.world)
        if kind == FAILS_AFTER:
            raise Failed(process.save(), f"{one.kind} {one.subject} failed after it was done")
    return process.save()


def _within(process: Process, one: Operation) -> Process:
    """Return what is left when the process dies in the middle of an operation; what it was to note is lost."""
    state = process.world.state
    try:
        if one.kind == POINT and one.aim and simulated.front(process.world, process.stack):
            text = pointed(process.world.files[one.subject], one.subject, one.aim)
            return engine.written(process, one.subject, text)
        if one.kind in (RECREATE, RUN):
            return making.torn(process, one)
        process = engine.apply(process, engine.half(one))
    except Failed as failure:
        process = failure.process
    return process.on(replace(process.world, state=state))


def checked_out(project: Project, spec: Spec) -> Project:
    """Return the project with the files of a checkout on the disk, and the images that nobody builds pulled."""
    pulled = {name: f"sha256:{content}" for name, (source, content) in spec.images.items() if not source}
    world = replace(project.world, disk={**project.world.disk, **spec.disk}, tags={**pulled, **project.world.tags})
    return replace(project, world=world, files=frozenset(spec.model["services"]))


def deploy(project: Project, spec: Spec, upset: Upset = Upset(), see: See = unseen) -> Ended:
    """Deploy a checkout; a failure takes the way back, as far as nobody killed it."""
    project = checked_out(project, spec)
    before, world = project, project.world
    desired = today(project.world, spec)
    plan = planned(project, desired)
    if plan.refusals:
        return Ended(project, plan, REFUSED, str(plan.refusals))
    if not plan.operations:
        return Ended(_recorded(project, spec, desired) if world.state.unrecorded else project, plan, UNCHANGED)
    if {one.kind for one in plan.operations} & {BUILD, PULL, NAME}:
        project = replace(project, world=built(project.world, spec, plan))
        desired = today(project.world, spec)
        plan = planned(project, desired, pulled=True)
        if plan.refusals:
            return Ended(project, plan, REFUSED, str(plan.refusals))
    process = simulated.begin(project.world, desired, len(project.records) + 1)
    try:
        process = carried_out(process, plan, upset, see)
    except Killed as death:
        return Ended(replace(project, world=death.world), plan, KILLED)
    except Paused as failure:
        return Ended(replace(project, world=failure.process.world), plan, PAUSED, failure.reason)
    except Failed as failure:
        project = replace(project, world=failure.process.world)
        return _way_back(project, before, plan, failure.reason, see)
    return Ended(_recorded(replace(project, world=process.world), spec, desired), plan, DEPLOYED)


def built(world: World, spec: Spec, plan: Plan) -> World:
    """Return the world with the images that a plan builds."""
    tags, known = dict(world.tags), dict(world.built)
    for one in plan.operations:
        for name in one.services if one.kind == BUILD else ():
            image = spec.stack.service(name).image
            source, content = spec.images[image]
            tags[image], known[image] = f"sha256:{content}", source
    return replace(world, tags=tags, built=known)


def _recorded(project: Project, spec: Spec, desired: Desired) -> Project:
    world = replace(project.world, state=replace(project.world.state, unrecorded=False))
    number = len(project.records) + 1
    images = {
        name: (one.image, world.tags[one.image], one.build is not None) for name, one in desired.stack.services.items()
    }
    mounted: dict[str, dict[str, str]] = {}
    for name in desired.stack.services:
        wanted = desired.wanted(name)
        for one in wanted.references:
            if one.held == FILE and not one.secret:
                mounted.setdefault(name, {})[one.target] = wanted.contents[one.target].digest
    made = Record(number, spec.model, images, mounted, tuple(desired.stack.services))
    last = project.records[-1] if project.records else None
    if last and replace(last, id=number) == made:
        return replace(project, world=world)
    kept = {f"{reference}-{number}": image for reference, image, _ in images.values()}
    world = replace(world, tags={**world.tags, **kept})
    return replace(project, world=world, records=(*project.records, made))


def _way_back(project: Project, before: Project, plan: Plan, reason: str, see: See) -> Ended:
    if not before.world.boxes:
        left = replace(project.world, boxes=(), state=replace(project.world.state, unrecorded=False))
        return Ended(replace(project, world=left), plan, NOTHING, reason)
    if not before.records:
        return Ended(project, plan, FAILED, f"{reason}; no record")
    back = to_record(project, before.records[-1], see=see)
    outcome = ROLLED_BACK if back.outcome == DEPLOYED else back.outcome
    return Ended(back.project, plan, outcome, f"{reason}; way back: {back.reason}")


def to_record(project: Project, record: Record, upset: Upset = Upset(), see: See = unseen) -> Ended:
    """Bring a recorded release back."""
    desired = recorded(project.world, record)
    plan = planned(project, desired, back=True)
    if plan.refusals:
        return Ended(project, plan, REFUSED, str(plan.refusals))
    process = simulated.begin(project.world, desired, record.id, back=True)
    try:
        process = carried_out(process, plan, upset, see)
    except Killed as death:
        return Ended(replace(project, world=death.world), plan, KILLED)
    except Failed as failure:
        return Ended(replace(project, world=failure.process.world), plan, FAILED, failure.reason)
    left = planned(replace(project, world=process.world), recorded(process.world, record), back=True)
    if left.changed:
        word = "; ".join(f"{one.service}: {', '.join(one.causes)}" for one in left.changed)
        return Ended(replace(project, world=process.world), plan, FAILED, f"still differs: {word}")
    world = replace(process.world, state=replace(process.world.state, unrecorded=False))
    return Ended(replace(project, world=world), plan, DEPLOYED)
