"""Finds what a deploy would refuse because of what the files say, before anything runs."""

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..model.compose import build_files
from ..model.engine.facts import Image
from ..model.errors import InputError, RefusedError
from ..model.stack import foresight
from ..model.stack.foresight import Files, Refusal
from .output import note
from .profile.settings import read_regular_file
from .project import Project


def refuse_foreseen(project: Project) -> None:
    """Raise InputError that lists everything in the files that a deploy would refuse."""
    stack = project.stack  # what Compose does not accept is said first, then that no engine answers
    files = _files(project, project.engine.local())
    foresight.refuse(foresight.refusals(stack, project.profile, files, _images(project)))


def warn_of_doubts(project: Project) -> None:
    """Warn, on stderr, of what in the files is likely to go wrong."""
    files = _files(project, project.engine.local())
    _say(foresight.doubts(project.stack, project.profile, files, _images(project)))


def _images(project: Project) -> dict[str, Image]:
    """Return the local images that a refusal or a doubt may depend on, by reference."""
    wanted = foresight.left_to_images(project.stack, project.profile)
    return project.engine.named(service.image for service in wanted)


def faults(environments: Iterable[str]) -> dict[str, InputError | None]:
    """Return what is wrong with the Compose files of environments whose profiles are valid; no engine is asked."""
    from invoke import Context

    projects: dict[str, Project] = {}
    errors: dict[str, InputError | None] = {}
    for name in environments:
        try:
            projects[name] = Project(Context(), name)  # Compose works on all of them at the same time
        except InputError as error:
            errors[name] = error
    for name, project in projects.items():
        errors[name] = _fault(project)
    return errors


def _fault(project: Project) -> InputError | None:
    name = project.profile.environment
    try:
        files = _files(project, project.address.startswith(("unix://", "http+unix://")))
        _say(foresight.doubts(project.stack, project.profile, files), f"{name}: ")
        foresight.refuse(foresight.refusals(project.stack, project.profile, files))
    except InputError as error:
        return InputError("\n".join(f"{name}: {line}" for line in error.message.splitlines()), error.hint)
    except RefusedError as error:  # such as a missing Compose: the profile itself is valid
        note(f"{name}: the Compose files were not looked at: {error.message}")
    return None


def _say(refusals: Iterable[Refusal], who: str = "") -> None:
    for reason, hint in refusals:
        note(f"{who}{reason}")
        note(f"  hint: {hint}")


def _files(project: Project, local: bool) -> Files:
    """Return what is known of the files that the services mount, and of the files of the proxy."""
    stack, first = project.stack, project.settings.project_dir / build_files(project.profile)[0]
    directory = str(first.parent)
    if not local:
        return Files(directory)
    missing = frozenset(path for path in foresight.mounted_paths(stack) if not Path(path).exists())
    return Files(directory, missing, dict(_texts(foresight.upstream_paths(stack))))


def _texts(paths: Iterable[str]) -> Iterator[tuple[str, str | None]]:
    for path in paths:
        with contextlib.suppress(OSError, ValueError):  # the proxy may be able to read what we cannot
            try:
                yield path, read_regular_file(Path(path)).decode()
            except FileNotFoundError:
                yield path, None
