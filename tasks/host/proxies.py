"""Leads the proxy to other containers: its file, its reload, and the old workers that finish their requests."""

import time
from collections.abc import Iterable

from ..plan import rollout as planner
from ..plan.errors import CommandError, DeployError
from ..plan.extension import RECREATE
from ..plan.facts import Container
from ..plan.rollout import Proxy, Source
from ..plan.stack import Stack
from ..plan.units import show_duration
from ..plan.upstream import Aim, pointed
from .output import note
from .project import Project

Draining = list[tuple[str, tuple[str, ...]]]
"""Old workers by the container of the proxy."""

_RELOAD = 10.0  # seconds that the proxy may take to start its new workers
_DRAIN = 60.0  # seconds that its old workers may take to finish; a limit of its own should end them before
_LOOK = 0.1


def proxy(
    project: Project, stack: Stack, known: Iterable[Container] | None = None, running: bool = True
) -> Proxy | None:
    """Return the proxy that leads to other services, None when it does not run; ``known`` are the containers.

    Not ``running``: also one that is stopped, whose files can be read all the same.
    """
    for service in stack.services.values():
        if service.slipway.proxy.upstreams:
            found = project.engine.containers(stack.project) if known is None else known
            mine = [one for one in found if one.service == service.name]
            names = tuple(one.name for one in mine if one.state == "running" or not running)
            return Proxy(service, names) if names else None
    return None


def upstream_texts(project: Project, stack: Stack, front: Proxy) -> dict[str, str]:
    """Return the files by which the proxy knows the servers of services that are rolled out, by service."""
    found = {}
    for service in stack.services.values():
        if service.rollout != RECREATE and project.engine.has_file(front.containers[0], front.file(service.name)):
            found[service.name] = project.engine.file(front.containers[0], front.file(service.name)).decode()
    return found


def switch(
    project: Project,
    source: Source,
    proxy: Proxy,
    service: str,
    aim: Aim,
    again: bool = False,
) -> Draining:
    """Let the proxy lead to other containers; returns its old workers, which finish their requests.

    ``again``: reload it also when its file says so already, since it need not have read it. Raises DeployError, with
    the file as it was, when the proxy does not accept what is new in it.
    """
    file, run = proxy.file(service), project.runner.run
    draining: Draining = []
    for name in proxy.containers:
        text = project.engine.file(name, file).decode()
        wanted = pointed(text, service, aim)
        if wanted == text and not again:
            continue
        try:
            if wanted == text:  # it is only to read again what stands there already
                for command in planner.check(source, proxy, name):
                    run(command)
            else:
                _write(project, source, proxy, name, file, wanted)
        except CommandError as error:
            if wanted != text:
                raise DeployError(f"the proxy does not accept the servers of {service}: {error.message}") from None
            note(f"{name} goes on with what it has read: it does not accept its configuration: {error.message}")
            continue
        draining.append((name, _reload(project, source, proxy, name)))
    return draining


def _write(project: Project, source: Source, proxy: Proxy, name: str, file: str, text: str) -> None:
    """Write a file of the proxy where it accepts it; raises CommandError with the file as it was where not."""
    for command in planner.write(source, name, file, text):
        project.runner.run(command)
    try:
        for command in planner.check(source, proxy, name):
            project.runner.run(command)
    except CommandError:
        project.runner.run(planner.back(source, name, file))
        raise


def _reload(project: Project, source: Source, proxy: Proxy, name: str) -> tuple[str, ...]:
    """Reload one container of the proxy; returns its old workers once the new ones are there."""
    before = _workers(project, proxy, name)
    project.runner.run(planner.reload(source, proxy, name))
    if project.runner.dry or not proxy.settings.workers:
        return ()
    deadline = time.monotonic() + _RELOAD
    while not set(_workers(project, proxy, name)) - set(before):
        if time.monotonic() > deadline:
            raise DeployError(f"{name} did not start new workers within {show_duration(_RELOAD)} of its reload")
        time.sleep(_LOOK)
    return before


def _workers(project: Project, proxy: Proxy, name: str) -> tuple[str, ...]:
    return planner.workers(proxy, project.engine.processes(name)) if proxy.settings.workers else ()


def drained(project: Project, proxy: Proxy, draining: Draining) -> None:
    """Wait until old workers have finished their requests."""
    if project.runner.dry:
        project.runner.show("wait until the old workers of the proxy have finished their requests")
        return
    deadline = time.monotonic() + _DRAIN
    for name, old in draining:
        while set(old) & set(_workers(project, proxy, name)):
            if time.monotonic() > deadline:
                note(f"{name}: old workers still have requests after {show_duration(_DRAIN)}; going on")
                break
            time.sleep(_LOOK)
