"""Makes and starts containers on the simulated engine, as Compose and ``docker start`` do."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from types import MappingProxyType

from tasks.model.engine.facts import Container, Network, Volume
from tasks.model.stack.stack import Service
from tasks.reconcile.plan.difference import job_digests
from tasks.reconcile.plan.mounts import BIND, FILE, Reference
from tasks.reconcile.plan.observed import Stamp
from tasks.reconcile.plan.operation import Operation
from tasks.reconcile.plan.ordering import containers_to_remove
from tasks.reconcile.plan.placed import (
    Place,
    configuration_digest,
    filled_volume,
    filled_volumes,
    places,
    reusable,
    volume_prefix,
    with_places,
)

from .simulated import GOOD, Box, Failed, Process, World, config_hash


def stamped(process: Process, services: Collection[str], before: Collection[str], proven: bool) -> Process:
    fresh = {
        box.fact.id: Stamp(
            process.desired.wanted(box.fact.service).contents,
            proven,
            configuration_digest(process.desired.model, box.fact.service) if filled_volumes(box.fact) else "",
        )
        for box in process.world.of(services)
        if box.fact.id not in before
    }
    begun = process.begun if proven else process.begun | fresh.keys()
    stamped_process = replace(process, state=process.state.stamped(fresh), begun=begun)
    return (
        stamped_process.save()
        if any(stamp.references or not stamp.proven for stamp in fresh.values())
        else stamped_process
    )


Volumes = tuple[tuple[Place, ...], dict[str, str]]


def volumes(process: Process, service: Service) -> Volumes:
    """Return the directories of a service that Slipway fills, and the volume that new containers mount at each."""
    world, wanted = process.world, process.desired.wanted(service.name)
    filled = () if process.stack.one_off(service) else places(process.desired.model, service, wanted)
    start = f"{volume_prefix(process.stack.project, service.name)}{world.serial + 1}"
    there = [box.fact for box in world.of([service.name])]
    ours = {
        place.target: reusable(place, there, process.state, wanted) or f"{start}-{number}"
        for number, place in enumerate(filled)
    }
    return filled, ours


def make(
    process: Process,
    service: Service,
    number: int,
    name: str = "",
    through: Mapping[str, str] = MappingProxyType({}),
    ours: Volumes | None = None,
) -> Process:
    """Create a container, not started yet. ``through``: the temporary names of networks."""
    world, wanted = process.world, process.desired.wanted(service.name)
    directories, mounted = ours or volumes(process, service)
    raw = with_places(process.desired.model, service.name, mounted)["services"][service.name]
    references = (reference for place in directories for reference in place.references)
    filled = {reference.target: available(process, service.name, reference) for reference in references}
    owner = ""
    if service.shares:
        owners = [box.fact.id for box in world.of(service.shares)]
        if not owners:
            raise Failed(process, f"{service.name}: no container of {service.shares} to share with")
        owner = owners[0]
    name = name or service.container_name or f"{process.stack.project}-{service.name}-{number}"
    if world.named([name]):
        raise Failed(process, f"the name {name} is taken")
    image = world.tags.get(service.image, "")
    if not image:
        raise Failed(process, f"no image {service.image}")
    pinned, roots = {}, {}
    mounts = [reference for reference in wanted.references if reference.target not in filled]
    for reference in mounts:
        if reference.kind == BIND and not reference.source.endswith(".file"):
            roots[reference.target] = reference.source
        else:
            pinned[reference.target] = world.content(reference.source) if reference.held == FILE else reference.source
    declared = (process.desired.model.get("networks") or {}).items()
    options = {str(network["name"]): dict(network.get("driver_opts") or {}) for _, network in declared}
    networks, joined = dict(world.networks), tuple(through.get(network, network) for network in service.networks)
    for network in joined:
        new_network = Network(network, f"net{world.serial + 1}", options=options.get(network, {}))
        networks.setdefault(network, new_network)
    known = {**world.volumes, **{volume: Volume(volume) for volume in service.volumes if volume not in world.volumes}}
    serial = world.serial + 1
    fact = Container(
        id=f"id{serial}", name=name, project=process.stack.project, service=service.name, image_id=image,
        state="created", number=number, config_hash=config_hash(raw, owner), image_reference=service.image,
        volumes=service.volumes, networks=joined, shares=(owner,) if owner else (), created=float(serial),
        binds=tuple((mount.source, mount.target) for mount in mounts if mount.kind == BIND),
        mounted=tuple((volume, target) for target, volume in mounted.items()),
    )  # fmt: skip
    joins = {network: networks[network].id for network in joined}
    box = Box(fact, image.removeprefix("sha256:"), 0, pinned, roots, joins, filled)
    made = replace(world, boxes=(*world.boxes, box), serial=serial, networks=networks, volumes=known)
    return process.on(made)


def available(process: Process, service: str, reference: Reference) -> str:
    """Return the content to put into a volume; raises Failed when no source has it any more."""
    digest = process.desired.wanted(service).contents[reference.target].digest
    recorded = (service, reference.target) in process.desired.kept
    stamps = process.state.stamps
    for box in process.world.of([service]):
        noted = stamps.get(box.fact.id, Stamp()).references.get(reference.target)
        recorded = recorded or bool(filled_volume(box.fact, reference) and noted and noted.digest == digest)
    if not recorded and process.world.content(reference.source) != digest:
        raise Failed(process, f"{reference.name} of {service} is not what it was")
    return digest


def without(world: World, names: Collection[str]) -> World:
    return replace(world, boxes=tuple(box for box in world.boxes if box.fact.name not in names))


def compose(process: Process, operation: Operation, again: bool) -> Process:
    """Create the missing containers of services, or with ``again`` recreate all, up to the wanted number."""
    before = {box.fact.id for box in process.world.boxes}
    try:
        for name in operation.services:
            process = _ensured(process, process.stack.service(name), operation, again)
    except Failed as failure:
        raise Failed(
            stamped(failure.process, operation.services, before, not operation.begun), failure.reason
        ) from None
    return stamped(process, operation.services, before, not operation.begun)


def _ensured(process: Process, service: Service, operation: Operation, again: bool) -> Process:
    count = operation.counts.get(service.name, 1)
    there = sorted(process.world.of([service.name]), key=lambda box: (box.fact.number, box.fact.created))
    last, ours = max((box.fact.number for box in there), default=0), volumes(process, service)
    if len({box.fact.number for box in there}) < len(there):
        raise Failed(process, f"two containers of {service.name} have the same number: their names would collide")
    for position, box in enumerate(there):
        if position >= count or again:
            process = process.on(without(process.world, [box.fact.name]))
        if again and position < count:
            process = make(process, service, box.fact.number, through=operation.through, ours=ours)
    for number in range(last + 1, last + 1 + count - len(there)):
        process = make(process, service, number, through=operation.through, ours=ours)
    return process


def torn(process: Process, operation: Operation) -> Process:
    """Return what is left when Compose is killed while it recreates the first container: old and new, both stopped."""
    name = operation.services[0]
    there = process.world.of([name])
    if not there:
        return process
    old = there[0].fact
    process = make(process, process.stack.service(name), old.number, f"{old.id}_{old.name}", operation.through)
    return process.on(process.world.changed([old.name], state="exited", exit_code=0, health="", ports=()))


def unmade(process: Process, operation: Operation, before: World) -> Process:
    """Return the process without the containers that an operation made before it stopped half-way."""
    names = containers_to_remove(
        operation, [box.fact for box in before.boxes], [box.fact for box in process.world.boxes]
    )
    return process.on(without(process.world, names))


def run(process: Process, names: Collection[str]) -> Process:
    """Start containers, as ``docker start`` does."""
    for box in process.world.named(names):
        process = _started(process, box)
    return process


def _started(process: Process, box: Box) -> Process:
    world, fact = process.world, box.fact
    service = process.stack.services.get(fact.service)
    if service is None or fact.state in ("running", "paused"):
        return process
    ports = tuple(f"0.0.0.0:{port.published}->{port.target}/tcp" for port in service.ports if port.published)
    if word := _hindered(world, box, ports):
        raise Failed(process, f"{fact.name}: {word}")
    world = world.changed([fact.name], state="running", exit_code=0, health=_begins(service), ports=ports)
    boxes = tuple(replace(box, age=0, read=box.filled) if box.fact.id == fact.id else box for box in world.boxes)
    world = replace(world, boxes=boxes)
    if process.stack.one_off(service):
        word = min(job_digests(process.desired.wanted(service.name)))
        world = replace(world, runs=(*world.runs, (service.name, word, process.back, box.content.endswith(GOOD))))
    if service.slipway.proxy.upstreams:
        world = replace(world, loaded=dict(world.files), fresh={})
    return process.on(world)


def _hindered(world: World, box: Box, ports: Collection[str]) -> str:
    """Return why the engine would not start a container, "" when it would."""
    fact, running = box.fact, {box.fact.id for box in world.boxes if box.runs}
    joined = {name: world.networks[name].id if name in world.networks else "" for name in fact.networks}
    taken = {text for box in world.boxes if box.runs for text in box.fact.ports} & set(ports)
    words = [f"cannot join the network of {owner}, which does not run" for owner in fact.shares if owner not in running]
    words += [f"network {name} not found" for name, identity in joined.items() if identity != box.joined[name]]
    words += [f"{source} does not exist" for source, _ in fact.binds if not world.content(source)]
    return "; ".join((*words, *(f"{text}: port is already allocated" for text in taken)))


def _begins(service: Service) -> str:
    return "starting" if service.health_check else ""
