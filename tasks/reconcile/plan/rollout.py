"""Building blocks of a rollout: the order of services, batches, and the commands that change the proxy's files."""

import math
from collections.abc import Iterable, Mapping, Sequence

from ...model.command import Command
from ...model.compose import Source
from ...model.engine.facts import Container
from ...model.record import Record
from ...model.stack.extension import ProxySettings
from ...model.stack.proxies.kinds import CADDY, HAPROXY, Language, language
from ...model.stack.stack import Service, Stack


class Proxy(Record):
    """The service that routes requests to other services, and the names of its containers."""

    service: Service
    containers: tuple[str, ...]

    def file(self, service: str) -> str:
        """Return the path of the upstream file that lists a service's containers."""
        return self.path(f"{service}{self.language.suffix}")

    def path(self, name: str) -> str:
        """Return the path of a file in the directory of the upstream files."""
        return f"{self.settings.upstreams.rstrip('/')}/{name}"

    @property
    def language(self) -> Language:
        """How this kind of proxy names its servers."""
        return language(self.settings.kind)

    @property
    def settings(self) -> ProxySettings:
        """The service's ``x-slipway.proxy`` settings."""
        return self.service.slipway.proxy


def levels(stack: Stack) -> tuple[tuple[Service, ...], ...]:
    """Return the services in groups; a group depends only on groups before it. Compose has refused cycles."""
    depth: dict[str, int] = {}

    def of(name: str) -> int:
        if name not in depth:
            direct = [other for other in stack.services[name].depends_on if other in stack.services]
            depth[name] = 1 + max((of(other) for other in direct), default=-1)
        return depth[name]

    groups: dict[int, list[Service]] = {}
    for name, service in stack.services.items():
        groups.setdefault(of(name), []).append(service)
    return tuple(tuple(groups[level]) for level in sorted(groups))


def rollout_group(service: Service) -> str:
    """Return the group of the operations with which new containers of a service take over from the running ones."""
    return f"{service.rollout} {service.name}"


def new_names(project: str, service: str, containers: Iterable[Container], count: int) -> tuple[str, ...]:
    """Return the names of ``count`` containers that Compose adds: it counts on from the greatest number."""
    last = max((container.number for container in containers), default=0)
    return tuple(f"{project}-{service}-{last + number}" for number in range(1, count + 1))


def write(source: Source, container: str, file: str, text: str, reason: str = "") -> tuple[Command, ...]:
    """Return the commands that put a file into a container: write a temporary file, rename it."""
    directory, _, name = file.rpartition("/")
    aside = f"{directory}/.{name}.new"
    words = ("exec", "--interactive", container, "cp", "/dev/stdin", aside)
    return (
        source.docker(*words, stdin=text, reason=reason or f"write {name}"),
        source.docker("exec", container, "mv", aside, file),
    )


def check(source: Source, proxy: Proxy, container: str) -> tuple[Command, ...]:
    """Return the command with which the proxy checks its files; nothing when none is configured."""
    words = proxy.settings.check
    return (source.docker("exec", container, *words, reason="does the proxy accept it?"),) if words else ()


def reload(source: Source, proxy: Proxy, container: str) -> Command:
    """Return the command that makes the proxy read its files again; its old workers finish their requests."""
    return source.docker("kill", f"--signal={proxy.settings.reload}", container, reason="reload the proxy")


def switch(source: Source, proxy: Proxy, container: str, files: Mapping[str, str]) -> tuple[Command, ...]:
    """Return the commands after which the proxy leads to what its upstream file says.

    ``files`` are the further files of a service in the directory of the upstream files, with their texts.
    """
    commands = [command for name, text in files.items() for command in write(source, container, proxy.path(name), text)]
    return (*commands, reload(source, proxy, container)) if proxy.settings.reload else tuple(commands)


def further_files(proxy: Proxy, service: Service, text: str, count: int = 0) -> dict[str, str]:
    """Return the files of a service in addition to its upstream file, which has this text; ``count``: so many slots.

    Only Caddy has some.
    """
    if proxy.settings.kind != CADDY:
        return {}
    from ...model.stack.proxies import caddy

    return caddy.slots(text, service.name, max(count, service.replicas))


def first_files(source: Source, proxy: Proxy, container: str, service: Service, text: str) -> tuple[Command, ...]:
    """Return the commands that write the first files of a service; ``text`` is in the form of ``upstream.py``."""
    further = {proxy.path(name): said for name, said in further_files(proxy, service, text).items()}
    files = {**further, proxy.file(service.name): proxy.language.first(text, service.name)}
    return tuple(command for file, said in files.items() for command in write(source, container, file, said))


class Batch(Record):
    """New containers that start together: how many, and the names of the old ones that they replace."""

    count: int
    leaving: tuple[str, ...]


def batches(service: Service, old: Sequence[str], count: int) -> tuple[Batch, ...]:
    """Return the batches in which ``count`` new containers replace ``old``; surplus old ones leave with the last batch.

    Behind a proxy there is one batch; otherwise ``update_config.parallelism`` is the size of a batch, 0: all at once.
    """
    size = count if service.by_proxy else service.update.parallelism or count
    result = []
    for first in range(0, count, size):
        last = first + size >= count
        result.append(Batch(min(size, count - first), tuple(old[first:] if last else old[first : first + size])))
    return tuple(result)


def too_many_failed(service: Service, failed: int, count: int) -> bool:
    """Whether more of the new containers failed than ``update_config.max_failure_ratio`` allows."""
    return failed > math.floor(service.update.max_failure_ratio * count)


def workers(proxy: Proxy, processes: Iterable[Mapping[str, str]]) -> tuple[str, ...]:
    """Return the process ids of the proxy's workers in a container's process table.

    haproxy's master and its workers have the same name: the workers are those that another one has started.
    """
    named = [
        process for process in processes if proxy.settings.workers in process.get("CMD", process.get("COMMAND", ""))
    ]
    if proxy.settings.kind == HAPROXY:
        ids = {process["PID"] for process in named}
        named = [process for process in named if process.get("PPID") in ids]
    return tuple(process["PID"] for process in named)
