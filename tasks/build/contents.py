"""Gives a rebuilt image with unchanged content its earlier id, and records which inputs made it."""

import contextlib
from collections.abc import Iterable, Mapping, Sequence

from ..host.project import Project
from ..model.engine import image_contents
from ..model.engine.facts import PROJECT_LABEL, Image
from ..model.engine.image_contents import Aliases
from ..model.errors import SlipwayError
from .plan.bake import Output
from .plan.build import refuse_unbuilt


def aliases(project: Project) -> Aliases:
    """Return which inputs are known to produce the images that the engine has."""
    reference = ":".join(image_contents.aliases_reference(project.stack.project))
    if project.engine.image(reference) is None:
        return image_contents.NO_ALIASES
    return image_contents.aliases(project.engine.data.file(reference, image_contents.FILE))


def present_images(project: Project, outputs: Iterable[Output]) -> dict[str, Image]:
    """Return the present images under the names that a build will assign, by the first name of each output."""
    images = {output.names[0]: project.engine.image(output.names[0]) for output in outputs}
    return {name: image for name, image in images.items() if image is not None}


Learned = Sequence[tuple[str, str, str]]
"""References, ids of their images, and fingerprints of further inputs that make these images."""


def stored(project: Project) -> dict[str, bytes]:
    """Return the files in which the engine keeps what is known of builds, by name; none when there are none."""
    reference = ":".join(image_contents.aliases_reference(project.stack.project))
    return project.engine.data.files(reference) if project.engine.image(reference) is not None else {}


def restore_ids(project: Project, outputs: Sequence[Output], earlier: Mapping[str, Image]) -> Learned:
    """Give rebuilt images with unchanged content their earlier ids back, so that their containers need no replacement.

    Returns what was learned of their inputs.

    Raises SlipwayError when the build did not make an image that it should have made.
    """
    engine = project.engine
    current = {output.names[0]: engine.image(output.names[0]) for output in outputs}
    refuse_unbuilt(name for name, image in current.items() if image is None)
    learned = []
    for output in outputs:
        old, new = earlier.get(output.names[0]), current[output.names[0]]
        if old is None or new is None or not _rebuilt_alike(old, new):
            continue
        for name in output.names:
            engine.tag(old.id, name)
        _remove(project, new.id)
        if output.fingerprint:
            learned.append((output.names[0], old.id, output.fingerprint))
    return learned


def _rebuilt_alike(old: Image, new: Image) -> bool:
    """Whether a build made the same content again under a new id, for the same project."""
    # The label counts: an image that carries another project's would not be listed among this project's images.
    same = old.content == new.content and old.labels.get(PROJECT_LABEL) == new.labels.get(PROJECT_LABEL)
    return same and old.id != new.id


def _remove(project: Project, identity: str) -> None:
    """Remove an image if it has no name left."""
    image = project.engine.image(identity)
    if image is not None and not image.tags:
        with contextlib.suppress(SlipwayError):  # a container that was started meanwhile uses it
            project.engine.remove_image(identity)


def remember(project: Project, learned: Learned, more: Mapping[str, bytes]) -> None:
    """Keep what was learned of the inputs of images, and ``more`` files, on the engine."""
    kept = stored(project)
    known = image_contents.aliases(kept.get(image_contents.FILE, b""))
    for reference, image_id, fingerprint in learned:
        known = known.adding(reference, image_id, fingerprint)
    name = project.stack.project
    label = f"{image_contents.BUILDS_LABEL}={name}"
    project.engine.data.keep(
        *image_contents.aliases_reference(name),
        {**kept, image_contents.FILE: known.document(), **more},
        {image_contents.BUILDS_LABEL: name},
    )
    # The previous record has lost its name to the new one.
    for image in project.engine.images(label):
        if not image.tags:
            _remove(project, image.id)
