"""A simulated engine as a value: its containers, networks and files, a deploy process, and what clients reach.

Time is counted in looks; an operation that waits lets it pass.
"""

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tasks.model.engine.facts import Container, Network, Volume
from tasks.model.stack.stack import Service, Stack
from tasks.reconcile.plan.desired import Desired
from tasks.reconcile.plan.observed import State

KEPT = "/kept/"
PATIENCE = 6  # looks before a wait gives up
GOOD, NEVER, CRASH, LATE = "good", "never", "crash", "late"
"""How containers of an image behave: the last word of its content."""
_SERVER = re.compile(r"server (?P<host>[^:\s]+):8000(?P<role>[^;]*);")


class Failed(Exception):
    """An operation failed; ``process`` is the state that it left."""

    def __init__(self, process: "Process", reason: str) -> None:
        super().__init__(reason)
        self.process, self.reason = process, reason


class Paused(Failed):
    """A rollout paused (``update_config.failure_action: pause``)."""


class GivenUp(Failed):
    """A batch is given up and the deploy goes on (``failure_action: continue``)."""


@dataclass(frozen=True)
class Box:
    """A container, with what the engine does not report: its image's content, its age in looks, what it mounts.

    By target: ``pinned`` are mounted files as they were when it was created, ``roots`` mounted directories, seen live.
    ``joined`` are the ids of its networks by name: a recreated network has the same name and another id. ``filled`` is
    the content of volumes that Slipway fills, ``read`` what the process has read of it, at its start or at a signal.
    """

    fact: Container
    content: str
    age: int = 0
    pinned: Mapping[str, str] = field(default_factory=dict)
    roots: Mapping[str, str] = field(default_factory=dict)
    joined: Mapping[str, str] = field(default_factory=dict)
    filled: Mapping[str, str] = field(default_factory=dict)
    read: Mapping[str, str] = field(default_factory=dict)

    @property
    def runs(self) -> bool:
        """Whether the engine reports it as running."""
        return self.fact.state == "running"

    @property
    def within(self) -> set[str]:
        """The ids of the networks that it is in."""
        return {self.joined[name] for name in self.fact.networks}


@dataclass(frozen=True)
class World:
    """An engine with a project on it, and the disk that containers mount files from.

    ``built`` says what images were built from, by their id. ``files`` are the proxy's files by service, ``loaded`` what
    the proxy has read of them, ``fresh`` the names in them whose address it does not know yet. ``proven`` are the ids
    of containers that were ready, or watched to the end of their rollout; ``runs`` is every start of a job: service,
    identity, whether while going back, whether it succeeded.
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
    fresh: Mapping[str, frozenset[tuple[str, bool]]] = field(default_factory=dict)
    state: State = field(default_factory=State)
    proven: frozenset[str] = frozenset()
    runs: tuple[tuple[str, str, bool, bool], ...] = ()
    serial: int = 0

    def of(self, services: Collection[str]) -> list[Box]:
        """Return the containers of services."""
        return [box for box in self.boxes if box.fact.service in services]

    def named(self, names: Collection[str]) -> list[Box]:
        """Return the containers of these names."""
        return [box for box in self.boxes if box.fact.name in names]

    def changed(self, names: Collection[str], **facts: Any) -> "World":
        """Return the world with other facts of the containers of these names."""
        made = [replace(box, fact=replace(box.fact, **facts)) if box.fact.name in names else box for box in self.boxes]
        return replace(self, boxes=tuple(made))

    def content(self, path: str) -> str:
        """Return the content of a path on the disk, "" for none."""
        if path.startswith(KEPT):
            return path.removeprefix(KEPT) if path.removeprefix(KEPT) in self.kept else ""
        return self.disk.get(path, "")

    def later(self, looks: int = 1) -> "World":
        """Return the world some time later."""
        world = self
        for _ in range(looks):
            world = replace(world, boxes=tuple(map(_older, world.boxes)), fresh={})
        return world


def _older(box: Box) -> Box:
    fact, behaviour = box.fact, box.content.rpartition("-")[2]
    if fact.state not in ("running", "restarting"):
        return box
    job = box.content.startswith("job")
    if job:
        return replace(box, fact=replace(fact, state="exited", exit_code=0 if behaviour == GOOD else 1, ports=()))
    aged = replace(box, age=box.age + 1)
    checked = bool(fact.health)
    if behaviour == CRASH or (behaviour == LATE and aged.age >= 3 and not checked):
        return replace(aged, fact=replace(fact, state="exited", exit_code=1, health="", ports=()))
    if behaviour == NEVER or (behaviour == LATE and aged.age >= 3):
        return replace(aged, fact=replace(fact, health="unhealthy" if checked else ""))
    return replace(aged, fact=replace(fact, health="healthy" if checked else ""))


def config_hash(raw: Mapping[str, Any], owner: str = "") -> str:
    """Return a hash of a service's configuration, without the keys that Compose's own hash leaves out.

    ``owner`` is the container whose network it uses.
    """
    left_out = ("scale", "depends_on", "build", "pull_policy", "x-slipway", "deploy")
    kept = {key: value for key, value in raw.items() if key not in left_out}
    if owner and str(raw.get("network_mode", "")).startswith("service:"):
        kept["network_mode"] = f"container:{owner}"
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:12]


def roles(text: str, service: str) -> tuple[list[str], list[str], list[str]]:
    """Return the hosts in a proxy's file: those that get requests, the backups, and those that are down."""
    led: list[str] = []
    backups: list[str] = []
    known: list[str] = []
    for match in _SERVER.finditer(text):
        words = match["role"].split()
        (known if "down" in words else backups if "backup" in words else led).append(match["host"])
    return led, backups, known


