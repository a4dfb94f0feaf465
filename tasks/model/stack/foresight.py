"""What a deploy would refuse or fail on because of the Compose files: reported before anything runs.

A refusal is a reason that names the service, and a hint what to do. A doubt is what may go wrong, but need not.
"""

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field

from ..engine.facts import Image
from ..errors import InputError
from ..profile.profile import Profile
from ..record import Record
from ..reference import is_reference, split_reference
from ..units import show_duration
from .attachments import MountPoint
from .extension import RECREATE, ROLES, suggest
from .port_claims import at_once, conflicting_claims, too_few_ports
from .proxies.foresight import led_by_labels, led_too_early, unread
from .proxies.kinds import language
from .readiness import effective_health, health_timeout, is_fixed
from .stack import Service, Stack
from .upstream import has_pattern

NO_IMAGES: Mapping[str, Image] = {}
Refusal = tuple[str, str]
"""A reason, and a hint what to do."""

RESERVED_SUFFIXES = ("release", "state", "key", "builds", "template")
"""Suffixes of the images that Slipway makes for a project: Compose may choose the same name for a service's image."""

_RECREATE = "or say x-slipway: {rollout: recreate}"


class Files(Record):
    """The files of this machine that matter to a deploy; empty when the engine runs on another machine.

    ``missing`` are mounted paths that do not exist, ``upstreams`` the texts of a proxy's upstream files by path, None
    for a file that does not exist. Relative paths in the Compose files start in ``directory``.
    """

    directory: str = ""
    missing: frozenset[str] = frozenset()
    upstreams: Mapping[str, str | None] = field(default_factory=dict)


def refuse(reasons: list[Refusal]) -> None:
    """Raise InputError that lists every refusal, each on a line; do nothing without any."""
    if len(reasons) == 1:
        raise InputError(*reasons[0])
    if reasons:
        raise InputError(
            "\n".join(dict.fromkeys(f"{text} ({hint})" for text, hint in reasons)), "correct the Compose files"
        )


def refusals(
    stack: Stack, profile: Profile, files: Files | None = None, images: Mapping[str, Image] = NO_IMAGES
) -> list[Refusal]:
    """Return every reason to refuse a deploy of these files.

    ``images`` are local images by reference, as far as they are known.
    """
    known = files or Files()
    rolled = rolled_out(stack)
    refused = [
        *(refusal for service in rolled for refusal in _two_at_once(service)),
        *conflicting_claims(stack, {service.name for service in rolled}),
        *_proxies(stack, [service for service in rolled if service.by_proxy], known),
        *(refusal for service in rolled for refusal in led_by_labels(service)),
        *(refusal for service in rolled for refusal in _unwatched(service, profile)),
        *(
            refusal
            for service in _kept_up(stack)
            for refusal in _too_early(service, profile, images.get(service.image))
        ),
        *(refusal for service in stack.services.values() for refusal in _mounted(stack, service, known)),
        *(refusal for service in stack.services.values() for refusal in _ours(stack, service)),
        *(refusal for service in stack.services.values() for refusal in _misspelt(service, profile)),
        *(refusal for service in _kept_up(stack) for refusal in _unmeasured(service)),
    ]
    return list(dict.fromkeys(refused))


def doubts(
    stack: Stack, profile: Profile, files: Files | None = None, images: Mapping[str, Image] = NO_IMAGES
) -> list[Refusal]:
    """Return what may go wrong, with a hint what to do."""
    known = files or Files()
    warnings = [
        (
            f"services.{service.name}.volumes: {mount.source} does not exist; Docker would create a directory there",
            "write the file, or take the mount out",
        )
        for service in stack.services.values()
        for mount in service.mounts
        if mount.source in known.missing and mount.created and _looks_like_a_file(mount.source, known.directory)
    ]
    for service in stack.services.values():
        if service.slipway.database:
            from .presets.doubts import stopping

            warnings += stopping(service)
    for service in rolled_out(stack):
        warnings += led_too_early(service, images.get(service.image))
    for service in left_to_images(stack, profile):
        warnings += _perhaps_too_early(service, profile, images.get(service.image))
    return warnings


def left_to_images(stack: Stack, profile: Profile) -> list[Service]:
    """Return the services whose image decides whether HEALTH_TIMEOUT leaves time for a health check."""
    if not is_fixed(profile):
        return []  # the timeout adapts to the health check
    return [
        service
        for service in _kept_up(stack)
        if not service.health_disabled and not (service.health and service.health.first_is_said)
    ]


def _perhaps_too_early(service: Service, profile: Profile, image: Image | None) -> Iterator[Refusal]:
    health, timeout = effective_health(service, image), profile.duration("HEALTH_TIMEOUT")
    if health is None or _decided(service, image) or health.first < timeout:
        return
    whose = "according to its local image" if image else "unless its image sets another time"
    yield (
        f"services.{service.name}.healthcheck: {whose}, the first check comes after {show_duration(health.first)} "
        f"(interval), and HEALTH_TIMEOUT leaves {show_duration(timeout)}",
        "give the health check an interval, or start_period and start_interval",
    )


