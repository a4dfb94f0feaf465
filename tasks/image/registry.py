"""What image.push, image.pull and image.promote do."""

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import sleep
from typing import Any

from ..host.output import emit_json, emit_table, note
from ..host.project import Project
from ..host.runner import capture
from ..model import compose
from ..model.command import Command
from ..model.engine.facts import Image, RegistryImage
from ..model.errors import RefusedError, SlipwayError
from ..model.reference import split_reference
from . import sign
from .plan import registry
from .plan.registry import Named, PromotionMove
from .transfers import Job, TransferResult, carry_out, retry_delay

_ASKED_AT_ONCE = 8  # questions to registries


def push(project: Project, services: tuple[str, ...], json: bool) -> None:
    """Push all tags of the selected services' images and report their digests.

    Raises RefusedError, before anything is sent, when the registry has an exact tag with other content.
    """
    project.know_releases()
    images = _images(project, services)
    sign.refuse_unready(project)
    rows = send(project, images)
    sign.sign_pushed(project, images, {row["reference"]: row["digest"] for row in rows})
    if not project.runner.dry:
        _report(project, "image.push", rows, json)


def _images(project: Project, services: tuple[str, ...]) -> tuple[Named, ...]:
    images = [registry.of_service(service, project.version) for service in project.stack.built(services)]
    return registry.images(images, project.profile.environment)


def send(project: Project, images: Sequence[Named]) -> list[dict[str, Any]]:
    """Push images as ``push`` does; returns a row for each service."""
    local = _local(project, (image.reference for image in images))
    registry.require_built(images, local, project.profile.environment)
    registered = remotes(project, [name for image in images for name in image.references])
    pushed = {image.reference: _known(project, image, local[image.reference], registered) for image in images}
    env, cwd = compose.docker_env(project.profile), project.cwd
    jobs = []
    for image in images:
        known, missing = pushed[image.reference], _missing(image, registered, pushed[image.reference].digest)
        if known.list_ and missing:  # the engine may have only one platform of it
            commands: tuple[Command, ...] = (registry.copy(f"{image.repository}@{known.digest}", missing, env, cwd),)
        else:
            commands = tuple(registry.push(name, env, cwd) for name in missing)
        jobs.append(Job(image.reference, commands))
    for job in jobs:
        if not job.commands:
            project.runner.show(f"{job.name}: already there")
    done = carry_out(project, jobs, "push")
    return [] if project.runner.dry else [row for image in images for row in _pushed(image, done, pushed)]


def send_lists(project: Project, images: Sequence[Named], digests: Mapping[str, str]) -> dict[str, str]:
    """Give manifest lists in the registry, known by their ``digests`` (by reference), all of their names.

    Returns the digests that the names stand for. Raises RefusedError, before any name is given, when the registry has
    an exact tag with other content.
    """
    registered = remotes(project, [name for image in images for name in image.references])
    env, cwd, jobs = compose.docker_env(project.profile), project.cwd, []
    known = {image.reference: _known_list(project, image, digests[image.reference], registered) for image in images}
    for image in images:
        missing = _missing(image, registered, known[image.reference])
        pinned = f"{image.repository}@{known[image.reference]}"
        jobs.append(Job(image.reference, (registry.copy(pinned, missing, env, cwd),) if missing else ()))
    done = carry_out(project, jobs, "push")
    for image in images:
        if image.reference not in done:
            note(f"already there: {image.reference}")
    return known


def _known_list(project: Project, image: Named, digest: str, registered: Mapping[str, RegistryImage]) -> str:
    """Return the digest of a manifest list: that of the list under an exact tag, if it has the same images.

    Two lists of the same images differ by BuildKit's provenance, which has the time of the build in it. Raises
    RefusedError when an exact tag has other images.
    """
    env, result = compose.docker_env(project.profile), digest
    for name in image.references:
        remote = registered[name]
        if not remote.digest or remote.digest == digest or not registry.exact(split_reference(name)[1]):
            continue
        first, second = (
            registry.platform_digests(
                capture(registry.raw_list(f"{split_reference(name)[0]}@{which}", env, project.cwd)).stdout
            )
            for which in (remote.digest, digest)
        )
        if not first or first != second:
            raise registry.refuse_other_content(name, remote.digest, registry.short_digest(digest))
        result = remote.digest
    return result


def _missing(image: Named, registered: Mapping[str, RegistryImage], digest: str) -> list[str]:
    """Return the references under which the registry does not have an image yet."""
    return [name for name in image.references if not digest or registered[name].digest != digest]


