"""A simulated engine: containers, images, networks, volumes, the proxy's files, and what a deploy process does to them.

Everything is a value: ``apply`` takes a process and one operation of a plan and returns the process after it, as
``tasks/host/execute.py`` and Compose would leave it. Time is a number of looks: whoever waits lets it pass.
"""

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tasks.plan import operation as kinds
from tasks.plan.desired import Desired
from tasks.plan.difference import identity
from tasks.plan.errors import SlipwayError
from tasks.plan.extension import CONTINUE, PAUSE
from tasks.plan.facts import Container, Network, Volume
from tasks.plan.mounts import BIND, FILE
from tasks.plan.observed import Ran, Stamp, State
from tasks.plan.operation import Operation
from tasks.plan.rollout import crashing as crashing_often
from tasks.plan.rollout import levels, too_many_failed, trouble
from tasks.plan.stack import Service, Stack
from tasks.plan.upstream import Aim, pointed
from tasks.plan.verdict import verdict, verdict_on

KEPT = "/kept/"
PATIENCE = 6  # looks before a wait gives up
GOOD, NEVER, CRASH, LATE = "good", "never", "crash", "late"
"""What becomes of containers of an image: the last word of its content."""
_SERVER = re.compile(r"server (?P<host>[^:\s]+):8000(?P<role>[^;]*);")


class Failed(Exception):
    """An operation failed; ``process`` is what it left."""

    def __init__(self, process: "Process", reason: str) -> None:
        super().__init__(reason)
        self.process, self.reason = process, reason


class Paused(Failed):
    """A rollout paused (``update_config.failure_action: pause``)."""


class GivenUp(Failed):
    """A batch is given up and the deploy goes on (``failure_action: continue``)."""


@dataclass(frozen=True)
class Box:
    """A container and what no look at the engine tells: its image's content, its age, what it mounts.

    ``pinned`` are mounted files as they were when it was made, by target; ``roots`` mounted directories, seen live,
    ``joined`` the ids of networks: one of the same name that was made anew is another network.
    """

    fact: Container
    content: str
    age: int = 0
    pinned: Mapping[str, str] = field(default_factory=dict)
    roots: Mapping[str, str] = field(default_factory=dict)
    joined: Mapping[str, str] = field(default_factory=dict)

    @property
    def runs(self) -> bool:
        """Whether it serves, as far as the engine knows."""
        return self.fact.state == "running"


@dataclass(frozen=True)
class World:
    """An engine with one project on it, and the disk that containers mount files of.

    ``files`` are the proxy's files of services, ``loaded`` what the proxy has read of them, ``fresh`` which of the
    names that it has just read it cannot know the address of yet. ``proven`` are the ids of containers that were seen
    to be ready, and of a rollout watched to the end; ``runs`` every start of a job: service, identity, whether on a way
    back, whether it ended well.
    """

    boxes: tuple[Box, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    built: Mapping[str, str] = field(default_factory=dict)
    networks: Mapping[str, Network] = field(default_factory=dict)
    volumes: Mapping[str, Volume] = field(default_factory=dict)
    disk: Mapping[str, str] = field(default_factory=dict)
    kept: frozenset[str] = frozenset()
    files: Mapping[str, str] = field(default_factory=dict)
    loaded: Mapping[str, str] = field(default_factory=dict)
    fresh: Mapping[str, frozenset[str]] = field(default_factory=dict)
    state: State = field(default_factory=State)
    proven: frozenset[str] = frozenset()
    runs: tuple[tuple[str, str, bool, bool], ...] = ()
    serial: int = 0

    def of(self, services: Collection[str]) -> list[Box]:
        """Return the containers of services."""
        return [one for one in self.boxes if one.fact.service in services]

    def named(self, names: Collection[str]) -> list[Box]:
        """Return the containers of these names."""
        return [one for one in self.boxes if one.fact.name in names]

    def changed(self, names: Collection[str], **facts: Any) -> "World":
        """Return the world with other facts of the containers of these names."""
        made = [replace(one, fact=replace(one.fact, **facts)) if one.fact.name in names else one for one in self.boxes]
        return replace(self, boxes=tuple(made))

    def content(self, path: str) -> str:
        """Return what a path on the disk holds, "" for nothing."""
        if path.startswith(KEPT):
            return path.removeprefix(KEPT) if path.removeprefix(KEPT) in self.kept else ""
        return self.disk.get(path, "")

    def later(self, looks: int = 1) -> "World":
        """Return the world some time later."""
        found = self
        for _ in range(looks):
            found = replace(found, boxes=tuple(map(_older, found.boxes)), fresh={})
        return found


def _older(one: Box) -> Box:
    fact, behaviour = one.fact, one.content.rpartition("-")[2]
    if fact.state not in ("running", "restarting"):
        return one
    job = one.content.startswith("job")
    if job:
        return replace(one, fact=replace(fact, state="exited", exit_code=0 if behaviour == GOOD else 1, ports=()))
    aged = replace(one, age=one.age + 1)
    checked = bool(fact.health)
    if behaviour == CRASH or (behaviour == LATE and aged.age >= 3 and not checked):
        return replace(aged, fact=replace(fact, state="exited", exit_code=1, health="", ports=()))
    if behaviour == NEVER or (behaviour == LATE and aged.age >= 3):
        return replace(aged, fact=replace(fact, health="unhealthy" if checked else ""))
    return replace(aged, fact=replace(fact, health="healthy" if checked else ""))


def config_hash(raw: Mapping[str, Any], owner: str = "") -> str:
    """Return what stands for Compose's hash of a service: its configuration without what Compose leaves out.

    ``owner`` is the container whose network it uses.
    """
    left_out = ("scale", "depends_on", "build", "pull_policy", "x-slipway", "deploy")
    kept = {key: value for key, value in raw.items() if key not in left_out}
    if owner and str(raw.get("network_mode", "")).startswith("service:"):
        kept["network_mode"] = f"container:{owner}"
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:12]


