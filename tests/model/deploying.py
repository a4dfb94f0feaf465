"""Deploys, roll backs and failed deploys on the simulated engine, put together as ``tasks/deploy`` does."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tasks.model.engine.facts import Image
from tasks.model.stack.stack import Stack, parse
from tasks.model.stack.upstream import retarget
from tasks.reconcile.plan.desired import Desired, Wanted
from tasks.reconcile.plan.difference import Policy
from tasks.reconcile.plan.mounts import FILE, Content, Reference, references, with_other_sources
from tasks.reconcile.plan.networks import NEXT
from tasks.reconcile.plan.observed import UNFINISHED, Observed, Stamp
from tasks.reconcile.plan.operation import BUILD, NAME, POINT, PULL, RECREATE, RELOAD, RUN, WEIGHT, Operation, Plan
from tasks.reconcile.plan.placed import configuration_digest, fillable, filled_volume, filled_volumes
from tasks.reconcile.plan.reconcile import reconcile
from tasks.reconcile.plan.spelling import spelled_as_created, with_namespaces
from tasks.release.plan.release import restored

from . import engine, making, simulated
from .simulated import KEPT, Failed, GivenUp, Paused, Process, World

DEPLOYED, UNCHANGED, REFUSED = "deployed", "unchanged", "refused"
ROLLED_BACK, FAILED, PAUSED, KILLED, NOTHING = "rolled back", "failed", "paused", "killed", "nothing ran before"
DIES_BEFORE, DIES_AFTER, DIES_WITHIN = "dies before", "dies after", "dies within"
FAILS_BEFORE, FAILS_AFTER, FAILS_WITHIN = "fails before", "fails after", "fails within"
FAULTS = (DIES_BEFORE, DIES_AFTER, DIES_WITHIN, FAILS_BEFORE, FAILS_AFTER, FAILS_WITHIN)
_AT_ONCE = 3  # operations that are begun in parallel with the operation that has the fault


@dataclass(frozen=True)
class Spec:
    """A checkout: the rendered model, the source and the content of each image, files by path.

    An image with the source "" is not built.
    """

    model: Mapping[str, Any]
    images: Mapping[str, tuple[str, str]]
    disk: Mapping[str, str] = field(default_factory=dict)

    @property
    def stack(self) -> Stack:
        """The typed model."""
        return parse(self.model)


@dataclass(frozen=True)
class Record:
    """A recorded release: its model; by service its reference, its image, whether it is built, its mounted files."""

    id: int
    model: Mapping[str, Any]
    images: Mapping[str, tuple[str, str, bool]]
    mounted: Mapping[str, Mapping[str, str]]
    services: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fault:
    """What goes wrong, and at which operation of a plan: counted from 1, modulo the number of operations."""

    number: int = -1
    kind: str = ""


@dataclass(frozen=True)
class Project:
    """A project on its engine: the world, the releases that it has recorded, the services of its checkout.

    ``order`` chooses, as often as needed, which of the possible operations is next; () is the plan's own order.
    """

    world: World = field(default_factory=World)
    records: tuple[Record, ...] = ()
    files: frozenset[str] = frozenset()
    order: tuple[int, ...] = ()


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
"""Called for every operation with its plan, the operation, and the process before and after it."""


def unseen(plan: Plan, operation: Operation, before: Process, after: Process) -> None:
    """Watch nothing."""


# What is desired, and what is observed


def _content(world: World, reference: Reference) -> Content:
    digest = world.content(reference.source) if reference.held == FILE else reference.source
    # A volume of ours has no place of its own.
    directory = reference.source.endswith(".d")
    return Content(digest, reference.source if reference.held == FILE else "", directory)


def _hashes(world: World, model: Mapping[str, Any], first: bool) -> dict[str, frozenset[str]]:
    """Return the hashes that count, as ``tasks/reconcile/desire.py`` asks Compose for them."""
    containers = tuple(box.fact for box in world.boxes)
    hashes = {name: {simulated.config_hash(raw)} for name, raw in model["services"].items()} if first else {}
    for fact in containers if first else ():
        stamp = world.state.stamps.get(fact.id)
        if (
            filled_volumes(fact)
            and stamp
            and stamp.configuration
            and stamp.configuration == configuration_digest(model, fact.service)
        ):
            hashes.setdefault(fact.service, set()).add(fact.config_hash)
    if hashes and all(fact.config_hash in hashes.get(fact.service, {fact.config_hash}) for fact in containers):
        return {name: frozenset(texts) for name, texts in hashes.items()}
    resolved = with_namespaces(model, containers)
    for spelling in (resolved, spelled_as_created(resolved, containers)):
        for name, raw in spelling["services"].items():
            hashes.setdefault(name, set()).add(simulated.config_hash(raw))
    return {name: frozenset(texts) for name, texts in hashes.items()}


def today(world: World, spec: Spec) -> Desired:
    """Return what a checkout describes."""
    stack = spec.stack
    causes = {
        name: "its sources changed"
        for name, service in stack.services.items()
        if service.build is not None
        and world.built.get(world.tags.get(service.image, "")) != spec.images[service.image][0]
    }
    services = {}
    hashes = _hashes(world, spec.model, first=True)
    for name, service in stack.services.items():
        mounts = references(spec.model, name)
        contents = {reference.target: _content(world, reference) for reference in mounts}
        image = world.tags.get(service.image, "")
        services[name] = Wanted(image, hashes[name], causes.get(name, ""), mounts, contents)
    return Desired(stack, spec.model, services)


def recorded(world: World, record: Record) -> Desired:
    """Return what a recorded release describes."""
    names = {reference: image for reference, image, built in record.images.values() if built}
    called = {
        name: reference if built or world.tags.get(reference) == image else f"{reference}-{record.id}"
        for name, (reference, image, built) in record.images.items()
    }
    model = restored(record.model, called)
    places: dict[tuple[str, str], str] = {}
    kept: dict[tuple[str, str], str] = {}
    for service, digests in record.mounted.items():
        for mount in references(model, service):
            digest = digests.get(mount.target)
            if digest and world.content(mount.source) != digest:
                places[service, mount.target] = f"{KEPT}{digest}"
                if (raw := model["services"][service])["x-slipway"].get("reload") and fillable(raw, mount):
                    kept[service, mount.target] = digest
                    del places[service, mount.target]
    model = with_other_sources(model, places)
    stack, hashes, services = parse(model), _hashes(world, model, first=False), {}
    for name in stack.services:
        mounts = references(model, name)
        contents = {mount.target: _content(world, mount) for mount in mounts}
        for target in contents:
            if path := places.get((name, target)):
                contents[target] = Content(path.removeprefix(KEPT), path)
            if digest := kept.get((name, target)):
                contents[target] = Content(digest, directory=True)
        services[name] = Wanted(record.images[name][1], hashes[name], "", mounts, contents)
    files = tuple(dict.fromkeys(path.removeprefix(KEPT) for path in places.values()))
    return Desired(stack, model, services, names, record.id, files, kept=kept)


def with_current_secrets(world: World, desired: Desired) -> Desired:
    """Return a release with the secrets that containers have now in the volumes that Slipway fills."""
    services = dict(desired.services)
    for box in world.boxes:
        wanted, stamp = services.get(box.fact.service), world.state.stamps.get(box.fact.id, Stamp())
        for reference in wanted.references if wanted else ():
            noted = stamp.references.get(reference.target)
            if wanted and reference.secret and noted and noted != UNFINISHED and filled_volume(box.fact, reference):
                wanted = replace(wanted, contents={**wanted.contents, reference.target: noted})
                services[box.fact.service] = wanted
    return replace(desired, services=services)


def restored_for(world: World, record: Record, undo: bool) -> Desired:
    """Return what a roll back, or with ``undo`` a failed deploy, makes of a record."""
    desired = recorded(world, record)
    return with_current_secrets(world, desired) if undo else desired


def _inside(world: World, network: str) -> tuple[str, ...]:
    """Return the names of the running containers in a network: the engine lists no others."""
    return tuple(box.fact.name for box in world.boxes if network in box.fact.networks and box.runs)


def observe(world: World, desired: Desired) -> Observed:
    """Return what a look at the engine shows."""
    seen = {}
    for box in world.boxes:
        for target, digest in box.pinned.items():
            seen[box.fact.id, target] = digest
        for target, path in box.roots.items():
            seen[box.fact.id, target] = world.content(path) or "nothing"
        for target, noted in world.state.stamps.get(box.fact.id, Stamp()).references.items():
            if target in box.filled:
                seen[box.fact.id, target] = noted.digest
    proxies = simulated.front(world, desired.stack)
    inside = world.of([name for name, service in desired.stack.services.items() if service.slipway.proxy.upstreams])
    rolled = {name for name, service in desired.stack.services.items() if service.rollout != "recreate"}
    declared = [str(network["name"]) for network in (desired.model.get("networks") or {}).values()]
    networks = {
        name: replace(network, containers=_inside(world, name))
        for name, network in world.networks.items()
        if name.removesuffix(NEXT) in declared
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
        clearable=frozenset(box.fact.id for box in world.boxes),
        front=tuple(box.fact.name for box in proxies),
    )


def policy(project: Project, back: bool = False, pulled: bool = False, orphans: bool | None = None) -> Policy:
    """Return the policy of a profile with defaults."""
    ours = project.files | {name for record in project.records for name in record.services}
    return Policy(back=back, orphans=orphans, ours=ours, timeout=60.0, pulled=pulled)


def planned(project: Project, desired: Desired, back: bool = False, pulled: bool = False) -> Plan:
    """Return the plan for what is desired."""
    return reconcile(observe(project.world, desired), desired, policy(project, back, pulled))


# Carrying out


def linear(operations: Sequence[Operation], order: Sequence[int]) -> tuple[Operation, ...]:
    """Return the operations in the chosen order; ``after`` of each operation allows it."""
    left, done, ordered = list(operations), set[int](), list[Operation]()
    while left:
        ready = [operation for operation in left if done.issuperset(operation.after)]
        ordered.append(ready[order[len(ordered) % len(order)] % len(ready)] if order else ready[0])
        left.remove(ordered[-1])
        done.add(ordered[-1].number)
    return tuple(ordered)


def carried_out(
    process: Process, plan: Plan, fault: Fault = Fault(), see: See = unseen, order: Sequence[int] = ()
) -> Process:
    """Return the process at the end of a plan; raises Failed, Paused or Killed."""
    operations, given_up = linear(plan.operations, order), set[str]()
    for place, operation in enumerate(operations):
        if operation.group in given_up:
            continue
        fault_kind = fault.kind if fault.kind and (fault.number - 1 - place) % len(operations) == 0 else ""
        begun = [other for other in _begun(operations, place, order) if fault_kind and other.group not in given_up]
        if fault_kind in (DIES_BEFORE, DIES_WITHIN):
            raise Killed(_torn(process, plan, (operation, *begun) if fault_kind == DIES_WITHIN else begun, see).world)
        if fault_kind in (FAILS_BEFORE, FAILS_WITHIN):
            left = _torn(process, plan, (operation, *begun) if fault_kind == FAILS_WITHIN else begun, see)
            raise Failed(
                making.unmade(left, operation, process.world).save(), f"{operation.kind} {operation.subject} failed"
            )
        before = process
        try:
            process = engine.apply(process, operation)
        except GivenUp as failure:
            process = failure.process
            given_up.add(operation.group)
        except Failed as failure:
            see(plan, operation, before, failure.process)
            left = making.unmade(failure.process, operation, before.world)
            raise type(failure)(left.save(), f"{operation.kind} {operation.subject}: {failure.reason}") from None
        see(plan, operation, before, process)
        if fault_kind == DIES_AFTER:
            raise Killed(_torn(process, plan, begun, see).world)
        if fault_kind == FAILS_AFTER:
            raise Failed(
                _torn(process, plan, begun, see).save(),
                f"{operation.kind} {operation.subject} failed after it was done",
            )
    return process.save()


def _begun(operations: Sequence[Operation], place: int, order: Sequence[int]) -> list[Operation]:
    """Return the operations begun in parallel when an operation has a fault; none in the plan's own order."""
    done = {operation.number for operation in operations[:place]}
    ready = [later for later in operations[place + 1 :] if done.issuperset(later.after)]
    chosen = [operation for number, operation in enumerate(ready) if order and order[(place + number) % len(order)] % 2]
    return chosen[:_AT_ONCE]


