"""What image.push, image.pull and image.promote do."""

import ipaddress
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import sleep
from typing import Any

from ..plan import registry as planner
from ..plan.build import split_reference
from ..plan.command import Command
from ..plan.errors import RefusedError, SlipwayError
from ..plan.facts import Image, Remote
from ..plan.registry import Move, Named
from ..plan.units import show_duration
from . import signatures
from .output import emit_json, emit_table, note
from .project import Project
from .runner import capture
from .transfers import Done, Job, carry_out, retried

_ASKED_AT_ONCE = 8  # questions to registries


def push(project: Project, services: tuple[str, ...], json: bool) -> None:
    """Push all tags of the selected services' images and report their digests.

    Raises RefusedError, before anything is sent, when an exact tag holds other content in the registry.
    """
    project.know_releases()
    images = _of(project, services)
    signatures.refuse_unready(project)
    rows = send(project, images)
    signatures.sign_pushed(project, images, {row["reference"]: row["digest"] for row in rows})
    if not project.runner.dry:
        _report(project, "image.push", rows, json)


def _of(project: Project, services: tuple[str, ...]) -> tuple[Named, ...]:
    found = [planner.of_service(one, project.version) for one in project.stack.built(services)]
    return planner.images(found, project.profile.environment)


def send(project: Project, images: Sequence[Named]) -> list[dict[str, Any]]:
    """Push images as ``push`` does; returns a row for each service."""
    local = _local(project, (one.reference for one in images))
    planner.require_built(images, local, project.profile.environment)
    there = remotes(project, [name for one in images for name in one.references])
    here = {one.reference: _known(project, one, local[one.reference], there) for one in images}
    env, cwd = planner.environment(project.profile), project.cwd
    jobs = []
    for one in images:
        known, missing = here[one.reference], _missing(one, there, here[one.reference].digest)
        if known.list_ and missing:  # the engine may hold one platform of it only
            commands: tuple[Command, ...] = (planner.copy(f"{one.repository}@{known.digest}", missing, env, cwd),)
        else:
            commands = tuple(planner.push(name, env, cwd) for name in missing)
        jobs.append(Job(one.reference, commands))
    for job in jobs:
        if not job.commands:
            project.runner.show(f"{job.name}: already there")
    done = carry_out(project, jobs, _say("pushed"))
    return [] if project.runner.dry else [row for one in images for row in _pushed(one, done, here)]


def send_lists(project: Project, images: Sequence[Named], digests: Mapping[str, str]) -> dict[str, str]:
    """Give manifest lists, which the registry holds under their ``digests`` (by reference), all of their names.

    Returns the digests that the names stand for.

    Raises RefusedError, before any name is given, when an exact tag holds other content in the registry.
    """
    there = remotes(project, [name for one in images for name in one.references])
    env, cwd, jobs = planner.environment(project.profile), project.cwd, []
    known = {one.reference: _known_list(project, one, digests[one.reference], there) for one in images}
    for one in images:
        missing = _missing(one, there, known[one.reference])
        pinned = f"{one.repository}@{known[one.reference]}"
        jobs.append(Job(one.reference, (planner.copy(pinned, missing, env, cwd),) if missing else ()))
    done = carry_out(project, jobs, _say("pushed"))
    for one in images:
        if one.reference not in done:
            note(f"already there: {one.reference}")
    return known


def _known_list(project: Project, one: Named, digest: str, there: Mapping[str, Remote]) -> str:
    """Return the digest of a list in the registry: an earlier one's, if that has the same images.

    What is around them, such as BuildKit's provenance, has the time of the build in it. Raises RefusedError when an
    exact tag has other images.
    """
    env, found = planner.environment(project.profile), digest
    for name in one.references:
        remote = there[name]
        if not remote.digest or remote.digest == digest or not planner.exact(split_reference(name)[1]):
            continue
        first, second = (
            planner.platform_digests(
                capture(planner.raw_list(f"{split_reference(name)[0]}@{which}", env, project.cwd)).stdout
            )
            for which in (remote.digest, digest)
        )
        if not first or first != second:
            raise planner.refuse_other_content(name, remote.digest, planner.shown(digest))
        found = remote.digest
    return found


