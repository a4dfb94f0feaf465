"""The Compose model as typed data, parsed from ``docker compose config``."""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Any

from ..errors import InputError
from ..record import Record
from ..units import parse_duration
from .attachments import FixedAddress, MountPoint, parse_addresses, parse_mounts
from .extension import (
    BLUE_GREEN,
    CANARY,
    GENERATORS,
    JOBS,
    RECREATE,
    START_FIRST,
    SlipwaySettings,
    UpdatePolicy,
    accepted,
    known_keys,
    mapping,
    settings,
    settle_seconds,
    suggest,
    update_policy,
)
from .extension_keys import PROJECT, keys
from .health import Health, parse_health
from .telemetry.slo import parse_files

_PROJECT_KEYS = keys(PROJECT)
STOP_GRACE_PERIOD = 10.0
"""Seconds that a container has to stop, when the Compose file says nothing, before it is killed."""


class Build(Record):
    """How a service's image is built, with Compose's paths resolved.

    ``extra`` holds every other key of the Compose ``build`` section, as Compose prints it.
    """

    context: str
    dockerfile: str = "Dockerfile"
    target: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)
    contexts: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)


class Port(Record):
    """A port published on the host; ``published`` 0 means that the engine chooses.

    ``span`` is the range to choose from, the first and the last port, where the Compose file has one.
    """

    target: int
    published: int = 0
    host_ip: str = ""
    protocol: str = "tcp"
    span: tuple[int, int] | None = None

    @property
    def choice(self) -> tuple[int, int] | None:
        """The first and the last port of the host to choose from; None for any."""
        return self.span or ((self.published, self.published) if self.published else None)

    def __str__(self) -> str:
        first, last = self.choice or (0, 0)
        shown = f"{first}-{last}" if last > first else str(first)
        host = f"[{self.host_ip}]" if ":" in self.host_ip else self.host_ip
        return f"{host}:{shown}" if host else shown


class Service(Record):
    """A service of the model; ``volumes`` and ``networks`` are the names on the engine, ``binds`` are host paths.

    ``health_disabled``: the health check of the image is disabled too. ``shares`` are the services whose namespaces or
    volumes it uses (``network_mode: service:x``), ``restarts_with`` those whose restart restarts it as well,
    ``listens`` the ports that it exposes or publishes, ``command`` the words that start it, as far as the Compose file
    has them. ``settle`` is how long, in seconds, a new container has to run before it counts as started; None: SETTLE
    of the profile. ``network_mode``, ``pid``, ``ipc``, ``stop_signal`` are as in the Compose file, as is
    ``stop_grace_period`` in seconds.
    """

    name: str
    image: str
    build: Build | None = None
    health_check: bool = False
    health_disabled: bool = False
    depends_on: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[Port, ...] = ()
    secrets: tuple[str, ...] = ()
    configs: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    binds: tuple[str, ...] = ()
    replicas: int = 1
    pull_policy: str = ""
    restarts: bool = False
    slipway: SlipwaySettings = field(default_factory=SlipwaySettings)
    container_name: str = ""
    update: UpdatePolicy = field(default_factory=UpdatePolicy)
    shares: tuple[str, ...] = ()
    restarts_with: tuple[str, ...] = ()
    listens: tuple[int, ...] = ()
    settle: float | None = None
    health: Health | None = None
    network_mode: str = ""
    pid: str = ""
    ipc: str = ""
    stop_signal: str = ""
    stop_grace_period: float = STOP_GRACE_PERIOD
    addresses: tuple[FixedAddress, ...] = ()
    mounts: tuple[MountPoint, ...] = ()
    command: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def rollout(self) -> str:
        """How new containers replace old ones: ``x-slipway.rollout``, else by ``update_config.order``."""
        return self.slipway.rollout or (START_FIRST if self.update.order == START_FIRST else RECREATE)

    @property
    def by_proxy(self) -> bool:
        """Whether a proxy has to lead to its new containers: by them alone clients would not find the way."""
        return self.rollout in (BLUE_GREEN, CANARY)

    @property
    def joins(self) -> tuple[str, ...]:
        """The services whose namespaces it uses (``network_mode``, ``ipc``, ``pid: service:x``)."""
        return _joined(self.network_mode, self.ipc, self.pid)

    def recipe(self) -> Build:
        """Return how the image is built; raises InputError when the service has no ``build`` section."""
        if self.build is None:
            raise InputError(f"service {self.name} has no build section", "name a service that is built")
        return self.build


