"""An engine that is plain data: it holds containers, images, networks and volumes, and records what it was asked.

What is above it is real: facts, plans, the executor, records. Time is a number of looks: who waits lets it pass.
"""

import contextlib
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tasks.host.engine.watch import WaitEndedError
from tasks.model.engine.facts import PROJECT_LABEL, Container, Image, LabelledResource, NamedResource, Network, Volume
from tasks.model.errors import RefusedError, SlipwayError

_LOOKS = 5  # that a wait takes until it is over
AWAY = "Cannot connect to the Docker daemon at unix:///fake.sock. Is the docker daemon running?"


@dataclass(frozen=True)
class Fate:
    """What becomes of a container that is started: its health in the end, or the exit code it ends with.

    ``lives`` is for how many looks it runs before it ends, ``sickens`` for how many it is healthy, ``log`` what it
    writes.
    """

    health: str = "healthy"
    ends: int | None = None
    lives: int = 0
    sickens: int | None = None
    log: str = ""


@dataclass
class World:
    """What an engine holds, what it was asked for, and what is to go wrong.

    ``inside`` are texts of files by container and path, ``read`` what was in them when they were read last. ``fates``
    are by image id, ``faults`` by the beginning of a command: what is done before it is carried out. ``says`` is what a
    command prints, by its beginning; ``processes`` are those of every container, if they are not a proxy's two;
    ``labels`` those of containers, by name, beside Compose's own.
    """

    boxes: list[Container] = field(default_factory=list)
    raws: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    ages: dict[str, int] = field(default_factory=dict)
    images: dict[str, Image] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    files: dict[str, Mapping[str, bytes]] = field(default_factory=dict)
    networks: dict[str, Network] = field(default_factory=dict)
    volumes: dict[str, Volume] = field(default_factory=dict)
    inside: dict[tuple[str, str], str] = field(default_factory=dict)
    read: dict[tuple[str, str], str] = field(default_factory=dict)
    reloads: int = 0
    fates: dict[str, Fate] = field(default_factory=dict)
    faults: list[tuple[str, Callable[[], None]]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    says: dict[str, Callable[[], str]] = field(default_factory=dict)
    processes: Callable[[], tuple[dict[str, str], ...]] | None = None
    labels: dict[str, tuple[str, ...]] = field(default_factory=dict)
    away: bool = False
    silent: int = 0  # how often it is asked for its version in vain until it is back
    serial: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)

    def number(self) -> int:
        """Return a number that nothing else has."""
        self.serial += 1
        return self.serial

    def pulled(self, reference: str, identity: str, fate: Fate | None = None) -> None:
        """Let a name stand for an image, which need not be new."""
        self.images.setdefault(identity, Image(identity, created=f"{self.number():06}"))
        self.tags[reference] = identity
        if fate:
            self.fates[identity] = fate

    def volume(self, name: str, project: str = "shop") -> None:
        """Let there be a volume of a project."""
        self.volumes.setdefault(name, Volume(name, labels={PROJECT_LABEL: project}))

    def found(self, reference: str) -> str:
        """Return the id of an image, "" where there is none."""
        return reference if reference in self.images else self.tags.get(reference, "")

    def change(self, names: Collection[str], **facts: Any) -> None:
        """Let containers be otherwise."""
        self.boxes[:] = [replace(one, **facts) if one.name in names else one for one in self.boxes]

    def later(self) -> None:
        """Let time pass: what runs becomes what its image makes of it."""
        for one in [one for one in self.boxes if one.state == "running"]:
            fate, age = self.fates.get(one.image_id, Fate()), self.ages.get(one.id, 0)
            self.ages[one.id] = age + 1
            if fate.ends is not None and age >= fate.lives:
                self.change([one.name], state="exited", exit_code=fate.ends, health="")
            elif one.health == "starting":
                self.change([one.name], health=fate.health)
            elif one.health == "healthy" and fate.sickens is not None and age >= fate.sickens:
                self.change([one.name], health="unhealthy")

    def fails(self, command: str, output: str = "Error response from daemon: out of order", code: int = 1) -> None:
        """Let the next command that begins so fail with an error output."""

        def fail() -> None:
            raise Refusal(output, code)

        self.faults.append((command, fail))

    def on(self, command: str, act: Callable[[], None]) -> None:
        """Let something happen just before the next command that begins so."""
        self.faults.append((command, act))

    def states(self) -> dict[str, tuple[str, str]]:
        """Return the image and the state of each container, by its name."""
        return {one.name: (one.image_id, one.state) for one in self.boxes}