def _torn(process: Process, plan: Plan, operations: Sequence[Operation], see: See) -> Process:
    """Return the process when operations stop half-way."""
    for operation in operations:
        before, process = process, _within(process, operation)
        see(plan, operation, before, process)
    return process


def _within(process: Process, operation: Operation) -> Process:
    """Return what is left when the process dies in the middle of an operation; its notes are lost."""
    state = process.world.state
    try:
        if operation.kind in (POINT, WEIGHT) and operation.aim and simulated.front(process.world, process.stack):
            text = retarget(process.world.files[operation.subject], operation.subject, operation.aim)
            return engine.written(process, operation.subject, text)
        if operation.kind == RELOAD:
            return engine.exchanged(process, operation)
        if operation.kind in (RECREATE, RUN):
            return making.torn(process, operation)
        process = engine.apply(process, engine.half(operation))
    except Failed as failure:
        process = failure.process
    return process.on(replace(process.world, state=state))


def checked_out(project: Project, spec: Spec) -> Project:
    """Return the project with the files of a checkout on the disk, and the images without a build pulled."""
    pulled = {name: f"sha256:{content}" for name, (source, content) in spec.images.items() if not source}
    world = replace(project.world, disk={**project.world.disk, **spec.disk}, tags={**pulled, **project.world.tags})
    return replace(project, world=world, files=frozenset(spec.model["services"]))


