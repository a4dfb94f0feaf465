"""The Compose model as typed data: what ``docker compose config`` says."""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .attachments import FixedAddress, MountPoint, parse_addresses, parse_mounts
from .errors import InputError
from .extension import (
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
    settling,
    suggest,
    update_policy,
)
from .readiness import Health, parse_health

_PROJECT_KEYS = ("secrets", "rootfs", "accept")


@dataclass(frozen=True)
class Build:
    """How a service's image is built, with Compose's paths resolved.

    ``extra`` holds every other key of the Compose ``build`` section, as Compose prints it.
    """

    context: str
    dockerfile: str = "Dockerfile"
    target: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)
    contexts: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Port:
    """A port published on the host; ``published`` 0 means one that the engine chooses.

    ``span`` is what it chooses from where the Compose file says a range: the first and the last port.
    """

    target: int
    published: int = 0
    host_ip: str = ""
    protocol: str = "tcp"
    span: tuple[int, int] | None = None

    @property
    def choice(self) -> tuple[int, int] | None:
        """The first and the last port of the host that it may be; None for any."""
        return self.span or ((self.published, self.published) if self.published else None)

    def __str__(self) -> str:
        first, last = self.choice or (0, 0)
        shown = f"{first}-{last}" if last > first else str(first)
        host = f"[{self.host_ip}]" if ":" in self.host_ip else self.host_ip
        return f"{host}:{shown}" if host else shown


@dataclass(frozen=True)
class Service:
    """One service of the model; ``volumes`` and ``networks`` are what the engine calls them, ``binds`` host paths.

    ``health_disabled``: not even the health check of the image counts. ``shares`` are the services whose namespaces or
    volumes it uses (``network_mode: service:x``), ``restarts_with`` those after whose restart it is to be restarted,
    ``listens`` the ports that it exposes or publishes.
    ``settle`` is how long, in seconds, a new container is looked at before it counts as one that stays; None:
    as long as the profile says.
    ``network_mode``, ``pid``, ``ipc`` are as in the Compose file.
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
    addresses: tuple[FixedAddress, ...] = ()
    mounts: tuple[MountPoint, ...] = ()

    @property
    def rollout(self) -> str:
        """How new containers take over: ``x-slipway.rollout``, else what ``update_config.order`` asks for."""
        return self.slipway.rollout or (START_FIRST if self.update.order == START_FIRST else RECREATE)

    def recipe(self) -> Build:
        """Return how the image is built; raises InputError when the service has no ``build`` section."""
        if self.build is None:
            raise InputError(f"service {self.name} has no build section", "name a service that is built")
        return self.build


@dataclass(frozen=True)
class SecretFile:
    """A Compose secret read from a file, and how a missing one may be made."""

    name: str
    file: str
    generate: str = ""
    key: str = ""


@dataclass(frozen=True)
class Rootfs:
    """The root file system that the stand-in base images start from."""

    suite: str
    file: str
    include: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stack:
    """A Compose project: its name, its services in the model's order, its secrets from files and from variables."""

    project: str
    services: Mapping[str, Service]
    secrets: Mapping[str, SecretFile] = field(default_factory=dict)
    secret_variables: Mapping[str, str] = field(default_factory=dict)
    rootfs: Rootfs | None = None
    configs: Mapping[str, str] = field(default_factory=dict)
    accept: Mapping[str, str] = field(default_factory=dict)

    def accepts(self) -> dict[str, Mapping[str, str]]:
        """Return what the hardening report is to accept, by service; "" is all of them."""
        return {"": self.accept} | {name: one.slipway.accept for name, one in self.services.items()}

    def files(self, service: Service) -> dict[str, str]:
        """Return the files that Compose mounts into a service as secrets and configs, by what they are called."""
        secrets = {f"secret {name}": self.secrets[name].file for name in service.secrets if name in self.secrets}
        return secrets | {f"config {name}": self.configs[name] for name in service.configs if name in self.configs}

    def service(self, name: str) -> Service:
        """Return one service; raises InputError that names the nearest."""
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
        """Return the one-off service that ``x-slipway.job`` declares as ``migrate`` or ``seed``."""
        for service in self.services.values():
            if service.slipway.job == kind:
                return service
        raise InputError(
            f"no service of project {self.project} says x-slipway.job: {kind}",
            f"add `x-slipway: {{job: {kind}}}` to the service that does it, or choose an environment that has one",
        )

    def test_services(self) -> tuple[Service, ...]:
        """Return the services that say ``x-slipway.job: test``."""
        return tuple(one for one in self.services.values() if one.slipway.job == JOBS[2])

    def role(self, role: str) -> Service:
        """Return the service that ``x-slipway.role`` declares."""
        for service in self.services.values():
            if service.slipway.role == role:
                return service
        raise InputError(
            f"no service of project {self.project} says x-slipway.role: {role}",
            f"add `x-slipway: {{role: {role}}}` to the service in the Compose file",
        )

    def one_off(self, service: Service) -> bool:
        """Whether a service is one that ends: a declared job, or one that another waits for to complete."""
        return bool(service.slipway.job) or service.name in self._awaited

    @functools.cached_property
    def _awaited(self) -> frozenset[str]:
        """The services that others wait for to complete, gathered once: this is asked for each service many times."""
        return frozenset(
            name
            for one in self.services.values()
            for name, condition in one.depends_on.items()
            if condition == "service_completed_successfully"
        )


