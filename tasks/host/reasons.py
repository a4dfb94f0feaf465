"""Explains why the engine refused something, by its own last line, and what to do about it."""

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from ..model.command import Command
from ..model.engine.facts import Container
from ..model.errors import CommandError, SlipwayError
from ..model.stack import reasons
from ..model.stack.reasons import DatabaseAge, Reason, RefusedLogin
from ..model.stack.stack import Stack
from .output import mask_secrets
from .project import Project

_LINES = 40  # at the end of a log, in which to look for a refused login


def run(project: Project, command: Command) -> None:
    """Run a command that works on the stack; raises CommandError that says why the engine refused it."""
    project.runner.run(command, error_explainer(project, command))


def error_explainer(project: Project, command: Command) -> Callable[[int, str], CommandError | None]:
    """Return the function that turns an exit code and the end of the error output into an error with its reason."""

    def explain(code: int, output: str) -> CommandError | None:
        reason = reasons.explain(mask_secrets(output))  # it is passed on to the history and to hooks
        with contextlib.suppress(SlipwayError):
            reason = _with_users(project, reason)
        message = f"{command.title} failed with exit code {code}: {reason.message}"
        return CommandError(message, code, reason.hint) if reason.message else None

    return explain


def _with_users(project: Project, reason: Reason) -> Reason:
    """Add to the hint what occupies the port or the networks, as far as the engine knows."""
    if reason.networks:
        return replace(reason, hint=reasons.networks_hint(project.engine.unused_networks()))
    if reason.port:
        return replace(reason, hint=reasons.port_hint(reason.port, project.engine.publishing(reason.port)))
    return reason


def outdated_volume(project: Project, stack: Stack, logs: Iterable[str] = ()) -> Reason | None:
    """Return the reason when a database refuses a login because its volume is older than the password, else None.

    ``logs`` are those of containers that are not ready; when they show nothing, the logs of databases are read.
    """
    with contextlib.suppress(SlipwayError):
        containers = project.engine.containers(stack.project)
        refused = next(filter(None, map(reasons.refused_login, map(mask_secrets, logs))), None)
        refused = refused or _refused_by(project, stack, containers)
        if refused:
            return reasons.volume_older_than_password(_ages(project, stack, containers, refused), refused)
    return None


def _refused_by(project: Project, stack: Stack, containers: Iterable[Container]) -> RefusedLogin | None:
    with_data = {name for name, service in stack.services.items() if service.volumes}
    for container in containers:
        if container.service in with_data and not container.oneoff:
            refused = reasons.refused_login(mask_secrets(project.engine.watch.logs(container.id, _LINES)))
            if refused and container.service in {service.name for service in reasons.databases(stack, refused)}:
                return refused
    return None


def _ages(project: Project, stack: Stack, containers: Iterable[Container], refused: RefusedLogin) -> list[DatabaseAge]:
    ages = []
    for service in reasons.databases(stack, refused):
        mine = [container for container in containers if container.service == service.name and not container.oneoff]
        secret, written = max(_secrets(stack, service.secrets), key=lambda entry: entry[1], default=("", 0.0))
        for volume in service.volumes:
            made = project.engine.volume_created(volume)
            if made is not None and any(volume in container.volumes for container in mine):
                ages.append(
                    DatabaseAge(
                        service.name, volume, made, max(container.created for container in mine), secret, written
                    )
                )
    return ages


def _secrets(stack: Stack, names: Iterable[str]) -> Iterable[tuple[str, float]]:
    """Yield the file of each secret that can be read, and when it was written (seconds since the epoch)."""
    for name in names:
        if name in stack.secrets:
            with contextlib.suppress(OSError):
                yield stack.secrets[name].file, Path(stack.secrets[name].file).stat().st_mtime
