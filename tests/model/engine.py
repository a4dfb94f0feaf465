"""A simulated engine: containers, images, networks, volumes, the proxy's files, and what a deploy process does to them.

Everything is a value: ``apply`` takes a process and one operation of a plan and returns the process after it, as
``tasks/host/execute.py`` and Compose would leave it. Time is a number of looks: whoever waits lets it pass.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace

from tasks.plan import operation as kinds
from tasks.plan.difference import identity
from tasks.plan.errors import SlipwayError
from tasks.plan.extension import CONTINUE, PAUSE
from tasks.plan.observed import Ran, Stamp
from tasks.plan.operation import Operation
from tasks.plan.rollout import crashing as crashing_often
from tasks.plan.rollout import levels, too_many_failed, trouble
from tasks.plan.upstream import Aim, pointed
from tasks.plan.verdict import verdict, verdict_on

from .making import compose, run, without
from .simulated import PATIENCE, Failed, GivenUp, Paused, Process, front, roles


def apply(process: Process, one: Operation) -> Process:
    """Return the process after an operation; raises Failed, Paused or GivenUp."""
    return _WORK[one.kind](process, one)


# The operations


def _nothing(process: Process, one: Operation) -> Process:
    return process


def _build(process: Process, one: Operation) -> Process:
    return process  # see deploying.py: builds come before the plan that is carried out


def _name(process: Process, one: Operation) -> Process:
    named = {name: process.desired.names[name] for name in one.names}
    return process.on(replace(process.world, tags={**process.world.tags, **named}))


def _restore(process: Process, one: Operation) -> Process:
    return process.on(replace(process.world, kept=process.world.kept | set(process.desired.files)))


def _replace_network(process: Process, one: Operation) -> Process:
    world = process.world
    if one.subject not in world.networks:
        raise Failed(process, f"network {one.subject} not found")
    if absent := set(one.names) - {box.fact.name for box in world.boxes if one.subject in box.fact.networks}:
        raise Failed(process, f"{absent} are not in network {one.subject}")
    boxes = []
    for box in world.boxes:
        kept = tuple(name for name in box.fact.networks if name != one.subject or box.fact.name not in one.names)
        boxes.append(replace(box, fact=replace(box.fact, networks=kept)))
    if any(one.subject in box.fact.networks and box.runs for box in boxes):
        raise Failed(process.on(replace(world, boxes=tuple(boxes))), f"network {one.subject} has active endpoints")
    networks = {name: found for name, found in world.networks.items() if name != one.subject}
    return process.on(replace(world, boxes=tuple(boxes), networks=networks))


def _run_job(process: Process, one: Operation) -> Process:
    process = compose(process, replace(one, counts={one.subject: 1}), again=True)
    process = run(process, [box.fact.name for box in process.world.of(one.services)])
    return _remembered(_await(process, replace(one, names=(), failure="")), one.services)


def _remembered(process: Process, services: Collection[str]) -> Process:
    jobs = dict(process.state.jobs)
    for box in process.world.of(services):
        if process.stack.one_off(process.stack.service(box.fact.service)) and box.fact.state == "exited":
            jobs[box.fact.service] = Ran(identity(process.desired.wanted(box.fact.service)), process.release)
    return replace(process, state=replace(process.state, jobs=jobs))


def _up(process: Process, one: Operation) -> Process:
    """Do as ``docker compose up`` does: make everything, start it in the order of what depends on what."""
    process = compose(process, one, again=False)
    for group in levels(process.stack):
        for service in group:
            for name, condition in service.depends_on.items():
                process = _ready_for(process, name, condition)
            mine = [box.fact.name for box in process.world.of([service.name]) if service.name in one.services]
            process = run(process, mine)
    return _remembered(process, one.services)


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


def _create(process: Process, one: Operation) -> Process:
    return compose(process, one, again=False)


def _recreate(process: Process, one: Operation) -> Process:
    return compose(process, one, again=True)


def _start(process: Process, one: Operation) -> Process:
    return run(process, one.names if one.begun else [box.fact.name for box in process.world.of(one.services)])


def _unpause(process: Process, one: Operation) -> Process:
    return process.on(process.world.changed(one.names, state="running"))


def _restart(process: Process, one: Operation) -> Process:
    there = [box.fact.name for box in process.world.named(one.names)]
    world = process.world.changed(there, state="exited", ports=())
    return run(process.on(world), there)


def _stop(process: Process, one: Operation) -> Process:
    names = [box.fact.name for box in process.world.named(one.names) if box.fact.state != "created"]
    return process.on(process.world.changed(names, state="exited", exit_code=0, health="", ports=()))


def _remove(process: Process, one: Operation) -> Process:
    running = [box.fact.name for box in process.world.named(one.names) if box.runs]
    if running:
        raise Failed(process, f"cannot remove running {running}")
    return process.on(without(process.world, one.names))


def _await(process: Process, one: Operation) -> Process:
    names = one.names if one.failure else ()
    word = ""
    for _ in range(PATIENCE):
        process = process.later()
        found = tuple(box.fact for box in process.world.boxes)
        mine = [fact for fact in found if (fact.name in names if names else fact.service in one.services)]
        if names:
            word = verdict_on(process.stack, process.stack.service(one.subject), found, names)
        else:
            word = verdict(process.stack, found, one.services)
        word = word or crashing_often(mine)
        if word:
            break
    if word != "ready":
        reason = word or "not healthy within HEALTH_TIMEOUT"
        if not names:
            raise Failed(process, reason)
        process = _failed(process, one, reason)
        process = _remove(_stop(process, one), one)
        raise GivenUp(process, reason)
    if names:
        return process
    seen = {box.fact.id for box in process.world.of(one.services) if box.runs} - process.begun
    return process.on(replace(process.world, proven=process.world.proven | seen))


def _settle(process: Process, one: Operation) -> Process:
    process = process.later(2)
    ended = [box.fact.name for box in process.world.of(one.services) if not box.runs]
    if ended:
        raise Failed(process, f"{ended} ended")
    return process


def _watch(process: Process, one: Operation) -> Process:
    service = process.stack.service(one.subject)
    process = process.later(3)
    found = [box.fact for box in process.world.boxes]
    bad = trouble(service, found, one.names)
    if too_many_failed(service, len(bad), len(one.names)):
        return _failed(process, one, "; ".join(bad))
    seen = {fact.id for fact in found if fact.name in one.names}
    return process.on(replace(process.world, proven=process.world.proven | seen))


def _failed(process: Process, one: Operation, reason: str) -> Process:
    if one.failure == CONTINUE:
        return process
    if one.failure == PAUSE:
        if one.subject in process.led:
            process = _pointed(process, one.subject, Aim(process.led[one.subject]))
        raise Paused(process, reason)
    raise Failed(process, reason)


def _point(process: Process, one: Operation) -> Process:
    if one.aim is None:
        return process
    if one.aim.coming:
        process = replace(process, led={**process.led, one.subject: tuple(one.aim.containers)})
    return _pointed(process, one.subject, one.aim, one.begun)


def _pointed(process: Process, service: str, aim: Aim, again: bool = False) -> Process:
    """Write the proxy's file and let it read it, where it says something else."""
    world = process.world
    if not front(world, process.stack):
        return process
    try:
        wanted = pointed(world.files[service], service, aim)
    except (KeyError, SlipwayError) as error:
        raise Failed(process, f"no file of {service}: {error}") from None
    if wanted == world.files[service] and not again:
        return process
    return read(written(process, service, wanted), service)


