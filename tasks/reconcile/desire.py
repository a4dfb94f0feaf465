"""Determines what should run: from today's files, or from the record of a release."""

import json
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ..host.project import Project
from ..host.runner import start
from ..model.compose import compose
from ..model.engine.facts import Container, Image
from ..model.record import Record
from ..model.stack.stack import Stack, full_reference, parse, unescaped
from ..release.plan.release import Promotion, Release, restored
from .mount_contents import Contents, place
from .plan.desired import Desired, Wanted
from .plan.mounts import Content, references, with_other_sources
from .plan.observed import UNFINISHED, Observed, State
from .plan.placed import configuration_digest, fillable, filled_volume, filled_volumes
from .plan.spelling import spelled_as_created, with_namespaces


class Sources(Record):
    """What desired states are built from: the project's containers, images by reference, contents and stored state."""

    project: Project
    containers: tuple[Container, ...]
    images: Mapping[str, Image]
    contents: Contents
    state: State


def desired_today(sources: Sources, causes: Mapping[str, str], promotion: Promotion | None = None) -> Desired:
    """Return what should run by today's files; ``causes``: why images have to be built, by service.

    A ``promotion`` supplies images instead of a build.
    """
    project, stack = sources.project, sources.project.stack
    first = project.first_hashes()
    promoted = promotion.images if promotion else {}
    images = {**sources.images, **promoted}
    hashes = _hashes(
        sources, project.model, first, {name: images.get(service.image) for name, service in stack.services.items()}
    )
    names = {name: image.id for name, image in promoted.items()} or _twins(sources)
    desired = _desired(sources, stack, project.model, images, hashes, build_causes(stack, causes), names=names)
    return replace(desired, origin=promotion.origin) if promotion else desired


def _twins(sources: Sources) -> dict[str, str]:
    """Return image names that point to a rebuilt image with the same content as the running one, and the running id.

    The names are pointed back to the running image, since another id is a change to Compose.
    """
    names = {}
    for container in sources.containers:
        service = sources.project.stack.services.get(container.service)
        image = sources.images.get(service.image) if service and service.build and not container.oneoff else None
        used = container.created_from or container.image_id
        if service and image and image.id != used and (image.content or image.id) == _content(sources, used):
            names[service.image] = used
    return names


def build_causes(stack: Stack, causes: Mapping[str, str]) -> dict[str, str]:
    """Return why the image of each service has to be built; a service may use an image that another service builds."""
    by_image = {stack.services[name].image: cause for name, cause in causes.items()}
    return {name: by_image[service.image] for name, service in stack.services.items() if service.image in by_image}


def desired_release(
    sources: Sources, release: Release, model: Mapping[str, Any], mounted: Mapping[str, Mapping[str, str]],
    directories: Collection[str] = (),
) -> Desired:  # fmt: skip
    """Return what a release was.

    - ``model``: its recorded model with today's secrets. ``mounted``: digests of its files, by service and target.
    - A file that has changed or is gone is mounted from the release's own copy. Directories (``directories`` has their
      digests) of a service with ``x-slipway.reload`` are filled into a volume instead.
    - Names of images that this project builds are pointed to the release's images again. Other names are not moved:
      such a service runs its image by the tag that the release gave to it.
    """
    built = {name: image for name, image in release.images.items() if image.built}
    names = {image.reference: image.id for image in built.values()}
    spelled_names = {}
    for name, image in release.images.items():
        current = sources.images.get(image.reference)
        kept = image.built or (current is not None and current.id == image.id)
        spelled_names[name] = (
            ("" if image.implied else image.reference)
            if kept
            else image.kept(sources.project.stack.project, release.id)
        )
    rendered = restored(model, spelled_names)
    places = _places(sources, rendered, mounted)
    filled = _kept(rendered, {where: digest for where, (_, digest) in places.items() if digest in directories})
    places = {where: entry for where, entry in places.items() if where not in filled}
    rendered = with_other_sources(rendered, {where: path for where, (path, _) in places.items()})
    stack = parse(rendered)
    images = {
        image.reference: Image(image.id, content=_content(sources, image.id)) for image in release.images.values()
    }
    by_service = {name: images[image.reference] for name, image in release.images.items()}
    hashes = _hashes(sources, rendered, {}, by_service)
    desired = _desired(sources, stack, rendered, {}, hashes, {}, by_service=by_service, names=names)
    for (service, target), (path, digest) in places.items():
        wanted = desired.services[service]
        contents = {**wanted.contents, target: Content(digest, place(path))}
        desired = replace(desired, services={**desired.services, service: replace(wanted, contents=contents)})
    for (service, target), digest in filled.items():
        desired = _holding(desired, service, {target: Content(digest, directory=True)})
    files = tuple(dict.fromkeys(digest for _, digest in places.values()))
    return replace(desired, release=release.id, files=files, kept=filled)


