"""Finds the release of another environment that a deploy promotes, and its images."""

from dataclasses import replace

from ..host.project import Project
from ..host.runner import Result
from ..image.plan import registry
from ..image.plan.registry import RegistryFault
from ..image.registry import remotes
from ..image.transfers import Job, carry_out, run_retried
from ..model import compose
from ..model.engine.facts import Image
from ..model.errors import RefusedError
from .plan import publish
from .plan.release import Promotion, Release, from_labels, serving
from .store import history

_TRIES = 3  # another task may remove the record after its pull, before it is read


def find(project: Project) -> Promotion | None:
    """Return the release that PROMOTE_FROM names, None without; raises RefusedError when there is none to promote.

    A release on another engine is found by its record in the registry. Only the record is pulled, and removed again; of
    images that are not on this engine, nothing is known yet but what the record says.
    """
    name = project.profile.text("PROMOTE_FROM")
    if not name:
        return None
    refuse_itself(project)
    source = project.elsewhere(name)
    same_engine = source.address == project.address
    if same_engine and (release := serving(history(source))):
        return Promotion(name, release, _local_images(project, name, release))
    release = _in_registry(project, source, same_engine)
    images, missing = {}, []
    for service in project.stack.built():
        pinned = release.images.get(service.name)
        if pinned is None or not pinned.digest:
            raise RefusedError(
                f"release {release.id} of {name} has no image of service {service.name} in the registry",
                f"inv deploy.{name} makes a release with that image",
            )
        image = project.engine.image(pinned.digest)
        if image is None:
            missing.append(pinned.digest)
        # An image that is not here yet is checked for its health check after its pull, before anything changes.
        images[service.image] = image or Image(pinned.id, digests=(pinned.digest,), health_check=True)
    return Promotion(name, release, images, tuple(dict.fromkeys(missing)))


def refuse_itself(project: Project) -> None:
    """Raise RefusedError where PROMOTE_FROM is the environment that it stands in."""
    name = project.profile.environment
    if project.profile.text("PROMOTE_FROM") == name:
        raise RefusedError(
            f"PROMOTE_FROM={name} names the environment itself", "name the environment that comes before it"
        )


def pull_missing(project: Project, promotion: Promotion) -> Promotion:
    """Pull the images of a promotion that are not on this engine, and return it with what they are here."""
    if not promotion.missing:
        return promotion
    env = compose.docker_env(project.profile)
    jobs = [Job(name, (registry.pull(name, env, project.cwd),)) for name in promotion.missing]
    carry_out(project, jobs, "pull")
    if project.runner.dry:
        return promotion
    images = {}
    for reference, image in promotion.images.items():
        name = next(iter(image.digests), "")
        images[reference] = (project.engine.image(name) or image) if name in promotion.missing else image
    return replace(promotion, images=images, missing=())


def _local_images(project: Project, name: str, release: Release) -> dict[str, Image]:
    images: dict[str, Image] = {}
    for service in project.stack.built():
        pinned = release.images.get(service.name)
        image = project.engine.image(pinned.id) if pinned else None
        if image is None:
            raise RefusedError(
                f"release {release.id} of {name} has no image of service {service.name} on this engine",
                f"inv deploy.{name} makes a release with that image",
            )
        images[service.image] = image
    return images


def _in_registry(project: Project, source: Project, same_engine: bool) -> Release:
    """Return the serving release of the source environment, by its record in the registry."""
    name = source.profile.environment
    if not publish.repository(source.stack):
        if same_engine:
            raise RefusedError(f"no release of {name} serves: there is nothing to promote", f"inv deploy.{name}")
        raise RefusedError(
            f"{name} and {project.profile.environment} are on different engines, and the images of {name} name no "
            "registry that could carry them",
            "begin the names of the images that are built with the registry's host",
        )
    reference = publish.serving_name(source.stack, name)
    digest = remotes(project, [reference])[reference].digest
    if not digest:
        raise RefusedError(
            f"no release of {name} is in the registry ({reference}): there is nothing to promote",
            f"inv deploy.{name}; it pushes its release where PUBLISH_RELEASES is true",
        )
    release = _read(project, f"{reference.rpartition(':')[0]}@{digest}")
    if release is None or release.environment != name:
        raise RefusedError(
            f"{reference} is no release of {name} that this version of Slipway understands",
            f"inv deploy.{name} with this version of Slipway pushes a new record",
        )
    return release


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
    def judge(done: Result) -> RegistryFault | None:
        return registry.explain(done.stderr or done.stdout, record) if done.exit_code != 0 else None

    run_retried(project, registry.pull(record, compose.docker_env(project.profile), project.cwd), judge)
