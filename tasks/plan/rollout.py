"""How a service gets new containers while the old ones serve: the order of services, batches, the commands."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from .command import Command
from .compose import compose
from .extension import BLUE_GREEN, ProxySettings
from .facts import Container
from .profile import Profile
from .stack import Service, Stack

_TOO_OFTEN = 3  # restarts while it is waited for


@dataclass(frozen=True)
class Proxy:
    """The service that leads requests to others, its containers, and the directory of its upstream files."""

    service: Service
    containers: tuple[str, ...]

    def file(self, service: str) -> str:
        """Return where the servers of a service are named."""
        return f"{self.settings.upstreams.rstrip('/')}/{service}.conf"

    @property
    def settings(self) -> ProxySettings:
        """What the service says of itself as a proxy."""
        return self.service.slipway.proxy


def levels(stack: Stack) -> tuple[tuple[Service, ...], ...]:
    """Return the services in groups, each after those it depends on; Compose has refused cycles."""
    depth: dict[str, int] = {}

    def of(name: str) -> int:
        if name not in depth:
            known = [other for other in stack.services[name].depends_on if other in stack.services]
            depth[name] = 1 + max((of(other) for other in known), default=-1)
        return depth[name]

    groups: dict[int, list[Service]] = {}
    for name, service in stack.services.items():
        groups.setdefault(of(name), []).append(service)
    return tuple(tuple(groups[level]) for level in sorted(groups))


@dataclass(frozen=True)
class Source:
    """What Compose works from: the profile's files, or the model of an earlier release."""

    profile: Profile
    cwd: str
    model: str = ""

    def compose(self, *words: str, reason: str = "") -> Command:
        """Return a ``docker compose`` command."""
        command = compose(self.profile, *words, cwd=self.cwd, reason=reason, files=("-",) if self.model else ())
        # What leaves is part of a plan, and not for Compose to decide while it does something else.
        if self.model:
            env = {**command.env, "COMPOSE_REMOVE_ORPHANS": "false", "COMPOSE_IGNORE_ORPHANS": "true"}
            return replace(command, env=env, stdin=self.model)
        if self.profile.text("COMPOSE_REMOVE_ORPHANS"):
            return replace(command, env={**command.env, "COMPOSE_REMOVE_ORPHANS": "false"})
        return command

    def docker(self, *words: str, reason: str = "", stdin: str | None = None) -> Command:
        """Return a ``docker`` command for the profile's engine."""
        # All of the environment that Compose gets, so that a dry run need not change it between the two.
        return Command(("docker", *words), env=self.profile.compose_env(), cwd=self.cwd, reason=reason, stdin=stdin)


def new_names(project: str, service: str, containers: Iterable[Container], count: int) -> tuple[str, ...]:
    """Return what Compose will call the containers that it adds: it goes on from the greatest number."""
    last = max((one.number for one in containers), default=0)
    return tuple(f"{project}-{service}-{last + number}" for number in range(1, count + 1))


def write(source: Source, container: str, file: str, text: str, fresh: bool = False) -> tuple[Command, ...]:
    """Return the commands that put a file into a container: written aside, then renamed; the earlier one is kept.

    ``fresh``: there is none yet.
    """
    directory, _, name = file.rpartition("/")
    aside = f"{directory}/.{name}.new"
    keep = () if fresh else (source.docker("exec", container, "cp", file, f"{directory}/.{name}.previous"),)
    words = ("exec", "--interactive", container, "cp", "/dev/stdin", aside)
    return (
        source.docker(*words, stdin=text, reason=f"write {name}"),
        *keep,
        source.docker("exec", container, "mv", aside, file),
    )


def back(source: Source, container: str, file: str) -> Command:
    """Return the command that puts the earlier file back."""
    directory, _, name = file.rpartition("/")
    return source.docker("exec", container, "mv", f"{directory}/.{name}.previous", file, reason="as it was")


def check(source: Source, proxy: Proxy, container: str) -> tuple[Command, ...]:
    """Return the command by which the proxy says whether it accepts its files; none when it has none."""
    words = proxy.settings.check
    return (source.docker("exec", container, *words, reason="does the proxy accept it?"),) if words else ()


def reload(source: Source, proxy: Proxy, container: str) -> Command:
    """Return the command that lets the proxy read its files again; its old workers finish their requests."""
    return source.docker("kill", f"--signal={proxy.settings.reload}", container, reason="reload the proxy")


@dataclass(frozen=True)
class Batch:
    """New containers that come in together: how many, and which old ones leave for them."""

    count: int
    leaving: tuple[str, ...]


def batches(service: Service, old: Sequence[str]) -> tuple[Batch, ...]:
    """Return the batches in which new containers take over from ``old``; what is too many leaves with the last one.

    Blue-green is one batch, else ``update_config.parallelism`` says how large one is; 0 is all at once.
    """
    count = max(service.replicas, 1)
    size = count if service.rollout == BLUE_GREEN else service.update.parallelism or count
    found = []
    for first in range(0, count, size):
        last = first + size >= count
        found.append(Batch(min(size, count - first), tuple(old[first:] if last else old[first : first + size])))
    return tuple(found)


def too_many_failed(service: Service, failed: int, count: int) -> bool:
    """Whether more of the new containers failed than ``update_config.max_failure_ratio`` allows."""
    return failed > math.floor(service.update.max_failure_ratio * count)


def workers(proxy: Proxy, processes: Iterable[Mapping[str, str]]) -> tuple[str, ...]:
    """Return the process ids of the proxy's workers in a container's process table."""
    return tuple(one["PID"] for one in processes if proxy.settings.workers in one.get("CMD", one.get("COMMAND", "")))


def crashing(containers: Iterable[Container]) -> str:
    """Return which container keeps ending and being started again, "" for none: waiting for it is of no use."""
    often = next((one for one in containers if one.restarts >= _TOO_OFTEN), None)
    return f"{often.name} was restarted {often.restarts} times, exit code {often.exit_code}" if often else ""


def trouble(service: Service, containers: Iterable[Container], names: Collection[str]) -> tuple[str, ...]:
    """Return what is wrong with new containers that have been ready: each by its name and its state."""
    found = []
    known = {one.name: one for one in containers}
    for name in names:
        one = known.get(name)
        if one is None or one.state != "running":
            found.append(f"{name} is {one.state if one else 'gone'}")
        elif one.health == "unhealthy":
            found.append(f"{name} is unhealthy")
        elif one.restarts:
            found.append(f"{name} was restarted")
    return tuple(found)
