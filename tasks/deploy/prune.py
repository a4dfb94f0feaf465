"""Removes the records of releases beyond KEEP_RELEASES, with the images and files that only they kept."""

from ..host.output import note
from ..host.project import Project
from ..model.errors import RefusedError, SlipwayError
from ..reconcile import kept_files
from ..release.plan import release
from ..release.plan.pins import forgotten
from ..release.store import history


def prune(project: Project) -> None:
    """Remove releases beyond KEEP_RELEASES: their records, and the names that kept their images.

    The engine removes an image with its last name. An image in use stays, with its name, until it is no longer used.
    What a killed deploy left is removed as well. A failure is reported and raises nothing: the deploy itself is done.
    """
    name = project.stack.project
    faults: list[str] = []
    try:
        old_releases = release.prunable(history(project), project.profile.integer("KEEP_RELEASES"))
        images = project.engine.images()
        record = release.repository(name)
        names = forgotten(images, name, record, {old.id for old in old_releases})
        # The records last: a later run finds by them what could not be removed now.
        records = {f"{record}:{old.id}" for old in old_releases}
        if records:
            kept_files.free_files(
                project.engine, name, sorted(f"{record}:{old.id}" for old in old_releases if old.images)
            )
        record_tags = [tag for image in images if records & set(image.tags) for tag in image.tags]
        for reference in (*names, *record_tags):
            faults += _removed(project, reference)
    except SlipwayError as error:  # the deploy itself is done
        faults.append(error.message)
    if faults:
        note(f"old releases were not all removed: {faults[0]}")


def _removed(project: Project, image: str) -> list[str]:
    """Remove a name of an image; return the engine's reasons against it, so that the other names are still removed."""
    try:
        project.engine.remove_image(image)
    except RefusedError:  # the engine does not answer: it would not for the other names
        raise
    except SlipwayError as error:
        return [error.message]
    return []
