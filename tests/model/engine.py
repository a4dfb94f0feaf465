"""A simulated engine: containers, images, networks, volumes, the proxy's files, and what a deploy process does to them.

Everything is a value: ``apply`` takes a process and an operation of a plan and returns the process after it, as
``tasks/reconcile/execute.py`` and Compose would leave it. Time is counted in looks; waiting lets it pass.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace

from tasks.model.engine.facts import Network
from tasks.model.errors import SlipwayError
from tasks.model.stack.extension import CONTINUE, PAUSE
from tasks.model.stack.upstream import ProxyTarget, retarget
from tasks.model.stack.verdict import container_problems, verdict, verdict_on
from tasks.model.stack.verdict import crash_loop as crashing_often
from tasks.reconcile.plan.difference import job_digests
from tasks.reconcile.plan.observed import UNFINISHED, Ran, Stamp
from tasks.reconcile.plan.operation import (
    AWAIT,
    BACKUP,
    BUILD,
    CONNECT,
    CREATE,
    CREATE_NETWORK,
    DISCONNECT,
    DRAIN,
    NAME,
    POINT,
    PROVE,
    PULL,
    RECREATE,
    RELOAD,
    REMOVE,
    REMOVE_NETWORK,
    REPLACE_NETWORK,
    REST,
    RESTART,
    RESTORE,
    RUN,
    SEED,
    SETTLE,
    SMOKE,
    START,
    STOP,
    UNPAUSE,
    UP,
    WATCH,
    WEIGHT,
    Operation,
)
from tasks.reconcile.plan.placed import configuration_digest, filled_volume, filled_volumes
from tasks.reconcile.plan.rollout import levels, too_many_failed

from .making import available, compose, run, without
from .simulated import PATIENCE, Failed, GivenUp, Paused, Process, front, servers


def apply(process: Process, operation: Operation) -> Process:
    """Return the process after an operation; raises Failed, Paused or GivenUp."""
    return _WORK[operation.kind](process, operation)


# The operations


def _nothing(process: Process, operation: Operation) -> Process:
    return process


def _build(process: Process, operation: Operation) -> Process:
    return process  # see deploying.py: builds come before the plan that is carried out


def _name(process: Process, operation: Operation) -> Process:
    named = {name: process.desired.names[name] for name in operation.names}
    return process.on(replace(process.world, tags={**process.world.tags, **named}))


def _restore(process: Process, operation: Operation) -> Process:
    return process.on(replace(process.world, kept=process.world.kept | set(process.desired.files)))


def _replace_network(process: Process, operation: Operation) -> Process:
    world = process.world
    if operation.subject not in world.networks:
        raise Failed(process, f"network {operation.subject} not found")
    if absent := set(operation.names) - {
        box.fact.name for box in world.boxes if operation.subject in box.fact.networks
    }:
        raise Failed(process, f"{absent} are not in network {operation.subject}")
    boxes = []
    for box in world.boxes:
        kept = tuple(
            name for name in box.fact.networks if name != operation.subject or box.fact.name not in operation.names
        )
        boxes.append(replace(box, fact=replace(box.fact, networks=kept)))
    if any(operation.subject in box.fact.networks and box.runs for box in boxes):
        raise Failed(
            process.on(replace(world, boxes=tuple(boxes))), f"network {operation.subject} has active endpoints"
        )
    networks = {name: network for name, network in world.networks.items() if name != operation.subject}
    return process.on(replace(world, boxes=tuple(boxes), networks=networks))


def _create_network(process: Process, operation: Operation) -> Process:
    """Create a network from the options of ``docker network create``."""
    world = process.world
    if operation.subject in world.networks:
        raise Failed(process, f"network {operation.subject} already exists")
    said = [word.partition("=")[::2] for word in operation.options]
    labels = dict(value.split("=", 1) for key, value in said if key == "--label")
    options = dict(value.split("=", 1) for key, value in said if key == "--opt")
    made = Network(operation.subject, f"net{world.serial + 1}", options=options, labels=labels)
    return process.on(replace(world, serial=world.serial + 1, networks={**world.networks, operation.subject: made}))


def _remove_network(process: Process, operation: Operation) -> Process:
    world = process.world
    if operation.subject not in world.networks:
        raise Failed(process, f"network {operation.subject} not found")
    if inside := [box.fact.name for box in world.boxes if operation.subject in box.fact.networks and box.runs]:
        raise Failed(process, f"network {operation.subject} has active endpoints: {inside}")
    networks = {name: network for name, network in world.networks.items() if name != operation.subject}
    return process.on(replace(world, networks=networks))


def _connect(process: Process, operation: Operation) -> Process:
    """Connect containers that are not in a network yet; the others keep their connection."""
    world, boxes = process.world, []
    if operation.subject not in world.networks:
        raise Failed(process, f"network {operation.subject} not found")
    for box in world.boxes:
        if box.fact.name in operation.names and operation.subject not in box.fact.networks:
            fact = replace(box.fact, networks=(*box.fact.networks, operation.subject))
            box = replace(
                box, fact=fact, joined={**box.joined, operation.subject: world.networks[operation.subject].id}
            )
        boxes.append(box)
    return process.on(replace(world, boxes=tuple(boxes)))


def _disconnect(process: Process, operation: Operation) -> Process:
    boxes = []
    for box in process.world.boxes:
        if box.fact.name in operation.names and operation.subject in box.fact.networks:
            kept = tuple(name for name in box.fact.networks if name != operation.subject)
            box = replace(box, fact=replace(box.fact, networks=kept))
        boxes.append(box)
    return process.on(replace(process.world, boxes=tuple(boxes)))


def _run_job(process: Process, operation: Operation) -> Process:
    process = compose(process, replace(operation, counts={operation.subject: 1}), again=True)
    process = run(process, [box.fact.name for box in process.world.of(operation.services)])
    return _remembered(_await(process, replace(operation, names=(), failure="")), operation.services)


def _remembered(process: Process, services: Collection[str]) -> Process:
    jobs = dict(process.state.jobs)
    for box in process.world.of(services):
        if process.stack.one_off(process.stack.service(box.fact.service)) and box.fact.state == "exited":
            jobs[box.fact.service] = Ran(job_digests(process.desired.wanted(box.fact.service)), process.release)
    return replace(process, state=replace(process.state, jobs=jobs))


def _up(process: Process, operation: Operation) -> Process:
    """Do as ``docker compose up`` does: create everything, start it in the order of dependencies."""
    process = compose(process, operation, again=False)
    for group in levels(process.stack):
        for service in group:
            for name, condition in service.depends_on.items():
                process = _ready_for(process, name, condition)
            mine = [box.fact.name for box in process.world.of([service.name]) if service.name in operation.services]
            process = run(process, mine)
    return _remembered(process, operation.services)


def _ready_for(process: Process, name: str, condition: str) -> Process:
    if condition == "service_started" or name not in process.stack.services:
        return process
    word = ""
    for _ in range(PATIENCE):
        word = verdict(process.stack, tuple(box.fact for box in process.world.boxes), (name,))
        if word:
            break
        process = process.later()
    if word == "ready":
        return process
    raise Failed(process, f"dependency {name} failed to start: {word}")


def _create(process: Process, operation: Operation) -> Process:
    return compose(process, operation, again=False)


def _recreate(process: Process, operation: Operation) -> Process:
    return compose(process, operation, again=True)


def _start(process: Process, operation: Operation) -> Process:
    return run(
        process, operation.names if operation.begun else [box.fact.name for box in process.world.of(operation.services)]
    )


def _unpause(process: Process, operation: Operation) -> Process:
    return process.on(process.world.changed(operation.names, state="running"))


def _restart(process: Process, operation: Operation) -> Process:
    there = [box.fact.name for box in process.world.named(operation.names)]
    world = process.world.changed(there, state="exited", ports=())
    return run(process.on(world), there)


def _stop(process: Process, operation: Operation) -> Process:
    names = [box.fact.name for box in process.world.named(operation.names) if box.fact.state != "created"]
    return process.on(process.world.changed(names, state="exited", exit_code=0, health="", ports=()))


def _remove(process: Process, operation: Operation) -> Process:
    running = [box.fact.name for box in process.world.named(operation.names) if box.runs]
    if running:
        raise Failed(process, f"cannot remove running {running}")
    return process.on(without(process.world, operation.names))


def _await(process: Process, operation: Operation) -> Process:
    names = operation.names if operation.failure else ()
    word = ""
    for _ in range(PATIENCE):
        process = process.later()
        containers = tuple(box.fact for box in process.world.boxes)
        own = [fact for fact in containers if (fact.name in names if names else fact.service in operation.services)]
        if names:
            word = verdict_on(process.stack, process.stack.service(operation.subject), containers, names)
        else:
            word = verdict(process.stack, containers, operation.services)
        word = word or crashing_often(own)
        if word:
            break
    if word != "ready":
        reason = word or "not healthy within HEALTH_TIMEOUT"
        if not names:
            raise Failed(process, reason)
        process = _failed(process, operation, reason)
        process = _remove(_stop(process, operation), operation)
        raise GivenUp(process, reason)
    if names:
        return process
    seen = {box.fact.id for box in process.world.of(operation.services) if box.runs} - process.begun
    return process.on(replace(process.world, proven=process.world.proven | seen))


def _settle(process: Process, operation: Operation) -> Process:
    process = process.later(2)
    ended = [box.fact.name for box in process.world.of(operation.services) if not box.runs]
    if ended:
        raise Failed(process, f"{ended} ended")
    return process


def _watch(process: Process, operation: Operation) -> Process:
    service = process.stack.service(operation.subject)
    process = process.later(3)
    containers = [box.fact for box in process.world.boxes]
    bad = container_problems(service, containers, operation.names)
    if too_many_failed(service, len(bad), len(operation.names)):
        return _failed(process, operation, "; ".join(bad))
    seen = {fact.id for fact in containers if fact.name in operation.names}
    return process.on(replace(process.world, proven=process.world.proven | seen))


def _failed(process: Process, operation: Operation, reason: str) -> Process:
    if operation.failure == CONTINUE:
        return process
    if operation.failure == PAUSE:
        if operation.subject in process.led:
            process = _pointed(process, operation.subject, ProxyTarget(process.led[operation.subject]))
        raise Paused(process, reason)
    raise Failed(process, reason)


def _point(process: Process, operation: Operation) -> Process:
    if operation.aim is None:
        return process
    if operation.aim.settled:
        process = replace(process, led={**process.led, operation.subject: tuple(operation.aim.containers)})
    return _pointed(process, operation.subject, operation.aim, operation.begun)


def _pointed(process: Process, service: str, aim: ProxyTarget, again: bool = False) -> Process:
    """Write the proxy's file and let the proxy read it, when the content changes or with ``again``."""
    world = process.world
    if not front(world, process.stack):
        return process
    try:
        wanted = retarget(world.files[service], service, aim)
    except (KeyError, SlipwayError) as error:
        raise Failed(process, f"no file of {service}: {error}") from None
    if wanted == world.files[service] and not again:
        return process
    return read(written(process, service, wanted))