class SecretFile(Record):
    """A Compose secret that is read from a file, and how ``setup`` generates a missing file."""

    name: str
    file: str
    generate: str = ""
    key: str = ""


class Rootfs(Record):
    """The root file system that the stand-in base images start from."""

    suite: str
    file: str
    include: tuple[str, ...] = ()


class Stack(Record):
    """A Compose project: its name, its services in the model's order, its secrets from files and from variables."""

    project: str
    services: Mapping[str, Service]
    secrets: Mapping[str, SecretFile] = field(default_factory=dict)
    secret_variables: Mapping[str, str] = field(default_factory=dict)
    rootfs: Rootfs | None = None
    configs: Mapping[str, str] = field(default_factory=dict)
    accept: Mapping[str, str] = field(default_factory=dict)
    openslo: tuple[str, ...] = ()

    def accepts(self) -> dict[str, Mapping[str, str]]:
        """Return the accepted items of the hardening report with their reasons, by service; "" is for all services."""
        return {"": self.accept} | {name: service.slipway.accept for name, service in self.services.items()}

    def files(self, service: Service) -> dict[str, str]:
        """Return the files that Compose mounts into a service as secrets and configs: ``secret NAME`` → path."""
        secrets = {f"secret {name}": self.secrets[name].file for name in service.secrets if name in self.secrets}
        return secrets | {f"config {name}": self.configs[name] for name in service.configs if name in self.configs}

    def service(self, name: str) -> Service:
        """Return a service by name; raises InputError that suggests the nearest name."""
        if name not in self.services:
            raise InputError(f"no service {name!r} in project {self.project}", suggest(name, self.services))
        return self.services[name]

    def select(self, names: Iterable[str]) -> tuple[Service, ...]:
        """Return the named services, all when no name is given."""
        chosen = tuple(dict.fromkeys(names))
        return tuple(self.service(name) for name in chosen) if chosen else tuple(self.services.values())

    def built(self, names: Iterable[str] = ()) -> tuple[Service, ...]:
        """Return the selected services that have a ``build`` section.

        Raises InputError when a service asked for by name has none.
        """
        named = tuple(names)
        chosen = self.select(named)
        for service in chosen if named else ():
            service.recipe()
        return tuple(service for service in chosen if service.build is not None)

    def job(self, kind: str) -> Service:
        """Return the service with ``x-slipway.job: KIND`` (``migrate`` or ``seed``); raises InputError without one."""
        for service in self.services.values():
            if service.slipway.job == kind:
                return service
        raise InputError(
            f"no service of project {self.project} says x-slipway.job: {kind}",
            f"add `x-slipway: {{job: {kind}}}` to the service that does it, or choose an environment that has one",
        )

    def test_services(self) -> tuple[Service, ...]:
        """Return the services that say ``x-slipway.job: test``."""
        return tuple(service for service in self.services.values() if service.slipway.job == JOBS[2])

    def role(self, role: str) -> Service:
        """Return the service with ``x-slipway.role: ROLE``; raises InputError without one."""
        for service in self.services.values():
            if service.slipway.role == role:
                return service
        raise InputError(
            f"no service of project {self.project} says x-slipway.role: {role}",
            f"add `x-slipway: {{role: {role}}}` to the service in the Compose file",
        )

    def one_off(self, service: Service) -> bool:
        """Whether a service is meant to end: a declared job, or a service whose completion another waits for."""
        return bool(service.slipway.job) or service.name in self._awaited

    @functools.cached_property
    def _awaited(self) -> frozenset[str]:
        """The services whose completion others wait for; cached, as ``one_off`` is called often."""
        return frozenset(
            name
            for service in self.services.values()
            for name, condition in service.depends_on.items()
            if condition == "service_completed_successfully"
        )


