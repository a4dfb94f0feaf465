"""Releases in a registry: the names by which another engine finds the serving release, and the digests it pulls."""

from collections.abc import Mapping
from dataclasses import replace

from ...image.plan.registry import host
from ...model.reference import split_reference
from ...model.stack.stack import Stack
from .release import Pinned, Release
from .release import repository as local_repository


def repository(stack: Stack) -> str:
    """Return the repository in the registry for the releases of a project, next to its images.

    "" when an image that is built names no registry: another engine could not get the whole release.
    """
    built = stack.built()
    if not built or not all(host(service.image) for service in built):
        return ""
    spaces = [split_reference(service.image)[0].split("/")[:-1] for service in built]
    common = []
    for words in zip(*spaces, strict=False):
        if len(set(words)) > 1:
            break
        common.append(words[0])
    return "/".join([*(common or spaces[0]), local_repository(stack.project)])


def serving_name(stack: Stack, environment: str) -> str:
    """Return the name of the release that serves an environment; it moves on with every release."""
    return f"{repository(stack)}:{environment}"


def own_name(stack: Stack, environment: str, identity: int) -> str:
    """Return the name of a single release, which never moves."""
    # A dot, which no environment has in its name: release 2 of `prod` is not what serves `prod-2`.
    return f"{serving_name(stack, environment)}.{identity}"


def image_names(stack: Stack, environment: str, release: Release) -> dict[str, tuple[str, str]]:
    """Return for each service the id of its image and the name that keeps it for the release in the registry."""
    names = {}
    for service in stack.built():
        if pinned := release.images.get(service.name):
            place, _ = split_reference(pinned.reference)
            names[service.name] = (pinned.id, f"{place}:{stack.project}.{environment}.{release.id}.{service.name}")
    return names


def with_digests(release: Release, digests: Mapping[str, str]) -> Release:
    """Return a release with its images' ``digests`` in the registry, by service (``repository@digest``)."""
    images = {
        name: Pinned(image.reference, image.id, digests.get(name, image.digest))
        for name, image in release.images.items()
    }
    return replace(release, images=images)