def deploy(project: Project, spec: Spec, fault: Fault = Fault(), see: See = unseen) -> Ended:
    """Deploy a checkout; a failed deploy goes back, a killed one does not."""
    project = checked_out(project, spec)
    before, world = project, project.world
    desired = today(project.world, spec)
    plan = planned(project, desired)
    if plan.refusals:
        return Ended(project, plan, REFUSED, str(plan.refusals))
    if not plan.operations:
        return Ended(_recorded(project, spec, desired) if world.state.unrecorded else project, plan, UNCHANGED)
    if {operation.kind for operation in plan.operations} & {BUILD, PULL, NAME}:
        project = replace(project, world=built(project.world, spec, plan))
        desired = today(project.world, spec)
        plan = planned(project, desired, pulled=True)
        if plan.refusals:
            return Ended(project, plan, REFUSED, str(plan.refusals))
    process = simulated.begin(project.world, desired, len(project.records) + 1)
    try:
        process = carried_out(process, plan, fault, see, project.order)
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
    for operation in plan.operations:
        for name in operation.services if operation.kind == BUILD else ():
            image = spec.stack.service(name).image
            source, content = spec.images[image]
            tags[image], known[f"sha256:{content}"] = f"sha256:{content}", source
    return replace(world, tags=tags, built=known)