def full_reference(image: str) -> str:
    """Return an image reference with its tag: ``latest`` when it has neither tag nor digest."""
    last = image.rpartition("/")[2]
    return image if ":" in last or "@" in last else f"{image}:latest"


def _build(raw: object, platform: str) -> Build | None:
    if raw is None:
        return None
    section = dict(mapping(raw, "build"))
    if platform:
        # Compose builds for the platform of the service, if it sets one.
        section["platforms"] = [platform]
    return Build(
        context=str(section.pop("context", "")),
        dockerfile=str(section.pop("dockerfile", "Dockerfile")),
        target=str(section.pop("target", "")),
        arguments={name: value for name, value in (section.pop("args", None) or {}).items() if value is not None},
        contexts=section.pop("additional_contexts", None) or {},
        extra=section,
    )


def _ports(raw: object) -> tuple[Port, ...]:
    ports = []
    for entry in raw if isinstance(raw, list) else []:
        published = str(entry.get("published", "0"))
        first, _, last = published.partition("-")
        ports.append(
            Port(
                target=int(entry["target"]),
                # A range is 0: the engine chooses from it.
                published=int(published) if published.isdigit() else 0,
                host_ip=str(entry.get("host_ip", "")),
                protocol=str(entry.get("protocol", "tcp")),
                span=(int(first), int(last)) if first.isdigit() and last.isdigit() else None,
            )
        )
    return tuple(ports)


def _named(names: Iterable[str], declared: object) -> tuple[str, ...]:
    """Return the engine's names of the volumes or networks that a service uses."""
    known = mapping(declared, "volumes, networks")
    return tuple(str((known.get(name) or {}).get("name") or name) for name in names)


def _listens(raw: Mapping[str, Any]) -> tuple[int, ...]:
    exposed = [int(text) for entry in raw.get("expose") or () if (text := str(entry).partition("/")[0]).isdigit()]
    return tuple(dict.fromkeys([*exposed, *(port.target for port in _ports(raw.get("ports")))]))


