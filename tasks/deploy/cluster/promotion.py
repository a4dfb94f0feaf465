"""Finds what a deploy promotes, to a cluster or from one: the release that serves PROMOTE_FROM, by digest."""

from collections.abc import Mapping
from contextlib import suppress

from ...host.project import Project
from ...kube.live.cluster import Cluster
from ...kube.live.history import History
from ...model.engine.facts import Image
from ...model.errors import RefusedError
from ...model.stack.stack import Stack
from ...release.plan.release import Promotion, Release


def promoted(project: Project, bring: bool = False) -> Promotion | None:
    """Return the release that PROMOTE_FROM names, None without; ``bring``: its images are pulled to this engine.

    What images say by themselves (user, ports, health check) is read there, so it counts on the cluster as well.
    Raises RefusedError where there is none to promote, or where its images never got to a registry.
    """
    name = project.profile.text("PROMOTE_FROM")
    if not name:
        return None
    from ...release import promote  # registries and transfers: a fifth of what a plan loads, for what is promoted only

    promote.refuse_itself(project)
    other = project.elsewhere(name)
    found = _of_cluster(project, other) if other.clustered else promote.find(project)
    if found is None:
        return None
    _refuse_missing(project.stack, found)
    return promote.pull_missing(project, found) if bring else found


def kept(project: Project, serving: Release | None) -> Promotion | None:
    """Return the promoted images that serve an environment already, so that it can be looked at; None without any."""
    if serving is None or not project.profile.text("PROMOTE_FROM"):
        return None
    return _promotion(project, project.profile.environment, serving)


def pinned(stack: Stack, promotion: Promotion) -> Mapping[str, str]:
    """Return the promoted images by service (``repository@digest``): of what is built, and of what uses its image."""
    images = promotion.release.images
    digests = {service.image: images[service.name].digest for service in stack.built() if service.name in images}
    return {name: found for name, service in stack.services.items() if (found := digests.get(service.image))}


def _refuse_missing(stack: Stack, promotion: Promotion) -> None:
    """Raise RefusedError for an image that a release does not have, or that has no digest."""
    release, name = promotion.release, promotion.environment
    for service in stack.built():
        image = release.images.get(service.name)
        if image is None:
            raise RefusedError(
                f"release {release.id} of {name} has no image of service {service.name}",
                f"inv deploy.{name} makes a release with that image",
            )
        if not image.digest:
            raise RefusedError(
                f"release {release.id} of {name} has no digest of the image of {service.name}: it was never pushed",
                f"PUBLISH_RELEASES=true, a registry in its name, and inv deploy.{name} push it",
            )


def _of_cluster(project: Project, other: Project) -> Promotion:
    name = other.profile.environment
    serving = History(Cluster(other)).serving
    if serving is None:
        raise RefusedError(f"no release of {name} serves: there is nothing to promote", f"inv deploy.{name}")
    return _promotion(project, name, serving)


def _promotion(project: Project, name: str, release: Release) -> Promotion:
    images, missing = dict[str, Image](), []
    for service in project.stack.built():
        image = release.images.get(service.name)
        if image is None or not image.digest:
            continue
        known: Image | None = None
        with suppress(RefusedError):  # no engine: what images say is not known, which a note tells
            known = project.engine.image(image.digest)
            missing += [] if known else [image.digest]
        # One that is not here yet is checked for its health check after its pull, before anything changes.
        images[service.image] = known or Image(image.digest, digests=(image.digest,), health_check=True)
    return Promotion(name, release, images, tuple(dict.fromkeys(missing)))
