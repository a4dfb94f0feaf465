"""What a build does: a single ``bake`` graph for all services, and whether it has to run at all."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace
from pathlib import PurePosixPath
from typing import Any

from ...image.plan.registry import Named, named
from ...model.command import Command
from ...model.engine.facts import FINGERPRINT_LABEL, Image
from ...model.engine.image_contents import NO_ALIASES, Aliases
from ...model.errors import InputError, SlipwayError
from ...model.profile.profile import Profile
from ...model.record import Record
from ...model.reference import split_reference
from ...model.stack.stack import Build, Service, Stack
from ...model.version import Version, tags
from .bake import Options as Options
from .bake import Target as Target
from .bake import bake_file, bake_names, linked
from .dockerfile import Dockerfile
from .inputs import Inputs

# Passed at build only and never part of the Compose model, so the model is the same with and without Slipway.
VERSION_ARGUMENTS = ("VERSION", "COMMIT", "BUILD_TIME")
_CHANGED = "its sources, arguments or base images changed"
# Keys of Compose's build section that Buildx 0.13 silently drops.
_UNKNOWN_TO_BAKE = ("entitlements", "extra_hosts", "isolation", "privileged")


class BuildPlan(Record):
    """The targets to build and the command that builds them; ``unchanged`` services need no build.

    ``every`` has all targets that were considered, in the model's order. ``ignored`` names settings of the
    Compose file that bake does not support, ``names`` the bake target of each service, ``services`` those of the
    targets by name: a build of stand-in base images has services that the project does not have.
    """

    targets: tuple[Target, ...]
    command: Command | None
    causes: Mapping[str, str]
    unchanged: tuple[str, ...] = ()
    every: tuple[Target, ...] = ()
    ignored: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    services: Mapping[str, Service] = field(default_factory=dict)

    @property
    def outdated(self) -> bool:
        """Whether an image was made from other inputs; these inputs may still produce the same content."""
        return _CHANGED in self.causes.values()


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


def fingerprint(
    target: str, build: Build, arguments: Mapping[str, str], inputs: Inputs, links: Mapping[str, str] | None = None
) -> str:
    """Return a digest over everything that goes into an image, "" when a part of it cannot be known.

    ``links`` are the fingerprints of the services whose images it takes as named contexts.
    """
    linked_fingerprints = {name: (links or {}).get(name, "") for name in linked(build)}
    if not inputs.contexts_digest or not all(linked_fingerprints.values()):
        return ""
    data = json.dumps(
        {
            "target": target,
            "dockerfile": build.dockerfile,
            "arguments": dict(sorted(arguments.items())),
            "extra": build.extra,
            "contexts": inputs.digest(target),
            "links": linked_fingerprints,
            "bases": {name: inputs.bases.get(name, name) for name in inputs.dockerfile.images(target)},
        },
        sort_keys=True,
    )
    return hashlib.sha256(data.encode()).hexdigest()[:32]


def target(
    service: Service,
    built: Version,
    inputs: Inputs,
    wanted_target: str = "",
    platforms: Sequence[str] = (),
    links: Mapping[str, str] | None = None,
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
        # Another stage is another image: it must not take the name of the deployed image.
        environment_tag = f"{environment_tag}-{wanted_target}"
        carried = ((environment_tag, "--target"),)
    return Target(
        service=service.name,
        target=stage,
        reference=f"{repository}:{environment_tag}",
        tags=carried,
        arguments=arguments,
        build=build,
        fingerprint=fingerprint(stage, build, arguments, inputs, links),
    )


def selected(stack: Stack, names: Sequence[str] = ()) -> tuple[Service, ...]:
    """Return the services to build (all without ``names``), each after the services that it is built from."""
    services: dict[str, Service] = {}

    def add(service: Service, within: tuple[str, ...]) -> None:
        if service.name in within:
            chain = " → ".join((*within[within.index(service.name) :], service.name))
            raise InputError(f"services are built from each other: {chain}", "correct build.additional_contexts")
        for name in linked(service.recipe()):
            add(stack.service(name), (*within, service.name))
        services.setdefault(service.name, service)

    for service in stack.built(names):
        add(service, ())
    return tuple(services.values())


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


def _cause(target: Target, images: Mapping[str, Image], all_tags: bool, aliases: Aliases) -> str:
    """Return why a target has to be built, "" when its image exists and was made from the same inputs.

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
    if recorded != target.fingerprint and not aliases.stand_for(target.reference, image.id, target.fingerprint):
        return _CHANGED
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
    aliases: Aliases = NO_ALIASES,
) -> BuildPlan:
    """Return what to build.

    With ``images`` (those of the engine, by reference), a service whose image was made from the same inputs is left
    out, under ``all_tags`` only if the image also carries all tags; without ``images``, all selected services are
    built. ``aliases`` are the other inputs known to produce the present images.
    """
    targets = _targets(stack, profile, built, inputs, options)
    _refuse_two_owners(targets)
    _refuse_secret_arguments(targets, profile)
    if images is None:
        causes = {target.service: "asked for" for target in targets}
    else:
        causes = {target.service: cause for target in targets if (cause := _cause(target, images, all_tags, aliases))}
        causes = _with_linked(causes, targets)
    needed = tuple(target for target in targets if target.service in causes)
    unchanged = tuple(target.service for target in targets if target.service not in causes)
    command = _command(needed, profile, stack, options, cwd) if needed else None
    services = {target.service: stack.service(target.service) for target in targets}
    names = bake_names(stack.services)
    return BuildPlan(needed, command, causes, unchanged, targets, _ignored(needed), names, services)


