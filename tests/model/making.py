"""Makes and starts containers on the simulated engine, as Compose and ``docker start`` do."""

from collections.abc import Collection
from dataclasses import replace

from tasks.plan.difference import identity
from tasks.plan.facts import Container, Network, Volume
from tasks.plan.mounts import BIND, FILE
from tasks.plan.observed import Stamp
from tasks.plan.operation import Operation
from tasks.plan.stack import Service

from .simulated import GOOD, Box, Failed, Process, World, config_hash


def stamped(process: Process, services: Collection[str], before: Collection[str], proven: bool) -> Process:
    fresh = {
        one.fact.id: Stamp(process.desired.wanted(one.fact.service).contents, proven)
        for one in process.world.of(services)
        if one.fact.id not in before
    }
    begun = process.begun if proven else process.begun | fresh.keys()
    made = replace(process, state=process.state.stamped(fresh), begun=begun)
    return made.save() if any(one.references or not one.proven for one in fresh.values()) else made


def make(process: Process, service: Service, number: int, name: str = "") -> Process:
    """Make one container; it does not run yet."""
    world, raw = process.world, process.desired.model["services"][service.name]
    owner = ""
    if service.shares:
        owners = [one.fact.id for one in world.of(service.shares)]
        if not owners:
            raise Failed(process, f"{service.name}: no container of {service.shares} to share with")
        owner = owners[0]
    name = name or service.container_name or f"{process.stack.project}-{service.name}-{number}"
    if world.named([name]):
        raise Failed(process, f"the name {name} is taken")
    image = world.tags.get(service.image, "")
    if not image:
        raise Failed(process, f"no image {service.image}")
    wanted = process.desired.wanted(service.name)
    pinned, roots = {}, {}
    for reference in wanted.references:
        if reference.kind == BIND and not reference.source.endswith(".file"):
            roots[reference.target] = reference.source
        else:
            pinned[reference.target] = world.content(reference.source) if reference.held == FILE else reference.source
    declared = (process.desired.model.get("networks") or {}).items()
    options = {str(one["name"]): dict(one.get("driver_opts") or {}) for _, one in declared}
    networks = dict(world.networks)
    for network in service.networks:
        made_now = Network(network, f"net{world.serial + 1}", options=options.get(network, {}))
        networks.setdefault(network, made_now)
    volumes = {**world.volumes, **{one: Volume(one) for one in service.volumes if one not in world.volumes}}
    serial = world.serial + 1
    fact = Container(
        id=f"id{serial}", name=name, project=process.stack.project, service=service.name, image_id=image,
        state="created", number=number, config_hash=config_hash(raw, owner), image_reference=service.image,
        volumes=service.volumes, networks=service.networks, shares=(owner,) if owner else (), created=float(serial),
        binds=tuple((one.source, one.target) for one in wanted.references if one.kind == BIND),
    )  # fmt: skip
    box = Box(
        fact, image.removeprefix("sha256:"), 0, pinned, roots, {one: networks[one].id for one in service.networks}
    )
    made = replace(world, boxes=(*world.boxes, box), serial=serial, networks=networks, volumes=volumes)
    return process.on(made)


def without(world: World, names: Collection[str]) -> World:
    return replace(world, boxes=tuple(one for one in world.boxes if one.fact.name not in names))


def compose(process: Process, one: Operation, again: bool) -> Process:
    """Make the containers of services, or make those that are there anew (``again``), up to the wanted number."""
    before = {box.fact.id for box in process.world.boxes}
    try:
        for name in one.services:
            process = _ensured(process, process.stack.service(name), one.counts.get(name, 1), again)
    except Failed as failure:
        raise Failed(stamped(failure.process, one.services, before, not one.begun), failure.reason) from None
    return stamped(process, one.services, before, not one.begun)


def _ensured(process: Process, service: Service, count: int, again: bool) -> Process:
    there = sorted(process.world.of([service.name]), key=lambda box: (box.fact.number, box.fact.created))
    last = max((box.fact.number for box in there), default=0)
    if len({box.fact.number for box in there}) < len(there):
        raise Failed(process, f"two containers of {service.name} have one number: their names are in each other's way")
    for position, box in enumerate(there):
        if position >= count or again:
            process = process.on(without(process.world, [box.fact.name]))
        if again and position < count:
            process = make(process, service, box.fact.number)
    for number in range(last + 1, last + 1 + count - len(there)):
        process = make(process, service, number)
    return process


def torn(process: Process, one: Operation) -> Process:
    """Return what is left when Compose is killed while it makes the first container anew: both, neither running."""
    name = one.services[0]
    there = process.world.of([name])
    if not there:
        return process
    old = there[0].fact
    process = make(process, process.stack.service(name), old.number, f"{old.id}_{old.name}")
    return process.on(process.world.changed([old.name], state="exited", exit_code=0, health="", ports=()))


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
    boxes = tuple(replace(one, age=0) if one.fact.id == fact.id else one for one in world.boxes)
    world = replace(world, boxes=boxes)
    if process.stack.one_off(service):
        word = identity(process.desired.wanted(service.name))
        world = replace(world, runs=(*world.runs, (service.name, word, process.back, box.content.endswith(GOOD))))
    if service.slipway.proxy.upstreams:
        world = replace(world, loaded=dict(world.files), fresh={})
    return process.on(world)


def _hindered(world: World, box: Box, ports: Collection[str]) -> str:
    """Return why the engine would not start a container, "" when it would."""
    fact, running = box.fact, {one.fact.id for one in world.boxes if one.runs}
    joined = {name: world.networks[name].id if name in world.networks else "" for name in fact.networks}
    taken = {text for one in world.boxes if one.runs for text in one.fact.ports} & set(ports)
    words = [f"cannot join the network of {owner}, which does not run" for owner in fact.shares if owner not in running]
    words += [f"network {name} not found" for name, one in joined.items() if one != box.joined[name]]
    words += [f"{source} does not exist" for source, _ in fact.binds if not world.content(source)]
    return "; ".join((*words, *(f"{text}: port is already allocated" for text in taken)))


def _begins(service: Service) -> str:
    return "starting" if service.health_check else ""
