"""The Compose model of the monitoring of a stack, made from its Compose file as Compose prints it."""

from collections.abc import Iterable, Mapping
from typing import Any

from ...model.engine.facts import JOINS_LABEL, MONITORS_LABEL
from ...model.errors import InputError, RefusedError
from ...model.profile.profile import Profile
from ...model.record import Record
from .exporters import Exporter
from .targets import Watched, joined

GRAFANA = "grafana"
SECRETS = "/run/secrets"
_SOCKET = "/var/run/docker.sock"
ALWAYS = (
    *("prometheus", "alertmanager", "jaeger", "node-exporter", "blackbox-exporter"),
    *("engine-proxy", "container-exporter"),
)
"""The services that start for every stack."""
WEBHOOK, GRAFANA_PASSWORD = "alert_webhook", "grafana_password"
# What the Compose file interpolates of the profile, and the default of each.
_SETTINGS = (
    *("MONITOR_INTERVAL", "MONITOR_RETENTION", "MONITOR_RETENTION_SIZE", "TRACES_SAMPLE_RATIO"),
    *("PROMETHEUS_PORT", "ALERTMANAGER_PORT", "JAEGER_PORT", "GRAFANA_PORT"),
)


class SecretVolume(Record):
    """A volume with the secrets of a service; ``files`` has the name of each secret by the name of its file."""

    service: str
    name: str
    files: Mapping[str, str]


def variables(
    profile: Profile, seen: Watched, generated: str, notifies: bool, group: Iterable[Exporter], engine: str = ""
) -> dict[str, str]:
    """Return what the Compose file of the monitoring interpolates.

    ``generated`` is the directory of its build context, ``notifies``: alerts are sent somewhere. ``engine`` is the
    address of the engine.
    """
    values = {key: profile.text(key) for key in _SETTINGS}
    values |= {
        "MONITORED_PROJECT": seen.project,
        "MONITORING_GENERATED": generated,
        "MONITORING_SECRETS_DIR": SECRETS,  # not read: the secrets are in volumes of the engine
        "COMPOSE_PROFILES": "*",
        "ENGINE_SOCKET": engine_socket(engine),
        "MONITOR_RECEIVER": "webhook" if notifies else "none",
    }
    for exporter in group:
        values |= exporter.variables
    return values


def engine_socket(address: str) -> str:
    """Return the engine's socket on its own host: of an engine without root it is in the directory of its user.

    Docker Desktop has another one on the machine of the user, and the usual one where containers run.
    """
    path = "/" + address.removeprefix("unix://").removeprefix("ssh://").partition("/")[2]
    return path if path.startswith("/run/user/") else _SOCKET


def composition(
    seen: Watched, models: Iterable[tuple[Mapping[str, Any], tuple[Exporter, ...]]], dashboards: bool
) -> tuple[dict[str, Any], tuple[SecretVolume, ...]]:
    """Return the model that is started, and the volumes of its secrets.

    It has the services of the file, with the networks of the stack and labels of ours.

    ``models`` is the file as Compose prints it for each group of exporters (see ``exporters.rounds``), with the group.
    ``dashboards``: Grafana, too. Secrets become volumes of the engine, which a remote one has as well.
    """
    (first, group), *others = models
    services = {name: _plain(raw) for name, raw in first["services"].items() if not raw.get("profiles")}
    for model, exporters in ((first, group), *others):
        for exporter in exporters:
            services[exporter.name] = _plain(_service(model, exporter))
    if dashboards and GRAFANA in first["services"]:
        services[GRAFANA] = _plain(first["services"][GRAFANA])
    networks, volumes = dict(first.get("networks") or {}), dict(first.get("volumes") or {})
    for name, joining in joined(seen).items():
        if name in services:
            attached = {**(services[name].get("networks") or {}), **dict.fromkeys(joining)}
            labels = {**(services[name].get("labels") or {}), JOINS_LABEL: " ".join(joining)}
            services[name] = {**services[name], "networks": attached, "labels": labels}
            networks |= {network: {"name": network, "external": True} for network in joining}
    _refuse_shared_names(seen, services, joined(seen))
    result: dict[str, Any] = {**first, "services": services, "networks": networks}
    secrets = _secret_volumes(services)
    for secret in secrets:
        volume = {"type": "volume", "source": secret.name, "target": SECRETS, "read_only": True}
        raw = {key: value for key, value in services[secret.service].items() if key != "secrets"}
        services[secret.service] = {**raw, "volumes": [*(raw.get("volumes") or ()), volume]}
        volumes[secret.name] = {"name": f"{first['name']}_{secret.name}", "external": True}
    labels = {MONITORS_LABEL: seen.project}
    result["services"] = {name: _labelled(raw, labels) for name, raw in services.items()}
    used = {str(mount.get("source")) for raw in services.values() for mount in raw.get("volumes") or ()}
    result["volumes"] = {
        name: raw if (raw or {}).get("external") else _labelled(raw or {}, labels)
        for name, raw in volumes.items()
        if name in used
    }
    result.pop("secrets", None)
    return result, secrets


def _secret_volumes(services: Mapping[str, Mapping[str, Any]]) -> tuple[SecretVolume, ...]:
    return tuple(
        SecretVolume(name, f"secrets-{name}", {_file(entry): str(entry["source"]) for entry in raw["secrets"]})
        for name, raw in services.items()
        if raw.get("secrets")
    )


def _file(entry: Mapping[str, Any]) -> str:
    return str(entry.get("target") or entry["source"]).removeprefix(f"{SECRETS}/")


def _service(model: Mapping[str, Any], exporter: Exporter) -> Mapping[str, Any]:
    raw: Mapping[str, Any] | None = model["services"].get(exporter.base)
    if raw is None:
        raise InputError(
            f"the Compose file of the monitoring has no service {exporter.base}, for {exporter.service}",
            "add it, or say x-slipway: {metrics: {exporter: none}} at that service",
        )
    return raw


def _plain(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return a service as it is started: it belongs to no profile any more."""
    return {key: value for key, value in raw.items() if key != "profiles"}


def _labelled(raw: Mapping[str, Any], labels: Mapping[str, str]) -> dict[str, Any]:
    return {**raw, "labels": {**(raw.get("labels") or {}), **labels}}


def _refuse_shared_names(seen: Watched, services: Iterable[str], joining: Mapping[str, Iterable[str]]) -> None:
    """Raise RefusedError where a service of the stack has the name of one of the monitoring in the same network.

    Both would answer to it in turn.
    """
    entered = {network for networks in joining.values() for network in networks}
    for name in services:
        if name in seen.stack.services and entered & set(seen.stack.services[name].networks):
            raise RefusedError(
                f"the stack has a service {name}, as the monitoring has: in a shared network both get its requests",
                f"give {name} another name, or write a Compose file for the monitoring (MONITORING_FILE)",
            )