def _missing(one: Named, there: Mapping[str, Remote], digest: str) -> list[str]:
    """Return the references under which the registry has not got an image yet."""
    return [name for name in one.references if not digest or there[name].digest != digest]


def _known(project: Project, one: Named, image: Image, there: Mapping[str, Remote]) -> Remote:
    """Return what a local image is in the registry, without a digest when it is not there yet.

    Raises RefusedError when an exact tag is there with other content.
    """
    found = Remote()
    for name in one.references:
        remote = there[name]
        repository = split_reference(name)[0]
        if not remote.digest:
            continue
        # A moving tag is asked about by what the engine knows only: if that is not enough, it is pushed again.
        if planner.same(image, repository, remote) or (
            planner.exact(split_reference(name)[1]) and _same_config(project, name, image, remote)
        ):
            found = remote
        elif planner.exact(split_reference(name)[1]):
            raise planner.refuse_other_content(name, remote.digest, planner.local_digest(image, repository))
    return found


def _same_config(project: Project, name: str, image: Image, remote: Remote) -> bool:
    """Whether the registry's image has the local one's configuration: then it is the same, built or loaded twice."""
    env, registry = planner.environment(project.profile), planner.host(name)
    pinned = f"{split_reference(name)[0]}@{remote.digest}"
    answer = capture(planner.manifest(pinned, _insecure(project, registry), env, project.cwd))
    return planner.config_digest(answer.stdout) == image.id


def _insecure(project: Project, registry: str) -> bool:
    """Whether the engine is set up to talk to a registry without TLS, or without checking its certificate."""
    settings = project.engine.info().get("RegistryConfig") or {}
    if known := (settings.get("IndexConfigs") or {}).get(registry):
        return not known.get("Secure", True)
    name = registry.rpartition(":")[0] or registry
    try:
        address = ipaddress.ip_address("127.0.0.1" if name == "localhost" else name.strip("[]"))
    except ValueError:
        return False
    return any(address in ipaddress.ip_network(one) for one in settings.get("InsecureRegistryCIDRs") or ())


def remotes(project: Project, references: Sequence[str]) -> dict[str, Remote]:
    """Return what the registries have under references, tried again like a transfer; raises when they do not say."""
    found: dict[str, Remote] = {}
    attempt = 1
    engine = project.engine
    while True:
        open_ = [name for name in references if name not in found]
        with ThreadPoolExecutor(_ASKED_AT_ONCE) as pool:
            answers = dict(zip(open_, pool.map(engine.remote, open_), strict=True))
        found |= {name: remote for name, remote in answers.items() if not remote.fault}
        faults = [planner.explain(one.fault, name) for name, one in answers.items() if one.fault]
        if not faults:
            return found
        # One that does not pass comes first: waiting for the others has no use then.
        worst = min(faults, key=lambda fault: fault.passing)
        sleep(retried(worst, attempt, project.profile.integer("PUSH_RETRIES")))
        attempt += 1


def _local(project: Project, references: Iterable[str]) -> dict[str, Image]:
    found = {name: project.engine.image(name) for name in references}
    return {name: image for name, image in found.items() if image is not None}


def _say(verb: str) -> Callable[[Job, Done], None]:
    return lambda job, done: note(f"{verb} {job.name} in {show_duration(done.seconds)}")


def _pushed(one: Named, done: Mapping[str, Done], here: Mapping[str, Remote]) -> list[dict[str, Any]]:
    sent = done.get(one.reference)
    digest = here[one.reference].digest or planner.digest(sent.output if sent else "")
    if sent is None:
        note(f"already there: {one.reference}")
    return _rows(one, digest, one.references, sent)


