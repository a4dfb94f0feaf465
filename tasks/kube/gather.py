"""Gathers what a translation starts from, out of a project: its model, its images, its files, its positions."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from ..host.output import WARNING
from ..host.project import Project
from ..model.compose import build_files
from ..model.errors import RefusedError
from ..model.profile.profile import Profile
from ..model.stack.stack import Stack, full_reference, parse
from ..release import redactions
from .plan.source import ImageFacts, KubeSettings, KubeSource
from .sources.host_files import host_files, sources
from .sources.image_facts import copies, facts
from .sources.positions import positions

_HAS: Mapping[str, Any] = {"shell": True}  # whether there is one: nothing is given to it
_USUAL = ImageFacts(**_HAS)


def gather(
    project: Project, release: str = "", recorded: Mapping[str, Any] | None = None, to_build: Collection[str] = ()
) -> KubeSource:
    """Return what a translation of a project starts from; no secret is in it, only placeholders (``redaction``).

    ``release`` names the release, "" where nothing is deployed; ``recorded`` is its model, with pinned images and
    without secrets. Else it is today's model, its images pinned by what the engine knows of them.
    ``to_build`` are services whose images are built before anything is applied: until then they are taken to have what
    the Dockerfile of a project that works with Compose usually gives them.
    Raises InputError for Compose files, or files that they mount, which cannot be read.
    """
    written = positions(build_files(project.profile), project.settings)  # while Compose works
    model = recorded or redactions.without_secrets(project)
    stack = parse(model)
    known = _images(project, stack, to_build)
    if recorded is None:
        names = {name: found.reference for name, found in known.items()}
        model, stack = with_images(model, names), stack_with_images(stack, names)
    return KubeSource(
        model=model,
        stack=stack,
        environment=project.profile.environment,
        release=release,
        images=with_copies(project, model, known, to_build),
        files=host_files(model, project.settings.project_dir),
        positions=written,
        settings=settings(project.profile),
    )


def with_images(model: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Return a model with other names of images, by service."""
    services = {
        name: {**raw, "image": names[name]} if name in names else raw
        for name, raw in (model.get("services") or {}).items()
    }
    return {**model, "services": services}


def stack_with_images(stack: Stack, names: Mapping[str, str]) -> Stack:
    """Return a parsed model with other names of images, by service: parsing it again would take a tenth of a render."""
    services = {
        name: replace(service, image=full_reference(names[name])) if name in names else service
        for name, service in stack.services.items()
    }
    return replace(stack, services=services)


def settings(profile: Profile) -> KubeSettings:
    """Return what the profile says about the cluster."""
    return KubeSettings(
        namespace=profile.text("KUBE_NAMESPACE"),
        ingress_class=profile.text("KUBE_INGRESS_CLASS"),
        storage_class=profile.text("KUBE_STORAGE_CLASS"),
        volume_size=profile.text("KUBE_VOLUME_SIZE"),
        pull_secrets=profile.words("KUBE_PULL_SECRETS"),
        gateway=profile.text("KUBE_GATEWAY"),
        health_timeout=profile.duration("HEALTH_TIMEOUT"),
        node_timeout=profile.duration("KUBE_NODE_TIMEOUT") if profile.text("KUBE_NODE_TIMEOUT") else None,
        secret_keys=(*profile.words("SECRET_KEYS"), *sorted(profile.encrypted)),
        mesh=profile.text("MESH"),
        mesh_ingress=profile.text("MESH_INGRESS") == "mesh",
    )


def with_copies(
    project: Project, model: Mapping[str, Any], known: Mapping[str, ImageFacts], to_build: Collection[str]
) -> dict[str, ImageFacts]:
    """Return the facts of images, and where those that are built here have the files that are mounted over them.

    An image that is going to be built is taken to have all of them, and one that never was, a shell.
    """
    directory, built = project.settings.project_dir, dict(known)
    for name in to_build:
        found = known.get(name, _USUAL)
        built[name] = replace(found, copies=frozenset(sources(model, directory, name)))
    for name, found in known.items():
        if name in to_build or not model["services"][name].get("build"):
            continue
        if places := sources(model, directory, name):
            built[name] = replace(found, copies=copies(project.engine, found.reference, places))
    return built


def _images(project: Project, stack: Stack, to_build: Collection[str]) -> dict[str, ImageFacts]:
    """Return the facts of the images by service; a note says which are not known, unless they are going to be built."""
    references = {name: full_reference(service.image) for name, service in stack.services.items()}
    try:
        known = facts(project.engine, references.values())
    except RefusedError as error:
        project.note_once(
            f"{error.message}: what images say by themselves (digest, user, ports, health check) is not known", WARNING
        )
        return {}
    unknown = {name: reference for name, reference in references.items() if reference not in known}
    if missing := sorted({reference for name, reference in unknown.items() if name not in to_build}):
        project.note_once(
            f"not on the engine, so their digest, user, ports and health check are not known: {', '.join(missing)}",
            WARNING,
        )
    return {name: known[reference] for name, reference in references.items() if reference in known}
