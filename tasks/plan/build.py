"""What a build does: one ``bake`` graph for all services, and whether it has to run at all."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from .builder import attestations, caches
from .command import Command
from .dockerfile import Dockerfile
from .errors import InputError
from .facts import FINGERPRINT_LABEL, PROJECT_LABEL, SERVICE_LABEL, Image
from .profile import Profile
from .stack import Build, Service, Stack
from .version import Version, tags

# Passed at build only and never part of the Compose model, so the model is the same with and without Slipway.
VERSION_ARGUMENTS = ("VERSION", "COMMIT", "BUILD_TIME")
# Keys of Compose's build section that Buildx 0.13 drops without a word.
_UNKNOWN_TO_BAKE = ("entitlements", "extra_hosts", "isolation", "privileged")


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
class Inputs:
    """What a service's image is made from: its Dockerfile, a digest of its contexts, its base images' ids."""

    dockerfile: Dockerfile
    contexts_digest: str
    bases: Mapping[str, str]


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


@dataclass(frozen=True)
class BuildPlan:
    """The targets to build and the command that builds them; ``unchanged`` services need no build.

    ``every`` target that was looked at is there too, in the model's order. ``ignored`` names settings of the Compose
    file that bake has no word for.
    """

    targets: tuple[Target, ...]
    command: Command | None
    causes: Mapping[str, str]
    unchanged: tuple[str, ...] = ()
    every: tuple[Target, ...] = ()
    ignored: tuple[str, ...] = ()


def split_reference(reference: str) -> tuple[str, str]:
    """Return the repository and the tag of an image reference (``latest`` when it has none)."""
    name = reference.partition("@")[0]
    head, _, last = name.rpartition("/")
    repository, _, tag = last.partition(":")
    return f"{head}/{repository}" if head else repository, tag or "latest"


def dockerfile_path(build: Build) -> str:
    """Return where a build's Dockerfile is; "" when the context is not a local directory."""
    if not build.context.startswith("/") or "dockerfile_inline" in build.extra:
        return ""
    return str(PurePosixPath(build.context) / build.dockerfile)


def local_contexts(build: Build) -> tuple[str, ...]:
    """Return the directories on this machine that a build reads."""
    return tuple(path for path in (build.context, *build.contexts.values()) if path.startswith("/"))


def _arguments(service: Service, declared: frozenset[str], built: Version) -> dict[str, str]:
    values = dict(zip(VERSION_ARGUMENTS, (built.text, built.commit or "unknown", built.build_time), strict=True))
    given = {**values, **service.recipe().arguments}
    # An argument that no stage of the target takes cannot change it, and must not make it look changed.
    return {name: value for name, value in given.items() if name in declared or name not in VERSION_ARGUMENTS}


def _checked_target(service: Service, target: str, dockerfile: Dockerfile, explicit: bool) -> str:
    if not target or not dockerfile.stages or dockerfile.find(target) is not None:
        return target
    names = ", ".join(dockerfile.names()) or "none with a name"
    where = dockerfile_path(service.recipe()) or service.recipe().dockerfile
    origin = "--target" if explicit else "build.target of the Compose file (often BUILD_TARGET of the profile)"
    raise InputError(f"{where}: no stage {target!r} for service {service.name}", f"its stages: {names}; set {origin}")


def fingerprint(target: str, build: Build, arguments: Mapping[str, str], inputs: Inputs) -> str:
    """Return a digest over everything that goes into an image, "" when a part of it cannot be known."""
    if not inputs.contexts_digest:
        return ""
    data = json.dumps(
        {
            "target": target,
            "dockerfile": build.dockerfile,
            "arguments": dict(sorted(arguments.items())),
            "extra": build.extra,
            "contexts": inputs.contexts_digest,
            "bases": {name: inputs.bases.get(name, name) for name in inputs.dockerfile.images(target)},
        },
        sort_keys=True,
    )
    return hashlib.sha256(data.encode()).hexdigest()[:32]


