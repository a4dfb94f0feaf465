"""What ``clean`` removes: what has this project's labels, and the names that it gave to images of other origin."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from ...model.command import Command
from ...model.engine.facts import FINGERPRINT_LABEL, PROJECT_LABEL, Container, Image, NamedResource
from ...model.secret import Secret
from ...model.units import show_size
from ...release.plan.pins import pinned_by


@dataclass(frozen=True)
class Leftovers:
    """Everything on the engine that a project has made.

    ``images`` are its own, each without the names that are another project's; ``pins`` are the names that its releases
    gave to images that are not its own, ``kept`` the volumes with files of its releases, ``placed`` the volumes with
    configuration of its containers.
    """

    containers: tuple[Container, ...] = ()
    networks: tuple[NamedResource, ...] = ()
    images: tuple[Image, ...] = ()
    volumes: tuple[NamedResource, ...] = ()
    pins: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    placed: tuple[str, ...] = ()


@dataclass(frozen=True)
class CleanPlan:
    """What to remove: a line for each resource, the bytes that are freed at most, and the commands."""

    lines: tuple[str, ...]
    freed: int
    commands: tuple[Command, ...]


def own_images(images: Sequence[Image], project: str, others: Collection[str]) -> tuple[Image, ...]:
    """Return the images that a project has made: those with a label of Slipway or Compose that names the project.

    Each has only the names that may be removed: not those that keep it for a release of another project (after a
    promotion), and none of ``others``, by which containers of other projects run.
    """
    result = []
    for image in images:
        if not any(value == project and _names_project(key) for key, value in image.labels.items()):
            continue
        tags = tuple(tag for tag in image.tags if tag not in others and (pinned_by(tag) or (project, 0))[0] == project)
        if tags or not image.tags:
            result.append(replace(image, tags=tags))
    return tuple(result)


def monitoring_images(images: Sequence[Image], project: str, others: Collection[str]) -> tuple[Image, ...]:
    """Return the images that were built for what monitors a stack, the Compose project ``project``.

    ``others`` are names by which containers of other projects run.
    """
    return tuple(
        image
        for image in own_images(images, project, others)
        if FINGERPRINT_LABEL in image.labels and all(tag.startswith(f"{project}/") for tag in image.tags)
    )


def _names_project(label: str) -> bool:
    return label == PROJECT_LABEL or label.startswith("slipway.")


def _volume_size(volume: NamedResource) -> str:
    return show_size(volume.size) if volume.size >= 0 else "size unknown"


def plan(leftovers: Leftovers, volumes: bool, images: bool, env: Mapping[str, str | Secret]) -> CleanPlan:
    """Return what to remove, volumes and images only when asked. Images count in full though they may share layers."""
    lines: list[str] = []
    commands: list[Command] = []

    def remove(argv: tuple[str, ...], ids: Sequence[str]) -> None:
        if ids:
            commands.append(Command((*argv, *ids), env=env))

    lines += [f"container {container.name} ({container.state})" for container in leftovers.containers]
    # Anonymous volumes are removed with their container, but only when volumes were asked for.
    remove(
        ("docker", "rm", "--force", *(["--volumes"] if volumes else [])),
        [container.name for container in leftovers.containers],
    )
    lines += [f"volume {volume} (configuration of containers)" for volume in leftovers.placed]
    remove(("docker", "volume", "rm", "--force"), leftovers.placed)
    lines += [f"network {network.name}" for network in leftovers.networks]
    remove(("docker", "network", "rm"), [network.name for network in leftovers.networks])
    freed = 0
    if images:
        # Removes a name; the image itself is removed with its last name.
        lines += [f"image name {name}" for name in leftovers.pins]
        remove(("docker", "image", "rm"), leftovers.pins)
        lines += [
            f"image {' '.join(image.tags) or image.id[:19]} ({show_size(image.size)})" for image in leftovers.images
        ]
        # By name if it has names: an image that another project has tagged as well stays under that name.
        remove(("docker", "image", "rm"), [name for image in leftovers.images for name in image.tags or (image.id,)])
        freed += sum(image.size for image in leftovers.images)
        lines += [f"volume {volume} (files of releases)" for volume in leftovers.kept]
        remove(("docker", "volume", "rm", "--force"), leftovers.kept)
    if volumes:
        lines += [f"volume {volume.name} ({_volume_size(volume)})" for volume in leftovers.volumes]
        # --force: some were removed with their containers.
        remove(("docker", "volume", "rm", "--force"), [volume.name for volume in leftovers.volumes])
        freed += sum(max(volume.size, 0) for volume in leftovers.volumes)
    return CleanPlan(tuple(lines), freed, tuple(commands))
