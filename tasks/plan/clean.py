"""What ``clean`` removes: only what carries this project's labels."""

from collections.abc import Sequence
from dataclasses import dataclass

from .command import Command
from .facts import Container, Image, NamedResource
from .units import show_size


@dataclass(frozen=True)
class Leftovers:
    """Everything on the engine that carries a project's labels."""

    containers: tuple[Container, ...] = ()
    networks: tuple[NamedResource, ...] = ()
    images: tuple[Image, ...] = ()
    volumes: tuple[NamedResource, ...] = ()


@dataclass(frozen=True)
class CleanPlan:
    """The lines that say what goes, the bytes that images and volumes free at most, and the commands."""

    lines: tuple[str, ...]
    freed: int
    commands: tuple[Command, ...]


def _volume_size(volume: NamedResource) -> str:
    return show_size(volume.size) if volume.size >= 0 else "size unknown"


def plan(found: Leftovers, volumes: bool, images: bool, env: dict[str, str]) -> CleanPlan:
    """Return what to remove; volumes and images only when asked. Images count in full though they may share layers."""
    lines: list[str] = []
    commands: list[Command] = []

    def remove(argv: tuple[str, ...], ids: Sequence[str]) -> None:
        if ids:
            commands.append(Command((*argv, *ids), env=env))

    lines += [f"container {one.name} ({one.state})" for one in found.containers]
    # Anonymous volumes go with their container, but only when volumes were asked for.
    remove(("docker", "rm", "--force", *(["--volumes"] if volumes else [])), [one.name for one in found.containers])
    lines += [f"network {one.name}" for one in found.networks]
    remove(("docker", "network", "rm"), [one.name for one in found.networks])
    freed = 0
    if images:
        lines += [f"image {' '.join(one.tags) or one.id[:19]} ({show_size(one.size)})" for one in found.images]
        # By name where there is one: an image that another project tagged too stays under that other name.
        remove(("docker", "image", "rm"), [name for one in found.images for name in one.tags or (one.id,)])
        freed += sum(one.size for one in found.images)
    if volumes:
        lines += [f"volume {one.name} ({_volume_size(one)})" for one in found.volumes]
        # Some went with their containers.
        remove(("docker", "volume", "rm", "--force"), [one.name for one in found.volumes])
        freed += sum(max(one.size, 0) for one in found.volumes)
    return CleanPlan(tuple(lines), freed, tuple(commands))
