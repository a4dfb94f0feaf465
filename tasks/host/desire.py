"""What is to run: today's files, or the record of a release, with what everything in them stands for."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..plan.compose import compose
from ..plan.desired import Desired, Wanted
from ..plan.facts import Container, Image
from ..plan.mounts import Content, redirected, references
from ..plan.observed import Observed
from ..plan.release import Release, restored
from ..plan.spelling import spelled, with_namespaces
from ..plan.stack import Stack, full_reference, parse, plain
from .mount_contents import Contents, place
from .project import Project
from .runner import start


@dataclass(frozen=True)
class Sources:
    """What desired states are made from: the containers that are there, the images by reference, the contents."""

    project: Project
    containers: tuple[Container, ...]
    images: Mapping[str, Image]
    contents: Contents


def today(sources: Sources, causes: Mapping[str, str], promoted: Mapping[str, Image] | None = None) -> Desired:
    """Return what the files say; ``causes`` are why images have to be built, by service.

    ``promoted`` are images that are brought in place of a build, by reference.
    """
    project, stack = sources.project, sources.project.stack
    first = project.first_hashes()
    images = {**sources.images, **(promoted or {})}
    hashes = _hashes(
        sources, project.model, first, {name: images.get(one.image) for name, one in stack.services.items()}
    )
    names = {name: one.id for name, one in (promoted or {}).items()} or _twins(sources)
    return _desired(sources, stack, project.model, images, hashes, replaced(stack, causes), names=names)


def _twins(sources: Sources) -> dict[str, str]:
    """Return names of built images that stand for another image than runs, of the same content, and the one that runs.

    To Compose another id is a change.
    """
    found = {}
    for one in sources.containers:
        service = sources.project.stack.services.get(one.service)
        image = sources.images.get(service.image) if service and service.build and not one.oneoff else None
        used = one.created_from or one.image_id
        if service and image and image.id != used and (image.content or image.id) == _content(sources, used):
            found[service.image] = used
    return found


def replaced(stack: Stack, causes: Mapping[str, str]) -> dict[str, str]:
    """Return why the image of each service is to be built: one may run the image that another one builds."""
    by_image = {stack.services[name].image: cause for name, cause in causes.items()}
    return {name: by_image[one.image] for name, one in stack.services.items() if one.image in by_image}


def recorded(
    sources: Sources, release: Release, model: Mapping[str, Any], mounted: Mapping[str, Mapping[str, str]]
) -> Desired:
    """Return what a release was; ``model`` is its model with today's secrets in it, ``mounted`` the files' digests.

    A file that is another one by now, or gone, is mounted from the release's own.

    Names of images that are built for this project stand for the release's images again. No other name is moved: such a
    service runs its image by the name that the release gave to it.
    """
    built = {name: one for name, one in release.images.items() if one.built}
    names = {one.reference: one.id for one in built.values()}
    spelled_names = {}
    for name, one in release.images.items():
        now = sources.images.get(one.reference)
        kept = one.built or (now is not None and now.id == one.id)
        spelled_names[name] = (
            ("" if one.implied else one.reference) if kept else one.kept(sources.project.stack.project, release.id)
        )
    told = restored(model, spelled_names)
    places = _places(sources, told, mounted)
    told = redirected(told, {where: path for where, (path, _) in places.items()})
    stack = parse(told)
    images = {one.reference: Image(one.id, content=_content(sources, one.id)) for one in release.images.values()}
    by_service = {name: images[one.reference] for name, one in release.images.items()}
    hashes = _hashes(sources, told, {}, by_service)
    made = _desired(sources, stack, told, {}, hashes, {}, by_service=by_service, names=names)
    for (service, target), (path, digest) in places.items():
        wanted = made.services[service]
        contents = {**wanted.contents, target: Content(digest, place(path))}
        made = replace(made, services={**made.services, service: replace(wanted, contents=contents)})
    files = tuple(dict.fromkeys(digest for _, digest in places.values()))
    return replace(made, release=release.id, files=files)


def _places(
    sources: Sources, model: Mapping[str, Any], mounted: Mapping[str, Mapping[str, str]]
) -> dict[tuple[str, str], tuple[str, str]]:
    """Return where files of a release are that are not what they were: path and digest by service and target."""
    from .kept_files import directory

    found, told = {}, plain(model)
    for service, digests in mounted.items():
        for one in references(told, service):
            digest = digests.get(one.target)
            if digest and sources.contents.of(one).digest != digest and sources.project.engine.local():
                root = directory(sources.project.engine, sources.project.stack.project)
                found[service, one.target] = (f"{root}/{digest}", digest)
    return found


def as_observed(sources: Sources, desired: Desired, before: Observed) -> Desired:
    """Return what ran, of which there is no record: by today's files, from the images that it had.

    A service that had no container is none of it.
    """
    raw, services, names = {}, {}, {}
    for name, service in desired.stack.services.items():
        found = [one for one in before.of(name) if one.state == "running"] or list(before.of(name))
        if not found:
            continue
        stamp = before.state.stamps.get(found[0].id)
        raw[name] = dict(desired.model["services"][name])
        if "image" in raw[name]:
            raw[name]["image"] = found[0].image_reference or service.image
        services[name] = replace(
            desired.wanted(name),
            image=before.content(found[0]),
            hashes=frozenset(one.config_hash for one in found),
            contents=stamp.references if stamp else {},
            references=desired.wanted(name).references if stamp else (),
            build="",
        )
        if service.build is not None and service.image in before.images:
            names[service.image] = before.images[service.image].id
    model = {**desired.model, "services": {name: _without(one, raw) for name, one in raw.items()}}
    return Desired(parse(model), model, services, names)


def _without(service: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """Return a service that depends on services only that are there."""
    depends = {name: one for name, one in (service.get("depends_on") or {}).items() if name in known}
    return {**service, "depends_on": depends} if "depends_on" in service else dict(service)


def _content(sources: Sources, image_id: str) -> str:
    found = sources.project.engine.image(image_id)
    return (found.content or found.id) if found else image_id


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
    services, told = {}, plain(model)
    for name, service in stack.services.items():
        image = (by_service or {}).get(name) or images.get(service.image)
        live = [os.path.normpath(Path(sources.project.cwd, one)) for one in service.slipway.live]
        found = references(told, name, live)
        services[name] = Wanted(
            image=(image.content or image.id) if image else "",
            hashes=hashes.get(name, frozenset()),
            build=causes.get(name, ""),
            references=found,
            contents={one.target: sources.contents.of(one) for one in found},
        )
    return Desired(stack, model, services, names)


def _hashes(
    sources: Sources, model: Mapping[str, Any], first: Mapping[str, str], images: Mapping[str, Image | None]
) -> dict[str, frozenset[str]]:
    """Return the configuration hashes that count as a service's, by Compose's own measure.

    `config --hash` reads neither `env_file` nor which container a `service:` namespace is. Where a hash is not that of
    the containers, Compose is asked again, about the resolved model spelled as they were made.
    """
    found = {name: {text} for name, text in first.items()}
    containers = [one for one in sources.containers if not one.oneoff and one.config_hash]
    if first and all(one.config_hash in found.get(one.service, {one.config_hash}) for one in containers):
        return {name: frozenset(texts) for name, texts in found.items()}
    resolved = with_namespaces(model, sources.containers)
    other = [one.service for one in containers if not _runs(sources, one, model, images.get(one.service))]
    spellings = [resolved, *([spelled(resolved, sources.containers, other=other)] if containers else ())]
    for texts in _asked(sources.project, spellings):
        for name, text in texts.items():
            found.setdefault(name, set()).add(text)
    return {name: frozenset(texts) for name, texts in found.items()}


def _runs(sources: Sources, container: Container, model: Mapping[str, Any], image: Image | None) -> bool:
    """Whether a container runs the image that its service is to run: by content, by name where that is not here."""
    if image is None:
        wanted = str((model["services"].get(container.service) or {}).get("image") or "")
        return full_reference(wanted) == full_reference(container.image_reference)
    used = container.created_from or container.image_id
    return used == image.id or _content(sources, used) == (image.content or image.id)


def _asked(project: Project, models: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return Compose's hashes of models, which it is asked for side by side; none of one that it does not accept."""
    command = compose(project.profile, "config", "--hash", "*", cwd=project.cwd, files=("-",))
    pending = [start(replace(command, stdin=json.dumps(one))) for one in models]
    results = [one.result() for one in pending]
    return [
        dict(line.split(" ", 1) for line in one.stdout.splitlines() if " " in line) if one.exit_code == 0 else {}
        for one in results
    ]
