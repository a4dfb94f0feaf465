"""What the builder in use can do: several platforms in one image, and caches to write."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .command import Command
from .errors import RefusedError
from .profile import Profile
from .secret import Secret

_FIELD = re.compile(r"^(Name|Driver|Platforms):\s+(\S.*?)\s*$", re.MULTILINE)
_TYPE = re.compile(r"(?:^|,)type=([^,]+)")
_OFF = "off"
_OTHER_BUILDER = (
    "make a builder that can: docker buildx create --name multi --driver docker-container, "
    "and set BUILDX_BUILDER=multi; "
)


@dataclass(frozen=True)
class Builder:
    """A Buildx builder. ``stores_lists``: the engine behind the ``docker`` driver keeps its images in containerd."""

    name: str
    driver: str
    platforms: tuple[str, ...] = ()
    stores_lists: bool = False

    @property
    def limited(self) -> bool:
        """Whether it is an engine's own builder with the older image store: one platform, no cache but inline."""
        return self.driver == "docker" and not self.stores_lists


def inspect(env: Mapping[str, str | Secret], cwd: str) -> Command:
    """Return the command that says which builder is in use."""
    return Command(("docker", "buildx", "inspect"), env=env, cwd=cwd, timeout=60)


def parse(text: str, stores_lists: bool) -> Builder:
    """Return the builder that ``docker buildx inspect`` describes; its first node counts."""
    found: dict[str, str] = {}
    for key, value in _FIELD.findall(text):
        found.setdefault(key, value)
    platforms = tuple(one.strip(" *") for one in found.get("Platforms", "").split(",") if one.strip(" *"))
    return Builder(found.get("Name", ""), found.get("Driver", ""), platforms, stores_lists)


def caches(extra: Mapping[str, Any], profile: Profile, service: str, key: str) -> list[str]:
    """Return the cache specs of a service (``key``: cache_from or cache_to): the Compose file's, then the profile's.

    ``{service}`` in the profile's stands for the service, so that services do not write over each other's cache.
    """
    return [*(extra.get(key) or []), *(one.replace("{service}", service) for one in profile.words(key.upper()))]


def cache_type(spec: str) -> str:
    """Return the type of a cache spec: ``registry`` for a mere reference, as Buildx reads it."""
    found = _TYPE.search(spec)
    return found[1] if found else "registry"


@dataclass(frozen=True)
class Wanted:
    """What a build asks of the builder, all services together."""

    platforms: tuple[str, ...] = ()
    exports: tuple[str, ...] = ()
    push: bool = False
    provenance: str = ""

    @property
    def special(self) -> bool:
        """Whether not every builder can do it."""
        return (
            len(self.platforms) > 1 or bool(self.provenance) or any(cache_type(one) != "inline" for one in self.exports)
        )


def wanted(builds: Iterable[tuple[str, Mapping[str, Any]]], profile: Profile, push: bool) -> Wanted:
    """Return what the builds of services (name, further keys of ``build``) ask of the builder."""
    platforms: list[str] = []
    exports: list[str] = []
    for service, extra in builds:
        own = tuple(dict.fromkeys(extra.get("platforms") or ()))
        platforms = list(own) if len(own) > len(platforms) else platforms
        exports += caches(extra, profile, service, "cache_to")
    mode = profile.text("BUILD_PROVENANCE")
    return Wanted(tuple(platforms), tuple(dict.fromkeys(exports)), push, "" if mode == _OFF else mode)


def attestations(profile: Profile) -> list[str]:
    """Return what BUILD_PROVENANCE asks of BuildKit: https://docs.docker.com/build/metadata/attestations/"""
    mode = profile.text("BUILD_PROVENANCE")
    return [f"type=provenance,{'disabled=true' if mode == _OFF else f'mode={mode}'}"] if mode else []


def check(builder: Builder, want: Wanted) -> None:
    """Raise RefusedError, before anything is built, for what the builder cannot do; the hint is the mend."""
    if len(want.platforms) > 1:
        _check_platforms(builder, want)
    if want.provenance:
        _check_provenance(builder, want)
    for spec in want.exports:
        if builder.limited and cache_type(spec) != "inline":
            raise RefusedError(
                f"builder {builder.name} (driver docker) cannot write a build cache of type {cache_type(spec)}: {spec}",
                f"{_OTHER_BUILDER}or use type=inline, or the engine's containerd image store",
            )


def _check_platforms(builder: Builder, want: Wanted) -> None:
    names = ",".join(want.platforms)
    if builder.limited:
        raise RefusedError(
            f"builder {builder.name} (driver docker) cannot build {names} as one image",
            f"{_OTHER_BUILDER}foreign platforms also need QEMU: docker run --privileged --rm tonistiigi/binfmt "
            "--install all (or the package qemu-user-binfmt)",
        )
    if builder.driver != "docker" and not want.push:
        raise RefusedError(
            f"{names}: images of several platforms are a manifest list, which the engine does not hold",
            "add --push: the registry holds it; or build one platform",
        )


def _check_provenance(builder: Builder, want: Wanted) -> None:
    if builder.limited:
        raise RefusedError(
            f"builder {builder.name} (driver docker) makes no attestations (BUILD_PROVENANCE={want.provenance})",
            f"{_OTHER_BUILDER}or use the engine's containerd image store, or say BUILD_PROVENANCE=off",
        )
    if builder.driver != "docker" and not want.push:
        raise RefusedError(
            f"BUILD_PROVENANCE={want.provenance}: an image with attestations is a manifest list, which the engine does "
            "not hold",
            "add --push: the registry holds it; or say BUILD_PROVENANCE=off",
        )


def not_emulated(builder: Builder, platforms: Sequence[str]) -> tuple[str, ...]:
    """Return the platforms that the builder runs no programs of; cross-compiling stages can do without."""
    return tuple(one for one in platforms if builder.platforms and one not in builder.platforms)