def _recorded(project: Project, spec: Spec, desired: Desired) -> Project:
    world = replace(project.world, state=replace(project.world.state, unrecorded=False))
    number = len(project.records) + 1
    images = {
        name: (service.image, world.tags[service.image], service.build is not None)
        for name, service in desired.stack.services.items()
    }
    mounted: dict[str, dict[str, str]] = {}
    for name in desired.stack.services:
        wanted = desired.wanted(name)
        for mount in wanted.references:
            if mount.held == FILE and not mount.secret:
                mounted.setdefault(name, {})[mount.target] = wanted.contents[mount.target].digest
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
    back = to_record(project, before.records[-1], see=see, undo=True)
    outcome = ROLLED_BACK if back.outcome == DEPLOYED else back.outcome
    return Ended(back.project, plan, outcome, f"{reason}; way back: {back.reason}")


def to_record(project: Project, record: Record, fault: Fault = Fault(), see: See = unseen, undo: bool = False) -> Ended:
    """Go back to a recorded release; ``undo``: as a deploy that failed does."""
    desired = restored_for(project.world, record, undo)
    plan = planned(project, desired, back=True)
    if plan.refusals:
        return Ended(project, plan, REFUSED, str(plan.refusals))
    process = simulated.begin(project.world, desired, record.id, back=True)
    try:
        process = carried_out(process, plan, fault, see, project.order)
    except Killed as death:
        return Ended(replace(project, world=death.world), plan, KILLED)
    except Failed as failure:
        return Ended(replace(project, world=failure.process.world), plan, FAILED, failure.reason)
    wanted = restored_for(process.world, record, undo)
    left = planned(replace(project, world=process.world), wanted, back=True)
    if left.changed:
        word = "; ".join(f"{change.service}: {', '.join(change.causes)}" for change in left.changed)
        return Ended(replace(project, world=process.world), plan, FAILED, f"still differs: {word}")
    world = replace(process.world, state=replace(process.world.state, unrecorded=False))
    return Ended(replace(project, world=world), plan, DEPLOYED)
