"""Whether two samples differ: the Mann-Whitney U test, which assumes no distribution of the measurements."""

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

ALPHA = 0.05
# Up to this many values together p is computed exactly, ties included; beyond, by the normal approximation.
_EXACT = 40

_Key = TypeVar("_Key", bound=Hashable)


def median(values: Sequence[float]) -> float:
    """Return the median; raises ValueError for no values."""
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def least_p(first: int, second: int) -> float:
    """Return the least p that samples of these sizes can have: with too few values no difference is significant."""
    return min(1.0, 2 / math.comb(first + second, first)) if first and second else 1.0


def _doubled_ranks(values: Sequence[float]) -> list[int]:
    """Return twice the rank of each value; equal values share their mean rank, which doubled is an integer."""
    ordered = sorted(values)
    places: dict[float, tuple[int, int]] = {}
    for number, value in enumerate(ordered, 1):
        lowest, _ = places.get(value, (number, number))
        places[value] = (lowest, number)
    return [sum(places[value]) for value in values]


def mann_whitney(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the two-sided p of the Mann-Whitney U test, 1.0 when a sample is empty.

    It is exact for small samples, also with ties (Streitberg and Röhmel, 1986); else it is the normal approximation
    with corrections for ties and continuity.
    """
    if not first or not second:
        return 1.0
    ranks = _doubled_ranks([*first, *second])
    observed = sum(ranks[: len(first)])
    if len(ranks) <= _EXACT:
        return _exact(ranks, len(first), observed)
    return _approximate(ranks, len(first), observed)


def _exact(ranks: Sequence[int], size: int, observed: int) -> float:
    """Return p from the number of choices of ``size`` ranks whose sum is at least as extreme as ``observed``."""
    counts: list[dict[int, int]] = [{0: 1}, *({} for _ in range(size))]
    for rank in ranks:
        for taken in range(size, 0, -1):
            target = counts[taken]
            for total, ways in counts[taken - 1].items():
                target[total + rank] = target.get(total + rank, 0) + ways
    every = math.comb(len(ranks), size)
    below = sum(ways for total, ways in counts[size].items() if total <= observed)
    above = sum(ways for total, ways in counts[size].items() if total >= observed)
    return min(1.0, 2 * min(below, above) / every)


def _approximate(ranks: Sequence[int], size: int, observed: int) -> float:
    count, other = len(ranks), len(ranks) - size
    tied = [ranks.count(rank) for rank in set(ranks)]
    ties = sum(equal**3 - equal for equal in tied) / (count * (count - 1))
    variance = size * other / 12 * (count + 1 - ties)
    if variance <= 0:
        return 1.0
    distance = abs(observed / 2 - size * (count + 1) / 2)
    return min(1.0, math.erfc(max(0.0, distance - 0.5) / math.sqrt(2 * variance)))


def holm(values: Mapping[_Key, float]) -> dict[_Key, float]:
    """Return each p corrected for the number of comparisons (Holm, 1979)."""
    adjusted: dict[_Key, float] = {}
    worst = 0.0
    for number, key in enumerate(sorted(values, key=lambda key: values[key])):
        worst = max(worst, min(1.0, values[key] * (len(values) - number)))
        adjusted[key] = worst
    return adjusted
