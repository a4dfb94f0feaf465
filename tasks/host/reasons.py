"""Says why the engine refused something, in its own last line, and what to do about it."""

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from ..plan import reasons as planner
from ..plan.command import Command
from ..plan.errors import CommandError, SlipwayError
from ..plan.facts import Container
from ..plan.reasons import Age, Reason, Refused
from ..plan.stack import Stack
from .output import concealed
from .project import Project

_LINES = 40  # of a log that a refused login is looked for in


def run(project: Project, command: Command) -> None:
    """Run a command that works on the stack; raises CommandError that says why the engine refused it."""
    project.runner.run(command, explained(project, command))


def explained(project: Project, command: Command) -> Callable[[int, str], CommandError | None]:
    """Return what turns the end of the error output of a ``docker`` command into an error with its reason."""

    def explain(code: int, output: str) -> CommandError | None:
        found = planner.explain(concealed(output))  # it goes on into history and hooks
        with contextlib.suppress(SlipwayError):
            found = _with_holders(project, found)
        message = f"{command.title} failed with exit code {code}: {found.message}"
        return CommandError(message, code, found.hint) if found.message else None

    return explain


def _with_holders(project: Project, found: Reason) -> Reason:
    """Name who has what was refused, as far as the engine knows."""
    if found.networks:
        return replace(found, hint=planner.free_networks(project.engine.unused_networks()))
    if found.port:
        return replace(found, hint=planner.hold_port(found.port, project.engine.publishing(found.port)))
    return found


def old_volume(project: Project, stack: Stack, logs: Iterable[str] = ()) -> Reason | None:
    """Return that a database has another password than today's since its volume is older, None where that is not so.

    ``logs`` are those of containers that are not ready; the databases' own are read where those say nothing.
    """
    with contextlib.suppress(SlipwayError):
        found = project.engine.containers(stack.project)
        refused = next(filter(None, map(planner.refused_login, map(concealed, logs))), None)
        refused = refused or _refused_by(project, stack, found)
        if refused:
            return planner.older(_ages(project, stack, found, refused), refused)
    return None


def _refused_by(project: Project, stack: Stack, containers: Iterable[Container]) -> Refused | None:
    with_data = {name for name, one in stack.services.items() if one.volumes}
    for one in containers:
        if one.service in with_data and not one.oneoff:
            found = planner.refused_login(concealed(project.engine.logs(one.id, _LINES)))
            if found and one.service in {service.name for service in planner.databases(stack, found)}:
                return found
    return None


def _ages(project: Project, stack: Stack, containers: Iterable[Container], refused: Refused) -> list[Age]:
    ages = []
    for service in planner.databases(stack, refused):
        mine = [one for one in containers if one.service == service.name and not one.oneoff]
        secret, written = max(_secrets(stack, service.secrets), key=lambda one: one[1], default=("", 0.0))
        for volume in service.volumes:
            made = project.engine.volume_created(volume)
            if made is not None and any(volume in one.volumes for one in mine):
                ages.append(Age(service.name, volume, made, max(one.created for one in mine), secret, written))
    return ages


def _secrets(stack: Stack, names: Iterable[str]) -> Iterable[tuple[str, float]]:
    """Yield the files of secrets and when each was written."""
    for name in names:
        if name in stack.secrets:
            with contextlib.suppress(OSError):
                yield stack.secrets[name].file, Path(stack.secrets[name].file).stat().st_mtime