def _rows(one: Named, digest: str, names: Sequence[str], done: Done | None) -> list[dict[str, Any]]:
    return [
        {
            "service": service,
            "reference": one.reference,
            "digest": digest,
            # Tags of other repositories (build.tags of the Compose file) are named in full.
            "tags": [name.removeprefix(f"{one.repository}:") for name in names],
            "seconds": round(done.seconds, 2) if done else 0.0,
        }
        for service in one.services
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
    images = _of(project, services)
    there = remotes(project, [name for one in images for name in one.references])
    env, cwd, jobs = planner.environment(project.profile), project.cwd, []
    digests = {one.reference: one.pinned or there[one.reference].digest for one in images}
    alike = {one.reference: _alike(one, digests[one.reference], there) for one in images}
    for one in images:
        if not digests[one.reference]:
            raise planner.explain("manifest unknown", one.reference).error()
        pinned = f"{one.repository}@{digests[one.reference]}"
        retags = (planner.tag(pinned, name, env, cwd) for name in alike[one.reference])
        jobs.append(Job(one.reference, (planner.pull(pinned, env, cwd), *retags)))
    done = carry_out(project, jobs, _say("pulled"))
    if project.runner.dry:
        return
    rows = []
    for one in images:
        rows += _rows(one, digests[one.reference], alike[one.reference], done[one.reference])
    _report(project, "image.pull", rows, json)


def _alike(one: Named, digest: str, there: Mapping[str, Remote]) -> list[str]:
    """Return the references in the image's own repository that stand for a digest."""
    return [
        name
        for name in one.references
        if digest and there[name].digest == digest and split_reference(name)[0] == one.repository
    ]


def promote(source: Project, target: Project, services: tuple[str, ...], json: bool) -> None:
    """Give the source environment's images the target environment's names: same digests, nothing is built.

    Raises RefusedError when an image is missing in the source, or an exact tag of the target is taken.
    """
    moves = _moves(source, target, services)
    signatures.refuse_unready(target)
    env, cwd = planner.environment(target.profile), target.cwd
    there = remotes(target, [one.target for one in moves if planner.host(one.target)])
    jobs = [
        Job(one.target, one.commands(env, cwd))
        for one in moves
        if not (planner.host(one.source) and there.get(one.target, Remote()).digest == one.digest)
    ]
    for one in moves:
        taken = there.get(one.target, Remote()).digest
        if taken and taken != one.digest and planner.exact(split_reference(one.target)[1]):
            raise planner.refuse_other_content(one.target, taken, planner.shown(one.digest))
    carry_out(target, jobs, _say("promoted"))
    if target.runner.dry:
        return
    rows = [
        {"service": one.service, "digest": digest, "from": one.source, "to": one.target}
        for one, digest in zip(moves, _verified(target, moves), strict=True)
    ]
    pushed = [row for row in rows if planner.host(row["to"])]
    signatures.sign(target, [f"{split_reference(row['to'])[0]}@{row['digest']}" for row in pushed])
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


def _moves(source: Project, target: Project, services: tuple[str, ...]) -> list[Move]:
    """Return what to promote: every image that the target builds, from the service of that name in the source."""
    if source.profile.environment == target.profile.environment:
        raise RefusedError("--from and --to name the same environment", "promote from one environment to another")
    pairs = [(source.stack.service(one.name).image, one) for one in target.stack.built(services)]
    for _, one in pairs:
        planner.refuse_pinned(one.image, target.profile.environment)
    there = remotes(source, [name for name, _ in pairs if planner.host(name)])
    local = _local(source, (name for name, _ in pairs if not planner.host(name)))
    if local and source.engine.address != target.engine.address:
        raise RefusedError(
            f"{source.profile.environment} and {target.profile.environment} are on different engines",
            "only a registry carries images from one to the other: name it in the image references of both",
        )
    environment = source.profile.environment
    moves = []
    for name, service in pairs:
        found = there[name] if name in there else Remote(local[name].id if name in local else "")
        if not found.digest:
            raise RefusedError(
                f"image {name} of service {service.name} is missing: there is nothing to promote",
                f"inv build --env {environment}" + (f" && inv image.push --env {environment}" if name in there else ""),
            )
        moves.append(Move(service.name, name, service.image, found.digest, found.list_))
    return moves


def _verified(target: Project, moves: Sequence[Move]) -> list[str]:
    """Return the digests under the target's names; raises SlipwayError when one is not the source's."""
    there = remotes(target, [one.target for one in moves if planner.host(one.target)])
    digests = []
    for one in moves:
        found = there[one.target].digest if one.target in there else one.digest
        if planner.host(one.source) and found != one.digest:
            raise SlipwayError(
                f"{one.target} is {planner.shown(found)} after the promotion, not {planner.shown(one.digest)}",
                "somebody else pushed to it meanwhile: promote again",
            )
        digests.append(found)
    return digests
