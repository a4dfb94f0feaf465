"""What injecting a fault does to which containers, and the commands that do it."""

import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence

from ...image.plan.registry import host
from ...model.command import Command
from ...model.engine.facts import Container
from ...model.errors import InputError, RefusedError
from ...model.record import Record
from ...model.secret import Secret
from ...model.stack.stack import Service
from ...model.units import show_duration
from .faults import CLUSTER, DISK, HOST, HOST_NETWORK, MOUNTS, NETWORK, PROCESS, FaultKind, shown_amount

PROJECT, FAULT, SERVICE, TARGET, SECONDS = (
    f"slipway.chaos{part}" for part in ("", ".fault", ".service", ".target", ".seconds")
)
"""Labels of a helper container: the project it works on, the fault, the service and container, for how many seconds."""
SOCKET, VOLUME = "/engine.sock", "/volume"
THE_HOST = "the host"
_DOCKER_HUB = "registry-1.docker.io"  # https://docs.docker.com/desktop/setup/allow-list/
LONGEST = 3600.0  # seconds


class FaultRequest(Record):
    """What the command line asks for. ``amount`` as the helper takes it, ``source`` the service of ``--from``.

    ``registries`` are those of the project's images (``host:port``), ``signal`` that on which the service reads its
    certificates again.
    """

    fault: FaultKind
    service: str
    seconds: float
    amount: float = 0.0
    source: str = ""
    path: str = ""
    registries: tuple[str, ...] = ()
    signal: str = ""


class Hit(Record):
    """A container that a fault is made in, or the host, whose ``name`` is then the project's.

    ``volume`` and ``path`` say which file system a full disk is about, ``path`` also where a certificate is.
    """

    name: str
    target: Container | None = None
    volume: str = ""
    path: str = ""

    @property
    def grace(self) -> float:
        """How long the container has to end when it is stopped, in seconds."""
        return max(self.target.grace, 0.0) if self.target else 0.0


class Injection(Record):
    """A fault, the containers that it is made in, and the addresses that it is limited to (none: all)."""

    project: str
    wanted: FaultRequest
    hits: tuple[Hit, ...]
    peers: tuple[str, ...] = ()


def planned(project: str, wanted: FaultRequest, containers: Sequence[Container]) -> Injection:
    """Return what a fault would do; raises InputError or RefusedError for what cannot be a target.

    ``containers`` are those of the project.
    """
    if wanted.seconds > LONGEST:
        raise InputError(f"--for: a fault lasts {show_duration(LONGEST)} at most", "inject it again after that")
    if wanted.fault.of_host:
        return _of_host(project, wanted)
    targets = _running(project, wanted.service, containers)
    peers: tuple[str, ...] = ()
    if wanted.source:
        if not wanted.fault.between:
            raise InputError(f"--from: {wanted.fault.name} is not about the traffic with one service", "leave it out")
        peers = _peers(project, wanted, targets, containers)
    if wanted.path and wanted.fault.reach not in (DISK, MOUNTS):
        raise InputError(f"--path: {wanted.fault.name} is not about a directory", "leave it out")
    if wanted.fault.reach == MOUNTS and not wanted.signal:
        raise RefusedError(
            f"nothing says on which signal {wanted.service} reads its certificate again",
            "x-slipway: {reload: {signal: HUP, check: […]}} does",
        )
    if wanted.fault.reach == NETWORK:
        _refuse_shared_network(targets)
    return Injection(project, wanted, tuple(_hit(wanted, target) for target in targets), peers)


def refuse_on_engine(fault: FaultKind) -> None:
    """Raise InputError for a fault that there is on Kubernetes only."""
    if fault.reach == CLUSTER:
        raise InputError(f"{fault.name} is for Kubernetes", "kill and stop are about containers of an engine")


def _of_host(project: str, wanted: FaultRequest) -> Injection:
    """Return a fault of the whole host; raises InputError for what limits it to a service, which nothing can."""
    for option, given in (("--service", wanted.service), ("--from", wanted.source), ("--path", wanted.path)):
        if given:
            raise InputError(f"{option}: the whole host has {wanted.fault.name}", "leave it out")
    if wanted.fault.reach == HOST_NETWORK and not wanted.registries:
        raise RefusedError(f"no image of {project} is from a registry", "there is none that could be away")
    return Injection(project, wanted, (Hit(project),), wanted.registries)


