"""Which environment a scan is about when none is named: the one that goes to production."""

from collections.abc import Mapping

PRODUCTION = "prod"


def production(promotions: Mapping[str, str], default: str) -> str:
    """Return ``prod``, else the last environment of the longest promotion chain, else ``default``.

    ``promotions`` are the environments, each with the one that it promotes from ("" for none).
    """
    if PRODUCTION in promotions:
        return PRODUCTION
    lengths = {name: _length(name, promotions) for name in promotions}
    longest = max(lengths.values(), default=0)
    return min(name for name, length in lengths.items() if length == longest) if longest else default


def _length(name: str, promotions: Mapping[str, str]) -> int:
    """Return how many environments stand before one in its chain; a circle ends where it closes."""
    seen = {name}
    while (name := promotions.get(name, "")) and name not in seen:
        seen.add(name)
    return len(seen) - 1