def full_reference(image: str) -> str:
    """Return an image reference with its tag: ``latest`` when it has neither tag nor digest."""
    last = image.rpartition("/")[2]
    return image if ":" in last or "@" in last else f"{image}:latest"


def _build(raw: object, platform: str) -> Build | None:
    if raw is None:
        return None
    found = dict(mapping(raw, "build"))
    if platform:
        # Compose builds for the platform that the service runs on, if it says one.
        found["platforms"] = [platform]
    return Build(
        context=str(found.pop("context", "")),
        dockerfile=str(found.pop("dockerfile", "Dockerfile")),
        target=str(found.pop("target", "")),
        arguments={name: value for name, value in (found.pop("args", None) or {}).items() if value is not None},
        contexts=found.pop("additional_contexts", None) or {},
        extra=found,
    )


def _ports(raw: object) -> tuple[Port, ...]:
    ports = []
    for entry in raw if isinstance(raw, list) else []:
        published = str(entry.get("published", "0"))
        first, _, last = published.partition("-")
        ports.append(
            Port(
                target=int(entry["target"]),
                # A range stays 0: the engine picks from it.
                published=int(published) if published.isdigit() else 0,
                host_ip=str(entry.get("host_ip", "")),
                protocol=str(entry.get("protocol", "tcp")),
                span=(int(first), int(last)) if first.isdigit() and last.isdigit() else None,
            )
        )
    return tuple(ports)


def _named(names: Iterable[str], declared: object) -> tuple[str, ...]:
    """Return what the engine calls the volumes or networks that a service uses."""
    known = mapping(declared, "volumes, networks")
    return tuple(str((known.get(name) or {}).get("name") or name) for name in names)


def _listens(raw: Mapping[str, Any]) -> tuple[int, ...]:
    exposed = [int(text) for one in raw.get("expose") or () if (text := str(one).partition("/")[0]).isdigit()]
    return tuple(dict.fromkeys([*exposed, *(port.target for port in _ports(raw.get("ports")))]))