def _targets(
    stack: Stack, profile: Profile, built: Version, inputs: Mapping[str, Inputs], options: Options
) -> tuple[Target, ...]:
    platforms = options.platforms or profile.words("PLATFORMS")
    asked = {service.name for service in stack.built(options.services)}
    targets: dict[str, Target] = {}
    for service in selected(stack, options.services):
        links = {name: targets[name].fingerprint for name in linked(service.recipe())}
        stage = options.target if service.name in asked else ""
        targets[service.name] = target(service, built, inputs[service.name], stage, platforms, links)
    return tuple(targets[name] for name in stack.services if name in targets)


def _with_linked(causes: Mapping[str, str], targets: Sequence[Target]) -> dict[str, str]:
    """Return the causes, with a further cause for each service whose image a build takes as a named context."""
    result, todo, by_service = dict(causes), list(causes), {target.service: target for target in targets}
    while todo:
        service = todo.pop()
        fresh = [name for name in linked(by_service[service].build) if name not in result]
        result |= dict.fromkeys(fresh, f"{service} is built from it")
        todo += fresh
    return result


def _ignored(targets: Iterable[Target]) -> tuple[str, ...]:
    return tuple(
        f"services.{target.service}.build.{key}"
        for target in targets
        for key in _UNKNOWN_TO_BAKE
        if target.build.extra.get(key)
    )


def _refuse_two_owners(targets: Iterable[Target]) -> None:
    """Raise InputError when two services would build different images of the same name; equal builds may share it."""
    owners: dict[str, Target] = {}
    for target in targets:
        first = owners.setdefault(target.reference, target)
        alike = first.build == target.build if not target.fingerprint else first.fingerprint == target.fingerprint
        if first is not target and not (alike and first.target == target.target):
            raise InputError(
                f"services {first.service} and {target.service} both build {target.reference}, from different inputs",
                "give each service its own image: name in the Compose file",
            )


def _refuse_secret_arguments(targets: Iterable[Target], profile: Profile) -> None:
    """Raise InputError for a secret in a build argument: it would stay readable in the image's history."""
    for target in targets:
        for name, value in target.arguments.items():
            # A short secret may be part of a word by chance.
            if any(value == secret or (len(secret) > 7 and secret in value) for secret in profile.secret_texts()):
                raise InputError(
                    f"build argument {name} of service {target.service} contains a secret of the profile",
                    "arguments stay in the image's history: use build.secrets of the Compose file",
                )


def digests(build: BuildPlan, metadata: Mapping[str, Any]) -> dict[str, str]:
    """Return the digest of each built image, by reference, from the metadata that bake writes.

    Raises SlipwayError for a target without a digest there: bake did not build it.
    """
    result = {
        target.reference: str((metadata.get(build.names[target.service]) or {}).get("containerimage.digest", ""))
        for target in build.targets
    }
    refuse_unbuilt(reference for reference, digest in result.items() if not digest)
    return result


def named_image(target: Target) -> Named:
    """Return the image that a build makes of a target, with all its references."""
    return named(target.service, target.reference, target.tags, target.build)


def refuse_unbuilt(references: Iterable[str]) -> None:
    """Raise SlipwayError, if there are any, for images that a successful build did not make."""
    if missing := sorted(set(references)):
        raise SlipwayError(
            f"the build ended with exit code 0, and did not make {', '.join(missing)}",
            "read its output above; the builder in use may not load what it builds into this engine: docker buildx ls",
        )


def explain_failure(output: str, exit_code: int, free_bytes: int | None) -> tuple[str, str]:
    """Return the line and the hint for a failed build, from the end of BuildKit's output and the free disk space."""
    if "no space left on device" in output.lower() or (free_bytes is not None and free_bytes < 64 * 2**20):
        return (
            "build failed: the engine's disk is full",
            "nothing was changed; `docker system df` shows what takes the space, and "
            "`docker builder prune --filter until=168h` removes build cache that was not used for a week",
        )
    for line in output.splitlines():
        if line.startswith("ERROR: "):
            return f"build failed: {line.removeprefix('ERROR: ')}", "the failing instruction is above"
    return f"build failed with exit code {exit_code}", "the failing instruction is above"


def without_stage(services: Iterable[Service], inputs: Mapping[str, Inputs], stage: str = "") -> tuple[str, ...]:
    """Return the services whose Dockerfile has no tester stage (or no stage called ``stage``)."""
    return tuple(
        service.name
        for service in services
        if inputs[service.name].dockerfile.find(stage or service.slipway.tester_target) is None
    )
