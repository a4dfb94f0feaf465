"""Series, targets, rules and alerts as Prometheus answers them, as plain data.

https://prometheus.io/docs/prometheus/latest/querying/api/
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import field
from datetime import datetime
from typing import Any

from ...model.record import Record

UP = "up"
ALERTING = "alerting"


class Series(Record):
    """A series of numbers: its labels, and its points as pairs of a time (seconds since the epoch) and a value.

    It has at least one point. A point that is no number is left out: 0/0, as when nothing was counted, is no data.
    """

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]

    @property
    def value(self) -> float:
        """The last value."""
        return self.points[-1][1]


class ScrapeTarget(Record):
    """What Prometheus reads metrics from. ``health`` is up, down or unknown, ``error`` why it is down.

    ``scraped`` is when it was read last, in seconds since the epoch, 0.0: never.
    """

    job: str
    url: str
    health: str
    error: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    scraped: float = 0.0


class LoadedRule(Record):
    """A rule that Prometheus evaluates; ``kind`` is alerting or recording, ``health`` ok, err or unknown.

    ``error`` says why it could not be evaluated; ``state`` of an alert is inactive, pending or firing.
    """

    name: str
    group: str
    kind: str
    expression: str
    health: str
    error: str = ""
    state: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


class ActiveAlert(Record):
    """An alert whose condition is met; ``state`` is pending or firing, ``since`` seconds since the epoch."""

    name: str
    state: str
    since: float
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


def parse_series(data: Mapping[str, Any]) -> tuple[Series, ...]:
    """Return the series of an answer to a query, without those that have no numbers.

    Raises ValueError for a result that is no number, such as a string, or no result at all.
    """
    kind, result = data["resultType"], data["result"]
    if kind == "scalar":
        result = [{"metric": {}, "value": result}]
    elif kind not in ("vector", "matrix"):
        raise ValueError(f"a result of type {kind}")
    series = (Series(dict(raw["metric"]), _points(raw)) for raw in result)
    return tuple(one for one in series if one.points)


def parse_targets(data: Mapping[str, Any]) -> tuple[ScrapeTarget, ...]:
    """Return the active targets of an answer, by job and URL."""
    targets = (
        ScrapeTarget(
            job=raw["labels"].get("job", raw.get("scrapePool", "")),
            url=raw["scrapeUrl"],
            health=raw["health"],
            error=raw.get("lastError", ""),
            labels=raw["labels"],
            scraped=_seconds(raw.get("lastScrape", "")),
        )
        for raw in data["activeTargets"]
    )
    return tuple(sorted(targets, key=lambda target: (target.job, target.url)))


def parse_rules(data: Mapping[str, Any]) -> tuple[LoadedRule, ...]:
    """Return the rules of an answer, in the order in which they are evaluated."""
    return tuple(
        LoadedRule(
            name=raw["name"],
            group=group["name"],
            kind=raw["type"],
            expression=raw["query"],
            health=raw.get("health", "unknown"),
            error=raw.get("lastError", ""),
            state=raw.get("state", ""),
            labels=raw.get("labels") or {},
            annotations=raw.get("annotations") or {},
        )
        for group in data["groups"]
        for raw in group["rules"]
    )


def parse_alerts(data: Mapping[str, Any]) -> tuple[ActiveAlert, ...]:
    """Return the alerts of an answer, the oldest first."""
    alerts = (
        ActiveAlert(
            name=raw["labels"]["alertname"],
            state=raw["state"],
            since=_seconds(raw.get("activeAt", "")),
            value=float(raw["value"]),
            labels=raw["labels"],
            annotations=raw.get("annotations") or {},
        )
        for raw in data["alerts"]
    )
    return tuple(sorted(alerts, key=lambda alert: (alert.since, alert.name)))


def total(series: Iterable[Series]) -> float | None:
    """Return the sum of the last values; None without any series: no data is not 0."""
    values = [one.value for one in series]
    return math.fsum(values) if values else None


def _points(raw: Mapping[str, Any]) -> tuple[tuple[float, float], ...]:
    """Return the points of a series; one of native histograms has none."""
    pairs = raw.get("values") or ([raw["value"]] if "value" in raw else [])
    points = ((float(time), float(value)) for time, value in pairs)
    return tuple(point for point in points if not math.isnan(point[1]))


def _seconds(text: str) -> float:
    """Return an RFC 3339 time in seconds since the epoch, 0.0 for the zero time of Go, which means never."""
    if not text or text.startswith("0001-"):
        return 0.0
    whole, _, rest = text.partition(".")  # Go writes nanoseconds, which Python 3.11 does not read
    digits = rest.rstrip("Z").split("+")[0].split("-")[0] if rest else ""
    zone = rest[len(digits) :] if rest else ""
    return datetime.fromisoformat(whole + zone).timestamp() + (float(f"0.{digits}") if digits else 0.0)