def servers(text: str, service: str) -> list[tuple[str, bool]]:
    """Return the hosts in a proxy's file, each with whether it is a backup."""
    led, backups, known = roles(text, service)
    return [*((host, False) for host in (*led, *known)), *((host, True) for host in backups)]


def shares(text: str, service: str) -> dict[str, float]:
    """Return the share of the requests that each host of a proxy's file gets, while all of them answer."""
    led, weights = roles(text, service)[0], {}
    for match in _SERVER.finditer(text):
        said = re.search(r" weight=(\d+)", match["role"])
        if match["host"] in led and not {"down", "backup"} & set(match["role"].split()):
            weights[match["host"]] = int(said[1]) if said else 1
    return {host: weight / sum(weights.values()) for host, weight in weights.items()}


def front(world: World, stack: Stack) -> list[Box]:
    """Return the running containers of the proxy."""
    names = [service.name for service in stack.services.values() if service.slipway.proxy.upstreams]
    return [box for box in world.of(names) if box.runs]


def behind(world: World, stack: Stack, service: Service) -> bool:
    """Whether a proxy routes requests to a service."""
    proxies = any(service.slipway.proxy.upstreams for service in stack.services.values())
    return proxies and service.rollout != "recreate" and service.name in world.files


def reached(world: World, stack: Stack, service: Service) -> tuple[set[str], set[str]]:
    """Return the ids of running containers that a request reaches: at first, and as backups when none answers."""
    running = {box.fact.name: box.fact.id for box in world.of([service.name]) if box.runs}
    if not behind(world, stack, service):
        return set(running.values()), set()
    read = world.loaded if front(world, stack) else world.files
    text = read.get(service.name) or world.files[service.name]
    led, backups, _ = roles(text, service.name)
    unknown = world.fresh.get(service.name, frozenset())

    def ids(names: Iterable[str], backup: bool) -> set[str]:
        ids_reached = set()
        for name in names:
            if (name, backup) in unknown:
                continue
            if name == service.name:
                ids_reached |= set(running.values())
            elif name in running:
                ids_reached.add(running[name])
        return ids_reached

    return ids(led, False), ids(backups, True)


@dataclass(frozen=True)
class Process:
    """A running deploy: the engine, what it carries out, and the state in memory and as saved."""

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
        """The desired services."""
        return self.desired.stack

    def on(self, world: World) -> "Process":
        """Return the process with another world."""
        return replace(self, world=world)

    def later(self, looks: int = 1) -> "Process":
        """Return the process some time later."""
        return self.on(self.world.later(looks))

    def save(self) -> "Process":
        """Return the process with its state saved."""
        if self.state == self.saved:
            return self
        kept = self.state.kept({box.fact.id for box in self.world.boxes})
        return replace(self, state=kept, saved=kept, world=replace(self.world, state=kept))


def begin(world: World, desired: Desired, release: int = 0, back: bool = False) -> Process:
    """Return a deploy at its start."""
    return Process(world, desired, replace(world.state, unrecorded=True), world.state, release, back)
