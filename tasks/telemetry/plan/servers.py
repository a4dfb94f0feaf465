"""The servers of a stack whose metrics an exporter has, as far as they can be known."""

from collections.abc import Mapping
from typing import Any

from ...model.errors import InputError
from ...model.stack.presets import images
from ...model.stack.presets.server import DATABASE, MARIADB
from ...model.stack.presets.server import MYSQL as MYSQL_PRESET
from ...model.stack.presets.server import POSTGRES as POSTGRES_PRESET
from ...model.stack.presets.server import REDIS as REDIS_PRESET
from ...model.stack.stack import Service, Stack, parse
from ...model.stack.telemetry.metrics import MYSQL, NO_EXPORTER, POSTGRES, REDIS, Metrics
from ...model.stack.telemetry.metrics import parse as parse_metrics

_OF_PRESET = {POSTGRES_PRESET: POSTGRES, MYSQL_PRESET: MYSQL, MARIADB: MYSQL, REDIS_PRESET: REDIS}


def with_known_servers(model: Mapping[str, Any]) -> Stack:
    """Return the stack of a Compose model in which databases of official images are known without ``x-slipway``.

    A service that says something itself, or whose database has no name, stays as it is.
    """
    services = dict(model.get("services") or {})
    for service in parse(model).services.values():
        kind = images.database(service) if not service.slipway.database else ""
        known = images.is_official(service) or kind == REDIS_PRESET
        if kind not in _OF_PRESET or not known or service.slipway.client:
            continue
        raw = {
            **services[service.name],
            "x-slipway": {DATABASE: kind, **(services[service.name].get("x-slipway") or {})},
        }
        try:
            parse({**model, "services": {service.name: raw}})
        except InputError:  # it does not say what the database is called: the exporter needs no preset then
            continue
        services[service.name] = raw
    return parse({**model, "services": services})


def exported(service: Service) -> Metrics | None:
    """Return how an exporter asks a service: as ``x-slipway.metrics`` says, else by its database; None for none."""
    if service.slipway.metrics:
        return service.slipway.metrics if service.slipway.metrics.exporter not in ("", NO_EXPORTER) else None
    kind = _OF_PRESET.get(service.slipway.database)
    return parse_metrics({"exporter": kind}, service.name) if kind else None


def metrics_of(service: Service) -> Metrics | None:
    """Return where the metrics of a service are: its own, or how an exporter asks it; None for nowhere."""
    own = service.slipway.metrics
    return own if own and own.port and not own.exporter else exported(service)
