"""Reads what goes into images, and notes it when they are built."""

import zlib
from collections.abc import Mapping, Sequence

from ..host.project import Project
from ..host.runner import start
from ..model.command import Command
from ..model.engine.facts import Image
from ..model.stack.stack import Service
from . import contents, sources
from .plan import ingredients as parts
from .plan.bake import Target, linked
from .plan.build import BuildPlan
from .plan.ingredients import Built, Ingredients, Why

FILE = "inputs.json.z"
FIRST = Why("image", "", "did not exist before")
UNKNOWN = Why("nothing", "that is known of", "changed: --no-cache, --pull, or what the build gets from the network")


class IngredientReader:
    """What goes into the images of services now, read once."""

    def __init__(self, project: Project, services: Sequence[Service]) -> None:
        asked = start(Command(("docker", "buildx", "version"), timeout=20))
        self._inputs = sources.inputs(services, project.engine)
        self._files = sources.context_files_of(services, project.engine)
        self._tools = {"engine": project.engine.version(), "buildx": _version(asked.result().stdout)}

    def of(self, target: Target, targets: Mapping[str, Target]) -> Ingredients:
        """Return what goes into a target; ``targets`` by service, for those that it is built from."""
        links = {name: targets[name].fingerprint for name in linked(target.build) if name in targets}
        return parts.ingredients(target, self._inputs[target.service], self._files[target.service], links, self._tools)

    def differences(self, target: Target, then: Ingredients, now: Ingredients) -> tuple[Why, ...]:
        """Return what goes into a target now, and did not then, or was otherwise."""
        dockerfile, files = self._inputs[target.service].dockerfile, self._files[target.service]
        return parts.differences(then, now, dockerfile, files, target.build.dockerfile)


def _version(text: str) -> str:
    """Return the version in ``github.com/docker/buildx v0.13.1 788433953af``."""
    words = text.split()
    return words[1] if len(words) > 1 else ""


class BuildNotes:
    """What a build uses, read before it runs, and noted when it has run."""

    def __init__(self, project: Project, build: BuildPlan) -> None:
        self._project, self._build = project, build
        self._before = {target.reference: project.engine.image(target.reference) for target in build.targets}
        self._reader = IngredientReader(project, [build.services[target.service] for target in build.targets])

    def built(self) -> dict[str, Built]:
        """Return the notes of the build, by reference, and those of earlier builds."""
        known, fresh = noted(self._project), {}
        targets = {target.service: target for target in self._build.every}
        for target in self._build.targets:
            now = self._reader.of(target, targets)
            image = self._project.engine.image(target.reference)
            if image is not None and target.fingerprint:
                made = self._made(target, image, known.get(target.reference), now)
                fresh[target.reference] = Built(image.id, now, made)
        return parts.newest_first(fresh, known.items())

    def _made(self, target: Target, image: Image, last: Built | None, now: Ingredients) -> tuple[Why, ...]:
        """Return what has made an image new: by this build, or by an earlier one that it is equal to."""
        before = self._before[target.reference]
        if before is None:
            return (FIRST,)
        if last is None or before.id == image.id:
            return last.made if last else ()
        told = self._reader.differences(target, last.ingredients, now)
        return (*told, *parts.tool_differences(last.ingredients, now)) or (UNKNOWN,)


def noted(project: Project) -> dict[str, Built]:
    """Return what is noted of the last build of each image, by reference."""
    return parts.builds(zlib.decompress(text)) if (text := contents.stored(project).get(FILE)) else {}


def to_store(built: Mapping[str, Built]) -> dict[str, bytes]:
    """Return the file that has the notes."""
    return {FILE: zlib.compress(parts.document(built))}
