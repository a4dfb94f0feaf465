"""The exporters that a stack needs, for its servers that have no metrics themselves, and how they reach these."""

from collections.abc import Iterable, Mapping

from ...model.record import Record
from ...model.stack.stack import Service, Stack
from ...model.stack.telemetry.metrics import KINDS, MYSQL, NGINX, POSTGRES, REDIS, Metrics
from ...telemetry.plan.servers import exported

USER = "monitoring"
"""The user as whom the exporters of databases log in."""
_NAMES = {
    POSTGRES: f"{POSTGRES}-exporter",
    MYSQL: "mysqld-exporter",
    REDIS: "redis-exporter",
    NGINX: f"{NGINX}-exporter",
}
_LISTENS = {POSTGRES: 9187, MYSQL: 9104, REDIS: 9121, NGINX: 9113}


class Exporter(Record):
    """An exporter: its ``kind``, the ``service`` of the stack that it asks, in which ``network`` of the engine.

    ``name`` is its own service in the Compose project of the monitoring, ``base`` the service of the Compose file that
    it is made from: a stack may have several servers of a kind. ``variables`` are what that file interpolates.
    """

    kind: str
    service: str
    name: str
    base: str
    network: str
    variables: Mapping[str, str]

    @property
    def endpoint(self) -> str:
        """Where Prometheus reads it."""
        return f"{self.name}:{_LISTENS[self.kind]}"


def exporters(stack: Stack, networks: Mapping[str, str]) -> tuple[Exporter, ...]:
    """Return the exporters of a stack; ``networks`` is the network by which each service is reached, by service."""
    found, counts = [], dict.fromkeys(KINDS, 0)
    for service in stack.services.values():
        asked = exported(service)
        if asked and networks.get(service.name) and not stack.one_off(service) and service.replicas:
            base = _NAMES[asked.exporter]
            name = f"{base}-{service.name}" if counts[asked.exporter] else base
            counts[asked.exporter] += 1
            variables = _variables(service, asked)
            found.append(Exporter(asked.exporter, service.name, name, base, networks[service.name], variables))
    return tuple(found)


def rounds(found: Iterable[Exporter]) -> tuple[tuple[Exporter, ...], ...]:
    """Return the exporters in groups that have no base in common: the Compose file is read once for each group."""
    groups: list[dict[str, Exporter]] = [{}]
    for exporter in found:
        group = next((group for group in groups if exporter.base not in group), None)
        if group is None:
            groups.append(group := {})
        group[exporter.base] = exporter
    return tuple(tuple(group.values()) for group in groups)


def discovery(found: Iterable[Exporter], project: str) -> list[dict[str, object]]:
    """Return the targets of Prometheus for the exporters: https://prometheus.io/docs/guides/file-sd/."""
    return [
        {"targets": [one.endpoint], "labels": {"job": one.kind, "service": one.service, "project": project}}
        for one in found
    ]


def _variables(service: Service, asked: Metrics) -> dict[str, str]:
    place = f"{service.name}:{asked.port}"
    if asked.exporter == POSTGRES:
        database = service.slipway.backup.database if service.slipway.backup else "postgres"
        return {"POSTGRES_URI": f"{place}/{database}?sslmode=disable", "POSTGRES_MONITOR_USER": USER}
    if asked.exporter == MYSQL:
        return {"MYSQL_ADDRESS": place}
    if asked.exporter == REDIS:
        return {"REDIS_ADDRESS": f"redis://{place}"}
    return {"NGINX_STATUS_URI": f"http://{place}{asked.path}"}
