"""What a deploy would refuse, or fail of, for what the files say: known before anything runs.

Each refusal is a reason that names the service, and what to do about it. A doubt is what the files alone do not prove.
"""

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from .errors import InputError
from .extension import BLUE_GREEN, RECREATE, ROLES, suggest
from .port_claims import alone, at_once, contended
from .profile import Profile
from .readiness import health_timeout, is_fixed
from .stack import Service, Stack
from .units import show_duration
from .upstream import leads

Refusal = tuple[str, str]
"""A reason, and what to do about it."""

_RECREATE = "or say x-slipway: {rollout: recreate}"


@dataclass(frozen=True)
class Files:
    """What is known of the files of this machine; nothing where the engine is elsewhere.

    ``missing`` are paths that services mount and that do not exist, ``upstreams`` the texts of a proxy's upstream files
    that lie on this machine, by path, None for one that does not exist; paths in the Compose files begin in
    ``directory``.
    """

    directory: str = ""
    missing: frozenset[str] = frozenset()
    upstreams: Mapping[str, str | None] = field(default_factory=dict)


def refuse(found: list[Refusal]) -> None:
    """Raise InputError that lists every refusal, one a line; none is fine."""
    if len(found) == 1:
        raise InputError(*found[0])
    if found:
        raise InputError(
            "\n".join(dict.fromkeys(f"{reason} ({hint})" for reason, hint in found)), "correct the Compose files"
        )


def refusals(stack: Stack, profile: Profile, files: Files | None = None) -> list[Refusal]:
    """Return everything that a deploy would refuse for what the files say, all at once."""
    known = files or Files()
    rolled = rolled_out(stack, profile)
    found = [
        *(refusal for one in rolled for refusal in _two_at_once(one)),
        *contended(stack, {one.name for one in rolled}),
        *_proxies(stack, [one for one in rolled if one.rollout == BLUE_GREEN], known),
        *(refusal for one in rolled for refusal in _unwatched(one, profile)),
        *(refusal for one in _kept_up(stack) for refusal in _too_early(one, profile)),
        *(refusal for one in stack.services.values() for refusal in _mounted(stack, one, known)),
    ]
    return list(dict.fromkeys(found))


def doubts(stack: Stack, profile: Profile, files: Files | None = None) -> list[Refusal]:
    """Return what may well go wrong, and what to do about it."""
    known = files or Files()
    found = [
        (
            f"services.{service.name}.volumes: {mount.source} does not exist; Docker would make a directory of it",
            "write the file, or take the mount out",
        )
        for service in stack.services.values()
        for mount in service.mounts
        if mount.source in known.missing and mount.created and _looks_like_a_file(mount.source, known.directory)
    ]
    timeout = profile.duration("HEALTH_TIMEOUT")
    for service in _kept_up(stack) if is_fixed(profile) else ():
        health = service.health
        if health and not health.first_is_said and health.first >= timeout:
            found.append(
                (
                    f"services.{service.name}.healthcheck: unless its image says another, the first check comes after "
                    f"{show_duration(health.first)} (interval), and HEALTH_TIMEOUT leaves {show_duration(timeout)}",
                    "give the health check an interval, or start_period and start_interval",
                )
            )
    return found


def rolled_out(stack: Stack, profile: Profile) -> list[Service]:
    """Return the services whose new containers come in beside the old ones; without releases there are none."""
    if not profile.integer("KEEP_RELEASES"):
        return []
    return [one for one in _kept_up(stack) if one.rollout != RECREATE]


def _kept_up(stack: Stack) -> list[Service]:
    return [one for one in stack.services.values() if one.replicas > 0 and not stack.one_off(one)]


def _asks(service: Service) -> str:
    """Return where a service says how it is rolled out, and how."""
    place = "x-slipway.rollout" if service.slipway.rollout else "deploy.update_config.order"
    return f"services.{service.name}.{place}: {service.rollout}"


