"""Releases in a registry: under which names another engine finds what serves, and the digests that it pulls."""

from collections.abc import Mapping
from dataclasses import replace

from .build import split_reference
from .registry import host
from .release import Pinned, Release
from .release import repository as local_repository
from .stack import Stack


def repository(stack: Stack) -> str:
    """Return where a registry keeps the releases of a project, beside its images.

    "" when not every image that is built names a registry: another engine could not get all of a release.
    """
    built = stack.built()
    if not built or not all(host(one.image) for one in built):
        return ""
    spaces = [split_reference(one.image)[0].split("/")[:-1] for one in built]
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
    """Return the name of one release, which never moves."""
    # A dot, which no environment has in its name: release 2 of `prod` is not what serves `prod-2`.
    return f"{serving_name(stack, environment)}.{identity}"


def image_names(stack: Stack, environment: str, release: Release) -> dict[str, tuple[str, str]]:
    """Return what keeps the images of a release in the registry, by service: the image's id and the name for it."""
    found = {}
    for service in stack.built():
        if pinned := release.images.get(service.name):
            place, _ = split_reference(pinned.reference)
            found[service.name] = (pinned.id, f"{place}:{stack.project}.{environment}.{release.id}.{service.name}")
    return found


def with_digests(release: Release, digests: Mapping[str, str]) -> Release:
    """Return a release with what the registry calls its images, by service (``repository@digest``)."""
    images = {
        name: Pinned(one.reference, one.id, digests.get(name, one.digest)) for name, one in release.images.items()
    }
    return replace(release, images=images)
