"""Points the proxy to other containers: writes its upstream file, reloads it, waits until the old ones are drained.

What differs by kind of proxy is how its file is written (``model/stack/proxies``), and when it is read and drained.
"""

import time
from collections.abc import Iterable, Mapping, Set

from ..host.output import note
from ..host.project import Project
from ..model.compose import Source
from ..model.engine.facts import Container
from ..model.errors import CommandError, DeployError
from ..model.stack.extension import RECREATE
from ..model.stack.proxies.kinds import CADDY, HAPROXY, TRAEFIK
from ..model.stack.stack import Service, Stack
from ..model.stack.upstream import ProxyTarget, canary_containers, serving_containers
from ..model.units import show_duration
from .plan import rollout
from .plan.rollout import Proxy

Draining = list[tuple[str, tuple[str, ...]]]
"""What drains in a container of the proxy: its name, with the process ids of old workers, or the addresses of old
containers where the proxy has no workers."""

_RELOAD = 10.0  # seconds that the proxy may take to start new workers
_DRAIN = 60.0  # seconds that its old workers may take to finish; the proxy's own shutdown limit should be shorter
_LOOK = 0.1  # seconds between two looks at what drains


def find_proxy(
    project: Project, stack: Stack, known: Iterable[Container] | None = None, running: bool = True
) -> Proxy | None:
    """Return the proxy of a stack, None when it has none or it does not run.

    ``known``: the project's containers, if they have been listed already. ``running=False``: return a stopped proxy as
    well, since its files can be read all the same.
    """
    for service in stack.services.values():
        if service.slipway.proxy.upstreams:
            containers = project.engine.containers(stack.project) if known is None else known
            proxy_containers = [container for container in containers if container.service == service.name]
            names = tuple(
                container.name for container in proxy_containers if container.state == "running" or not running
            )
            return Proxy(service, names) if names else None
    return None


def upstream_texts(project: Project, stack: Stack, front: Proxy) -> dict[str, str]:
    """Return the texts of the proxy's upstream files of services that are rolled out, by service.

    They are in the form of ``model/stack/upstream.py``, whatever kind of proxy it is.
    """
    texts = {}
    for service in stack.services.values():
        if service.rollout != RECREATE and project.engine.has_file(front.containers[0], front.file(service.name)):
            text = project.engine.file(front.containers[0], front.file(service.name)).decode()
            texts[service.name] = front.language.told(text, service.name)
    return texts


def lead_proxy(
    project: Project,
    source: Source,
    stack: Stack,
    proxy: Proxy,
    service: str,
    aim: ProxyTarget,
    again: bool = False,
) -> Draining:
    """Point the proxy to other containers; return what drains: its old workers finish their requests.

    ``again``: reload the proxy even if its file has this content already, since it may not have read it yet. Raises
    DeployError when the proxy does not accept the new file, which is then restored.
    """
    file = proxy.file(service)
    draining: Draining = []
    for name in proxy.containers:
        text = project.engine.file(name, file).decode()
        wanted = proxy.language.retarget(text, service, aim)
        if wanted == text and not again:
            continue
        old = _leaving(project, stack, proxy, proxy.language.told(text, service), service, aim)
        try:
            if wanted == text:  # the file has this content already: only check and reload
                _check(project, source, proxy, name, wanted)
            else:
                _write(project, source, proxy, name, file, wanted, text)
        except CommandError as error:
            if wanted != text:
                raise DeployError(
                    f"the proxy does not accept the servers of {service}: {error.message}", error.hint
                ) from None
            note(f"{name} keeps its running configuration: it does not accept its files: {error.message}")
            continue
        further = _further_files(project, proxy, name, stack.service(service), wanted)
        draining.append((name, _reload(project, source, proxy, name, further) or old))
    return draining


def _leaving(
    project: Project, stack: Stack, proxy: Proxy, text: str, service: str, aim: ProxyTarget
) -> tuple[str, ...]:
    """Return the addresses of the containers that a proxy without workers leads to for the last time."""
    led = {*serving_containers(text, service), *canary_containers(text)}
    names = led - {*aim.containers, *aim.canaries} if proxy.settings.drain else set()
    known = project.engine.containers(stack.project) if names else ()
    return tuple(address for container in known if container.name in names for address in container.addresses)


def _check(project: Project, source: Source, proxy: Proxy, name: str, text: str) -> None:
    """Raise CommandError when the proxy does not accept its files; ``text`` is the upstream file that was written."""
    for command in rollout.check(source, proxy, name):
        project.runner.run(command)
    if proxy.settings.kind == TRAEFIK:
        from .proxy_kinds import await_traefik

        await_traefik(project, source, proxy, name, text)


def _write(project: Project, source: Source, proxy: Proxy, name: str, file: str, text: str, former: str) -> None:
    """Write a file of the proxy; raises CommandError, with the former text back, when the proxy does not accept it."""
    for command in rollout.write(source, name, file, text):
        project.runner.run(command)
    try:
        _check(project, source, proxy, name, text)
    except CommandError:
        for command in rollout.write(source, name, file, former, reason="restore the former file"):
            project.runner.run(command)
        raise


def _further_files(project: Project, proxy: Proxy, name: str, service: Service, text: str) -> dict[str, str]:
    """Return the further files of a service; those with a greater number that are there already are written again."""
    if proxy.settings.kind != CADDY:
        return {}
    count = service.replicas
    while project.engine.has_file(name, proxy.path(f"{service.name}.{count + 1}")):
        count += 1
    return rollout.further_files(proxy, service, text, count)


def _reload(project: Project, source: Source, proxy: Proxy, name: str, further: Mapping[str, str]) -> tuple[str, ...]:
    """Reload one container of the proxy, wait for its new workers, and return its old ones."""
    before = _workers(project, proxy, name)
    if proxy.settings.kind == HAPROXY and not before:
        raise DeployError(f"{name} has no worker processes, so a reload would end it", "start it with haproxy -W")
    for command in rollout.switch(source, proxy, name, further):
        project.runner.run(command)
    if not proxy.settings.workers:
        return ()
    deadline = time.monotonic() + _RELOAD
    while not set(_workers(project, proxy, name)) - set(before):
        if time.monotonic() > deadline:
            raise DeployError(f"{name} did not start new workers within {show_duration(_RELOAD)} of its reload")
        project.engine.watch.pause(_LOOK)
    return before


def _workers(project: Project, proxy: Proxy, name: str) -> tuple[str, ...]:
    return rollout.workers(proxy, project.engine.processes(name)) if proxy.settings.workers else ()


def wait_until_drained(project: Project, source: Source, proxy: Proxy, draining: Draining) -> None:
    """Wait until old workers have finished their requests, _DRAIN seconds at most.

    A proxy without workers: until it has no connection to the old containers, ``x-slipway.proxy.drain`` at most.
    """
    patience = _DRAIN if proxy.settings.workers else proxy.settings.drain
    deadline = time.monotonic() + patience
    for name, old in draining:
        while old and set(old) & _busy(project, source, proxy, name):
            if time.monotonic() > deadline:
                what = "old workers still have requests" if proxy.settings.workers else "old containers are connected"
                note(f"{name}: {what} after {show_duration(patience)}; going on")
                break
            project.engine.watch.pause(_LOOK)


def _busy(project: Project, source: Source, proxy: Proxy, name: str) -> Set[str]:
    if proxy.settings.workers:
        return {*_workers(project, proxy, name)}
    from .proxy_kinds import connected

    return connected(project, source, name)