def registries(services: Iterable[Service]) -> tuple[str, ...]:
    """Return the registries that the images of services come from, as ``host:port``."""
    pulled = (host(one.image) or ("" if one.build else _DOCKER_HUB) for one in services)
    known = {name for name in pulled if name}
    return tuple(sorted(name if re.search(r":\d+\Z", name) else f"{name}:443" for name in known))


def _running(project: str, service: str, containers: Sequence[Container]) -> tuple[Container, ...]:
    running = [
        one for one in containers if one.service == service and one.state in ("running", "paused") and not one.oneoff
    ]
    if not running:
        raise RefusedError(f"no container of {service} of {project} runs", "a fault needs one: inv ps shows what runs")
    return tuple(running)


def _peers(
    project: str, wanted: FaultRequest, targets: Sequence[Container], containers: Sequence[Container]
) -> tuple[str, ...]:
    others = _running(project, wanted.source, containers)
    between = {network for one in targets for network in one.networks} & {
        network for one in others for network in one.networks
    }
    if not between:
        raise InputError(
            f"--from: {wanted.source} and {wanted.service} are in no network together", "nothing goes between them"
        )
    return tuple(sorted({address for one in others for address in one.addresses}))


def _refuse_shared_network(targets: Sequence[Container]) -> None:
    for target in targets:
        if target.networks == ("host",):
            raise RefusedError(f"{target.name} uses the network of the host", "a fault in it would be one of the host")
        if target.shares or not target.networks:
            raise RefusedError(
                f"{target.name} has no network of its own", "name the service whose network it uses, if it uses one"
            )


def _hit(wanted: FaultRequest, target: Container) -> Hit:
    if wanted.fault.reach != DISK:
        return Hit(target.name, target, path=wanted.path)
    if wanted.path:
        path = posixpath.normpath(wanted.path)
        if any(mount == path for _, mount in target.binds):
            raise RefusedError(f"{path} is a directory of the host", "a disk is filled in volumes and tmpfs only")
        named = next((volume for volume, mount in target.mounted if mount == path), "")
        return Hit(target.name, target, named, path)
    if len(target.mounted) != 1:
        volumes = ", ".join(mount for _, mount in target.mounted) or "none"
        raise InputError(f"which volume of {target.name}? It has {volumes}", "--path names the directory")
    (volume, path), *_ = target.mounted
    return Hit(target.name, target, volume, path)


def helper_name(hit: Hit, fault: FaultKind) -> str:
    """Return the name of a helper container: the engine allows a name only once, so a fault is not made twice."""
    return f"{hit.name}-chaos-{fault.name}"


def labels(injection: Injection, hit: Hit) -> dict[str, str]:
    """Return the labels of a helper container."""
    wanted = injection.wanted
    return {
        PROJECT: injection.project,
        FAULT: wanted.fault.name,
        SERVICE: wanted.service,
        TARGET: hit.target.name if hit.target else THE_HOST,
        SECONDS: f"{wanted.seconds:g}",
    }


def commands(injection: Injection, image: str, socket: str, env: Mapping[str, str | Secret]) -> tuple[Command, ...]:
    """Return the commands that start the helpers; ``socket`` is the engine's, on its host.

    A helper gets only what its fault needs. It keeps the time, undoes the fault, and is started again by the engine
    when it is killed: then it only undoes.
    """
    return tuple(
        Command(_run(injection, hit, image, socket), env=env, sink="/dev/null")  # it prints an id
        for hit in injection.hits
    )