def _decided(service: Service, image: Image | None) -> bool:
    """Whether it is known when the first check is made: an image that is built may change until the deploy."""
    return bool(service.health and service.health.first_is_said) or (image is not None and service.build is None)


def _misspelt(service: Service, profile: Profile) -> Iterator[Refusal]:
    """Yield a refusal for an image whose name no engine accepts: mostly a variable in it has no value."""
    if not is_reference(service.image):
        yield (
            f"services.{service.name}.image: {service.image!r} is no name of an image",
            f"give the variables in it a value; those that have one: inv env.show {profile.environment}",
        )


def _ours(stack: Stack, service: Service) -> Iterator[Refusal]:
    """Yield a refusal for a service's image whose name Slipway uses for data of the project."""
    name, kept = split_reference(service.image)[0], {f"{stack.project}-{suffix}" for suffix in RESERVED_SUFFIXES}
    if name in kept:
        yield (
            f"services.{service.name}.image: {name} is a name under which Slipway stores data of the project",
            f"give the service an image: of its own, such as {stack.project}/{service.name}",
        )


def _unmeasured(service: Service) -> Iterator[Refusal]:
    """Yield why numbers cannot judge the new containers of a service."""
    if service.slipway.watch is None:
        return
    where, metrics = f"services.{service.name}.x-slipway.watch", service.slipway.metrics
    if service.rollout == RECREATE:
        yield f"{where}: a service that is recreated is not watched", "say rollout: canary, blue-green or start-first"
    if metrics is None or metrics.exporter:
        yield f"{where}: nothing says where its own metrics are", "say x-slipway: {metrics: {port: 9464}}"


def rolled_out(stack: Stack) -> list[Service]:
    """Return the services whose new containers start next to the old ones, however many releases are kept."""
    return [service for service in _kept_up(stack) if service.rollout != RECREATE]


def _kept_up(stack: Stack) -> list[Service]:
    return [service for service in stack.services.values() if service.replicas > 0 and not stack.one_off(service)]


def _asks(service: Service) -> str:
    """Return the key that sets the rollout of a service, and its value."""
    place = "x-slipway.rollout" if service.slipway.rollout else "deploy.update_config.order"
    return f"services.{service.name}.{place}: {service.rollout}"


def _two_at_once(service: Service) -> Iterator[Refusal]:
    """Yield what only one container can have, so that a second one cannot run next to it."""
    where = f"{_asks(service)}: two containers at once cannot have"
    if service.container_name:
        yield f"{where} container_name: {service.container_name}", f"remove it, {_RECREATE}"
    for port in service.ports if service.network_mode != "host" else ():
        if too_few_ports(port, at_once(service)):
            needed = at_once(service)
            many = f"range of {needed} ports ({needed} containers run at once), or none"
            yield f"{where} a published port: {port}", f"publish a {many}, {_RECREATE}"
    for address in service.addresses:
        yield f"{where} {address.kind}: {address.address}", f"remove it, {_RECREATE}"
    mode = service.network_mode
    if mode == "host" or mode.startswith(("service:", "container:")):
        yield f"{where} network_mode: {mode}: both would listen on the same ports", f"use a network, {_RECREATE}"
    if service.slipway.role == ROLES[0] or service.slipway.data:
        yield f"{where} the same data directory", _RECREATE.removeprefix("or ")


def _unwatched(service: Service, profile: Profile) -> Iterator[Refusal]:
    if service.health_disabled and profile.flag("REQUIRE_HEALTHCHECK"):
        yield (
            f"{_asks(service)}: its healthcheck is disabled, so it is unknown whether the new containers work",
            "give the service a healthcheck, or set REQUIRE_HEALTHCHECK=false",
        )


def _too_early(service: Service, profile: Profile, image: Image | None) -> Iterator[Refusal]:
    health, timeout = effective_health(service, image), health_timeout(service, profile, image)
    if health is None or not _decided(service, image) or health.first < timeout:
        return
    key = "start_interval" if health.start_period else "interval"
    whose = "" if service.health and service.health.first_is_said else f" (of {service.image})"
    origin = profile.values["HEALTH_TIMEOUT"].origin if is_fixed(profile) else "default"
    yield (
        f"services.{service.name}.healthcheck.{key}{whose}: the first check comes after "
        f"{show_duration(health.first)}, and HEALTH_TIMEOUT leaves {show_duration(timeout)} ({origin})",
        f"set HEALTH_TIMEOUT={round(health.last + 0.5)}s, leave it out, or give start_period and start_interval",
    )


def _proxies(stack: Stack, services: list[Service], files: Files) -> Iterator[Refusal]:
    """Yield what prevents a proxy from leading to the new containers of blue-green services."""
    if not services:
        return
    proxy = next((service for service in stack.services.values() if service.slipway.proxy.upstreams), None)
    if proxy is None or not proxy.replicas:
        for service in services:
            problem = (
                "no service says x-slipway.proxy" if proxy is None else f"the proxy {proxy.name} has no containers"
            )
            yield f"{_asks(service)}: {problem}", "describe the proxy there, or say rollout: start-first"
        return
    yield from _upstreams(proxy, services, files)
    yield from unread(proxy)
    for service in services:
        if service.name == proxy.name:
            yield f"{_asks(service)}: the proxy cannot lead to itself", "say rollout: recreate"
        elif not _reaches(proxy, service):
            yield (
                f"{_asks(service)}: the proxy {proxy.name} shares no network with it, "
                "so it cannot lead to its containers",
                "put both in one network",
            )


