"""Asks Prometheus for the figures of services."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ...host.project import Project
from ...model.errors import InputError
from ...model.stack.stack import Service
from ...model.units import parse_duration
from ...telemetry.plan import queries
from ...telemetry.plan.series import Series
from ...telemetry.plan.servers import metrics_of, with_known_servers
from ...telemetry.prometheus import Prometheus
from .plan import sources
from .plan.figures import (
    Period,
    ServiceFigures,
    by_label,
    curve,
    processor_limits,
    saturation,
    value,
)
from .plan.sources import RequestSource


def interval(project: Project) -> float:
    """Return the seconds between two times at which metrics are read."""
    return parse_duration(project.profile.text("MONITOR_INTERVAL"), "MONITOR_INTERVAL")


def clock(prometheus: Prometheus) -> float:
    """Return the time of Prometheus, in seconds since the epoch: the clock of its host may differ from ours."""
    return prometheus.value("time()") or 0.0


def chosen(project: Project, names: Sequence[str]) -> tuple[Service, ...]:
    """Return the named services; without names those that do not end. Raises InputError when there is none."""
    stack = with_known_servers(project.model)
    found = tuple(service for service in stack.select(names) if names or not stack.one_off(service))
    if not found:
        raise InputError(f"no service of {stack.project} goes on running", "name one: --service NAME")
    return found


class Measurements:
    """The figures of the services of a project over a period, as Prometheus has them."""

    def __init__(self, project: Project, prometheus: Prometheus, period: Period) -> None:
        self.prometheus, self.period = prometheus, period
        self._project = project.stack.project
        self._limits = processor_limits(project.model)

    def services(self, chosen: Iterable[Service], trends: bool) -> list[ServiceFigures]:
        """Return the figures of services over the whole period; ``trends``: with their curves."""
        project, length = self._project, self.period.length
        cores = self._by_service(sources.busiest(project, length))
        held = self._by_service(sources.fullest(project))
        shares = self._by_service(queries.memory_share(project=project))
        machine = value(self.ask(sources.CORES))
        found = []
        for service in chosen:
            name = service.name
            share, of = saturation(cores.get(name), self._limits.get(name, 0.0), machine)
            one = replace(self._requests(service), cpu=share, cpu_of=of, cores=cores.get(name), bytes=held.get(name),
                          memory=shares.get(name))  # fmt: skip
            found.append(replace(one, trends=self._trends(service, one.kind)) if trends else one)
        return found

    def source(self, service: Service, kind: str, window: float) -> RequestSource | None:
        """Return where the requests of a service are counted, None when it is not known."""
        of_kind = sources.sources(service.name, metrics_of(service), window)
        return next((source for source in of_kind if source.kind == kind), None)

    def ask(self, expression: str) -> tuple[Series, ...]:
        """Return the series of an expression at the end of the period, none for no expression."""
        return self.prometheus.query(expression, self.period.end) if expression else ()

    def over_time(self, expression: str) -> tuple[Series, ...]:
        """Return the series of an expression at the points of the period."""
        period = self.period
        return self.prometheus.query_range(expression, period.start, period.end, period.step) if expression else ()

    def _by_service(self, expression: str) -> dict[str, float]:
        return by_label(self.ask(expression), "service")

    def _requests(self, service: Service) -> ServiceFigures:
        """Return how many requests there are and how they go, from the first place that knows of any."""
        for source in sources.sources(service.name, metrics_of(service), self.period.length):
            rate = value(self.ask(source.rate))
            # That none was traced says nothing: traces are a sample, and may be off.
            if rate is not None and (rate or source.kind != sources.SPANS):
                one = ServiceFigures(service.name, source.kind, source.unit, rate)
                return self._qualities(one, source) if rate else one
        return ServiceFigures(service.name)

    def _qualities(self, one: ServiceFigures, source: RequestSource) -> ServiceFigures:
        """Return the figures with how many requests fail and how long they take."""
        errors, p50, p95, p99 = (
            value(self.ask(expression)) for expression in (source.errors, source.p50, source.p95, source.p99)
        )
        return replace(one, errors=errors, p50=p50, p95=p95, p99=p99)

    def _trends(self, service: Service, kind: str) -> dict[str, tuple[float | None, ...]]:
        source = self.source(service, kind, self.period.window)
        if source is None:
            return {}
        asked = {"rate": source.rate, "errors": source.errors, "p99": source.p99}
        return {name: curve(self.over_time(expression), self.period) for name, expression in asked.items()}
