"""The bake definition of a build: one graph of targets for all services, and what it gives names to."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .builder import attestations, caches
from .command import Command
from .facts import FINGERPRINT_LABEL, PROJECT_LABEL, SERVICE_LABEL
from .profile import Profile
from .stack import Build, Stack

# How Compose says that a named context is the image of another service.
LINK = "service:"


@dataclass(frozen=True)
class Options:
    """What the command line asks of a build."""

    services: tuple[str, ...] = ()
    target: str = ""
    no_cache: bool = False
    pull: bool = False
    push: bool = False
    platforms: tuple[str, ...] = ()
    by_digest: bool = False  # push what is built without any name; it gets its names when it is known to be allowed

    @property
    def forced(self) -> bool:
        """Whether BuildKit has to run even when no input has changed on this machine."""
        return self.no_cache or self.pull or bool(self.target or self.platforms)


@dataclass(frozen=True)
class Target:
    """One service's part of the graph."""

    service: str
    target: str
    reference: str
    tags: tuple[tuple[str, str], ...]
    arguments: Mapping[str, str]
    build: Build
    fingerprint: str

    @property
    def repository(self) -> str:
        """The image's repository, without tag."""
        return self.reference.rpartition(":")[0]


def bake_names(services: Collection[str]) -> dict[str, str]:
    """Return the name of each service's bake target, no two alike: bake takes no dot, and Compose does."""
    found = {name: name for name in services if "." not in name}
    for name in sorted(set(services) - set(found)):
        wanted = name.replace(".", "_")
        while wanted in found.values():
            wanted += "_"
        found[name] = wanted
    return found


def linked(build: Build) -> tuple[str, ...]:
    """Return the services whose images a build takes as named contexts (``service:base``)."""
    return tuple(value.removeprefix(LINK) for value in build.contexts.values() if value.startswith(LINK))


def _secrets(target: Target, profile: Profile, stack: Stack) -> list[str]:
    specs = []
    for entry in target.build.extra.get("secrets") or []:
        name = entry["source"] if isinstance(entry, dict) else entry
        known = (entry.get("target") if isinstance(entry, dict) else "") or name
        if name in stack.secrets:
            specs.append(f"id={known},src={stack.secrets[name].file}")
        elif name in stack.secret_variables:
            specs.append(f"id={known},env={stack.secret_variables[name]}")
    if bundle := profile.text("CA_BUNDLE"):
        specs.append(f"id=ca,src={bundle}")
    return specs


def _ulimits(raw: Mapping[str, Any]) -> list[str]:
    limits = []
    for name, value in raw.items():
        soft, hard = (value["soft"], value["hard"]) if isinstance(value, dict) else (value, value)
        limits.append(f"{name}={soft}:{hard}")
    return limits


def _context(value: str, names: Mapping[str, str]) -> str:
    """Return a named context in bake's words: Compose's image of another service is ``target:``."""
    return f"target:{names[value.removeprefix(LINK)]}" if value.startswith(LINK) else value


def _bake_target(
    target: Target, profile: Profile, stack: Stack, options: Options, names: Mapping[str, str]
) -> dict[str, Any]:
    extra = target.build.extra
    labels = {
        PROJECT_LABEL: stack.project,
        SERVICE_LABEL: target.service,
        **(extra.get("labels") or {}),
    }
    if target.fingerprint:
        labels[FINGERPRINT_LABEL] = target.fingerprint
    entry: dict[str, Any] = {
        "context": target.build.context,
        "dockerfile": target.build.dockerfile,
        "target": target.target,
        "args": dict(target.arguments),
        "contexts": {name: _context(value, names) for name, value in target.build.contexts.items()},
        "labels": labels,
        "tags": [*(f"{target.repository}:{tag}" for tag, _ in target.tags), *(extra.get("tags") or [])],
        "secret": _secrets(target, profile, stack),
        "ssh": list(extra.get("ssh") or []),
        "platforms": list(extra.get("platforms") or []),
        "attest": attestations(profile),
        "cache-from": caches(extra, profile, target.service, "cache_from"),
        "cache-to": caches(extra, profile, target.service, "cache_to"),
        "no-cache": options.no_cache or bool(extra.get("no_cache")),
        "pull": options.pull or bool(extra.get("pull")),
        "network": str(extra.get("network") or ""),
        "dockerfile-inline": str(extra.get("dockerfile_inline") or ""),
        "shm-size": str(extra.get("shm_size") or ""),
        "ulimits": _ulimits(extra.get("ulimits") or {}),
    }
    if options.by_digest:
        entry["output"] = [f"type=image,name={target.repository},push-by-digest=true,name-canonical=true,push=true"]
        entry["tags"] = []
    return {key: value for key, value in entry.items() if value not in ("", [], {}, False)}


def bake_file(targets: Sequence[Target], profile: Profile, stack: Stack, options: Options) -> str:
    """Return the bake definition (JSON) of all targets; they are built in one graph, in parallel."""
    names = bake_names(stack.services)
    definition = {
        "group": {"default": {"targets": [names[one.service] for one in targets]}},
        "target": {names[one.service]: _bake_target(one, profile, stack, options, names) for one in targets},
    }
    return json.dumps(_literal(definition), sort_keys=True)


def _literal(value: Any) -> Any:
    """Return data in which bake, whose JSON is HCL, finds no template (``${…}``, ``%{…}``) to fill in."""
    if isinstance(value, str):
        return value.replace("${", "$${").replace("%{", "%%{")
    if isinstance(value, dict):
        return {key: _literal(one) for key, one in value.items()}
    return [_literal(one) for one in value] if isinstance(value, list) else value


@dataclass(frozen=True)
class Output:
    """What one target of a build leaves on the engine: an image under all ``names``, the service's own one first."""

    names: tuple[str, ...]
    fingerprint: str


def outputs(command: Command) -> tuple[Output, ...]:
    """Return what a build command leaves on the engine; nothing of targets that go straight into a registry."""
    definition = json.loads(command.stdin or "{}").get("target", {})
    return tuple(
        Output(tuple(one["tags"]), one.get("labels", {}).get(FINGERPRINT_LABEL, ""))
        for one in definition.values()
        if one.get("tags")
    )
