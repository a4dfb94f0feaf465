"""What the builder in use can do: several platforms in one image, and caches to write."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...model.command import Command
from ...model.errors import RefusedError
from ...model.lazy_pattern import lazy_pattern
from ...model.profile.profile import Profile
from ...model.record import Record
from ...model.secret import Secret

_FIELD = lazy_pattern(r"^(Name|Driver|Platforms):\s+(\S.*?)\s*$", re.MULTILINE)
_TYPE = lazy_pattern(r"(?:^|,)type=([^,]+)")
_OFF = "off"
_OTHER_BUILDER = (
    "make a builder that can: docker buildx create --name multi --driver docker-container, "
    "and set BUILDX_BUILDER=multi; "
)


class Builder(Record):
    """A Buildx builder. ``stores_lists``: the engine behind the ``docker`` driver keeps its images in containerd."""

    name: str
    driver: str
    platforms: tuple[str, ...] = ()
    stores_lists: bool = False

    @property
    def limited(self) -> bool:
        """Whether it is an engine's own builder with the older image store: a single platform, only inline cache."""
        return self.driver == "docker" and not self.stores_lists


def inspect(env: Mapping[str, str | Secret], cwd: str) -> Command:
    """Return the command that describes the builder in use."""
    return Command(("docker", "buildx", "inspect"), env=env, cwd=cwd, timeout=60)


def parse(text: str, stores_lists: bool) -> Builder:
    """Return the builder that ``docker buildx inspect`` describes, with the values of its first node."""
    fields: dict[str, str] = {}
    for key, value in _FIELD.findall(text):
        fields.setdefault(key, value)
    platforms = tuple(
        platform.strip(" *") for platform in fields.get("Platforms", "").split(",") if platform.strip(" *")
    )
    return Builder(fields.get("Name", ""), fields.get("Driver", ""), platforms, stores_lists)


def caches(extra: Mapping[str, Any], profile: Profile, service: str, key: str) -> list[str]:
    """Return the cache specs of a service (``key``: cache_from or cache_to): the Compose file's, then the profile's.

    ``{service}`` in a spec of the profile stands for the service, so that services do not overwrite each other's cache.
    """
    return [*(extra.get(key) or []), *(spec.replace("{service}", service) for spec in profile.words(key.upper()))]


def cache_type(spec: str) -> str:
    """Return the type of a cache spec; a bare reference is ``registry``, as in Buildx."""
    match = _TYPE.search(spec)
    return match[1] if match else "registry"


class BuilderOptions(Record):
    """What a build asks of the builder, all services together."""

    platforms: tuple[str, ...] = ()
    exports: tuple[str, ...] = ()
    push: bool = False
    provenance: str = ""

    @property
    def special(self) -> bool:
        """Whether some builders cannot do it."""
        return (
            len(self.platforms) > 1
            or bool(self.provenance)
            or any(cache_type(spec) != "inline" for spec in self.exports)
        )


def wanted(builds: Iterable[tuple[str, Mapping[str, Any]]], profile: Profile, push: bool) -> BuilderOptions:
    """Return what the builds of services (name, further keys of ``build``) ask of the builder."""
    platforms: list[str] = []
    exports: list[str] = []
    for service, extra in builds:
        own = tuple(dict.fromkeys(extra.get("platforms") or ()))
        platforms = list(own) if len(own) > len(platforms) else platforms
        exports += caches(extra, profile, service, "cache_to")
    mode = profile.text("BUILD_PROVENANCE")
    return BuilderOptions(tuple(platforms), tuple(dict.fromkeys(exports)), push, "" if mode == _OFF else mode)


def attestations(profile: Profile) -> list[str]:
    """Return what BUILD_PROVENANCE asks of BuildKit: https://docs.docker.com/build/metadata/attestations/"""
    mode = profile.text("BUILD_PROVENANCE")
    return [f"type=provenance,{'disabled=true' if mode == _OFF else f'mode={mode}'}"] if mode else []


def check(builder: Builder, needs: BuilderOptions) -> None:
    """Raise RefusedError, before anything is built, for what the builder cannot do; the hint says what can."""
    if len(needs.platforms) > 1:
        _check_platforms(builder, needs)
    if needs.provenance:
        _check_provenance(builder, needs)
    for spec in needs.exports:
        if builder.limited and cache_type(spec) != "inline":
            raise RefusedError(
                f"builder {builder.name} (driver docker) cannot write a build cache of type {cache_type(spec)}: {spec}",
                f"{_OTHER_BUILDER}or use type=inline, or the engine's containerd image store",
            )


def _check_platforms(builder: Builder, needs: BuilderOptions) -> None:
    names = ",".join(needs.platforms)
    if builder.limited:
        raise RefusedError(
            f"builder {builder.name} (driver docker) cannot build {names} as one image",
            f"{_OTHER_BUILDER}foreign platforms also need QEMU: docker run --privileged --rm tonistiigi/binfmt "
            "--install all (or the package qemu-user-binfmt)",
        )
    if builder.driver != "docker" and not needs.push:
        raise RefusedError(
            f"{names}: images of several platforms are a manifest list, which the engine cannot store",
            "add --push: the registry stores it; or build for a single platform",
        )


def _check_provenance(builder: Builder, needs: BuilderOptions) -> None:
    if builder.limited:
        raise RefusedError(
            f"builder {builder.name} (driver docker) makes no attestations (BUILD_PROVENANCE={needs.provenance})",
            f"{_OTHER_BUILDER}or use the engine's containerd image store, or set BUILD_PROVENANCE=off",
        )
    if builder.driver != "docker" and not needs.push:
        raise RefusedError(
            f"BUILD_PROVENANCE={needs.provenance}: an image with attestations is a manifest list, which the engine "
            "cannot store",
            "add --push: the registry stores it; or set BUILD_PROVENANCE=off",
        )


def not_emulated(builder: Builder, platforms: Sequence[str]) -> tuple[str, ...]:
    """Return the platforms whose programs the builder cannot run; cross-compiling stages do not need to run any."""
    return tuple(platform for platform in platforms if builder.platforms and platform not in builder.platforms)