def _two_at_once(service: Service) -> Iterator[Refusal]:
    """What a container has for itself alone, so that there cannot be a second one."""
    where = f"{_asks(service)}: two containers at once cannot have"
    if service.container_name:
        yield f"{where} container_name: {service.container_name}", f"remove it, {_RECREATE}"
    for port in service.ports if service.network_mode != "host" else ():
        if alone(port, at_once(service)):
            needed = at_once(service)
            many = f"range of {needed} ports ({needed} containers run at once), or none"
            yield f"{where} a published port: {port}", f"publish a {many}, {_RECREATE}"
    for one in service.addresses:
        yield f"{where} {one.kind}: {one.address}", f"remove it, {_RECREATE}"
    mode = service.network_mode
    if mode == "host" or mode.startswith(("service:", "container:")):
        yield f"{where} network_mode: {mode}: both would listen in one place", f"use a network, {_RECREATE}"
    if service.slipway.role == ROLES[0] or service.slipway.data:
        yield f"{where} the files of one data directory", _RECREATE.removeprefix("or ")


def _unwatched(service: Service, profile: Profile) -> Iterator[Refusal]:
    if service.health_disabled and profile.flag("REQUIRE_HEALTHCHECK"):
        yield (
            f"{_asks(service)}: its healthcheck is disabled, nobody would know whether the new containers work",
            "give the service a healthcheck, or say REQUIRE_HEALTHCHECK=false",
        )


def _too_early(service: Service, profile: Profile) -> Iterator[Refusal]:
    health, timeout = service.health, health_timeout(service, profile)
    if health is None or not health.first_is_said or health.first < timeout:
        return
    key = "start_interval" if health.start_period else "interval"
    origin = profile.values["HEALTH_TIMEOUT"].origin if is_fixed(profile) else "default"
    yield (
        f"services.{service.name}.healthcheck.{key}: the first check comes after {show_duration(health.first)}, and "
        f"HEALTH_TIMEOUT leaves {show_duration(timeout)} ({origin})",
        f"say HEALTH_TIMEOUT={round(health.last + 0.5)}s, leave it out, or give start_period and start_interval",
    )


def _proxies(stack: Stack, services: list[Service], files: Files) -> Iterator[Refusal]:
    """What keeps a proxy from leading to the new containers of blue-green services."""
    if not services:
        return
    proxy = next((one for one in stack.services.values() if one.slipway.proxy.upstreams), None)
    if proxy is None or not proxy.replicas:
        for one in services:
            said = "no service says x-slipway.proxy" if proxy is None else f"the proxy {proxy.name} has no containers"
            yield f"{_asks(one)}: {said}", "describe the proxy there, or say rollout: start-first"
        return
    yield from _upstreams(proxy, services, files)
    for one in services:
        if one.name == proxy.name:
            yield f"{_asks(one)}: the proxy cannot lead to itself", "say rollout: recreate"
        elif not _reaches(proxy, one):
            yield (
                f"{_asks(one)}: the proxy {proxy.name} shares no network with it, so it cannot lead to its containers",
                "put both in one network",
            )


def _upstreams(proxy: Service, services: list[Service], files: Files) -> Iterator[Refusal]:
    directory = proxy.slipway.proxy.upstreams.rstrip("/")
    where = f"services.{proxy.name}.x-slipway.proxy.upstreams: {directory}"
    over = [one for one in proxy.mounts if _below(directory, one.target)]
    mount = max(over, key=lambda one: len(one.target), default=None)
    if mount is None:
        yield (
            f"{where}: no volume and no bind mount is there, so what is written would go with the container",
            f'mount a volume: volumes: ["upstreams:{directory}"]',
        )
    elif mount.read_only:
        yield f"{where}: it is mounted read-only, and a rollout writes there", "mount it without ro"
    elif mount.kind == "bind":
        source = posixpath.join(mount.source, posixpath.relpath(directory, mount.target))
        for one in services:
            path = posixpath.normpath(posixpath.join(source, f"{one.name}.conf"))
            text = files.upstreams.get(path, "")
            if text is None:
                yield f"{where}: {path} does not exist", f"write it, with a line `server {one.name}:PORT;`"
            elif path in files.upstreams and not leads(text, one.name):
                yield (
                    f"{where}: {path} has no line `server {one.name}:PORT;`",
                    "start from one that has; the containers are named by its pattern",
                )


