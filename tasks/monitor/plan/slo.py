"""Objectives as what they are measured by: expressions of the requests, and of those that were not answered well."""

from collections.abc import Collection, Iterable, Mapping

from ...model.errors import InputError
from ...model.lazy_pattern import lazy_pattern
from ...model.record import Record
from ...model.stack.stack import Stack
from ...model.stack.telemetry.metrics import Metrics
from ...model.stack.telemetry.slo import Objective

WINDOW = "{{.window}}"
"""Stands for the window in an expression, as in Sloth's specifications."""
_BOUND = lazy_pattern(r"\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")


class Histogram(Record):
    """The histogram that an objective of latency is measured by, and the bound of the bucket that it needs, in seconds.

    ``series`` is the selector of the service, without its braces.
    """

    name: str
    series: str
    bound: float

    @property
    def bucket(self) -> str:
        """The selector of the bucket. Prometheus writes a whole bound as 1 or, of OpenMetrics, as 1.0."""
        whole = self.bound == int(self.bound)
        bound = f'le=~"{int(self.bound)}([.]0)?"' if whole else f'le="{self.bound:g}"'
        return f"{self.name}_bucket{{{self.series},{bound}}}"

    @property
    def buckets(self) -> str:
        """The selector of all buckets."""
        return f"{self.name}_bucket{{{self.series}}}"

    @property
    def count(self) -> str:
        """The selector of all requests."""
        return f"{self.name}_count{{{self.series}}}"


class ServiceLevel(Record):
    """An objective of a service: ``errors`` and ``total`` are events per second, with WINDOW in them.

    ``origin`` is where it was stated, for errors; ``spec`` the specification that it follows.
    """

    service: str
    name: str
    ratio: float
    errors: str
    total: str
    origin: str
    spec: str = "slipway/v1"
    histogram: Histogram | None = None

    @property
    def id(self) -> str:
        """The id, as Sloth makes it: service and name."""
        return f"{self.service}-{self.name}"

    @property
    def budget(self) -> float:
        """The share of requests that need not be answered well."""
        return round(1 - self.ratio, 10)


def levels(stack: Stack) -> tuple[ServiceLevel, ...]:
    """Return the objectives that services state; raises InputError for one of a service without metrics of its own."""
    found = []
    for name, service in stack.services.items():
        for number, objective in enumerate(service.slipway.slo):
            where = f"services.{name}.x-slipway.slo[{number}]"
            metrics = service.slipway.metrics
            if metrics is None or metrics.exporter:
                raise InputError(
                    f"{where}: the service does not measure its requests",
                    "say where its metrics are: x-slipway: {metrics: {port: 9464}}",
                )
            found.append(level(name, metrics, objective, where))
    return tuple(found)


def level(service: str, metrics: Metrics, objective: Objective, where: str) -> ServiceLevel:
    """Return how an objective of a service is measured: by the histogram of its requests.

    Without any answer of 5xx there is no series of them: that is 0 as long as requests are counted.
    """
    series = f'service="{service}"'
    total = f"sum(rate({metrics.duration}_count{{{series}}}[{WINDOW}]))"
    if not objective.latency:
        failed = f'sum(rate({metrics.duration}_count{{{series},{metrics.status}=~"5.."}}[{WINDOW}]))'
        return ServiceLevel(service, objective.name, objective.ratio, f"({failed} or 0 * {total})", total, where)
    histogram = Histogram(metrics.duration, series, objective.latency)
    errors = f"({total} - sum(rate({histogram.bucket}[{WINDOW}])))"
    return ServiceLevel(service, objective.name, objective.ratio, errors, total, where, histogram=histogram)


def unmeasured(levels: Iterable[ServiceLevel], bounds: Mapping[str, Collection[str]]) -> dict[str, str]:
    """Return the objectives of latency that are not the bound of a bucket, by their id, and which bounds are near.

    ``bounds`` are the values of the label ``le`` that the histogram has, by the id of the objective; for one without
    any there is no data yet, and nothing to say.
    """
    found = {}
    for one in levels:
        known = [float(text) for text in bounds.get(one.id, ()) if _BOUND.fullmatch(text)]
        if one.histogram and known and one.histogram.bound not in known:
            bound = one.histogram.bound
            below, above = [other for other in known if other < bound], [other for other in known if other > bound]
            near = " and ".join(map(_shown, [*sorted(below)[-1:], *sorted(above)[:1]]))
            found[one.id] = f"no bucket of {one.histogram.name} has the bound {_shown(bound)}; the nearest: {near}"
    return found


def refuse_twice(levels: Iterable[ServiceLevel]) -> None:
    """Raise InputError for two objectives of one service with the same name, of whatever origin."""
    origins: dict[str, str] = {}
    for one in levels:
        if one.id in origins:
            raise InputError(f"{one.origin}: {one.id} is stated in {origins[one.id]} already", "give it another name")
        origins[one.id] = one.origin


def _shown(seconds: float) -> str:
    return f"{seconds * 1000:g}ms" if seconds < 1 else f"{seconds:g}s"