def _shares(raw: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the services whose namespaces or volumes a service uses."""
    modes = [str(raw.get(key) or "") for key in ("network_mode", "ipc", "pid")]
    found = [mode.removeprefix("service:") for mode in modes if mode.startswith("service:")]
    found += [one.partition(":")[0] for one in raw.get("volumes_from") or () if not one.startswith("container:")]
    return tuple(dict.fromkeys(found))


def _service(name: str, raw: Mapping[str, Any], model: Mapping[str, Any]) -> Service:
    deploy = raw.get("deploy") or {}
    health = raw.get("healthcheck") or {}
    disabled = bool(health.get("disable")) or health.get("test") in (["NONE"], "NONE")
    replicas = deploy.get("replicas", raw.get("scale", 1))
    update = mapping(deploy.get("update_config"), f"services.{name}.deploy.update_config")
    own = settings(raw.get("x-slipway"), f"services.{name}.x-slipway", name)
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
        volumes=_named(
            (one["source"] for one in raw.get("volumes") or [] if one["type"] == "volume" and one.get("source")),
            model.get("volumes"),
        ),
        networks=_named(raw.get("networks") or (), model.get("networks")),
        binds=tuple(str(one["source"]) for one in raw.get("volumes") or [] if one["type"] == "bind"),
        replicas=int(replicas),
        pull_policy=str(raw.get("pull_policy") or ""),
        restarts=str(raw.get("restart") or "no") != "no",
        slipway=own,
        container_name=str(raw.get("container_name") or ""),
        shares=_shares(raw),
        listens=_listens(raw),
        restarts_with=tuple(other for other, one in (raw.get("depends_on") or {}).items() if one.get("restart")),
        update=update_policy(update),
        settle=settling(own, update),
        health=parse_health(health, f"services.{name}.healthcheck") if health and not disabled else None,
        **{key: str(raw.get(key) or "") for key in ("network_mode", "pid", "ipc")},
        addresses=parse_addresses(raw, model.get("networks")),
        mounts=parse_mounts(raw),
    )


def _secret_files(model: Mapping[str, Any], declared: Mapping[str, Any]) -> dict[str, SecretFile]:
    files = {}
    known_keys(declared, tuple(model.get("secrets") or {}), "x-slipway.secrets")
    for name, raw in (model.get("secrets") or {}).items():
        rule = mapping(declared.get(name), f"x-slipway.secrets.{name}")
        known_keys(rule, ("generate", "key"), f"x-slipway.secrets.{name}")
        generate = rule.get("generate", "")
        if generate and generate not in GENERATORS:
            raise InputError(
                f"x-slipway.secrets.{name}.generate: unknown generator {generate!r}", suggest(generate, GENERATORS)
            )
        if raw.get("file"):
            files[name] = SecretFile(name, raw["file"], generate, str(rule.get("key", "")))
    return files


def _rootfs(raw: object) -> Rootfs | None:
    found = mapping(raw, "x-slipway.rootfs")
    if not found:
        return None
    known_keys(found, ("suite", "file", "include"), "x-slipway.rootfs")
    if not found.get("suite") or not found.get("file"):
        raise InputError("x-slipway.rootfs: needs suite and file", "for example {suite: trixie, file: rootfs.tar}")
    return Rootfs(str(found["suite"]), str(found["file"]), tuple(found.get("include", [])))


def plain(value: Any) -> Any:
    """Return a part of the model with Compose's ``$$`` as the one dollar that it stands for."""
    if isinstance(value, str):
        return value.replace("$$", "$")
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list) else value


def parse(model: Mapping[str, Any]) -> Stack:
    """Return the Stack of a Compose model; raises InputError for an ``x-slipway`` field that is not understood."""
    model = plain(model)
    project = str(model.get("name", ""))
    declared = mapping(model.get("x-slipway"), "x-slipway")
    known_keys(declared, _PROJECT_KEYS, "x-slipway")
    services = {name: _service(name, raw, model) for name, raw in (model.get("services") or {}).items()}
    secrets = _secret_files(model, mapping(declared.get("secrets"), "x-slipway.secrets"))
    raw = model.get("secrets") or {}
    variables = {name: one["environment"] for name, one in raw.items() if one.get("environment")}
    configs = {name: one["file"] for name, one in (model.get("configs") or {}).items() if one.get("file")}
    accept = accepted(declared.get("accept"), "x-slipway.accept")
    return Stack(project, services, secrets, variables, _rootfs(declared.get("rootfs")), configs, accept)