def roles(text: str, service: str) -> tuple[list[str], list[str], list[str]]:
    """Return what a proxy's file says: who is led to, who is the backup, who is only known."""
    led: list[str] = []
    backups: list[str] = []
    known: list[str] = []
    for found in _SERVER.finditer(text):
        words = found["role"].split()
        (known if "down" in words else backups if "backup" in words else led).append(found["host"])
    return led, backups, known


def front(world: World, stack: Stack) -> list[Box]:
    """Return the running containers of the proxy."""
    names = [one.name for one in stack.services.values() if one.slipway.proxy.upstreams]
    return [one for one in world.of(names) if one.runs]


def behind(world: World, stack: Stack, service: Service) -> bool:
    """Whether a proxy leads requests to a service."""
    proxies = any(one.slipway.proxy.upstreams for one in stack.services.values())
    return proxies and service.rollout != "recreate" and service.name in world.files


def reached(world: World, stack: Stack, service: Service) -> tuple[set[str], set[str]]:
    """Return the ids of running containers that a request would reach: now, and when none of those answers."""
    running = {one.fact.name: one.fact.id for one in world.of([service.name]) if one.runs}
    if not behind(world, stack, service):
        return set(running.values()), set()
    read = world.loaded if front(world, stack) else world.files
    text = read.get(service.name) or world.files[service.name]
    led, backups, _ = roles(text, service.name)
    unknown = world.fresh.get(service.name, frozenset())

    def ids(names: Iterable[str]) -> set[str]:
        found = set()
        for name in names:
            if name in unknown:
                continue
            if name == service.name:
                found |= set(running.values())
            elif name in running:
                found.add(running[name])
        return found

    return ids(led), ids(backups)


@dataclass(frozen=True)
class Process:
    """A deploy that runs: the engine, what it carries out, and what it remembers and has not written down yet."""

    world: World
    desired: Desired
    state: State
    saved: State
    release: int = 0
    back: bool = False
    led: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    begun: frozenset[str] = frozenset()

    @property
    def stack(self) -> Stack:
        """The services that are to be."""
        return self.desired.stack

    def on(self, world: World) -> "Process":
        """Return the process with another world."""
        return replace(self, world=world)

    def later(self, looks: int = 1) -> "Process":
        """Return the process some time later."""
        return self.on(self.world.later(looks))

    def save(self) -> "Process":
        """Write down what it remembers."""
        if self.state == self.saved:
            return self
        kept = self.state.kept({one.fact.id for one in self.world.boxes})
        return replace(self, state=kept, saved=kept, world=replace(self.world, state=kept))


def begin(world: World, desired: Desired, release: int = 0, back: bool = False) -> Process:
    """Return a deploy that begins."""
    return Process(world, desired, replace(world.state, unrecorded=True), world.state, release, back)


def apply(process: Process, one: Operation) -> Process:
    """Return the process after an operation; raises Failed, Paused or GivenUp."""
    return _WORK[one.kind](process, one)


# Making containers, as Compose does


