"""Looks at what a deploy would refuse for what the files say, where it is asked and before anything runs."""

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..plan import foresight
from ..plan.compose import build_files
from ..plan.errors import InputError, RefusedError
from ..plan.foresight import Files, Refusal
from .files import read
from .output import note
from .project import Project


def refuse_foreseen(project: Project) -> None:
    """Raise InputError that lists everything that a deploy would refuse for what the files say."""
    foresight.refuse(foresight.refusals(project.stack, project.profile, _files(project, project.engine.local())))


def tell_doubts(project: Project) -> None:
    """Say what may well go wrong, to people."""
    _say(foresight.doubts(project.stack, project.profile, _files(project, project.engine.local())))


def faults(environments: Iterable[str]) -> dict[str, InputError | None]:
    """Return what is wrong with the Compose files of environments whose profiles are valid; no engine is asked."""
    from invoke import Context

    projects: dict[str, Project] = {}
    found: dict[str, InputError | None] = {}
    for name in environments:
        try:
            projects[name] = Project(Context(), name)  # Compose works on all of them at the same time
        except InputError as error:
            found[name] = error
    for name, project in projects.items():
        found[name] = _fault(project)
    return found


def _fault(project: Project) -> InputError | None:
    name = project.profile.environment
    try:
        files = _files(project, project.address.startswith(("unix://", "http+unix://")))
        _say(foresight.doubts(project.stack, project.profile, files), f"{name}: ")
        foresight.refuse(foresight.refusals(project.stack, project.profile, files))
    except InputError as error:
        return InputError("\n".join(f"{name}: {line}" for line in error.message.splitlines()), error.hint)
    except RefusedError as error:  # such as a machine without Compose: the profile itself is valid
        note(f"{name}: the Compose files were not looked at: {error.message}")
    return None


def _say(found: Iterable[Refusal], who: str = "") -> None:
    for reason, hint in found:
        note(f"{who}{reason}")
        note(f"  hint: {hint}")


def _files(project: Project, local: bool) -> Files:
    """Return what is known of the files that the services mount, and of the proxy's."""
    stack, first = project.stack, project.settings.project_dir / build_files(project.profile)[0]
    directory = str(first.parent)
    if not local:
        return Files(directory)
    missing = frozenset(path for path in foresight.mounted_paths(stack) if not Path(path).exists())
    return Files(directory, missing, dict(_texts(foresight.upstream_paths(stack))))


def _texts(paths: Iterable[str]) -> Iterator[tuple[str, str | None]]:
    for path in paths:
        with contextlib.suppress(OSError, ValueError):  # one that cannot be read may well be for the proxy
            try:
                yield path, read(Path(path)).decode()
            except FileNotFoundError:
                yield path, None
