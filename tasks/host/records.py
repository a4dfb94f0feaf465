"""The releases that an engine keeps: each an image with its record, and names that keep its images."""

import json
from collections.abc import Mapping
from typing import Any

from ..plan import release as planner
from ..plan.errors import RefusedError, SlipwayError
from ..plan.facts import Image
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
    """Forget releases beyond KEEP_RELEASES, and the names that kept their images: an image goes with its last name.

    One in use stays, with its name, until it is not; what a deploy that was killed left goes too.
    """
    if project.runner.dry:
        return
    from ..plan.clean import forgotten

    name = project.stack.project
    faults: list[str] = []
    try:
        old = planner.prunable(history(project), project.profile.integer("KEEP_RELEASES"))
        listed = project.engine.images()
        record = planner.repository(name)
        names = forgotten(listed, name, record, {one.id for one in old})
        # The records last: what could not be removed is found by them the next time.
        records = {f"{record}:{one.id}" for one in old}
        known = [tag for one in listed if records & set(one.tags) for tag in one.tags]
        for one in (*names, *known):
            faults += _removed(project, one)
    except SlipwayError as error:  # the deploy itself is done
        faults.append(error.message)
    if faults:
        note(f"old releases were not all removed: {faults[0]}")


def _removed(project: Project, image: str) -> list[str]:
    """Remove a name of an image; returns why the engine does not want to, so that the others go all the same."""
    try:
        project.engine.remove_image(image)
    except RefusedError:  # nobody answers: nor for the others
        raise
    except SlipwayError as error:
        return [error.message]
    return []


def images(project: Project) -> dict[str, Pinned]:
    """Return the images that the names of the Compose file stand for now."""
    return pinned(project, project.images(project.stack))


def pinned(project: Project, known: Mapping[str, Image]) -> dict[str, Pinned]:
    """Return the images of the services, of those that are ``known`` by reference."""
    raw = project.model["services"]
    return {
        name: Pinned(
            one.image,
            known[one.image].id,
            next(iter(known[one.image].digests), ""),
            one.build is not None,
            "image" not in raw[name],
        )
        for name, one in project.stack.services.items()
        if one.image in known
    }