def _stamped(process: Process, services: Collection[str], before: Collection[str], proven: bool) -> Process:
    fresh = {
        one.fact.id: Stamp(process.desired.wanted(one.fact.service).contents, proven)
        for one in process.world.of(services)
        if one.fact.id not in before
    }
    begun = process.begun if proven else process.begun | fresh.keys()
    made = replace(process, state=process.state.stamped(fresh), begun=begun)
    return made.save() if any(one.references or not one.proven for one in fresh.values()) else made


def _make(process: Process, service: Service, number: int, name: str = "") -> Process:
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


def _gone(world: World, names: Collection[str]) -> World:
    return replace(world, boxes=tuple(one for one in world.boxes if one.fact.name not in names))


def _compose(process: Process, one: Operation, again: bool) -> Process:
    """Make the containers of services, or make those that are there anew (``again``), up to the wanted number."""
    before = {box.fact.id for box in process.world.boxes}
    try:
        for name in one.services:
            process = _ensured(process, process.stack.service(name), one.counts.get(name, 1), again)
    except Failed as failure:
        raise Failed(_stamped(failure.process, one.services, before, not one.begun), failure.reason) from None
    return _stamped(process, one.services, before, not one.begun)


def _ensured(process: Process, service: Service, count: int, again: bool) -> Process:
    there = sorted(process.world.of([service.name]), key=lambda box: (box.fact.number, box.fact.created))
    last = max((box.fact.number for box in there), default=0)
    if len({box.fact.number for box in there}) < len(there):
        raise Failed(process, f"two containers of {service.name} have one number: their names are in each other's way")
    for position, box in enumerate(there):
        if position >= count or again:
            process = process.on(_gone(process.world, [box.fact.name]))
        if again and position < count:
            process = _make(process, service, box.fact.number)
    for number in range(last + 1, last + 1 + count - len(there)):
        process = _make(process, service, number)
    return process


def torn(process: Process, one: Operation) -> Process:
    """Return what is left when Compose is killed while it makes the first container anew: both, neither running."""
    name = one.services[0]
    there = process.world.of([name])
    if not there:
        return process
    old = there[0].fact
    process = _make(process, process.stack.service(name), old.number, f"{old.id}_{old.name}")
    return process.on(process.world.changed([old.name], state="exited", exit_code=0, health="", ports=()))


def _run(process: Process, names: Collection[str]) -> Process:
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
    process = _compose(process, replace(one, counts={one.subject: 1}), again=True)
    process = _run(process, [box.fact.name for box in process.world.of(one.services)])
    return _remembered(_await(process, replace(one, names=(), failure="")), one.services)


def _remembered(process: Process, services: Collection[str]) -> Process:
    jobs = dict(process.state.jobs)
    for box in process.world.of(services):
        if process.stack.one_off(process.stack.service(box.fact.service)) and box.fact.state == "exited":
            jobs[box.fact.service] = Ran(identity(process.desired.wanted(box.fact.service)), process.release)
    return replace(process, state=replace(process.state, jobs=jobs))


def _up(process: Process, one: Operation) -> Process:
    """Do as ``docker compose up`` does: make everything, start it in the order of what depends on what."""
    process = _compose(process, one, again=False)
    for group in levels(process.stack):
        for service in group:
            for name, condition in service.depends_on.items():
                process = _ready_for(process, name, condition)
            mine = [box.fact.name for box in process.world.of([service.name]) if service.name in one.services]
            process = _run(process, mine)
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
    return _compose(process, one, again=False)


def _recreate(process: Process, one: Operation) -> Process:
    return _compose(process, one, again=True)


def _start(process: Process, one: Operation) -> Process:
    return _run(process, one.names if one.begun else [box.fact.name for box in process.world.of(one.services)])


def _unpause(process: Process, one: Operation) -> Process:
    return process.on(process.world.changed(one.names, state="running"))


def _restart(process: Process, one: Operation) -> Process:
    there = [box.fact.name for box in process.world.named(one.names)]
    world = process.world.changed(there, state="exited", ports=())
    return _run(process.on(world), there)


def _stop(process: Process, one: Operation) -> Process:
    names = [box.fact.name for box in process.world.named(one.names) if box.fact.state != "created"]
    return process.on(process.world.changed(names, state="exited", exit_code=0, health="", ports=()))


def _remove(process: Process, one: Operation) -> Process:
    running = [box.fact.name for box in process.world.named(one.names) if box.runs]
    if running:
        raise Failed(process, f"cannot remove running {running}")
    return process.on(_gone(process.world, one.names))


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


_WORK = {
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
