"""What of a stack is watched, and by which of its networks it is reached."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from ...model.record import Record
from ...model.stack.stack import Service, Stack
from ...telemetry.plan.servers import exported
from .exporters import Exporter, exporters
from .probes import Probe, probes

_TRACES = "OTEL_EXPORTER_OTLP"  # the beginning of the variables that say where a service sends its traces


class Watched(Record):
    """What of a stack is watched.

    ``networks`` is the network of the engine by which each service is reached, by service. ``tracing`` are the services
    that send traces. ``notes`` say what is left out and why.
    """

    project: str
    stack: Stack
    networks: Mapping[str, str]
    exporters: tuple[Exporter, ...] = ()
    probes: tuple[Probe, ...] = ()
    tracing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def services(self) -> tuple[Service, ...]:
        """Return the services that are to run all the time."""
        return lasting(self.stack)

    def scraped(self) -> tuple[Service, ...]:
        """Return the services that have metrics themselves and can be reached."""
        return tuple(service for service in self.services() if has_metrics(service) and self.networks.get(service.name))


def watched(stack: Stack, model: Mapping[str, Any]) -> Watched:
    """Return what of a stack is watched; ``model`` is its Compose model."""
    networks = chosen_networks(stack)
    services = lasting(stack)
    asked = [service for service in services if has_metrics(service) or exported(service)]
    notes = [
        f"{service.name}: its metrics are out of reach: it has no network of its own ({_attached(service)})"
        for service in asked
        if not networks.get(service.name)
    ]
    return Watched(
        stack.project,
        stack,
        networks,
        exporters(stack, networks),
        probes(stack, networks),
        tuple(service.name for service in services if _traces(model, service.name) and networks.get(service.name)),
        tuple(notes),
    )


def lasting(stack: Stack) -> tuple[Service, ...]:
    """Return the services of a stack that are to run all the time: no jobs, no load generator, none scaled to 0."""
    return tuple(
        service
        for service in stack.services.values()
        if service.replicas and not stack.one_off(service) and not service.slipway.load
    )


def has_metrics(service: Service) -> bool:
    """Whether a service has metrics for Prometheus itself."""
    return service.slipway.metrics is not None and bool(service.slipway.metrics.port) and not exported(service)


def targets(seen: Watched) -> dict[str, object]:
    """Return the document targets.json: the services, how many containers each should have, where its metrics are."""
    scraped = {service.name for service in seen.scraped()}
    services: dict[str, dict[str, object]] = {}
    for service in seen.services():
        services[service.name] = {"replicas": service.replicas}
        if service.slipway.metrics and service.name in scraped:
            where = service.slipway.metrics
            services[service.name] |= {"port": where.port, "path": where.path, "network": seen.networks[service.name]}
    return {"project": seen.project, "services": services}


def chosen_networks(stack: Stack) -> dict[str, str]:
    """Return a network of each service, by service: the one that most of the services have, so that few are joined."""
    count = Counter(name for service in lasting(stack) for name in service.networks)
    return {
        service.name: max(service.networks, key=lambda name: (count[name], name)) if service.networks else ""
        for service in stack.services.values()
    }


def joined(seen: Watched) -> dict[str, tuple[str, ...]]:
    """Return the networks of the stack that services of the monitoring join, by service of the monitoring."""
    scraped = [seen.networks[service.name] for service in seen.scraped()]
    joining = {
        "prometheus": scraped,
        # Also those that send no traces yet: a release that does need not wait for another `monitor.up`.
        "jaeger": [*scraped, *(seen.networks[name] for name in seen.tracing)],
        "blackbox-exporter": [probe.network for probe in seen.probes if probe.network],
        **{exporter.name: [exporter.network] for exporter in seen.exporters},
    }
    return {name: _sorted(networks) for name, networks in joining.items() if networks}


def _sorted(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(names)))


def _attached(service: Service) -> str:
    return f"network_mode: {service.network_mode}" if service.network_mode else "no networks"


def _traces(model: Mapping[str, Any], service: str) -> bool:
    environment = (model.get("services") or {}).get(service, {}).get("environment") or {}
    return any(name.startswith(_TRACES) and value for name, value in environment.items())
