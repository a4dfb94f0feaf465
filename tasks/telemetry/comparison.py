"""Compares new containers of a service with the old ones by what Prometheus has counted of both."""

import math
from collections.abc import Sequence

from ..model.errors import DeployError, RefusedError
from ..model.stack.stack import Service
from ..model.stack.telemetry.metrics import Metrics
from .plan.judging import Counts, Judgement, Moment, between, judge, moment
from .plan.queries import quoted, selector
from .prometheus import Prometheus

_BEFORE = 60.0  # seconds before a switch, at least, that count where the old containers do not serve any more


class Comparison:
    """What new and old containers of a service do from now on, by the rule of the service.

    ``share``: the percentage of requests that the new ones get while both serve; 0: they get all, and are compared with
    what the old ones did before they took over. Times are those of Prometheus' own clock. What is asked raises
    RefusedError when it does not answer.
    """

    def __init__(
        self, prometheus: Prometheus, project: str, service: Service, new: Sequence[str], old: Sequence[str],
        share: int,
    ) -> None:  # fmt: skip
        self._prometheus, self._service, self._rule = prometheus, service, service.slipway.watch
        self._new, self._old, self._share = tuple(new), tuple(old), share
        self._labels = {"project": project, "service": service.name}
        self._metrics = service.slipway.metrics or Metrics()
        self._began = self._now()
        self._start = self._moment(self._began)
        self._looks: list[tuple[float, Moment]] = []

    def judgement(self) -> Judgement:
        """Return what the numbers say so far."""
        now = self._now()
        end = self._moment(now)
        if self._rule is None:
            raise ValueError(f"{self._service.name} has no rule")
        new, halves = between(self._start, end, self._new), self._halves(now, end)
        if self._share:
            return judge(self._rule, new, between(self._start, end, self._old), halves)
        before = self._moment(self._began - max(now - self._began, _BEFORE))
        return judge(self._rule, new, between(before, self._start, self._old), halves)

    def _halves(self, now: float, end: Moment) -> list[Counts]:
        """Return what the new containers did before and after the look that was nearest to the middle of the time."""
        self._looks.append((now, end))
        middle = min(self._looks, key=lambda look: abs(look[0] - (self._began + now) / 2))[1]
        return [between(self._start, middle, self._new), between(middle, end, self._new)]

    def scrapes(self) -> int:
        """Return how often the metrics of each new container were read since the beginning, at least."""
        span = math.ceil(max(self._now() - self._began, 1.0))
        series = self._prometheus.query(f"{selector('up', container=self._new, **self._labels)}[{span}s]")
        counts = dict.fromkeys(self._new, 0)
        for one in series:
            name = one.labels.get("container", "")
            counts[name] = counts.get(name, 0) + sum(time > self._began and up == 1 for time, up in one.points)
        return min(counts.values())

    def refuse_unknown(self, judgement: Judgement) -> None:
        """Raise DeployError when there is no such metric, or no such label: that is not the same as no requests.

        A service may have no metric before its first request, so new containers without it are only refused where the
        old ones have got so many that they must have got some.
        """
        duration, status = self._metrics.duration, self._metrics.status
        where, name = f"services.{self._service.name}.x-slipway.metrics", f"{duration}_bucket"
        expected = judgement.old.requests * (self._share / (100 - self._share) if self._share else 1.0)
        known = self._prometheus.exists(selector(name, container=self._new, **self._labels), self._began)
        enough = self._rule is not None and expected >= self._rule.requests
        if not known and (enough or not self._prometheus.exists(selector(name, **self._labels))):
            raise DeployError(
                f"{', '.join(self._new)} has no metric {duration}: no number judges it",
                f"{where}.duration says what the histogram of its requests is called; before the first there is none",
            )
        labelled = selector(name, f"{status}!={quoted('')}", **self._labels)
        if known and self._rule and self._rule.errors is not None and not self._prometheus.exists(labelled):
            raise DeployError(
                f"{duration} of {self._service.name} has no label {status}, so its errors cannot be counted",
                f"{where}.status says what the label with the HTTP status is called",
            )

    def _now(self) -> float:
        now = self._prometheus.value("time()")
        if now is None:
            raise RefusedError("Prometheus does not tell the time", f"{self._prometheus.store.url} shows its state")
        return now

    def _moment(self, time: float) -> Moment:
        status, duration = self._metrics.status, self._metrics.duration
        chosen = {"container": (*self._new, *self._old), **self._labels}
        buckets = f"sum by (container, le, {status}) ({selector(f'{duration}_bucket', **chosen)})"
        seconds = f"sum by (container, {status}) ({selector(f'{duration}_sum', **chosen)})"
        return moment(self._prometheus.query(f"{buckets} or {seconds}", time), status)
