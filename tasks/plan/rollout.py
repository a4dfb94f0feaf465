"""How a service gets new containers while the old ones serve: the order of services, the proxy's file, the commands.

A proxy names the servers of a service in a file of its own, ``<x-slipway.proxy.upstreams>/<service>.conf``. A
rollout writes the containers that serve into it, and keeps the service's own name as the backup: so a stack that
somebody starts by hand is served too. Why not DNS alone: a new container has the service's name before it is ready.
While new containers are watched, the old ones are the backup: the name would lead to the new ones again. On a reload
nginx forgets the address of a name that was no server before, or was the backup only: so who is about to serve, or to
serve again, is named beforehand, as ``down``.
"""

import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from .command import Command
from .compose import compose
from .errors import InputError
from .extension import BLUE_GREEN, JOBS, RECREATE, ProxySettings
from .facts import Container
from .profile import Profile
from .stack import Service, Stack

_SERVER = re.compile(
    r"^(?P<head>[^#\n]*?)(?<![\w.-])server[ \t]+(?P<host>[^\s:;{]+)(?P<port>:\d+)?(?P<rest>[^;{\n]*);"
    r"[ \t]*(?P<end>\n?)",
    re.MULTILINE,
)
_TOO_OFTEN = 3  # restarts while it is waited for
_ROLE = re.compile(r"[ \t]+(?:backup|down)\b")


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
class Move:
    """Services that change together: one that is rolled out, or those that Compose brings up."""

    kind: str
    services: tuple[str, ...]


def moves(stack: Stack, changed: Mapping[str, str], running: Collection[str]) -> tuple[Move, ...]:
    """Return what to do in order, each service after those it depends on.

    ``changed`` are the services that something happens to and what (``plan.deploy``), ``running`` those that have
    containers. Rolled out is what would be recreated while it serves; the rest is Compose's work.
    """
    found: list[Move] = []
    for group in levels(stack):
        names = [one for one in group if one.name in changed]
        rolled = [one for one in names if _rolls(stack, one, changed[one.name], running)]
        plain = tuple(one.name for one in names if one not in rolled)
        if plain and found and found[-1].kind == RECREATE:
            # Compose itself keeps their order.
            plain = (*found.pop().services, *plain)
        found += [Move(RECREATE, plain)] if plain else []
        found += [Move(one.rollout, (one.name,)) for one in rolled]
    return tuple(found)


def _rolls(stack: Stack, service: Service, action: str, running: Collection[str]) -> bool:
    possible = service.rollout != RECREATE and service.replicas > 0 and not stack.one_off(service)
    return possible and action == "recreate" and service.name in running


@dataclass(frozen=True)
class Source:
    """What Compose works from: the profile's files, or the model of an earlier release."""

    profile: Profile
    cwd: str
    model: str = ""

    def compose(self, *words: str, reason: str = "") -> Command:
        """Return a ``docker compose`` command."""
        command = compose(self.profile, *words, cwd=self.cwd, reason=reason, files=("-",) if self.model else ())
        return replace(command, stdin=self.model) if self.model else command

    def docker(self, *words: str, reason: str = "", stdin: str | None = None) -> Command:
        """Return a ``docker`` command for the profile's engine."""
        # All of the environment that Compose gets, so that a dry run need not change it between the two.
        return Command(("docker", *words), env=self.profile.compose_env(), cwd=self.cwd, reason=reason, stdin=stdin)

    def up(self, services: Sequence[str], anew: bool = False) -> Command:
        """Return the command by which Compose brings services up, and what they depend on, which is as it should be.

        ``anew``: also when Compose sees no difference.
        """
        words = ("up", "--detach", "--no-build", *(["--force-recreate"] if anew else []), *services)
        return self.compose(*words, reason=f"bring up {', '.join(services)}{' anew' if anew else ''}")

    def create(self, service: str, count: int) -> Command:
        """Return the command that creates new containers beside the old ones, and starts none.

        ``up --no-deps`` would start them, but leave ``depends_on`` out of the configuration they are marked with.
        """
        words = ("create", "--no-build", "--no-recreate", "--scale", f"{service}={count}", service)
        return self.compose(*words, reason=f"create the new containers of {service} beside the old ones")


def to_back_up(stack: Stack, changed: Collection[str], running: Collection[str]) -> bool:
    """Whether migrations are about to work on a database that runs and says how it is backed up."""
    migrates = any(one.slipway.job == JOBS[0] and one.name in changed for one in stack.services.values())
    return migrates and any(one.slipway.backup and one.name in running for one in stack.services.values())


def refuse_impossible(stack: Stack) -> None:
    """Raise InputError for a rollout that cannot be: two of a service at once, or a proxy that is not there."""
    for service in stack.services.values():
        where = f"services.{service.name}.x-slipway.rollout: {service.rollout}"
        if service.rollout == RECREATE:
            continue
        taken = "container_name" if service.container_name else "a published port" if service.fixed_ports() else ""
        if taken:
            raise InputError(
                f"{where}: two containers at once cannot have {taken}", "remove it, or say rollout: recreate"
            )
        if service.rollout == BLUE_GREEN and not any(one.slipway.proxy.upstreams for one in stack.services.values()):
            raise InputError(
                f"{where}: no service says x-slipway.proxy",
                "describe the proxy there, or say rollout: start-first",
            )


