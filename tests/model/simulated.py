"""A simulated engine as a value: its containers, networks and files, a deploy process, and what clients reach.

Time is a number of looks: whoever waits lets it pass.
"""

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tasks.plan.desired import Desired
from tasks.plan.facts import Container, Network, Volume
from tasks.plan.observed import State
from tasks.plan.stack import Service, Stack

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
