"""How new containers of a rollout are proven: ``x-slipway.canary`` and ``x-slipway.watch``.

With a canary the proxy gives the new containers a small share of the requests first, then a greater one, then all.
What is watched is compared with numbers: the share of errors and the slowest one in a hundred requests (p99).
"""

import math
import re
from collections.abc import Mapping
from typing import Any

from ..errors import InputError
from ..lazy_pattern import lazy_pattern
from ..record import Record
from ..units import parse_duration

_STEPS = 20  # shares that a canary may have
_PERCENTAGE = lazy_pattern(r"(\d{1,3}(?:\.\d+)?)\s*%", re.ASCII)
_FACTOR = lazy_pattern(r"(\d{1,3}(?:\.\d+)?)\s*x", re.ASCII)


class Canary(Record):
    """``weight``: the shares of requests, in percent, that new containers get in turn; ``every``: seconds for each."""

    weight: tuple[int, ...] = (5, 25, 50)
    every: float = 60.0


class WatchRule(Record):
    """What new containers are judged by while they are watched.

    - ``errors``: the share of failed requests, 0 to 1, that they may have more than the old ones; None: not judged.
    - ``times``: how many times as long as that of the old ones their p99 may be; 0: not judged.
    - ``longest``: how long their p99 may be, in seconds; 0: not judged.
    - ``requests``: with fewer requests than that nothing is judged.
    """

    errors: float | None = None
    times: float = 0.0
    longest: float = 0.0
    requests: int = 50

    def words(self) -> str:
        """Return the rule for people: ``at most 1 % more errors, p99 at most 2x, from 50 requests on``."""
        errors = f"at most {100 * self.errors:g} % more errors" if self.errors is not None else ""
        times = f"p99 at most {self.times:g}x" if self.times else ""
        longest = f"p99 at most {1000 * self.longest:g} ms" if self.longest else ""
        return ", ".join(filter(None, (errors, times, longest, f"from {self.requests} requests on")))


def parse_canary(raw: object, where: str) -> Canary:
    """Return ``x-slipway.canary``; raises InputError for what is not valid."""
    fields = _mapping(raw, where, ("weight", "every"))
    usual = Canary()
    weight = fields.get("weight", list(usual.weight))
    if (
        not isinstance(weight, list)
        or not 0 < len(weight) <= _STEPS
        or not all(isinstance(share, int) and not isinstance(share, bool) and 0 < share < 100 for share in weight)
        or sorted(set(weight)) != weight
    ):
        raise InputError(
            f"{where}.weight: expected growing shares of 1 to 99 percent, got {weight!r}", "as in weight: [5, 25, 50]"
        )
    every = parse_duration(str(fields["every"]), f"{where}.every") if "every" in fields else usual.every
    if every <= 0:
        raise InputError(f"{where}.every: expected how long each share is watched, got {fields['every']!r}", "as in 1m")
    return Canary(tuple(weight), every)


def parse_watch(raw: object, where: str) -> WatchRule:
    """Return ``x-slipway.watch``; raises InputError for what is not valid."""
    fields = _mapping(raw, where, ("errors", "p99", "requests"))
    errors = _errors(fields["errors"], f"{where}.errors") if "errors" in fields else None
    times, longest = _slowest(str(fields["p99"]), f"{where}.p99") if "p99" in fields else (0.0, 0.0)
    if errors is None and not times and not longest:
        raise InputError(f"{where}: it judges by nothing", "as in {errors: 1%, p99: 2x}")
    requests = fields.get("requests", WatchRule().requests)
    if not isinstance(requests, int) or isinstance(requests, bool) or requests < 1:
        raise InputError(f"{where}.requests: expected a whole number from 1 on, got {requests!r}", "as in requests: 50")
    return WatchRule(errors, times, longest, requests)


def _mapping(raw: object, where: str, known: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(raw, dict):
        raise InputError(f"{where}: expected a mapping, got {raw!r}", f"it has {', '.join(known)}")
    for key in raw:
        if key not in known:
            raise InputError(f"{where}: unknown key {key!r}", f"it has {', '.join(known)}")
    return raw


def _errors(value: object, where: str) -> float:
    match = _PERCENTAGE.fullmatch(str(value).strip())
    if match is None or float(match[1]) >= 100:
        raise InputError(f"{where}: expected a percentage below 100, got {value!r}", "as in errors: 1%")
    return float(match[1]) / 100


def _slowest(text: str, where: str) -> tuple[float, float]:
    """Return the factor and the seconds of a ``p99``, one of them 0."""
    if match := _FACTOR.fullmatch(text.strip()):
        if float(match[1]) < 1:
            raise InputError(f"{where}: expected 1x or more, got {text!r}", "as in p99: 2x")
        return float(match[1]), 0.0
    try:
        seconds = parse_duration(text.strip(), where)
    except InputError:
        seconds = 0.0
    if not seconds:
        raise InputError(f"{where}: expected a factor or a duration, got {text!r}", "as in p99: 2x, or p99: 300ms")
    return 0.0, seconds


def shares(old: int, new: int, percent: int, most: int = 0) -> tuple[int, int]:
    """Return the weights of each of the ``old`` and of the ``new`` containers so that the new ones get a share.

    Together the new ones get ``percent`` of the requests; where a weight may be no greater than ``most`` (0: any), the
    greatest share that is not more.
    """
    stays, comes = (100 - percent) * new, percent * old
    common = math.gcd(stays, comes)
    stays, comes = stays // common, comes // common
    if not most or max(stays, comes) <= most:
        return stays, comes
    pairs = [(-(-weight * stays // comes), weight) for weight in range(1, most + 1)]
    return max((pair for pair in pairs if pair[0] <= most), key=lambda pair: pair[1] / pair[0], default=(most, 1))