def serving(text: str, service: str) -> tuple[str, ...]:
    """Return the containers that an upstream file leads to; none when it leads to the service's own name only."""
    found = [one for one in _SERVER.finditer(text) if one["host"] != service]
    return tuple(one["host"] for one in found if not _ROLE.search(one["rest"]))


def proven(text: str, service: str, running: Collection[str], replicas: int) -> tuple[str, ...]:
    """Return the containers of an upstream file that have been watched to their end, of which ``replicas`` are wanted.

    Those that are the backup are the old ones; what they were to leave for stands last of what the file leads to.
    """
    servers = [one for one in _SERVER.finditer(text) if one["host"] in running and one["host"] != service]
    backups = tuple(one["host"] for one in servers if "backup" in one["rest"].split())
    led = serving(text, service)
    return (*led[: max(replicas - len(backups), 0)], *backups) if backups else led


def leads(text: str, service: str) -> bool:
    """Whether an upstream file names the servers of a service by its pattern."""
    return any(found["host"] == service for found in _SERVER.finditer(text))


@dataclass(frozen=True)
class Aim:
    """What a proxy is to lead to: containers, and ``backups`` when none of them answers.

    Without backups the service's own name is the backup; beside them it only keeps the pattern. ``coming`` are about to
    be led to: the proxy is to know their addresses by then.
    """

    containers: Sequence[str]
    backups: Sequence[str] = ()
    coming: Sequence[str] = ()


def pointed(text: str, service: str, aim: Aim) -> str:
    """Return an upstream file that leads to what it should.

    Raises InputError when the file does not name the service.
    """
    own = next((found for found in _SERVER.finditer(text) if found["host"] == service), None)
    if own is None:
        raise InputError(
            f"the proxy's upstream file of {service} has no line `server {service}:PORT …;`",
            "start it from one that has; the containers are named by its pattern",
        )
    port, rest = own["port"] or "", _ROLE.sub("", own["rest"])
    lines = [f"server {name}{port}{rest};" for name in aim.containers]
    lines += [f"server {name}{port}{rest} down;" for name in (*aim.coming, *aim.backups)]
    lines += [f"server {name}{port}{rest} backup;" for name in aim.backups]
    role = " backup down" if aim.backups else " backup" if aim.containers else ""
    lines.append(f"server {service}{port}{rest}{role};")
    indent = own["head"] if own["head"].isspace() else " "

    def replaced(found: re.Match[str]) -> str:
        if found.start() == own.start():
            return found["head"] + f"\n{indent}".join(lines) + found["end"]
        return "" if not found["head"].strip() else found["head"] + found["end"]

    return _SERVER.sub(replaced, text)


def new_names(project: str, service: str, containers: Iterable[Container], count: int) -> tuple[str, ...]:
    """Return what Compose will call the containers that it adds: it goes on from the greatest number."""
    last = max((one.number for one in containers), default=0)
    return tuple(f"{project}-{service}-{last + number}" for number in range(1, count + 1))


def start(source: Source, names: Sequence[str]) -> Command:
    """Return the command that starts new containers."""
    return source.docker("start", *names, reason="start them")


def write(source: Source, container: str, file: str, text: str) -> tuple[Command, ...]:
    """Return the commands that put a file into a container: written aside, then renamed; the earlier one is kept."""
    directory, _, name = file.rpartition("/")
    fresh = f"{directory}/.{name}.new"
    return (
        source.docker(
            "exec", "--interactive", container, "cp", "/dev/stdin", fresh, stdin=text, reason=f"write {name}"
        ),
        source.docker("exec", container, "cp", file, f"{directory}/.{name}.previous"),
        source.docker("exec", container, "mv", fresh, file),
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


def stop(source: Source, names: Sequence[str]) -> tuple[Command, ...]:
    """Return the commands that stop containers, each with its own grace period, and remove them."""
    return (
        source.docker("stop", *names, reason="stop what no longer serves"),
        source.docker("rm", "--volumes", *names),
    )


def leftovers(
    service: Service, containers: Sequence[Container], named: Sequence[str], image: str = ""
) -> tuple[Container, ...]:
    """Return the containers of a rollout that was ended half-way, which do not serve.

    Where ``image`` is what is to serve again, those that run by it stay before all others. ``named`` are those that the
    proxy leads to: they serve, whatever was meant, unless they are known not to. Otherwise those that are ready serve,
    the newest first: an older one may be about to stop.
    """
    mine = [one for one in containers if one.service == service.name and not one.oneoff]
    wanted = [one for one in mine if one.image_id == image and one.state == "running" and one.health != "unhealthy"]
    if wanted:
        return tuple(one for one in mine if one not in wanted)
    by_proxy = [one for one in mine if one.name in named and one.state == "running" and one.health != "unhealthy"]
    if by_proxy:
        return tuple(one for one in mine if one not in by_proxy)
    if len(mine) <= service.replicas:
        return ()
    ready = [one for one in mine if one.state == "running" and one.health in ("healthy", "")]
    kept = sorted(ready or mine, key=lambda one: one.number)[-max(service.replicas, 1) :]
    return tuple(one for one in mine if one not in kept)


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