def _kept(model: Mapping[str, Any], changed: Mapping[tuple[str, str], str]) -> dict[tuple[str, str], str]:
    """Return which changed directories of a release are filled into a volume, as digests by service and target."""
    rendered, stack = unescaped(model), parse(model)
    kept = {}
    for name, service in stack.services.items():
        for reference in references(rendered, name) if service.slipway.reload else ():
            digest = changed.get((name, reference.target))
            if digest and fillable(rendered["services"][name], reference):
                kept[name, reference.target] = digest
    return kept


def _holding(desired: Desired, service: str, contents: Mapping[str, Content]) -> Desired:
    """Return the desired state with other contents of some references of a service."""
    wanted = desired.services[service]
    changed = replace(wanted, contents={**wanted.contents, **contents})
    return replace(desired, services={**desired.services, service: changed})


def with_running_volume_secrets(sources: Sources, desired: Desired) -> Desired:
    """Return a release with the secrets that its containers have in filled volumes, for a way back.

    These need not be exchanged again: a secret that the service did not accept was never put there.
    """
    for container in sources.containers:
        if container.service in desired.services and not container.oneoff:
            noted = _had(sources, desired, container)
            secret = {
                reference.target for reference in desired.services[container.service].references if reference.secret
            }
            desired = _holding(desired, container.service, {key: noted[key] for key in noted.keys() & secret})
    return desired


def _had(sources: Sources, desired: Desired, container: Container) -> dict[str, Content]:
    """Return what a container's filled volumes contain by its stamp, by target."""
    stamp = sources.state.stamps.get(container.id)
    contents = {}
    for reference in desired.wanted(container.service).references if stamp else ():
        noted = stamp.references.get(reference.target) if stamp else None
        if noted and noted != UNFINISHED and filled_volume(container, reference):
            contents[reference.target] = replace(noted, directory=not reference.secret)
    return contents


def _places(
    sources: Sources, model: Mapping[str, Any], mounted: Mapping[str, Mapping[str, str]]
) -> dict[tuple[str, str], tuple[str, str]]:
    """Return path and digest of a release's own copies of files that have changed, by service and target."""
    from .kept_files import directory

    changed, rendered = {}, unescaped(model)
    for service, digests in mounted.items():
        for reference in references(rendered, service):
            digest = digests.get(reference.target)
            if digest and sources.contents.of(reference).digest != digest and sources.project.engine.local():
                root = directory(sources.project.engine, sources.project.stack.project)
                changed[service, reference.target] = (f"{root}/{digest}", digest)
    return changed


def desired_as_observed(sources: Sources, desired: Desired, before: Observed) -> Desired:
    """Return what ran before a first deploy, for which there is no record: today's files with the images that ran.

    Services without a container are left out.
    """
    definitions, services, names = {}, {}, {}
    for name, service in desired.stack.services.items():
        containers = [container for container in before.of(name) if container.state == "running"] or list(
            before.of(name)
        )
        if not containers:
            continue
        stamp = before.state.stamps.get(containers[0].id)
        definitions[name] = dict(desired.model["services"][name])
        if "image" in definitions[name]:
            definitions[name]["image"] = containers[0].image_reference or service.image
        services[name] = replace(
            desired.wanted(name),
            image=before.content(containers[0]),
            hashes=frozenset(container.config_hash for container in containers),
            contents={**(stamp.references if stamp else {}), **_had(sources, desired, containers[0])},
            references=desired.wanted(name).references if stamp else (),
            build="",
        )
        if service.build is not None and service.image in before.images:
            names[service.image] = before.images[service.image].id
    model = {
        **desired.model,
        "services": {name: _without(definition, definitions) for name, definition in definitions.items()},
    }
    return Desired(parse(model), model, services, names)


def _without(service: Mapping[str, Any], present: Mapping[str, Any]) -> dict[str, Any]:
    """Return a service without dependencies on services that are not ``present``."""
    depends = {name: condition for name, condition in (service.get("depends_on") or {}).items() if name in present}
    return {**service, "depends_on": depends} if "depends_on" in service else dict(service)


