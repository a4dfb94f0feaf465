"""What ``clean`` removes: what carries this project's labels, and the names that it gave to images of others."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from .command import Command
from .facts import PROJECT_LABEL, Container, Image, NamedResource
from .units import show_size


@dataclass(frozen=True)
class Leftovers:
    """Everything on the engine that a project has made.

    ``images`` are its own, each with those names that are not another project's; ``pins`` are the names that its
    releases gave to images of others, ``kept`` the volumes that hold files of its releases.
    """

    containers: tuple[Container, ...] = ()
    networks: tuple[NamedResource, ...] = ()
    images: tuple[Image, ...] = ()
    volumes: tuple[NamedResource, ...] = ()
    pins: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


@dataclass(frozen=True)
class CleanPlan:
    """The lines that say what goes, the bytes that images and volumes free at most, and the commands."""

    lines: tuple[str, ...]
    freed: int
    commands: tuple[Command, ...]


# What keeps the images of a release, whoever made them: ``REPOSITORY:PROJECT-release-N`` (``plan.release``). Releases
# are counted from 1: a number of eight digits is a date, and somebody's own.
_PIN = re.compile(r".+:(?P<project>[a-z0-9][a-z0-9_-]*)-release-(?P<number>[0-9]{1,6})")


def pinned_by(name: str) -> tuple[str, int] | None:
    """Return the project and the release for which a name keeps an image, None when it is another name."""
    found = _PIN.fullmatch(name)
    return (found["project"], int(found["number"])) if found else None


def own_images(images: Sequence[Image], project: str, others: Collection[str]) -> tuple[Image, ...]:
    """Return the images that a project has made: those with one of Slipway's labels, or Compose's, that names it.

    Each with the names that may go: none that keeps it for a release of another project (one that was promoted), and
    none of ``others``, by which containers of other projects run.
    """
    found = []
    for one in images:
        if not any(value == project and _names_project(key) for key, value in one.labels.items()):
            continue
        tags = tuple(tag for tag in one.tags if tag not in others and (pinned_by(tag) or (project, 0))[0] == project)
        if tags or not one.tags:
            found.append(replace(one, tags=tags))
    return tuple(found)


def _names_project(label: str) -> bool:
    return label == PROJECT_LABEL or label.startswith("slipway.")


def pins(images: Sequence[Image], project: str) -> tuple[str, ...]:
    """Return the names by which the releases of a project keep images."""
    return tuple(sorted(tag for one in images for tag in one.tags if (pinned_by(tag) or ("", 0))[0] == project))


def forgotten(images: Sequence[Image], project: str, record: str, gone: Collection[int]) -> tuple[str, ...]:
    """Return the names that keep images for releases which are ``gone``, or of which there is no record any more.

    ``record`` is what the images are called that hold the records. One without a record is what a deploy left that was
    killed; the newest may be about to get its record.
    """
    recorded = {int(tag.rpartition(":")[2]) for one in images for tag in one.tags if _is_record(tag, record)}
    newest = max(recorded, default=0)
    found = []
    for name in pins(images, project):
        number = (pinned_by(name) or ("", 0))[1]
        if number in gone or (number not in recorded and number < newest):
            found.append(name)
    return tuple(found)


def _is_record(tag: str, record: str) -> bool:
    repository, _, number = tag.rpartition(":")
    return repository == record and number.isdecimal()


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
        # A name goes, and the image only with its last one.
        lines += [f"image name {one}" for one in found.pins]
        remove(("docker", "image", "rm"), found.pins)
        lines += [f"image {' '.join(one.tags) or one.id[:19]} ({show_size(one.size)})" for one in found.images]
        # By name where there is one: an image that another project tagged too stays under that other name.
        remove(("docker", "image", "rm"), [name for one in found.images for name in one.tags or (one.id,)])
        freed += sum(one.size for one in found.images)
        lines += [f"volume {one} (files of releases)" for one in found.kept]
        remove(("docker", "volume", "rm", "--force"), found.kept)
    if volumes:
        lines += [f"volume {one.name} ({_volume_size(one)})" for one in found.volumes]
        # Some went with their containers.
        remove(("docker", "volume", "rm", "--force"), [one.name for one in found.volumes])
        freed += sum(max(one.size, 0) for one in found.volumes)
    return CleanPlan(tuple(lines), freed, tuple(commands))
