"""A runner that changes a fake engine as ``docker`` and Compose would, and a project over both."""

import hashlib
import json
from collections.abc import Callable, Collection, Generator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from fakes import AWAY, FakeEngine, Refusal, World, strike
from support import built, parse, profile

from tasks.host.project import Project
from tasks.host.runner import Runner
from tasks.model.command import Command
from tasks.model.engine.facts import PROJECT_LABEL, Container, Network
from tasks.model.errors import CommandError


def config_hash(raw: Mapping[str, Any]) -> str:
    """Return what stands for the configuration of a service, without what Compose does not count."""
    told = {key: value for key, value in raw.items() if key not in ("build", "pull_policy", "scale", "depends_on")}
    if isinstance(told.get("deploy"), dict):
        told["deploy"] = {key: value for key, value in told["deploy"].items() if key != "replicas"}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


class FakeRunner(Runner):
    """Carries commands out on a world; one that it does not know is a fault of the test."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    def run(self, command: Command, explain: Callable[[int, str], CommandError | None] | None = None) -> None:
        words = [word for word in command.argv if word not in ("--env-file", "/dev/null")]
        try:
            with self.world.lock:
                self.world.asked.append(" ".join(words))
                strike(self.world, " ".join(words))
                if self.world.away:
                    raise Refusal(AWAY)
                composed = words[1] == "compose"
                work: Callable[..., None] = getattr(self, f"_compose_{words[2]}" if composed else f"_{words[1]}")
                work(command, *words[3 if composed else 2 :])
        except Refusal as failed:
            better = explain(failed.code, failed.output) if explain else None
            raise better or CommandError(f"{command.title} failed with exit code {failed.code}", failed.code) from None

    def lines(self, command: Command) -> Generator[str, None, None]:
        words = " ".join(command.argv)
        with self.world.lock:
            self.world.asked.append(words)
            said = next((say for begins, say in self.world.says.items() if words.startswith(begins)), None)
            if said is None:
                raise CommandError(f"{command.title} ended with exit code 1", 1)
            yield from said().splitlines(keepends=True)

    # docker

    def _start(self, command: Command, *names: str) -> None:
        self._there(names)
        for one in [one for one in self.world.boxes if one.name in names]:
            health = "starting" if self.world.raws[one.id].get("healthcheck") else ""
            self.world.change([one.name], state="running", health=health, exit_code=0)
            self.world.ages[one.id] = 0

    def _run(self, command: Command, *words: str) -> None:
        """Start a container of its own that is given labels, such as a helper: what it does is for its fate to say."""
        options = [word for word in words if word.startswith("--")]
        image = next(word for word in words if not word.startswith("--"))
        name = next(word.partition("=")[2] for word in options if word.startswith("--name="))
        if name in {one.name for one in self.world.boxes}:
            raise Refusal(f'Error response from daemon: Conflict. The container name "/{name}" is already in use')
        self.world.labels[name] = tuple(word.partition("=")[2] for word in options if word.startswith("--label="))
        self.world.boxes.append(Container(f"id{self.world.number()}", name, "", "", self.world.found(image), "running"))

    def _build(self, command: Command, *words: str) -> None:
        name = next(word.partition("=")[2] for word in words if word.startswith("--tag="))
        self.world.pulled(name, f"sha256:built-{self.world.number()}")

    def _stop(self, command: Command, *names: str) -> None:
        self._there(names)
        self.world.change(names, state="exited", health="", exit_code=0)

    def _restart(self, command: Command, *names: str) -> None:
        self._stop(command, *names)
        self._start(command, *names)

    def _rm(self, command: Command, *words: str) -> None:
        names = [word for word in words if not word.startswith("-")]
        self._there(names)
        if running := [one.name for one in self.world.boxes if one.name in names and one.state == "running"]:
            raise Refusal(f'Error response from daemon: cannot remove container "/{running[0]}": container is running')
        self.world.boxes[:] = [one for one in self.world.boxes if one.name not in names]

    def _there(self, names: Collection[str]) -> None:
        for name in names:
            if name not in {one.name for one in self.world.boxes}:
                raise Refusal(f"Error response from daemon: No such container: {name}")

    def _tag(self, command: Command, image: str, reference: str) -> None:
        if not self.world.found(image):
            raise Refusal(f"Error response from daemon: No such image: {image}")
        self.world.tags[reference] = self.world.found(image)

    def _volume(self, command: Command, verb: str, *names: str) -> None:
        assert verb == "rm"
        for name in names:
            del self.world.volumes[name]

    def _exec(self, command: Command, *words: str) -> None:
        """Copy and move files; whether a program accepts them is for a fault to say."""
        name, program, *paths = [word for word in words if word != "--interactive"]
        inside = self.world.inside
        if program == "cp":
            text = command.stdin if paths[0] == "/dev/stdin" else inside[name, paths[0]]
            inside[name, paths[1]] = text or ""
        elif program == "mv":
            inside[name, paths[1]] = inside.pop((name, paths[0]))

    def _kill(self, command: Command, signal: str, name: str) -> None:
        self.world.reloads += 1
        self.world.read |= {key: text for key, text in self.world.inside.items() if key[0] == name}

    # docker compose

    def _compose_create(self, command: Command, *words: str) -> None:
        model = json.loads(command.stdin or "")
        for name in [word for word in words if not word.startswith("-")]:
            self._ensure(command, model, name, "--force-recreate" in words)

    def _compose_up(self, command: Command, *words: str) -> None:
        model = json.loads(command.stdin or "")
        for name in [word for word in words if not word.startswith("-")]:
            self._ensure(command, model, name, any(self._differs(model, one) for one in self._of(name)))
        services = [word for word in words if not word.startswith("-")]
        self._start(command, *(one.name for one in self.world.boxes if one.service in services))

    def _compose_down(self, command: Command, *words: str) -> None:
        mine = parse(json.loads(self.model)).project
        self.world.boxes[:] = [one for one in self.world.boxes if one.project != mine]
        for name in [one.name for one in self.world.networks.values() if one.labels.get(PROJECT_LABEL) == mine]:
            del self.world.networks[name]

    model = "{}"  # the files that Compose reads where it is given no model

    def _of(self, service: str) -> list[Container]:
        return sorted((one for one in self.world.boxes if one.service == service), key=lambda one: one.number)

    def _differs(self, model: Mapping[str, Any], box: Container) -> bool:
        raw = model["services"][box.service]
        return (config_hash(raw), self.world.found(raw["image"])) != (box.config_hash, box.image_id)

    def _ensure(self, command: Command, model: Mapping[str, Any], name: str, again: bool) -> None:
        raw, there = model["services"][name], self._of(name)
        count = (raw.get("deploy") or {}).get("replicas", raw.get("scale", 1))
        last = max((one.number for one in there), default=0)
        for position, one in enumerate(there):
            if position >= count or again:
                self.world.boxes.remove(one)
            if again and position < count:
                self._make(command, model, name, one.number)
        for number in range(last + 1, last + 1 + count - len(there)):
            self._make(command, model, name, number)

    def _make(self, command: Command, model: Mapping[str, Any], name: str, number: int) -> None:
        world, raw, project = self.world, model["services"][name], model["name"]
        image, labels = world.found(raw["image"]), {PROJECT_LABEL: project}
        if not image:
            raise Refusal(f"Error response from daemon: No such image: {raw['image']}")
        networks = [model["networks"][key]["name"] for key in raw.get("networks") or {}]
        mounts = [one for one in raw.get("volumes") or () if one["type"] == "volume"]
        volumes = [model["volumes"][one["source"]]["name"] for one in mounts]
        for one in networks:
            world.networks.setdefault(one, Network(one, f"net{world.number()}", labels=labels))
        for one in volumes:
            world.volume(one, project)
        box = Container(
            f"id{world.number()}", f"{project}-{name}-{number}", project, name, image, "created", number,
            config_hash=config_hash(raw), image_reference=raw["image"], created_from=image, created=float(world.serial),
            networks=tuple(networks), volumes=tuple(volumes), directory=command.cwd or "",
        )  # fmt: skip
        world.raws[box.id] = raw
        world.boxes.append(box)


class FakeProject(Project):
    """Project ``shop`` over a fake engine; ``files`` says what its Compose files say now."""

    def __init__(self, world: World, directory: Path, **values: str) -> None:
        self.world, self.profile, self.cwd = world, profile(**values), str(directory)
        self.settings: Any = SimpleNamespace(
            root=directory, project_dir=directory, reports_dir=directory / "reports", hooks_dir=directory / "hooks",
            shown=lambda path: str(path.relative_to(directory)),
        )  # fmt: skip
        self.runner, self.version = FakeRunner(world), built()
        self.engine: Any = FakeEngine(world)
        self.wide = self  # its services are in no Compose profile

    def files(self, services: Mapping[str, Any], **top: Any) -> None:
        """Let the Compose files say something."""
        self.model = {"name": "shop", "services": services, **top}
        self.model_text = json.dumps(self.model)
        self.stack, self.runner.model = parse(self.model), self.model_text

    def connect(self) -> Any:
        return FakeEngine(self.world)

    def start_hashes(self) -> Any:
        return None

    def first_hashes(self) -> dict[str, str]:
        return {name: config_hash(raw) for name, raw in self.model["services"].items()}
