"""The releases that an engine keeps: each an image with its record, and names that keep its images."""

import json
from collections.abc import Mapping
from typing import Any

from ..plan import release as planner
from ..plan.build import split_reference
from ..plan.errors import RefusedError, SlipwayError
from ..plan.release import Pinned, Release
from ..plan.rollout import Source
from .output import note
from .project import Project


def history(project: Project) -> tuple[Release, ...]:
    """Return the releases of a project that the engine keeps, newest first."""
    found = project.engine.images(f"{planner.RELEASE_LABEL}={project.stack.project}")
    # One without a name is a record that was written anew, or one of another engine that is being read.
    return planner.newest_first([one for image in found if image.tags and (one := planner.from_labels(image.labels))])


def current(project: Project) -> Release | None:
    """Return the release that serves, None without one or without an engine that could tell."""
    try:
        return planner.serving(history(project))
    except RefusedError:
        return None


def write(project: Project, one: Release, pinned: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
    """Record a release with its model and the files that it mounts, and give its images names that keep them."""
    name = project.stack.project
    for image in {image.id: image for image in one.images.values()}.values():
        kept = image.kept(name, one.id)
        project.runner.run(Source(project.profile, project.cwd).docker("tag", image.id, kept))
    documents = {
        "release.json": json.dumps(one.document(), indent=1).encode(),
        "model.yaml": json.dumps(pinned).encode(),
    }
    project.engine.keep(planner.repository(name), str(one.id), {**documents, **files}, one.labels(name))


def prune(project: Project) -> None:
    """Forget releases beyond KEEP_RELEASES, and the names that kept their images."""
    if project.runner.dry:
        return
    name = project.stack.project
    try:
        for one in planner.prunable(history(project), project.profile.integer("KEEP_RELEASES")):
            # The record last: what could not be removed is found by it the next time.
            for repository in {split_reference(image.reference)[0] for image in one.images.values()}:
                project.engine.remove_image(f"{repository}:{planner.image_tag(name, one.id)}")
            record = project.engine.image(f"{planner.repository(name)}:{one.id}")
            for known in record.tags if record else ():
                project.engine.remove_image(known)
    except SlipwayError as error:  # the deploy itself is done
        note(f"old releases were not all removed: {error.message}")


def images(project: Project) -> dict[str, Pinned]:
    """Return the images that the names of the Compose file stand for now."""
    known = project.engine.facts(project.stack.project, {one.image for one in project.stack.services.values()}).images
    return {
        name: Pinned(one.image, known[one.image].id, next(iter(known[one.image].digests), ""), one.build is not None)
        for name, one in project.stack.services.items()
        if one.image in known
    }
