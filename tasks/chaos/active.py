"""Finds the faults that are there, ends them, and undoes those whose helper was killed."""

import time
from dataclasses import replace
from types import ModuleType

from ..host.output import WARNING, note
from ..host.project import Project
from ..model.command import Command
from ..model.compose import docker_env
from ..model.errors import CommandError, RefusedError
from ..model.quoting import quoted
from .plan import injection
from .plan.active import ACTIVE, LEFT, UNDONE, Active, active, of_service

_POLL = 0.1  # seconds between two looks at a helper
_UNDOING = 90.0  # seconds that a helper has for undoing its fault


def _of_cluster() -> ModuleType:
    """Return what knows the faults on a cluster, with all that speaks to one."""
    from . import on_cluster

    return on_cluster


def found(project: Project) -> tuple[Active, ...]:
    """Return the faults of the project by their helpers: active ones, ended ones, and what is left of some."""
    if project.clustered:
        known: tuple[Active, ...] = _of_cluster().found(project)
        return known
    engine, faults = project.engine, []
    for resource in engine.owned(f"{injection.PROJECT}={project.stack.project}"):
        helper = engine.inspect(resource.id) if resource.kind == "container" else None
        if helper:
            faults.append(active(resource, helper))
    return tuple(sorted(faults, key=lambda one: one.helper))


def sweep(project: Project) -> None:
    """Undo what killed helpers have left, and remove the helpers that have ended. Active faults go on."""
    if project.clustered:
        _of_cluster().sweep(project)
        return
    for one in found(project):
        if one.state == LEFT:
            note(f"{one.fault} in {one.target}: its helper was killed; undoing it")
        if one.state != ACTIVE:
            _finish(project, one)


def stop(project: Project, service: str = "") -> tuple[Active, ...]:
    """End the faults of a project, or of one of its services, and return them; nothing of them is left then."""
    if project.clustered:
        ended_there: tuple[Active, ...] = _of_cluster().stop(project, service)
        return ended_there
    known = of_service(found(project), service)
    for one in known:
        end(project, one)
    return tuple(one for one in known if one.state != UNDONE)


def forget_copies(project: Project, prefix: str) -> None:
    """Remove the ended helpers of copies of a project, named with a prefix, whose task was killed before it did so."""
    for resource in project.engine.owned(injection.PROJECT):
        helper = project.engine.inspect(resource.id) if resource.kind == "container" else None
        if (
            helper
            and resource.labels[injection.PROJECT].startswith(prefix)
            and active(resource, helper).state != ACTIVE
        ):
            project.engine.remove_container(resource.name)


def clear(project: Project) -> None:
    """End the faults of a project whose containers are about to be removed; what cannot be undone goes with them."""
    for one in found(project):
        try:
            end(project, one)
        except RefusedError as error:
            note(error.message, WARNING)
            project.engine.remove_container(one.helper)


def end(project: Project, one: Active) -> None:
    """End a fault now: its helper is told to, and undoes it."""
    if one.state == ACTIVE:
        project.runner.run(_docker(project, "stop", one.helper))
    if not project.runner.dry:
        seen = project.engine.inspect(one.helper)
        left = seen is not None and not (seen.state == "exited" and seen.exit_code == 0)
        _finish(project, replace(one, state=LEFT if left else UNDONE))


def _finish(project: Project, one: Active) -> None:
    """Make sure that a fault is undone, and remove its helper.

    A helper that was killed is started once more: it finds its mark, and only undoes.
    """
    if one.state == LEFT:
        fault = _start_again(project, one.helper)
        if fault and not _without_target(project, one):
            raise RefusedError(
                f"{one.fault} in {one.target} is not undone: {fault}",
                f"`docker logs {one.helper}` says more; a new container has no fault: docker rm --force {one.target}",
            )
    project.engine.remove_container(one.helper)


def _start_again(project: Project, helper: str) -> str:
    """Start a killed helper and wait until it has undone its fault; return why it did not, "" when it did."""
    said: list[str] = []
    try:
        project.runner.run(_docker(project, "start", helper), lambda _, text: said.append(text))
    except CommandError:
        return quoted((said[-1].strip().splitlines() or ["it does not start"])[-1] if said else "it does not start")
    return "" if ended(project, helper, _UNDOING) else "its helper failed again"


def _without_target(project: Project, one: Active) -> bool:
    """Whether the container is gone, or does not run, whose network namespace had the fault: that is gone too."""
    if one.target == injection.THE_HOST:
        return False
    target = project.engine.inspect(one.target)
    return target is None or target.state not in ("running", "paused")


def ended(project: Project, helper: str, seconds: float) -> bool:
    """Wait until a helper has ended; return whether it has undone its fault. One that is gone has."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        seen = project.engine.inspect(helper)
        if seen is None:
            return True
        if seen.state == "exited" and not seen.restarting:
            return seen.exit_code == 0
        time.sleep(_POLL)
    return False


def _docker(project: Project, *words: str) -> Command:
    return Command(("docker", *words), env=docker_env(project.profile), sink="/dev/null")  # it prints names
