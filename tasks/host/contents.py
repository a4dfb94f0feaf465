"""Keeps the id of an image that a build made again with the same content, and what was learned of its inputs."""

import contextlib
from collections.abc import Iterable, Mapping, Sequence

from ..plan import contents as planner
from ..plan.bake import Output
from ..plan.build import refuse_unbuilt
from ..plan.contents import Aliases
from ..plan.errors import SlipwayError
from ..plan.facts import PROJECT_LABEL, Image
from .project import Project


def aliases(project: Project) -> Aliases:
    """Return which inputs are known to make the images that the engine has."""
    reference = ":".join(planner.kept_as(project.stack.project))
    if project.engine.image(reference) is None:
        return planner.NO_ALIASES
    return planner.aliases(project.engine.kept_file(reference, planner.FILE))


def before(project: Project, made: Iterable[Output]) -> dict[str, Image]:
    """Return the images that have the names now that a build is about to give, by the first name of each."""
    found = {one.names[0]: project.engine.image(one.names[0]) for one in made}
    return {name: image for name, image in found.items() if image is not None}


def settle(project: Project, made: Sequence[Output], earlier: Mapping[str, Image]) -> None:
    """Give images that a build made again their earlier ids back: a container need not be replaced for labels of ours.

    Raises SlipwayError when the build has not made an image that it should have made.
    """
    engine = project.engine
    now = {one.names[0]: engine.image(one.names[0]) for one in made}
    refuse_unbuilt(name for name, image in now.items() if image is None)
    learned = []
    for one in made:
        old, new = earlier.get(one.names[0]), now[one.names[0]]
        if old is None or new is None or not _again(old, new):
            continue
        for name in one.names:
            engine.tag(old.id, name)
        _remove(project, new.id)
        if one.fingerprint:
            learned.append((one.names[0], old.id, one.fingerprint))
    if learned:
        _remember(project, learned)


def _again(old: Image, new: Image) -> bool:
    """Whether an image is another one's twin; one of another project would not be found by its label."""
    same = old.content == new.content and old.labels.get(PROJECT_LABEL) == new.labels.get(PROJECT_LABEL)
    return same and old.id != new.id


def _remove(project: Project, identity: str) -> None:
    """Remove an image that has no name any more."""
    found = project.engine.image(identity)
    if found is not None and not found.tags:
        with contextlib.suppress(SlipwayError):  # a container that somebody started meanwhile uses it
            project.engine.remove_image(identity)


def _remember(project: Project, learned: Iterable[tuple[str, str, str]]) -> None:
    known = aliases(project)
    for reference, image, fingerprint in learned:
        known = known.adding(reference, image, fingerprint)
    name = project.stack.project
    label = f"{planner.BUILDS_LABEL}={name}"
    project.engine.keep(*planner.kept_as(name), {planner.FILE: known.document()}, {planner.BUILDS_LABEL: name})
    # What was kept before has lost its name.
    for one in project.engine.images(label):
        if not one.tags:
            _remove(project, one.id)