class Refusal(Exception):
    """What the engine refuses a command with."""

    def __init__(self, output: str, code: int = 1) -> None:
        super().__init__(output)
        self.output, self.code = output, code


class FakeData:
    """Images that hold data only."""

    def __init__(self, engine: "FakeEngine") -> None:
        self._engine = engine

    def keep(self, repository: str, tag: str, files: Mapping[str, bytes], labels: Mapping[str, str]) -> None:
        with self._engine.answering(f"keep {repository}:{tag}") as world:
            identity = f"sha256:data-{world.number()}"
            world.images[identity] = Image(identity, created=f"{world.serial:06}", labels=dict(labels))
            world.tags[f"{repository}:{tag}"], world.files[identity] = identity, dict(files)

    def files(self, reference: str) -> dict[str, bytes]:
        with self._engine.answering() as world:
            if not world.found(reference):
                raise SlipwayError(f"the engine refused: No such image: {reference}")
            return dict(world.files[world.found(reference)])

    def file(self, reference: str, path: str) -> bytes:
        return self.files(reference).get(path.lstrip("/"), b"")


class FakeWatch:
    """Waiting, by looks in place of seconds."""

    def __init__(self, engine: "FakeEngine") -> None:
        self._engine, self._given_up = engine, threading.Event()

    def wait(
        self,
        project: str,
        judge: Callable[[tuple[Container, ...]], str],
        timeout: float,
        probed: Callable[[], None] = lambda: None,
    ) -> str:
        for _ in range(_LOOKS):
            self.pause(0)
            if word := judge(self._engine.containers(project)):
                return word
            with self._engine.answering() as world:
                world.later()
            probed()
        return "timeout"

    def pause(self, seconds: float) -> None:
        if self._given_up.is_set():
            raise WaitEndedError

    def give_up(self) -> None:
        self._given_up.set()

    def logs(self, container_id: str, lines: int, most: int = 0, since: float = 0.0) -> str:
        with self._engine.answering() as world:
            found = next((one for one in world.boxes if container_id in (one.id, one.name)), None)
            return world.fates.get(found.image_id, Fate()).log if found else ""