def _run(injection: Injection, hit: Hit, image: str, socket: str) -> tuple[str, ...]:
    wanted, target = injection.wanted, hit.target
    argv = ["docker", "run", "--detach", f"--name={helper_name(hit, wanted.fault)}", "--pull=never"]
    argv += ["--restart=on-failure:5", "--stop-timeout=60", "--log-driver=json-file", "--cap-drop=ALL"]
    argv.append("--pids-limit=64")
    if wanted.fault.reach != DISK:  # what is written to a tmpfs counts as memory of whoever writes it
        argv.append("--memory=128m")
    if wanted.fault.reach != HOST:  # what it starts is the engine, whose containers may have programs with more rights
        argv.append("--security-opt=no-new-privileges")
    argv += [f"--label={key}={value}" for key, value in labels(injection, hit).items()]
    argv += _rights(wanted.fault, hit, socket)
    argv += [image, wanted.fault.name, f"--seconds={wanted.seconds:g}"]
    argv += [f"--amount={wanted.amount:.10g}"] if wanted.amount else []
    argv += [f"--peer={peer}" for peer in injection.peers]
    argv += [f"--target={target.id}"] if target and wanted.fault.reach != NETWORK and not hit.volume else []
    argv += [f"--inside={hit.path}"] if hit.path and not hit.volume else []
    argv += [f"--signal={wanted.signal}"] if wanted.fault.reach == MOUNTS else []
    argv += [f"--mark={injection.project}"] if wanted.fault.reach == HOST_NETWORK else []
    return tuple(argv)


_OF_FILES = ("DAC_OVERRIDE", "FOWNER", "CHOWN")  # files of anybody are read, and owned by the same users as before
_EXPIRED = "--tmpfs=/expired:mode=0711,size=4m"


def _rights(fault: FaultKind, hit: Hit, socket: str) -> list[str]:
    engine = [
        f"--mount=type=bind,source={socket},target={SOCKET}",
        "--security-opt=label=disable",  # with SELinux no container may use the socket otherwise
    ]
    if fault.reach == NETWORK and hit.target:
        return [f"--network=container:{hit.target.id}", "--cap-add=NET_ADMIN"]
    if fault.reach == HOST_NETWORK:
        return ["--network=host", "--cap-add=NET_ADMIN"]
    if fault.reach == HOST:
        return ["--network=none", "--pid=host", "--cgroupns=host", "--privileged", *engine]
    if fault.reach == MOUNTS:
        needed = (f"--cap-add={name}" for name in ("SYS_ADMIN", "SYS_CHROOT", "SYS_PTRACE", *_OF_FILES))
        return ["--network=none", "--pid=host", *needed, "--security-opt=apparmor=unconfined", _EXPIRED, *engine]
    if fault.reach == DISK and hit.volume:
        return ["--network=none", "--cap-add=DAC_OVERRIDE", f"--mount=type=volume,source={hit.volume},target={VOLUME}"]
    if fault.reach == DISK:
        return ["--network=none", "--pid=host", "--cap-add=SYS_PTRACE", "--cap-add=DAC_OVERRIDE", *engine]
    if fault.reach == PROCESS:
        return ["--network=none", "--pid=host", "--cap-add=KILL", *engine]
    return ["--network=none", *engine]


def blast(injection: Injection, others: Sequence[str] = ()) -> tuple[str, ...]:
    """Return in words what a fault does, to which containers, for how long, and how it is undone.

    ``others`` are the other projects whose containers run on the same engine, as far as the fault is about the host.
    """
    wanted = injection.wanted
    extent = shown_amount(wanted.fault, wanted.amount)
    what = f"{wanted.fault.name}: {wanted.fault.does}{f' ({extent})' if extent else ''}"
    if wanted.source:
        what += f"; only the traffic with {wanted.source} ({', '.join(injection.peers)})"
    long = (
        "at once"
        if wanted.fault.momentary
        else f"after {show_duration(wanted.seconds)}, whatever becomes of this process"
    )
    return (what, _where(injection, others), f"undone {long}: {wanted.fault.undone}")


def _where(injection: Injection, others: Sequence[str]) -> str:
    if not injection.wanted.fault.of_host:
        where = [f"{hit.name}{f' {hit.path}' if hit.path else ''}" for hit in injection.hits]
        return f"containers: {', '.join(where)}"
    registries = f", of {', '.join(injection.peers)}" if injection.peers else ""
    return f"the whole host{registries}; other projects on it: {', '.join(others) or 'none'}"
