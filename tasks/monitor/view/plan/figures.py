"""The figures of a service: how many requests, how many fail, how long they take, and how full its containers are."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from ....model.record import Record
from ....model.stack.telemetry.metrics import Metrics
from ....telemetry.plan.series import Series
from . import shown
from .sources import EXPORTER, REQUESTS, SPANS

POINTS = 20  # of a sparkline
_LEAST_SCRAPES = 4  # in the window of a point of a curve: Prometheus' own advice for rate()
TRENDS = ("rate", "errors", "p99")


class Period(Record):
    """A time that figures are asked for: seconds since the epoch, the seconds between two points, and of a window.

    ``window`` is how many seconds each point of a curve looks back, so that there are scrapes enough in it.
    """

    start: float
    end: float
    step: float
    window: float

    @property
    def length(self) -> float:
        """Its length in seconds."""
        return self.end - self.start

    @property
    def times(self) -> tuple[float, ...]:
        """The times of the points of a curve."""
        return tuple(self.start + number * self.step for number in range(int(self.length / self.step + 1e-9) + 1))


class ServiceFigures(Record):
    """The figures of one service; None for what is not known, which is not the same as zero.

    ``kind`` is where its requests are counted, "" for nowhere, and ``unit`` what is counted. ``rate`` is per second,
    ``errors`` a share of the requests, ``p50``, ``p95``, ``p99`` are seconds; ``cpu`` and ``memory`` shares of the
    limits of the busiest container (``cpu_of`` says of what: ``limit`` or ``machine``), ``cores`` and ``bytes`` what
    it uses. ``trends`` are rate, errors and p99 over the time, None where nothing was measured.
    """

    service: str
    kind: str = ""
    unit: str = REQUESTS
    rate: float | None = None
    errors: float | None = None
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    cpu: float | None = None
    cpu_of: str = ""
    cores: float | None = None
    memory: float | None = None
    bytes: float | None = None
    trends: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)

    @property
    def seen(self) -> bool:
        """Whether anything is known of the service."""
        return any(value is not None for value in (self.rate, self.cores, self.bytes))

    def document(self, metrics: Metrics | None, length: float) -> dict[str, Any]:
        """Return the figures as JSON data; null for what is not known."""
        return {
            "service": self.service,
            "source": self.kind or None,
            "unit": self.unit,
            "rate": self.rate,
            "errors": self.errors,
            "p50": self.p50,
            "p95": self.p95,
            "p99": self.p99,
            "cpu": self.cpu,
            "cpu_of": self.cpu_of or None,
            "cpu_cores": self.cores,
            "memory": self.memory,
            "memory_bytes": None if self.bytes is None else int(self.bytes),
            "trends": {name: list(self.trends.get(name, ())) for name in TRENDS},
            "remark": remark(self, metrics, length) or None,
        }


def period(start: float, end: float, scrape: float, points: int = POINTS) -> Period:
    """Return a time for curves of so many points at most; ``scrape`` is the seconds between two scrapes."""
    step = max(math.ceil((end - start) / points), math.ceil(scrape), 1)
    # The last point is the end: what is newest is always there.
    steps = int((end - start) / step)
    return Period(end - steps * step, end, step, max(step, _LEAST_SCRAPES * scrape))


def value(series: Sequence[Series]) -> float | None:
    """Return the newest value of the only series, None when there is none, or it is a quantile beyond all buckets."""
    return _finite(series[0].value) if series else None


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def by_label(series: Sequence[Series], label: str) -> dict[str, float]:
    """Return the newest value of each series by the value of a label."""
    values = {one.labels.get(label, ""): _finite(one.value) for one in series}
    return {name: number for name, number in values.items() if name and number is not None}


def curve(series: Sequence[Series], during: Period) -> tuple[float | None, ...]:
    """Return the only series at the times of the points, None where it has none; empty without a single value."""
    known = {round((time - during.start) / during.step): _finite(number)
             for one in series[:1] for time, number in one.points}  # fmt: skip
    values = tuple(known.get(number) for number in range(len(during.times)))
    return values if any(number is not None for number in values) else ()


def saturation(cores: float | None, limit: float, machine: float | None) -> tuple[float | None, str]:
    """Return which share of its cores a container uses, and whether they are its limit or those of the machine.

    ``limit`` is in cores, 0 for none.
    """
    if cores is None:
        return None, ""
    if limit:
        return cores / limit, "limit"
    return (cores / machine, "machine") if machine else (None, "")


def remark(figures: ServiceFigures, metrics: Metrics | None, length: float) -> str:
    """Return the sentence that a dash needs, "" when all figures are there; ``length`` is the time in seconds."""
    last = f"in the last {shown.length(length)}"
    if not figures.seen:
        return f"no data {last}: no container of it was seen, and no metrics of it"
    if figures.rate is None:
        return f"no data of its requests {last}: {_uncounted(metrics)}"
    if figures.kind == EXPORTER:
        return f"the exporter counts {figures.unit}, and has neither errors nor latencies"
    sentences = [] if figures.rate else [f"no requests {last}, so there is no error ratio and no latency"]
    if figures.rate and figures.errors is None and metrics:
        sentences.append(f"no data of errors {last}: no request has the label {metrics.status}")
    if figures.kind == SPANS:
        sentences.append("from the requests that were traced, which are a sample")
    return "; ".join(sentences)


def _uncounted(metrics: Metrics | None) -> str:
    """Return why nobody counts the requests of a service."""
    if not metrics or not metrics.port:
        return "it says no x-slipway.metrics"
    if metrics.exporter:
        return f"its exporter ({metrics.exporter}) has none"
    return f"it has no metric {metrics.duration}_count"


def processor_limits(model: Mapping[str, Any]) -> dict[str, float]:
    """Return how many processors each container of a service may use, of the services that have a limit."""
    limits = {}
    for name, service in (model.get("services") or {}).items():
        resources = ((service.get("deploy") or {}).get("resources") or {}).get("limits") or {}
        limits[name] = float(resources.get("cpus") or service.get("cpus") or 0)
    return {name: limit for name, limit in limits.items() if limit}
