"""Finds the release of another environment that a deploy brings here, image by image."""

from dataclasses import replace

from ..plan import publishing
from ..plan import registry as registry_planner
from ..plan.errors import RefusedError
from ..plan.facts import Image
from ..plan.registry import Fault
from ..plan.release import Promotion, Release, from_labels, serving
from ..plan.units import show_duration
from .output import note
from .project import Project
from .records import history
from .registry import remotes
from .runner import Result
from .transfers import Job, answered, carry_out

_TRIES = 3  # another task may remove the record, between the pull and the look at it


def find(project: Project) -> Promotion | None:
    """Return what PROMOTE_FROM names, None without; raises RefusedError when there is nothing to promote.

    A release on another engine is found by its record in the registry. Nothing of it is pulled yet but the record,
    which is removed again; of images that are not here the record says all that is known.
    """
    name = project.profile.text("PROMOTE_FROM")
    if not name:
        return None
    if name == project.profile.environment:
        raise RefusedError(f"PROMOTE_FROM={name} names the environment itself", "name the one before it")
    source = project.elsewhere(name)
    here = source.address == project.address
    if here and (found := serving(history(source))):
        return Promotion(name, found, _here(project, name, found))
    found = _in_registry(project, source, here)
    images, missing = {}, []
    for service in project.stack.built():
        pinned = found.images.get(service.name)
        if pinned is None or not pinned.digest:
            raise RefusedError(
                f"release {found.id} of {name} has no image of service {service.name} in the registry",
                f"inv deploy.{name} makes a release that has",
            )
        known = project.engine.image(pinned.digest)
        if known is None:
            missing.append(pinned.digest)
        # What is not here yet is asked for its health check when it is: before anything changes.
        images[service.image] = known or Image(pinned.id, digests=(pinned.digest,), health_check=True)
    return Promotion(name, found, images, tuple(dict.fromkeys(missing)))


def bring(project: Project, promotion: Promotion) -> Promotion:
    """Pull the images of a promotion that are not on this engine, and return it with what they are here."""
    if not promotion.missing:
        return promotion
    env = registry_planner.environment(project.profile)
    jobs = [Job(name, (registry_planner.pull(name, env, project.cwd),)) for name in promotion.missing]
    carry_out(project, jobs, lambda job, done: note(f"pulled {job.name} in {show_duration(done.seconds)}"))
    if project.runner.dry:
        return promotion
    images = {}
    for reference, image in promotion.images.items():
        name = next(iter(image.digests), "")
        images[reference] = (project.engine.image(name) or image) if name in promotion.missing else image
    return replace(promotion, images=images, missing=())


def _here(project: Project, name: str, found: Release) -> dict[str, Image]:
    images: dict[str, Image] = {}
    for service in project.stack.built():
        pinned = found.images.get(service.name)
        image = project.engine.image(pinned.id) if pinned else None
        if image is None:
            raise RefusedError(
                f"release {found.id} of {name} has no image of service {service.name} on this engine",
                f"inv deploy.{name} makes a release that has",
            )
        images[service.image] = image
    return images


def _in_registry(project: Project, source: Project, here: bool) -> Release:
    """Return the release that serves the source, by its record in the registry."""
    name = source.profile.environment
    if not publishing.repository(source.stack):
        if here:
            raise RefusedError(f"no release of {name} serves: there is nothing to promote", f"inv deploy.{name}")
        raise RefusedError(
            f"{name} and {project.profile.environment} are on different engines, and the images of {name} name no "
            "registry that could carry them",
            "begin the names of the images that are built with the registry's host",
        )
    reference = publishing.serving_name(source.stack, name)
    digest = remotes(project, [reference])[reference].digest
    if not digest:
        raise RefusedError(
            f"no release of {name} is in the registry ({reference}): there is nothing to promote",
            f"inv deploy.{name}; it pushes its release where PUBLISH_RELEASES is true",
        )
    found = _read(project, f"{reference.rpartition(':')[0]}@{digest}")
    if found is None or found.environment != name:
        raise RefusedError(
            f"{reference} is no release of {name} that this version of Slipway understands",
            f"inv deploy.{name} with this version pushes one",
        )
    return found


def _read(project: Project, record: str) -> Release | None:
    """Return the release that a record in the registry describes; the engine does not keep the record."""
    for _ in range(_TRIES):
        _pull(project, record)
        try:
            image = project.engine.image(record)
        finally:
            project.engine.remove_image(record)
        if image:
            return from_labels(image.labels)
    return None


def _pull(project: Project, record: str) -> None:
    def judge(done: Result) -> Fault | None:
        return registry_planner.explain(done.stderr or done.stdout, record) if done.exit_code != 0 else None

    answered(project, registry_planner.pull(record, registry_planner.environment(project.profile), project.cwd), judge)