def _content(sources: Sources, image_id: str) -> str:
    image = sources.project.engine.image(image_id)
    return (image.content or image.id) if image else image_id


def _desired(
    sources: Sources,
    stack: Stack,
    model: Mapping[str, Any],
    images: Mapping[str, Image],
    hashes: Mapping[str, frozenset[str]],
    causes: Mapping[str, str],
    names: Mapping[str, str],
    by_service: Mapping[str, Image] | None = None,
) -> Desired:
    services, rendered = {}, unescaped(model)
    for name, service in stack.services.items():
        image = (by_service or {}).get(name) or images.get(service.image)
        live = [os.path.normpath(Path(sources.project.cwd, path)) for path in service.slipway.live]
        service_references = references(rendered, name, live)
        services[name] = Wanted(
            image=(image.content or image.id) if image else "",
            hashes=hashes.get(name, frozenset()),
            build=causes.get(name, ""),
            references=service_references,
            contents={reference.target: sources.contents.of(reference) for reference in service_references},
        )
    return Desired(stack, model, services, names)


def _hashes(
    sources: Sources, model: Mapping[str, Any], first: Mapping[str, str], images: Mapping[str, Image | None]
) -> dict[str, frozenset[str]]:
    """Return the Compose configuration hashes that mean the wanted configuration, by service.

    `config --hash` resolves neither `env_file` nor `service:` namespaces. Where the first hashes do not match the
    containers, Compose is asked again, for the resolved model spelled as the containers were created; unless no
    spelling can make a difference.
    """
    hashes = {name: {text} for name, text in first.items()}
    containers = [container for container in sources.containers if not container.oneoff and container.config_hash]
    for container in containers if first else ():
        stamp = sources.state.stamps.get(container.id)
        if (
            filled_volumes(container)
            and stamp
            and stamp.configuration
            and stamp.configuration == configuration_digest(model, container.service)
        ):
            hashes.setdefault(container.service, set()).add(container.config_hash)
    unlike = [
        container
        for container in containers
        if container.config_hash not in hashes.get(container.service, {container.config_hash})
    ]
    if first and _changed_for_certain(sources, unlike, model):
        return {name: frozenset(texts) for name, texts in hashes.items()}
    resolved = with_namespaces(model, sources.containers)
    other = [
        container.service
        for container in containers
        if not _runs(sources, container, model, images.get(container.service))
    ]
    spelled = spelled_as_created(resolved, sources.containers, other=other) if containers else resolved
    for texts in _asked(sources.project, [resolved, *([spelled] if spelled != resolved else ())]):
        for name, text in texts.items():
            hashes.setdefault(name, set()).add(text)
    return {name: frozenset(texts) for name, texts in hashes.items()}


def _changed_for_certain(sources: Sources, unlike: Sequence[Container], model: Mapping[str, Any]) -> bool:
    """Whether each of these containers has another value in its environment than its service says.

    Such a value was part of what it was created from, however that was spelled. A job is none of them: what it ran with
    is known by its hash.
    """
    engine, stack = sources.project.engine, sources.project.stack
    services = [stack.services.get(container.service) for container in unlike]
    if any(service is None or stack.one_off(service) for service in services):
        return False
    with engine.asking([partial(engine.environment, container.id) for container in unlike]):
        for container in unlike:
            has = engine.environment(container.id)
            wanted = model["services"][container.service].get("environment") or {}
            given = {name: value for name, value in wanted.items() if isinstance(value, str)}
            if not has or all(has.get(name, "").replace("$", "$$") == value for name, value in given.items()):
                return False
    return True


def _runs(sources: Sources, container: Container, model: Mapping[str, Any], image: Image | None) -> bool:
    """Whether a container runs the image that its service should run: by content, or by name if it is not here."""
    if image is None:
        wanted = str((model["services"].get(container.service) or {}).get("image") or "")
        return full_reference(wanted) == full_reference(container.image_reference)
    used = container.created_from or container.image_id
    return used == image.id or _content(sources, used) == (image.content or image.id)


def _asked(project: Project, models: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return Compose's hashes for each model, asked for in parallel; empty for a model that it does not accept."""
    command = compose(project.profile, "config", "--hash", "*", cwd=project.cwd, files=("-",))
    pending = [start(replace(command, stdin=json.dumps(model))) for model in models]
    results = [process.result() for process in pending]
    return [
        dict(line.split(" ", 1) for line in result.stdout.splitlines() if " " in line) if result.exit_code == 0 else {}
        for result in results
    ]