def written(process: Process, service: str, text: str) -> Process:
    """Return the process with the proxy's file written and not read yet."""
    return process.on(replace(process.world, files={**process.world.files, service: text}))


def read(process: Process) -> Process:
    """Let the proxy read all its files.

    As nginx, it keeps the addresses of servers that were servers before, and of backups that were backups; it knows
    those of others a look later.
    """
    world, fresh = process.world, {}
    for service, text in world.files.items():
        unknown = frozenset(servers(text, service)) - {*servers(world.loaded.get(service, ""), service)}
        fresh[service] = unknown | world.fresh.get(service, frozenset())
    return process.on(replace(world, loaded=dict(world.files), fresh=fresh))


def _rest(process: Process, operation: Operation) -> Process:
    return process.later()


def _prove(process: Process, operation: Operation) -> Process:
    known = {
        box.fact.id: process.state.stamps.get(box.fact.id, Stamp()) for box in process.world.named(operation.names)
    }
    made = {name: replace(stamp, proven=True) for name, stamp in known.items()}
    return replace(process, state=process.state.stamped(made), begun=process.begun - made.keys()).save()


def exchanged(process: Process, operation: Operation) -> Process:
    """Return the process with the wanted content in the volumes that Slipway fills, not read and not noted yet."""
    wanted, unknown, boxes = process.desired.wanted(operation.subject), {}, []
    for box in process.world.boxes:
        mounts = [reference for reference in wanted.references if filled_volume(box.fact, reference)]
        if box.fact.service == operation.subject and mounts and box.runs:
            filled = {mount.target: available(process, operation.subject, mount) for mount in mounts}
            had = process.state.stamps.get(box.fact.id, Stamp())
            unknown[box.fact.id] = had.with_(dict.fromkeys(filled, UNFINISHED))
            box = replace(box, filled={**box.filled, **filled})
        boxes.append(box)
    noted = replace(process, state=process.state.stamped(unknown)).save()
    return noted.on(replace(noted.world, boxes=tuple(boxes)))