def _known(project: Project, named: Named, image: Image, registered: Mapping[str, RegistryImage]) -> RegistryImage:
    """Return the registry's copy of a local image, without a digest when there is none yet.

    Raises RefusedError when the registry has an exact tag with other content.
    """
    known = RegistryImage()
    for name in named.references:
        remote = registered[name]
        repository = split_reference(name)[0]
        if not remote.digest:
            continue
        # A moving tag is compared with what the engine knows only; if that does not decide it, it is pushed again.
        if registry.is_same(image, repository, remote) or (
            registry.exact(split_reference(name)[1]) and _same_config(project, name, image, remote)
        ):
            known = remote
        elif registry.exact(split_reference(name)[1]):
            raise registry.refuse_other_content(name, remote.digest, registry.local_digest(image, repository))
    return known


def _same_config(project: Project, name: str, image: Image, remote: RegistryImage) -> bool:
    """Whether the registry's image has the local image's configuration: then it is the same image."""
    env, host = compose.docker_env(project.profile), registry.host(name)
    pinned = f"{split_reference(name)[0]}@{remote.digest}"
    answer = capture(registry.manifest(pinned, insecure(project, host), env, project.cwd))
    return registry.config_digest(answer.stdout) == image.id


def insecure(project: Project, host: str) -> bool:
    """Whether the engine is set up to talk to a registry without TLS, or without checking its certificate."""
    settings = project.engine.info().get("RegistryConfig") or {}
    if index := (settings.get("IndexConfigs") or {}).get(host):
        return not index.get("Secure", True)
    name = host.rpartition(":")[0] or host
    try:
        address = ipaddress.ip_address("127.0.0.1" if name == "localhost" else name.strip("[]"))
    except ValueError:
        return False
    return any(address in ipaddress.ip_network(network) for network in settings.get("InsecureRegistryCIDRs") or ())


def remotes(project: Project, references: Sequence[str]) -> dict[str, RegistryImage]:
    """Return what the registries have under references, retried like a transfer; raises when they do not answer."""
    result: dict[str, RegistryImage] = {}
    attempt = 1
    engine = project.engine
    while True:
        open_ = [name for name in references if name not in result]
        with ThreadPoolExecutor(_ASKED_AT_ONCE) as pool:
            answers = dict(zip(open_, pool.map(engine.remote, open_), strict=True))
        result |= {name: remote for name, remote in answers.items() if not remote.fault}
        faults = [registry.explain(remote.fault, name) for name, remote in answers.items() if remote.fault]
        if not faults:
            return result
        # A lasting fault comes first: with one, there is no point in waiting for the others to pass.
        worst = min(faults, key=lambda fault: fault.passing)
        sleep(retry_delay(worst, attempt, project.profile.integer("PUSH_RETRIES")))
        attempt += 1


def _local(project: Project, references: Iterable[str]) -> dict[str, Image]:
    images = {name: project.engine.image(name) for name in references}
    return {name: image for name, image in images.items() if image is not None}


def _pushed(
    image: Named, done: Mapping[str, TransferResult], pushed: Mapping[str, RegistryImage]
) -> list[dict[str, Any]]:
    sent = done.get(image.reference)
    digest = pushed[image.reference].digest or registry.digest(sent.output if sent else "")
    if sent is None:
        note(f"already there: {image.reference}")
    return _rows(image, digest, image.references, sent)


def _rows(image: Named, digest: str, names: Sequence[str], done: TransferResult | None) -> list[dict[str, Any]]:
    return [
        {
            "service": service,
            "reference": image.reference,
            "digest": digest,
            # Tags of other repositories (build.tags of the Compose file) are named in full.
            "tags": [name.removeprefix(f"{image.repository}:") for name in names],
            "seconds": round(done.seconds, 2) if done else 0.0,
        }
        for service in image.services
    ]


def _report(project: Project, task: str, rows: Sequence[Mapping[str, Any]], json: bool) -> None:
    if json:
        emit_json({"schema": f"slipway/{task}/v1", "environment": project.profile.environment, "images": rows})
        return
    emit_table(
        ("SERVICE", "IMAGE", "DIGEST", "TAGS"),
        [(row["service"], row["reference"], row["digest"], ", ".join(row["tags"])) for row in rows],
    )