def upstream_paths(stack: Stack) -> tuple[str, ...]:
    """Return the upstream files that lie on the machine of the engine, as far as bind mounts say."""
    found = []
    for proxy in stack.services.values():
        directory = proxy.slipway.proxy.upstreams.rstrip("/")
        over = [one for one in proxy.mounts if directory and _below(directory, one.target)]
        mount = max(over, key=lambda one: len(one.target), default=None)
        if mount and mount.kind == "bind":
            source = posixpath.join(mount.source, posixpath.relpath(directory, mount.target))
            rolled = [one for one in stack.services.values() if one.rollout == BLUE_GREEN]
            found += [posixpath.normpath(posixpath.join(source, f"{one.name}.conf")) for one in rolled]
    return tuple(found)


def _below(path: str, directory: str) -> bool:
    top = directory.rstrip("/")
    return path == top or path.startswith(f"{top}/")


def _reaches(proxy: Service, service: Service) -> bool:
    if any(one.network_mode not in ("", "default") for one in (proxy, service)):
        return False
    return not proxy.networks or not service.networks or bool(set(proxy.networks) & set(service.networks))


def _mounted(stack: Stack, service: Service, files: Files) -> Iterator[Refusal]:
    """What a service mounts and what is not there, or is not what it says."""
    for mount in service.mounts:
        if mount.kind == "bind" and not mount.created and mount.source in files.missing:
            yield (
                f"services.{service.name}.volumes: {mount.source} does not exist",
                "make it, or say bind: {create_host_path: true}",
            )
    for name in service.configs:
        path = stack.configs.get(name, "")
        if path in files.missing:
            yield f"services.{service.name}.configs: {name}: {path} does not exist", "write the file"
    sources = [one.source for one in service.mounts if one.kind == "bind"]
    for live in service.slipway.live if files.directory else ():
        path = posixpath.normpath(posixpath.join(files.directory, live))
        if not any(_below(path, one) or _below(one, path) for one in sources):
            shown = [posixpath.relpath(one, files.directory) for one in sources]
            yield (
                f"services.{service.name}.x-slipway.live: {live} is no bind source of the service",
                suggest(live, [one if one.startswith("..") else f"./{one}" for one in shown]),
            )


def _looks_like_a_file(path: str, directory: str) -> bool:
    return bool(directory) and _below(path, directory) and "." in posixpath.basename(path).lstrip(".")


def mounted_paths(stack: Stack) -> tuple[str, ...]:
    """Return the paths of the engine's machine that have to be there: bind sources, and the files of configs."""
    found: Iterable[str] = (
        *(one.source for service in stack.services.values() for one in service.mounts if one.kind == "bind"),
        *(
            stack.configs[name]
            for service in stack.services.values()
            for name in service.configs
            if name in stack.configs
        ),
    )
    return tuple(dict.fromkeys(path for path in found if path))


def env_files(document: object) -> Iterator[tuple[str, str]]:
    """Yield what a Compose file names as ``env_file``: the service and the path, where it has to exist."""
    services = document.get("services") if isinstance(document, dict) else None
    for name, service in services.items() if isinstance(services, dict) else ():
        said = service.get("env_file") if isinstance(service, dict) else None
        for one in said if isinstance(said, list) else [said]:
            if isinstance(one, dict):
                one = None if one.get("required") in (False, "false") else one.get("path")
            if isinstance(one, str) and "$" not in one:
                yield str(name), one
