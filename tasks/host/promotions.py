"""Finds the release of another environment that a deploy brings here, image by image."""

from ..plan.errors import RefusedError
from ..plan.facts import Image
from ..plan.release import Promotion, serving
from .project import Project
from .releases import history


def find(project: Project) -> Promotion | None:
    """Return what PROMOTE_FROM names, None without; raises RefusedError when there is nothing to promote."""
    name = project.profile.text("PROMOTE_FROM")
    if not name:
        return None
    if name == project.profile.environment:
        raise RefusedError(f"PROMOTE_FROM={name} names the environment itself", "name the one before it")
    source = project.elsewhere(name)
    if source.engine.address != project.engine.address:
        raise RefusedError(
            f"{name} and {project.profile.environment} are on different engines",
            f"a registry carries images from one to the other: inv image.promote --from {name} "
            f"--to {project.profile.environment}, and PROMOTE_FROM= here",
        )
    found = serving(history(source))
    if found is None:
        raise RefusedError(f"no release of {name} serves: there is nothing to promote", f"inv deploy.{name}")
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
    return Promotion(name, found, images)