def pull(project: Project, services: tuple[str, ...], json: bool) -> None:
    """Pull the selected services' images by digest and report it.

    Of the other tags that a build would carry now, an image gets those that name the same digest in the registry.
    """
    images = _images(project, services)
    registered = remotes(project, [name for image in images for name in image.references])
    env, cwd, jobs = compose.docker_env(project.profile), project.cwd, []
    digests = {image.reference: image.pinned or registered[image.reference].digest for image in images}
    alike = {image.reference: _alike(image, digests[image.reference], registered) for image in images}
    for image in images:
        if not digests[image.reference]:
            raise registry.explain("manifest unknown", image.reference).error()
        pinned = f"{image.repository}@{digests[image.reference]}"
        retags = (registry.tag(pinned, name, env, cwd) for name in alike[image.reference])
        jobs.append(Job(image.reference, (registry.pull(pinned, env, cwd), *retags)))
    done = carry_out(project, jobs, "pull")
    if project.runner.dry:
        return
    rows = []
    for image in images:
        rows += _rows(image, digests[image.reference], alike[image.reference], done[image.reference])
    _report(project, "image.pull", rows, json)


def _alike(image: Named, digest: str, registered: Mapping[str, RegistryImage]) -> list[str]:
    """Return the references in the image's own repository that stand for a digest."""
    return [
        name
        for name in image.references
        if digest and registered[name].digest == digest and split_reference(name)[0] == image.repository
    ]


def promote(source: Project, target: Project, services: tuple[str, ...], json: bool) -> None:
    """Give the source environment's images the target environment's names: same digests, nothing is built.

    Raises RefusedError when an image is missing in the source, or an exact tag of the target is taken.
    """
    moves = _moves(source, target, services)
    sign.refuse_unready(target)
    env, cwd = compose.docker_env(target.profile), target.cwd
    registered = remotes(target, [move.target for move in moves if registry.host(move.target)])
    jobs = [
        Job(move.target, move.commands(env, cwd))
        for move in moves
        if not (registry.host(move.source) and registered.get(move.target, RegistryImage()).digest == move.digest)
    ]
    for move in moves:
        taken = registered.get(move.target, RegistryImage()).digest
        if taken and taken != move.digest and registry.exact(split_reference(move.target)[1]):
            raise registry.refuse_other_content(move.target, taken, registry.short_digest(move.digest))
    carry_out(target, jobs, "promote")
    if target.runner.dry:
        return
    rows = [
        {"service": move.service, "digest": digest, "from": move.source, "to": move.target}
        for move, digest in zip(moves, _verified(target, moves), strict=True)
    ]
    pushed = [row for row in rows if registry.host(row["to"])]
    sign.sign(target, [f"{split_reference(row['to'])[0]}@{row['digest']}" for row in pushed])
    if json:
        emit_json(
            {
                "schema": "slipway/image.promote/v1",
                "from": source.profile.environment,
                "to": target.profile.environment,
                "images": rows,
            }
        )
        return
    emit_table(
        ("SERVICE", "DIGEST", "FROM", "TO"), [(row["service"], row["digest"], row["from"], row["to"]) for row in rows]
    )


def _moves(source: Project, target: Project, services: tuple[str, ...]) -> list[PromotionMove]:
    """Return what to promote: every image that the target builds, from the service of that name in the source."""
    if source.profile.environment == target.profile.environment:
        raise RefusedError("--from and --to name the same environment", "promote from one environment to another")
    pairs = [(source.stack.service(service.name).image, service) for service in target.stack.built(services)]
    for _, service in pairs:
        registry.refuse_pinned(service.image, target.profile.environment)
    registered = remotes(source, [name for name, _ in pairs if registry.host(name)])
    local = _local(source, (name for name, _ in pairs if not registry.host(name)))
    if local and source.engine.address != target.engine.address:
        raise RefusedError(
            f"{source.profile.environment} and {target.profile.environment} are on different engines",
            "images get to another engine through a registry only: name it in the image references of both",
        )
    environment = source.profile.environment
    moves = []
    for name, service in pairs:
        remote = registered[name] if name in registered else RegistryImage(local[name].id if name in local else "")
        if not remote.digest:
            raise RefusedError(
                f"image {name} of service {service.name} is missing: there is nothing to promote",
                f"inv build --env {environment}"
                + (f" && inv image.push --env {environment}" if name in registered else ""),
            )
        moves.append(PromotionMove(service.name, name, service.image, remote.digest, remote.list_))
    return moves


def _verified(target: Project, moves: Sequence[PromotionMove]) -> list[str]:
    """Return the digests under the target's names; raises SlipwayError when it is not the source's."""
    registered = remotes(target, [move.target for move in moves if registry.host(move.target)])
    digests = []
    for move in moves:
        digest = registered[move.target].digest if move.target in registered else move.digest
        if registry.host(move.source) and digest != move.digest:
            raise SlipwayError(
                f"{move.target} is {registry.short_digest(digest)} after the promotion, "
                f"not {registry.short_digest(move.digest)}",
                "another process pushed to it meanwhile: promote again",
            )
        digests.append(digest)
    return digests