def target(
    service: Service, built: Version, inputs: Inputs, wanted_target: str = "", platforms: Sequence[str] = ()
) -> Target:
    """Return one service's part of the graph; raises InputError for a stage that does not exist."""
    build = service.recipe()
    if platforms:
        build = replace(build, extra={**build.extra, "platforms": list(platforms)})
    stage = _checked_target(service, wanted_target or build.target, inputs.dockerfile, bool(wanted_target))
    arguments = _arguments(service, inputs.dockerfile.declared(stage), built)
    repository, environment_tag = split_reference(service.image)
    carried = tags(built, environment_tag, stage)
    if wanted_target and wanted_target != build.target:
        # Another stage is another image: it must not take the name of the one that is deployed.
        environment_tag = f"{environment_tag}-{wanted_target}"
        carried = ((environment_tag, "--target"),)
    return Target(
        service=service.name,
        target=stage,
        reference=f"{repository}:{environment_tag}",
        tags=carried,
        arguments=arguments,
        build=build,
        fingerprint=fingerprint(stage, build, arguments, inputs),
    )


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


def _bake_name(service: str) -> str:
    """Return the name of a service's bake target: bake takes no dot."""
    return service.replace(".", "_")


def _context(value: str) -> str:
    """Return a named context in bake's words: Compose's image of another service is ``target:``."""
    return f"target:{_bake_name(value.removeprefix('service:'))}" if value.startswith("service:") else value


def _bake_target(target: Target, profile: Profile, stack: Stack, options: Options) -> dict[str, Any]:
    repository, _ = split_reference(target.reference)
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
        "contexts": {name: _context(value) for name, value in target.build.contexts.items()},
        "labels": labels,
        "tags": [*(f"{repository}:{tag}" for tag, _ in target.tags), *(extra.get("tags") or [])],
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
        entry["output"] = [f"type=image,name={repository},push-by-digest=true,name-canonical=true,push=true"]
        entry["tags"] = []
    return {key: value for key, value in entry.items() if value not in ("", [], {}, False)}


def bake_file(targets: Sequence[Target], profile: Profile, stack: Stack, options: Options) -> str:
    """Return the bake definition (JSON) of all targets; they are built in one graph, in parallel."""
    definition = {
        "group": {"default": {"targets": [_bake_name(target.service) for target in targets]}},
        "target": {_bake_name(target.service): _bake_target(target, profile, stack, options) for target in targets},
    }
    return json.dumps(_literal(definition), sort_keys=True)


def _literal(value: Any) -> Any:
    """Return data in which bake, whose JSON is HCL, finds no template (``${…}``, ``%{…}``) to fill in."""
    if isinstance(value, str):
        return value.replace("${", "$${").replace("%{", "%%{")
    if isinstance(value, dict):
        return {key: _literal(one) for key, one in value.items()}
    return [_literal(one) for one in value] if isinstance(value, list) else value


def _passed_on(key: str, stack: Stack) -> bool:
    """Whether a build gets a value of the profile: what Docker and Buildx read, and the secrets of the Compose file."""
    return key.startswith(("DOCKER_", "BUILDX_", "BUILDKIT_")) or key in stack.secret_variables.values()


def _command(targets: Sequence[Target], profile: Profile, stack: Stack, options: Options, cwd: str) -> Command:
    where = () if options.by_digest else ("--load",)
    return Command(
        ("docker", "buildx", "bake", "-f", "-", *where),
        env={key: value for key, value in profile.compose_env().items() if _passed_on(key, stack)},
        stdin=bake_file(targets, profile, stack, options),
        cwd=cwd,
        reason=f"build {', '.join(target.service for target in targets)}",
    )