def _upstreams(proxy: Service, services: list[Service], files: Files) -> Iterator[Refusal]:
    directory = proxy.slipway.proxy.upstreams.rstrip("/")
    where = f"services.{proxy.name}.x-slipway.proxy.upstreams: {directory}"
    mount = _mount_above(proxy, directory)
    if mount is None:
        yield (
            f"{where}: neither a volume nor a bind mount, so what is written would be lost with the container",
            f'mount a volume: volumes: ["upstreams:{directory}"]',
        )
    elif mount.read_only:
        yield f"{where}: it is mounted read-only, and a rollout writes there", "mount it without ro"
    elif mount.kind == "bind":
        for service in services:
            speech = language(proxy.slipway.proxy.kind)
            path = _upstream_path(mount, directory, f"{service.name}{speech.suffix}")
            text, line = files.upstreams.get(path, ""), speech.pattern(service.name)
            if text is None:
                yield f"{where}: {path} does not exist", f"write it, with a line `{line}`"
            elif path in files.upstreams and not has_pattern(speech.told(text, service.name), service.name):
                yield (
                    f"{where}: {path} has no line `{line}`",
                    "add the line; it is the pattern for the lines of the containers",
                )


def upstream_paths(stack: Stack) -> tuple[str, ...]:
    """Return the paths of the upstream files that proxies read through bind mounts, on the engine's host."""
    paths = []
    for proxy in stack.services.values():
        directory = proxy.slipway.proxy.upstreams.rstrip("/")
        mount = _mount_above(proxy, directory) if directory else None
        if mount and mount.kind == "bind":
            rolled = [service for service in stack.services.values() if service.by_proxy]
            suffix = language(proxy.slipway.proxy.kind).suffix
            paths += [_upstream_path(mount, directory, f"{service.name}{suffix}") for service in rolled]
    return tuple(paths)


def _mount_above(service: Service, directory: str) -> MountPoint | None:
    """Return the innermost mount of a service that contains a directory of the container, None when there is none."""
    mounts = [mount for mount in service.mounts if _below(directory, mount.target)]
    return max(mounts, key=lambda mount: len(mount.target), default=None)


def _upstream_path(mount: MountPoint, directory: str, name: str) -> str:
    """Return the path, on the engine's host, of an upstream file in a bind-mounted directory."""
    source = posixpath.join(mount.source, posixpath.relpath(directory, mount.target))
    return posixpath.normpath(posixpath.join(source, name))


def _below(path: str, directory: str) -> bool:
    top = directory.rstrip("/")
    return path == top or path.startswith(f"{top}/")


def _reaches(proxy: Service, service: Service) -> bool:
    if any(side.network_mode not in ("", "default") for side in (proxy, service)):
        return False
    return not proxy.networks or not service.networks or bool(set(proxy.networks) & set(service.networks))


def _mounted(stack: Stack, service: Service, files: Files) -> Iterator[Refusal]:
    """Yield the mounted files of a service that do not exist, and entries of ``live`` that are no bind source."""
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
    sources = [mount.source for mount in service.mounts if mount.kind == "bind"]
    for live in service.slipway.live if files.directory else ():
        path = posixpath.normpath(posixpath.join(files.directory, live))
        if not any(_below(path, source) or _below(source, path) for source in sources):
            paths = [posixpath.relpath(source, files.directory) for source in sources]
            yield (
                f"services.{service.name}.x-slipway.live: {live} is no bind source of the service",
                suggest(live, [relative if relative.startswith("..") else f"./{relative}" for relative in paths]),
            )


def _looks_like_a_file(path: str, directory: str) -> bool:
    return bool(directory) and _below(path, directory) and "." in posixpath.basename(path).lstrip(".")


def mounted_paths(stack: Stack) -> tuple[str, ...]:
    """Return the paths that have to exist on the engine's host: bind sources, and the files of configs."""
    paths: Iterable[str] = (
        *(mount.source for service in stack.services.values() for mount in service.mounts if mount.kind == "bind"),
        *(
            stack.configs[name]
            for service in stack.services.values()
            for name in service.configs
            if name in stack.configs
        ),
    )
    return tuple(dict.fromkeys(path for path in paths if path))


def env_files(document: object) -> Iterator[tuple[str, str]]:
    """Yield each ``env_file`` of a Compose file that has to exist: the service and the path."""
    services = document.get("services") if isinstance(document, dict) else None
    for name, service in services.items() if isinstance(services, dict) else ():
        declared = service.get("env_file") if isinstance(service, dict) else None
        for entry in declared if isinstance(declared, list) else [declared]:
            options = entry if isinstance(entry, dict) else {"path": entry}
            path = None if options.get("required") in (False, "false") else options.get("path")
            if isinstance(path, str) and "$" not in path:
                yield str(name), path