def written(process: Process, service: str, text: str) -> Process:
    """Return the process when the proxy's file is written and not read yet."""
    return process.on(replace(process.world, files={**process.world.files, service: text}))


def read(process: Process, service: str) -> Process:
    """Let the proxy read its file: it knows the address of whom it led to, and of whom it was told beforehand."""
    world = process.world
    led, _, known = roles(world.loaded.get(service, ""), service)
    now, backups, _ = roles(world.files[service], service)
    unknown = frozenset((*now, *backups)) - {*led, *known}
    fresh = {**world.fresh, service: unknown}
    return process.on(replace(world, loaded={**world.loaded, service: world.files[service]}, fresh=fresh))


def _rest(process: Process, one: Operation) -> Process:
    return process.later()


def _prove(process: Process, one: Operation) -> Process:
    known = {box.fact.id: process.state.stamps.get(box.fact.id, Stamp()) for box in process.world.named(one.names)}
    made = {name: replace(stamp, proven=True) for name, stamp in known.items()}
    return replace(process, state=process.state.stamped(made), begun=process.begun - made.keys()).save()


def _reload(process: Process, one: Operation) -> Process:
    contents = process.desired.wanted(one.subject).contents
    there = [box.fact.id for box in process.world.of(one.services) if box.runs]
    known = {name: process.state.stamps.get(name, Stamp()) for name in there}
    made = {name: replace(had, references=contents) for name, had in known.items()}
    process = replace(process, state=process.state.stamped(made)).save()
    if not process.stack.service(one.subject).slipway.proxy.upstreams:
        return process
    for service in process.world.files:
        process = read(process, service)
    return process


def _seed(process: Process, one: Operation) -> Process:
    return written(process, one.subject, one.text) if front(process.world, process.stack) else process


_WORK = {
    kinds.SEED: _seed,
    kinds.BUILD: _build,
    kinds.RESTORE: _restore,
    kinds.BACKUP: _nothing,
    kinds.SMOKE: _nothing,
    kinds.PULL: _nothing,
    kinds.NAME: _name,
    kinds.REPLACE_NETWORK: _replace_network,
    kinds.RUN: _run_job,
    kinds.UP: _up,
    kinds.CREATE: _create,
    kinds.RECREATE: _recreate,
    kinds.START: _start,
    kinds.UNPAUSE: _unpause,
    kinds.RESTART: _restart,
    kinds.STOP: _stop,
    kinds.REMOVE: _remove,
    kinds.AWAIT: _await,
    kinds.SETTLE: _settle,
    kinds.WATCH: _watch,
    kinds.POINT: _point,
    kinds.REST: _rest,
    kinds.DRAIN: _nothing,
    kinds.PROVE: _prove,
    kinds.RELOAD: _reload,
}


def half(one: Operation) -> Operation:
    """Return the first half of an operation that is done to several containers or services."""

    def some(found: Sequence[str]) -> tuple[str, ...]:
        return tuple(found[: (len(found) + 1) // 2])

    if one.kind in (kinds.STOP, kinds.REMOVE, kinds.START, kinds.RESTART, kinds.UNPAUSE) and len(one.names) > 1:
        return replace(one, names=some(one.names), begun=True)
    if one.kind == kinds.CREATE and one.begun and len(one.names) > 1:
        missing = len(one.names) // 2
        return replace(one, counts={name: count - missing for name, count in one.counts.items()})
    if one.kind in (kinds.CREATE, kinds.RECREATE, kinds.UP) and len(one.services) > 1:
        return replace(one, services=some(one.services))
    return one