def _shares(raw: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the services whose namespaces or volumes a service uses."""
    sources = [entry for entry in raw.get("volumes_from") or () if not entry.startswith("container:")]
    modes = (str(raw.get(key) or "") for key in ("network_mode", "ipc", "pid"))
    return tuple(dict.fromkeys((*_joined(*modes), *(entry.partition(":")[0] for entry in sources))))


def _joined(*modes: str) -> tuple[str, ...]:
    names = (mode.removeprefix("service:") for mode in modes if mode.startswith("service:"))
    return tuple(dict.fromkeys(names))


def _grace(raw: Mapping[str, Any], name: str) -> float:
    said = raw.get("stop_grace_period")
    return parse_duration(str(said), f"services.{name}.stop_grace_period") if said else STOP_GRACE_PERIOD


def _service(name: str, raw: Mapping[str, Any], model: Mapping[str, Any]) -> Service:
    deploy = raw.get("deploy") or {}
    health = raw.get("healthcheck") or {}
    disabled = bool(health.get("disable")) or health.get("test") in (["NONE"], "NONE")
    volumes = [entry for entry in raw.get("volumes") or [] if entry.get("source")]
    update = mapping(deploy.get("update_config"), f"services.{name}.deploy.update_config")
    own = settings(raw.get("x-slipway"), f"services.{name}.x-slipway", name, raw)
    return Service(
        name=name,
        image=full_reference(str(raw.get("image") or f"{model.get('name', '')}-{name}")),
        build=_build(raw.get("build"), str(raw.get("platform") or "")),
        health_check=bool(health) and not disabled,
        health_disabled=disabled,
        depends_on={other: entry.get("condition", "") for other, entry in (raw.get("depends_on") or {}).items()},
        ports=_ports(raw.get("ports")),
        secrets=tuple(entry["source"] for entry in raw.get("secrets") or []),
        configs=tuple(entry["source"] for entry in raw.get("configs") or []),
        volumes=_named((entry["source"] for entry in volumes if entry["type"] == "volume"), model.get("volumes")),
        networks=_named(raw.get("networks") or (), model.get("networks")),
        binds=tuple(str(entry["source"]) for entry in volumes if entry["type"] == "bind"),
        replicas=int(deploy.get("replicas", raw.get("scale", 1))),
        pull_policy=str(raw.get("pull_policy") or ""),
        restarts=str(raw.get("restart") or "no") != "no",
        slipway=own,
        container_name=str(raw.get("container_name") or ""),
        shares=_shares(raw),
        listens=_listens(raw),
        restarts_with=tuple(other for other, entry in (raw.get("depends_on") or {}).items() if entry.get("restart")),
        update=update_policy(update),
        settle=settle_seconds(own, update),
        health=parse_health(health, f"services.{name}.healthcheck") if health and not disabled else None,
        **{key: str(raw.get(key) or "") for key in ("network_mode", "pid", "ipc", "stop_signal")},
        stop_grace_period=_grace(raw, name),
        addresses=parse_addresses(raw, model.get("networks")),
        mounts=parse_mounts(raw),
        command=tuple(str(word) for key in ("entrypoint", "command") for word in raw.get(key) or ()),
        labels={name: str(value) for name, value in mapping(raw.get("labels"), f"services.{name}.labels").items()},
    )


def _secret_files(model: Mapping[str, Any], declared: Mapping[str, Any]) -> dict[str, SecretFile]:
    files = {}
    known_keys(declared, tuple(model.get("secrets") or {}), "x-slipway.secrets")
    for name, raw in (model.get("secrets") or {}).items():
        rule = mapping(declared.get(name), f"x-slipway.secrets.{name}")
        known_keys(rule, keys(PROJECT, "secrets.NAME."), f"x-slipway.secrets.{name}")
        generate = rule.get("generate", "")
        if generate and generate not in GENERATORS:
            raise InputError(
                f"x-slipway.secrets.{name}.generate: unknown generator {generate!r}", suggest(generate, GENERATORS)
            )
        if raw.get("file"):
            files[name] = SecretFile(name, raw["file"], generate, str(rule.get("key", "")))
    return files


def _rootfs(raw: object) -> Rootfs | None:
    fields = mapping(raw, "x-slipway.rootfs")
    if not fields:
        return None
    known_keys(fields, keys(PROJECT, "rootfs."), "x-slipway.rootfs")
    if not fields.get("suite") or not fields.get("file"):
        raise InputError("x-slipway.rootfs: needs suite and file", "for example {suite: trixie, file: rootfs.tar}")
    return Rootfs(str(fields["suite"]), str(fields["file"]), tuple(fields.get("include", [])))


def unescaped(value: Any) -> Any:
    """Return a part of the model with Compose's escape ``$$`` replaced by ``$``."""
    if isinstance(value, str):
        return value.replace("$$", "$") if "$" in value else value
    if isinstance(value, dict):
        return {key: unescaped(item) for key, item in value.items()}
    return [unescaped(item) for item in value] if isinstance(value, list) else value


def parse(model: Mapping[str, Any]) -> Stack:
    """Return the Stack of a Compose model; raises InputError for an ``x-slipway`` field that is not valid."""
    model = unescaped(model)
    project = str(model.get("name", ""))
    declared = mapping(model.get("x-slipway"), "x-slipway")
    known_keys(declared, _PROJECT_KEYS, "x-slipway")
    services = {name: _service(name, raw, model) for name, raw in (model.get("services") or {}).items()}
    secrets = _secret_files(model, mapping(declared.get("secrets"), "x-slipway.secrets"))
    raw = model.get("secrets") or {}
    variables = {name: entry["environment"] for name, entry in raw.items() if entry.get("environment")}
    configs = {name: entry["file"] for name, entry in (model.get("configs") or {}).items() if entry.get("file")}
    accept = accepted(declared.get("accept"), "x-slipway.accept")
    openslo = parse_files(declared.get("openslo"), "x-slipway.openslo")
    return Stack(project, services, secrets, variables, _rootfs(declared.get("rootfs")), configs, accept, openslo)