def _cause(target: Target, images: Mapping[str, Image], all_tags: bool) -> str:
    """Return why a target has to be built, "" when its image is there and made from the same inputs.

    With ``all_tags`` it must also carry every tag that a build would give it now.
    """
    image = images.get(target.reference)
    if image is None:
        return f"image {target.reference} does not exist"
    for key in ("pull", "no_cache"):
        if target.build.extra.get(key):
            return f"the Compose file says build.{key}"
    if not target.fingerprint:
        return "its context is not a directory on this machine"
    recorded = image.labels.get(FINGERPRINT_LABEL, "")
    if not recorded:
        return f"image {target.reference} was not built by Slipway"
    if recorded != target.fingerprint:
        return "its sources, arguments or base images changed"
    repository, _ = split_reference(target.reference)
    missing = [tag for tag, _ in target.tags if f"{repository}:{tag}" not in image.tags]
    return f"it does not carry {', '.join(missing)} yet" if all_tags and missing else ""


def plan(
    stack: Stack,
    profile: Profile,
    built: Version,
    inputs: Mapping[str, Inputs],
    options: Options,
    cwd: str,
    images: Mapping[str, Image] | None = None,
    all_tags: bool = False,
) -> BuildPlan:
    """Return what to build.

    With ``images`` (what the engine has, by reference) services whose image is made from the same inputs are
    left out, with ``all_tags`` if it carries all tags too; without, everything selected is handed to BuildKit.
    """
    targets = tuple(
        target(service, built, inputs[service.name], options.target, options.platforms or profile.words("PLATFORMS"))
        for service in stack.built(options.services)
    )
    _refuse_two_owners(targets)
    _refuse_secret_arguments(targets, profile)
    if images is None:
        causes = {one.service: "asked for" for one in targets}
    else:
        causes = {one.service: cause for one in targets if (cause := _cause(one, images, all_tags))}
    needed = tuple(one for one in targets if one.service in causes)
    unchanged = tuple(one.service for one in targets if one.service not in causes)
    command = _command(needed, profile, stack, options, cwd) if needed else None
    return BuildPlan(needed, command, causes, unchanged, targets, _ignored(needed))


def _ignored(targets: Iterable[Target]) -> tuple[str, ...]:
    return tuple(
        f"services.{one.service}.build.{key}" for one in targets for key in _UNKNOWN_TO_BAKE if one.build.extra.get(key)
    )


def _refuse_two_owners(targets: Iterable[Target]) -> None:
    """Refuse two services that would write different images under one name; same content is built once."""
    owners: dict[str, Target] = {}
    for one in targets:
        first = owners.setdefault(one.reference, one)
        alike = first.build == one.build if not one.fingerprint else first.fingerprint == one.fingerprint
        if first is not one and not (alike and first.target == one.target):
            raise InputError(
                f"services {first.service} and {one.service} both build {one.reference}, from different inputs",
                "give each its own image: name in the Compose file",
            )


def _refuse_secret_arguments(targets: Iterable[Target], profile: Profile) -> None:
    """Refuse a secret as a build argument: it would stay in the image's history for everybody to read."""
    for target in targets:
        for name, value in target.arguments.items():
            # A short secret may be part of a word by chance.
            if any(value == one or (len(one) > 7 and one in value) for one in profile.secret_texts()):
                raise InputError(
                    f"build argument {name} of service {target.service} holds a secret of the profile",
                    "arguments stay in the image's history: use build.secrets of the Compose file",
                )


def digests(build: BuildPlan, metadata: Mapping[str, Any]) -> dict[str, str]:
    """Return the digest of each built image, by reference, from the metadata that bake writes."""
    return {
        one.reference: str((metadata.get(_bake_name(one.service)) or {}).get("containerimage.digest", ""))
        for one in build.targets
    }


def explain_failure(output: str, exit_code: int, free_bytes: int | None) -> tuple[str, str]:
    """Return the line and the hint for a failed build, from the end of BuildKit's output and the free disk space."""
    if "no space left on device" in output.lower() or (free_bytes is not None and free_bytes < 64 * 2**20):
        return (
            "build failed: the engine's disk is full",
            "nothing was changed; free space: `inv clean --images`, or `docker buildx prune` for the build cache",
        )
    for line in output.splitlines():
        if line.startswith("ERROR: "):
            return f"build failed: {line.removeprefix('ERROR: ')}", "the failing instruction is above"
    return f"build failed with exit code {exit_code}", "the failing instruction is above"
