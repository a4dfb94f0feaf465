"""The Compose model as typed data: what ``docker compose config`` says."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import InputError
from .units import parse_size

JOBS = ("migrate", "seed", "test")
GENERATORS = ("password", "self-signed-certificate")
_SERVICE_KEYS = (
    *("job", "role", "client", "data", "debug-target", "tester-target", "cover-target", "size-budget"),
    *("smoke", "rollout"),
)
_PROJECT_KEYS = ("secrets", "rootfs")


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
    """A port published on the host; ``published`` 0 means one that the engine chooses."""

    target: int
    published: int = 0
    host_ip: str = ""
    protocol: str = "tcp"


@dataclass(frozen=True)
class SlipwaySettings:
    """The ``x-slipway`` field of a service."""

    job: str = ""
    role: str = ""
    client: tuple[str, ...] = ()
    debug_target: str = "debug"
    size_budget: int = 0
    tester_target: str = "tester"
    cover_target: str = "cover"
    data: str = ""


@dataclass(frozen=True)
class Service:
    """One service of the model."""

    name: str
    image: str
    build: Build | None = None
    health_check: bool = False
    depends_on: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[Port, ...] = ()
    secrets: tuple[str, ...] = ()
    configs: tuple[str, ...] = ()
    replicas: int = 1
    restarts: bool = False
    slipway: SlipwaySettings = SlipwaySettings()

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

    def files(self, service: Service) -> dict[str, str]:
        """Return the files that Compose mounts into a service as secrets and configs, by what they are called."""
        secrets = {f"secret {name}": self.secrets[name].file for name in service.secrets if name in self.secrets}
        return secrets | {f"config {name}": self.configs[name] for name in service.configs if name in self.configs}

    def service(self, name: str) -> Service:
        """Return one service; raises InputError that names the nearest."""
        if name not in self.services:
            raise InputError(f"no service {name!r} in project {self.project}", _suggest(name, self.services))
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
        return bool(service.slipway.job) or any(
            other.depends_on.get(service.name) == "service_completed_successfully" for other in self.services.values()
        )


def _suggest(name: str, known: Iterable[str]) -> str:
    known = tuple(known)
    near = difflib.get_close_matches(name, known, n=1)
    listed = ", ".join(known) or "none"
    return f"did you mean {near[0]}? There are: {listed}" if near else f"there are: {listed}"


def _object(value: object, where: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InputError(f"{where}: expected a mapping, got {value!r}", "see the Compose file reference in the README")
    return value


def _known(found: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in found:
        if key not in known:
            raise InputError(f"{where}: unknown key {key!r}", _suggest(key, known))


def full_reference(image: str) -> str:
    """Return an image reference with its tag: ``latest`` when it has neither tag nor digest."""
    last = image.rpartition("/")[2]
    return image if ":" in last or "@" in last else f"{image}:latest"


def _settings(raw: object, where: str) -> SlipwaySettings:
    found = _object(raw, where)
    _known(found, _SERVICE_KEYS, where)
    job = found.get("job", "")
    if job and job not in JOBS:
        raise InputError(f"{where}.job: expected one of {', '.join(JOBS)}, got {job!r}", "correct the Compose file")
    client = found.get("client", [])
    if not isinstance(client, list) or not all(isinstance(word, str) for word in client):
        raise InputError(f"{where}.client: expected a list of words, got {client!r}", 'as in ["psql", "-U", "me"]')
    data = str(found.get("data", ""))
    if data and not data.startswith("/"):
        raise InputError(f"{where}.data: expected an absolute path, got {data!r}", "where the database keeps its files")
    budget = found.get("size-budget")
    return SlipwaySettings(
        job=job,
        role=str(found.get("role", "")),
        client=tuple(client),
        debug_target=str(found.get("debug-target", "debug")),
        tester_target=str(found.get("tester-target", "tester")),
        cover_target=str(found.get("cover-target", "cover")),
        data=data.rstrip("/"),
        size_budget=parse_size(str(budget), f"{where}.size-budget") if budget is not None else 0,
    )


def _build(raw: object) -> Build | None:
    if raw is None:
        return None
    found = dict(_object(raw, "build"))
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
        ports.append(
            Port(
                target=int(entry["target"]),
                # A range stays 0: the engine picks from it.
                published=int(published) if published.isdigit() else 0,
                host_ip=str(entry.get("host_ip", "")),
                protocol=str(entry.get("protocol", "tcp")),
            )
        )
    return tuple(ports)


def _service(name: str, raw: Mapping[str, Any], project: str) -> Service:
    deploy = raw.get("deploy") or {}
    health = raw.get("healthcheck") or {}
    replicas = deploy.get("replicas", raw.get("scale", 1))
    return Service(
        name=name,
        image=full_reference(str(raw.get("image") or f"{project}-{name}")),
        build=_build(raw.get("build")),
        health_check=bool(health) and not health.get("disable") and health.get("test") != ["NONE"],
        depends_on={other: entry.get("condition", "") for other, entry in (raw.get("depends_on") or {}).items()},
        ports=_ports(raw.get("ports")),
        secrets=tuple(entry["source"] for entry in raw.get("secrets") or []),
        configs=tuple(entry["source"] for entry in raw.get("configs") or []),
        replicas=int(replicas),
        restarts=str(raw.get("restart") or "no") != "no",
        slipway=_settings(raw.get("x-slipway"), f"services.{name}.x-slipway"),
    )


def _secret_files(model: Mapping[str, Any], declared: Mapping[str, Any]) -> dict[str, SecretFile]:
    files = {}
    for name, raw in (model.get("secrets") or {}).items():
        rule = _object(declared.get(name), f"x-slipway.secrets.{name}")
        _known(rule, ("generate", "key"), f"x-slipway.secrets.{name}")
        generate = rule.get("generate", "")
        if generate and generate not in GENERATORS:
            raise InputError(
                f"x-slipway.secrets.{name}.generate: unknown generator {generate!r}", _suggest(generate, GENERATORS)
            )
        if raw.get("file"):
            files[name] = SecretFile(name, raw["file"], generate, str(rule.get("key", "")))
    return files


def _rootfs(raw: object) -> Rootfs | None:
    found = _object(raw, "x-slipway.rootfs")
    if not found:
        return None
    _known(found, ("suite", "file", "include"), "x-slipway.rootfs")
    if not found.get("suite") or not found.get("file"):
        raise InputError("x-slipway.rootfs: needs suite and file", "for example {suite: trixie, file: rootfs.tar}")
    return Rootfs(str(found["suite"]), str(found["file"]), tuple(found.get("include", [])))


def _plain(value: Any) -> Any:
    """Return a part of the model with Compose's ``$$`` as the one dollar that it stands for."""
    if isinstance(value, str):
        return value.replace("$$", "$")
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list) else value


def parse(model: Mapping[str, Any]) -> Stack:
    """Return the Stack of a Compose model; raises InputError for an ``x-slipway`` field that is not understood."""
    model = _plain(model)
    project = str(model.get("name", ""))
    declared = _object(model.get("x-slipway"), "x-slipway")
    _known(declared, _PROJECT_KEYS, "x-slipway")
    services = {name: _service(name, raw, project) for name, raw in (model.get("services") or {}).items()}
    secrets = _secret_files(model, _object(declared.get("secrets"), "x-slipway.secrets"))
    raw = model.get("secrets") or {}
    variables = {name: one["environment"] for name, one in raw.items() if one.get("environment")}
    configs = {name: one["file"] for name, one in (model.get("configs") or {}).items() if one.get("file")}
    return Stack(project, services, secrets, variables, _rootfs(declared.get("rootfs")), configs)