class FakeEngine:
    """One connection to an engine; several have a world in common."""

    address = "unix:///fake.sock"

    def __init__(self, world: World) -> None:
        self.world, self.data, self.watch = world, FakeData(self), FakeWatch(self)

    @contextlib.contextmanager
    def answering(self, asked: str = "") -> Any:
        """Yield the world to one thread; raises RefusedError where no engine answers."""
        with self.world.lock:
            if asked:
                self.world.asked.append(asked)
                try:
                    strike(self.world, asked)
                except Refusal as failed:
                    raise SlipwayError(f"the engine refused: {failed.output}") from None
            if self.world.away:
                raise RefusedError(f"no Docker engine answers at {self.address}", "start it")
            yield self.world

    @contextlib.contextmanager
    def asking(self, _asked: Iterable[Callable[[], object]]) -> Iterator[None]:
        """Send nothing ahead, as to an engine on another machine."""
        yield

    def version(self) -> str:
        if self.world.away and self.world.silent:
            self.world.silent -= 1
            self.world.away = self.world.silent > 0
        with self.answering():
            return "26.1.5"

    def local(self) -> bool:
        return True

    def info(self) -> Mapping[str, Any]:
        with self.answering():
            return {"ID": "fake", "OSType": "linux", "Architecture": "x86_64"}

    def containers(self, project: str) -> tuple[Container, ...]:
        with self.answering() as world:
            mine = [one for one in world.boxes if one.project == project]
            return tuple(sorted(mine, key=lambda one: (one.service, one.oneoff, one.number, one.id)))

    def labelled(self, *labels: str) -> tuple[Container, ...]:
        with self.answering() as world:
            marked = [one for one in world.boxes if set(labels) <= set(world.labels.get(one.name, ()))]
            return tuple(sorted(marked, key=lambda one: (one.service, one.oneoff, one.number, one.id)))

    def label(self, container_id: str, name: str) -> str:
        with self.answering() as world:
            names = [one.name for one in world.boxes if one.id == container_id]
            given = dict(label.split("=", 1) for one in names for label in world.labels.get(one, ()))
            return given.get(name, "")

    def inspect(self, container_id: str) -> Container | None:
        with self.answering() as world:
            return next((one for one in world.boxes if container_id in (one.id, one.name)), None)

    def remove_container(self, name: str) -> None:
        with self.answering(f"remove container {name}") as world:
            world.boxes[:] = [one for one in world.boxes if name not in (one.id, one.name)]
            world.labels.pop(name, None)

    def image(self, reference: str) -> Image | None:
        with self.answering() as world:
            found = world.images.get(world.found(reference))
            return found and replace(found, tags=tuple(name for name, one in world.tags.items() if one == found.id))

    def named(self, references: Iterable[str]) -> dict[str, Image]:
        return {one: image for one in sorted(set(references)) if (image := self.image(one)) is not None}

    def images(self, label: str = "") -> tuple[Image, ...]:
        key, _, value = label.partition("=")
        with self.answering() as world:
            found = [self.image(name) for name in world.images]
        listed = [one for one in found if one and (not label or (value or one.labels.get(key)) == one.labels.get(key))]
        return tuple(sorted(listed, key=lambda one: one.created, reverse=True))

    def remove_image(self, reference: str) -> None:
        with self.answering(f"remove image {reference}") as world:
            identity = world.found(reference)
            for name in [name for name, one in world.tags.items() if reference in (name, one)]:
                del world.tags[name]
            if identity not in world.tags.values() and identity not in {one.image_id for one in world.boxes}:
                world.images.pop(identity, None)

    def owned(self, label: str) -> tuple[LabelledResource, ...]:
        key, _, value = label.partition("=")
        with self.answering() as world:
            found: list[tuple[str, Any]] = [("network", one) for one in world.networks.values()]
            found += [("volume", one) for one in world.volumes.values()]
            marked = [
                LabelledResource("container", one.id, one.name, dict(text.split("=", 1) for text in labels))
                for one in world.boxes
                if (labels := world.labels.get(one.name, ()))
            ]
        return tuple(one for one in marked if one.labels.get(key) == (value or one.labels.get(key, key))) + tuple(
            LabelledResource(kind, one.name, one.name, one.labels)
            for kind, one in found
            if one.labels.get(key) == value
        )

    def volumes(self, project: str, mounted: Collection[str] = ()) -> tuple[NamedResource, ...]:
        owned = self.owned(f"{PROJECT_LABEL}={project}")
        return tuple(NamedResource(one.name, one.name) for one in owned if one.kind == "volume")

    def volume_created(self, name: str) -> float | None:
        with self.answering() as world:
            return 0.0 if name in world.volumes else None

    def has_file(self, container_id: str, path: str) -> bool:
        found = self.inspect(container_id) or Container(container_id, container_id, "", "", "", "")
        return (found.name, path) in self.world.inside

    def file(self, container: str, path: str) -> bytes:
        with self.answering() as world:
            return world.inside[container, path].encode()

    def processes(self, container: str) -> tuple[dict[str, str], ...]:
        with self.answering() as world:
            worker = {"PID": f"{100 + world.reloads}", "CMD": "nginx: worker process"}
            return world.processes() if world.processes else (worker,)

    def environment(self, container: str) -> dict[str, str]:
        return self.started_with(container)[0]

    def started_with(self, container: str) -> tuple[dict[str, str], list[str]]:
        with self.answering() as world:
            raw = world.raws.get(container, {})
            return dict(raw.get("environment") or {}), list(raw.get("command") or ())


class FakeResources:
    """Networks and volumes by name."""

    def __init__(self, engine: FakeEngine) -> None:
        self._engine = engine

    def networks(self, names: Collection[str]) -> dict[str, Network]:
        with self._engine.answering() as world:
            return {name: one for name, one in world.networks.items() if name in names}

    def network(self, name: str) -> Network | None:
        return self.networks([name]).get(name)

    def volumes(self, names: Collection[str]) -> dict[str, Volume]:
        with self._engine.answering() as world:
            return {name: one for name, one in world.volumes.items() if name in names}


def strike(world: World, words: str) -> None:
    """Let happen what is to happen at a command, once."""
    for one in [one for one in world.faults if words.startswith(one[0])][:1]:
        world.faults.remove(one)
        one[1]()
