"""The bake definition of a build: one graph of targets for all services, and the images that it names."""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ...model.command import Command
from ...model.engine.facts import FINGERPRINT_LABEL, PROJECT_LABEL, SERVICE_LABEL
from ...model.profile.profile import Profile
from ...model.record import Record
from ...model.stack.stack import Build, Stack
from .builder import attestations, caches

# How Compose says that a named context is the image of another service.
LINK = "service:"


class Options(Record):
    """What the command line asks of a build."""

    services: tuple[str, ...] = ()
    target: str = ""
    no_cache: bool = False
    pull: bool = False
    push: bool = False
    platforms: tuple[str, ...] = ()
    by_digest: bool = False  # push without tags; tags are set after the check that they may be

    @property
    def forced(self) -> bool:
        """Whether BuildKit has to run even when no input has changed on this machine."""
        return self.no_cache or self.pull or bool(self.target or self.platforms)


class Target(Record):
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
    """Return a unique bake target name for each service: Compose allows a dot in a name, bake does not."""
    names = {name: name for name in services if "." not in name}
    for name in sorted(set(services) - set(names)):
        wanted = name.replace(".", "_")
        while wanted in names.values():
            wanted += "_"
        names[name] = wanted
    return names


def linked(build: Build) -> tuple[str, ...]:
    """Return the services whose images a build takes as named contexts (``service:base``)."""
    return tuple(value.removeprefix(LINK) for value in build.contexts.values() if value.startswith(LINK))


def _secrets(target: Target, profile: Profile, stack: Stack) -> list[str]:
    specs = []
    for entry in target.build.extra.get("secrets") or []:
        name = entry["source"] if isinstance(entry, dict) else entry
        identity = (entry.get("target") if isinstance(entry, dict) else "") or name
        if name in stack.secrets:
            specs.append(f"id={identity},src={stack.secrets[name].file}")
        elif name in stack.secret_variables:
            specs.append(f"id={identity},env={stack.secret_variables[name]}")
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
    """Return a named context as bake writes it: the image of another service is ``target:NAME``."""
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
        "group": {"default": {"targets": [names[target.service] for target in targets]}},
        "target": {names[target.service]: _bake_target(target, profile, stack, options, names) for target in targets},
    }
    return json.dumps(_literal(definition), sort_keys=True)


def _literal(value: Any) -> Any:
    """Return data in which bake, whose JSON is HCL, finds no template (``${…}``, ``%{…}``) to fill in."""
    if isinstance(value, str):
        return value.replace("${", "$${").replace("%{", "%%{")
    if isinstance(value, dict):
        return {key: _literal(item) for key, item in value.items()}
    return [_literal(item) for item in value] if isinstance(value, list) else value


class Output(Record):
    """What a target of a build leaves on the engine: an image under all ``names``, the service's own name first."""

    names: tuple[str, ...]
    fingerprint: str


def outputs(command: Command) -> tuple[Output, ...]:
    """Return the images that a build command leaves on the engine; none for targets pushed straight to a registry."""
    definition = json.loads(command.stdin or "{}").get("target", {})
    return tuple(
        Output(tuple(entry["tags"]), entry.get("labels", {}).get(FINGERPRINT_LABEL, ""))
        for entry in definition.values()
        if entry.get("tags")
    )
