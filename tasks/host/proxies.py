"""Leads the proxy to other containers: its file, its reload, and the old workers that finish their requests."""

import time
from collections.abc import Iterable

from ..plan import rollout as planner
from ..plan.errors import CommandError, DeployError
from ..plan.extension import BLUE_GREEN, RECREATE
from ..plan.rollout import Aim, Proxy, Source
from ..plan.stack import Service, Stack
from ..plan.units import show_duration
from .output import note
from .project import Project

Draining = list[tuple[str, tuple[str, ...]]]
"""Old workers by the container of the proxy."""

_RELOAD = 10.0  # seconds that the proxy may take to start its new workers
_DRAIN = 60.0  # seconds that its old workers may take to finish; a limit of its own should end them before
_LOOK = 0.1


def proxy(project: Project, stack: Stack) -> Proxy | None:
    """Return the proxy that leads to other services, None when it does not run."""
    for service in stack.services.values():
        if service.slipway.proxy.upstreams:
            found = project.engine.containers(stack.project)
            names = tuple(one.name for one in found if one.service == service.name and one.state == "running")
            return Proxy(service, names) if names else None
    return None


def front_of(project: Project, stack: Stack, service: Service) -> Proxy | None:
    """Return the proxy that names the servers of a service in a file, None when its name alone leads to it."""
    found = proxy(project, stack) if service.rollout != RECREATE else None
    if found is None or service.rollout == BLUE_GREEN:
        return found
    name, file = found.containers[0], found.file(service.name)
    if not project.engine.has_file(name, file):
        return None
    return found if planner.leads(upstreams(project, found, service), service.name) else None


def named(project: Project, front: Proxy, service: Service) -> tuple[str, ...]:
    """Return the containers that the proxy leads to."""
    return planner.serving(upstreams(project, front, service), service.name)


def upstreams(project: Project, front: Proxy, service: Service) -> str:
    """Return the file by which the proxy knows the servers of a service."""
    return project.engine.file(front.containers[0], front.file(service.name)).decode()


def follow(project: Project, source: Source, stack: Stack, names: Iterable[str]) -> None:
    """Let the proxy lead to what Compose has made of services whose containers it names."""
    if project.runner.dry:
        return
    for service in (stack.services[name] for name in names):
        front = front_of(project, stack, service)
        if front is None or not (now := named(project, front, service)):
            continue
        found = project.engine.containers(stack.project)
        there = [one.name for one in found if one.service == service.name and not one.oneoff and one.state == "running"]
        if there and set(there) != set(now):
            switch(project, source, front, service.name, Aim(there))


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
    the file as it was, when the proxy does not accept it.
    """
    file, run = proxy.file(service), project.runner.run
    draining: Draining = []
    for name in proxy.containers:
        text = project.engine.file(name, file).decode()
        wanted = planner.pointed(text, service, aim)
        if wanted == text and not again:
            continue
        try:
            for command in planner.write(source, name, file, wanted):
                run(command)
            try:
                for command in planner.check(source, proxy, name):
                    run(command)
            except CommandError:
                run(planner.back(source, name, file))
                raise
        except CommandError as error:
            raise DeployError(f"the proxy does not accept the servers of {service}: {error.message}") from None
        draining.append((name, _reload(project, source, proxy, name)))
    return draining


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