def _reload(process: Process, operation: Operation) -> Process:
    process = exchanged(process, operation)
    contents, model = process.desired.wanted(operation.subject).contents, process.desired.model
    there = [box.fact for box in process.world.of(operation.services) if box.runs]
    made = {
        fact.id: replace(
            process.state.stamps.get(fact.id, Stamp()),
            references=contents,
            configuration=configuration_digest(model, operation.subject) if filled_volumes(fact) else "",
        )
        for fact in there
    }
    process = replace(process, state=process.state.stamped(made)).save()
    boxes = (replace(box, read=box.filled) if box.fact.id in made else box for box in process.world.boxes)
    process = process.on(replace(process.world, boxes=tuple(boxes)))
    return read(process) if process.stack.service(operation.subject).slipway.proxy.upstreams else process


def _seed(process: Process, operation: Operation) -> Process:
    return written(process, operation.subject, operation.text) if front(process.world, process.stack) else process


_WORK = {
    SEED: _seed,
    BUILD: _build,
    RESTORE: _restore,
    BACKUP: _nothing,
    SMOKE: _nothing,
    PULL: _nothing,
    NAME: _name,
    REPLACE_NETWORK: _replace_network,
    CREATE_NETWORK: _create_network,
    REMOVE_NETWORK: _remove_network,
    CONNECT: _connect,
    DISCONNECT: _disconnect,
    RUN: _run_job,
    UP: _up,
    CREATE: _create,
    RECREATE: _recreate,
    START: _start,
    UNPAUSE: _unpause,
    RESTART: _restart,
    STOP: _stop,
    REMOVE: _remove,
    AWAIT: _await,
    SETTLE: _settle,
    WATCH: _watch,
    POINT: _point,
    WEIGHT: _point,
    REST: _rest,
    DRAIN: _nothing,
    PROVE: _prove,
    RELOAD: _reload,
}


_SEVERAL = (CONNECT, DISCONNECT)


def half(operation: Operation) -> Operation:
    """Return the first half of an operation that is done to several containers or services."""

    def first_half(items: Sequence[str]) -> tuple[str, ...]:
        return tuple(items[: (len(items) + 1) // 2])

    if operation.kind in (STOP, REMOVE, START, RESTART, UNPAUSE, *_SEVERAL) and len(operation.names) > 1:
        return replace(operation, names=first_half(operation.names), begun=True)
    if operation.kind == CREATE and operation.begun and len(operation.names) > 1:
        missing = len(operation.names) // 2
        return replace(operation, counts={name: count - missing for name, count in operation.counts.items()})
    if operation.kind in (CREATE, RECREATE, UP) and len(operation.services) > 1:
        return replace(operation, services=first_half(operation.services))
    return operation
