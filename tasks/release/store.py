"""The releases that an engine keeps: an image with the record of each release, and names that keep its images."""

import json
from collections.abc import Mapping
from typing import Any

from ..host.project import Project
from ..model.compose import Source
from ..model.engine.facts import Image
from ..model.errors import RefusedError
from .plan.release import RELEASE_LABEL, Pinned, Release, from_labels, newest_first, repository, serving


def history(project: Project) -> tuple[Release, ...]:
    """Return the releases of a project that the engine keeps, newest first."""
    stored = project.engine.images(f"{RELEASE_LABEL}={project.stack.project}")
    # A record without a name was replaced by a newer record, or was pulled from a registry to be read.
    return newest_first([release for image in stored if image.tags and (release := from_labels(image.labels))])


def current(project: Project) -> Release | None:
    """Return the release that serves, None when there is none or when the engine does not answer."""
    try:
        return serving(history(project))
    except RefusedError:
        return None


def write(project: Project, release: Release, pinned: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
    """Record a release with its model and the files that it mounts, and give its images names that keep them."""
    name = project.stack.project
    for image in {image.id: image for image in release.images.values()}.values():
        kept = image.kept(name, release.id)
        project.runner.run(Source(project.profile, project.cwd).docker("tag", image.id, kept))
    documents = {
        "release.json": json.dumps(release.document(), indent=1).encode(),
        "model.yaml": json.dumps(pinned).encode(),
    }
    project.engine.data.keep(repository(name), str(release.id), {**documents, **files}, release.labels(name))


def images(project: Project) -> dict[str, Pinned]:
    """Return the images that the names of the Compose file stand for now."""
    return pinned(project, project.images(project.stack))


def pinned(project: Project, known: Mapping[str, Image]) -> dict[str, Pinned]:
    """Return the images of the services by name, as far as they are among the ``known`` ones (by reference)."""
    raw = project.model["services"]
    return {
        name: Pinned(
            service.image,
            known[service.image].id,
            next(iter(known[service.image].digests), ""),
            service.build is not None,
            "image" not in raw[name],
        )
        for name, service in project.stack.services.items()
        if service.image in known
    }
