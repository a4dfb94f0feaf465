"""Judges new containers by numbers: which part of their requests failed, and how long the slowest of them took.

What they are compared with is what the old containers did, counted in the same way. Counters are compared at two
moments, so that a container that is new counts from its first request on, and the numbers are those of requests.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from ...model.record import Record
from ...model.stack.proving import WatchRule
from .series import Series

Moment = Mapping[tuple[str, str, float], float]
"""The counters of a histogram at a moment: by container, HTTP status, and upper bound of the bucket in seconds.

The bound SUM stands for how long all requests took together, in seconds.
"""

SUM = -1.0

_SLOW = 0.01  # the share of requests that may be slower than the p99
_RARELY = 0.05  # so likely it may be that a p99 was exceeded by chance
_NEVER = 0.001  # so likely it may be where a watch ends before its time
_SERVER_ERROR = "5"  # what an HTTP status begins with that counts as an error


class Counts(Record):
    """The requests of a time, those that failed, and how many took up to a bound (in seconds) and less.

    ``seconds`` is how long all of them took together.
    """

    requests: float = 0.0
    errors: float = 0.0
    buckets: tuple[tuple[float, float], ...] = ()
    seconds: float = 0.0

    @property
    def error_ratio(self) -> float:
        """The share of requests that failed, 0 to 1; 0 without requests."""
        return self.errors / self.requests if self.requests else 0.0

    @property
    def p99(self) -> float | None:
        """How long 99 of 100 requests took at most, in seconds, as ``histogram_quantile`` says; None without any."""
        if not self.requests:
            return None
        rank, below, start = (1 - _SLOW) * self.requests, 0.0, 0.0
        for bound, count in self.buckets:
            if count >= rank:
                if math.isinf(bound):
                    return start
                return start + (bound - start) * ((rank - below) / (count - below) if count > below else 1.0)
            below, start = count, bound
        return start

    @property
    def average(self) -> float:
        """How long a request took on average, in seconds; 0 without requests."""
        return self.seconds / self.requests if self.requests else 0.0

    def p99_bounds(self) -> tuple[float, float]:
        """Return the bounds of the bucket that the p99 is in, in seconds."""
        start = 0.0
        for bound, count in self.buckets:
            if count >= (1 - _SLOW) * self.requests:
                return start, bound
            start = bound
        return start, math.inf

    def slower(self, seconds: float) -> float:
        """Return how many requests took longer than that; within a bucket they count as spread evenly."""
        below, start = 0.0, 0.0
        for bound, count in self.buckets:
            if seconds < bound:
                share = 0.0 if math.isinf(bound) else (seconds - start) / (bound - start)
                return self.requests - below - (count - below) * share
            below, start = count, bound
        return 0.0


def moment(series: Iterable[Series], status: str) -> Moment:
    """Return the counters of a histogram at a moment; ``status`` is the label with the HTTP status.

    Series with the label ``le`` are buckets, those without it the sum of the seconds.
    """
    counters: dict[tuple[str, str, float], float] = {}
    for one in series:
        key = (one.labels.get("container", ""), one.labels.get(status, ""), float(one.labels.get("le", SUM)))
        counters[key] = counters.get(key, 0.0) + one.value
    return counters


def between(begin: Moment, end: Moment, containers: Collection[str]) -> Counts:
    """Return what containers did between two moments; a counter that has become smaller began again at 0."""
    buckets: dict[float, float] = {}
    errors = 0.0
    for key, value in end.items():
        container, status, bound = key
        if container not in containers:
            continue
        grown = value - begin.get(key, 0.0)
        grown = value if grown < 0 else grown
        buckets[bound] = buckets.get(bound, 0.0) + grown
        if math.isinf(bound) and status.startswith(_SERVER_ERROR):
            errors += grown
    seconds = buckets.pop(SUM, 0.0)
    ordered = tuple(sorted(buckets.items()))
    return Counts(ordered[-1][1] if ordered else 0.0, errors, ordered, seconds)


class Judgement(Record):
    """What numbers say of new containers.

    - ``new``, ``old``: what was counted. ``few``: too few requests to judge.
    - ``breaches``: each reason why they are not kept; ``sure``: one of them is hardly by chance, so that watching on is
      of no use.
    """

    new: Counts
    old: Counts
    breaches: tuple[str, ...] = ()
    sure: bool = False
    few: bool = False

    def line(self) -> str:
        """Return the numbers for people: ``412 requests, 0 errors, p99 18 ms (before: 17 ms)``."""
        new, old = self.new, self.old
        share = f" ({_percent(new.error_ratio)}, before: {_percent(old.error_ratio)})" if new.errors else ""
        words = [f"{round(new.requests):,} requests", f"{round(new.errors):,} errors{share}"]
        if new.p99 is not None:
            words.append(f"p99 {_milliseconds(new.p99)} (before: {_milliseconds(old.p99)})")
        return ", ".join(words)

    def document(self) -> dict[str, Any]:
        """Return the numbers as JSON data; times in seconds, null where there was no request."""
        return {
            "requests": round(self.new.requests),
            "errors": round(self.new.errors),
            "p99": _rounded(self.new.p99),
            "before": {
                "requests": round(self.old.requests),
                "errors": round(self.old.errors),
                "p99": _rounded(self.old.p99),
            },
        }


def judge(rule: WatchRule, new: Counts, old: Counts, halves: Sequence[Counts] = ()) -> Judgement:
    """Return what a rule says of what new and old containers did; ``halves`` are the new ones in parts of the time.

    Of the errors the share itself counts. Of a p99 so few requests are slower that single ones decide: it is exceeded
    when more of them are than chance would bring once in twenty times (binomial test). Where the bounds of the buckets
    leave open how many times as long it is, the average decides. And a machine may be busy for a moment: a p99 has to
    be exceeded in each half of the time in which there were enough requests.
    """
    if round(new.requests) < rule.requests:
        return Judgement(new, old, few=True)
    breaches: list[str] = []
    sure = False
    allowed = (rule.errors or 0.0) + old.error_ratio
    if rule.errors is not None and new.error_ratio > allowed:
        sure = chance(new.errors, new.requests, allowed) < _NEVER
        breaches.append(
            f"{_percent(new.error_ratio)} of {round(new.requests):,} requests failed "
            f"(before: {_percent(old.error_ratio)}; at most {_percent(rule.errors)} more)"
        )
    for longest, words in _longest(rule, old):
        likely = chance(new.slower(longest), new.requests, _SLOW)
        parts = [new, *(half for half in halves if 2 * half.requests >= rule.requests)]
        if likely < _RARELY and all(part.p99 is not None and part.p99 > longest for part in parts):
            sure = sure or likely < _NEVER
            breaches.append(f"p99 of {round(new.requests):,} requests is {_milliseconds(new.p99)} ({words})")
        elif longest == _times_longer(rule, old) and all(_slower_on_average(rule, part, old) for part in parts):
            breaches.append(
                f"p99 of {round(new.requests):,} requests is about {_milliseconds(new.p99)} ({words}), and the average "
                f"{_milliseconds(new.average)} (before: {_milliseconds(old.average)})"
            )
    return Judgement(new, old, tuple(breaches), sure)


def _slower_on_average(rule: WatchRule, new: Counts, old: Counts) -> bool:
    """Whether the p99 may be too long, as far as buckets tell, and requests took so much longer on average too."""
    open_ = new.p99_bounds()[1] > rule.times * old.p99_bounds()[0]
    return open_ and old.average > 0 and new.average > rule.times * old.average


def _times_longer(rule: WatchRule, old: Counts) -> float:
    """Return how long the p99 may be by that of the old containers, in seconds; 0 where these do not say enough."""
    return rule.times * old.p99 if old.p99 and round(old.requests) >= rule.requests else 0.0


def _longest(rule: WatchRule, old: Counts) -> list[tuple[float, str]]:
    """Return how long the p99 may be, in seconds, and in words; compared with the old ones only if these say enough."""
    limits = []
    if longest := _times_longer(rule, old):
        limits.append((longest, f"before: {_milliseconds(old.p99)}; at most {rule.times:g}x"))
    if rule.longest:
        limits.append((rule.longest, f"before: {_milliseconds(old.p99)}; at most {_milliseconds(rule.longest)}"))
    return limits


def chance(bad: float, whole: float, allowed: float) -> float:
    """Return how likely at least ``bad`` of ``whole`` requests are bad where a share of ``allowed`` is, 0 to 1."""
    least, count = math.ceil(bad - 1e-6), round(whole)
    if least <= 0 or allowed >= 1:
        return 1.0
    if allowed <= 0:
        return 0.0
    logs = (math.log(allowed), math.log1p(-allowed))
    fewer = math.fsum(
        math.exp(
            math.lgamma(count + 1)
            - math.lgamma(k + 1)
            - math.lgamma(count - k + 1)
            + k * logs[0]
            + (count - k) * logs[1]
        )
        for k in range(min(least, count + 1))
    )
    return max(1.0 - fewer, 0.0)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _milliseconds(seconds: float | None) -> str:
    if seconds is None:
        return "no data"
    return f"{1000 * seconds:.0f} ms" if seconds >= 0.01 else f"{1000 * seconds:.1f} ms"


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)
