"""Figures as people read them; a figure that nobody measured is a dash, never a zero."""

import itertools
from collections.abc import Sequence

from ....model.units import show_duration, show_size

NO_DATA = "-"
# U+2581 to U+2588; and ten characters that look the heavier the further right they are.
_BLOCKS, _ASCII = "▁▂▃▄▅▆▇█", ".:-=+*#%@"


def rate(value: float | None) -> str:
    """Return requests per second: ``0.42/s``, ``12.4/s``, ``1,240/s``."""
    if value is None:
        return NO_DATA
    digits = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:,.{digits}f}/s"


def share(value: float | None) -> str:
    """Return a share in per cent: ``0 %``, ``0.25 %``, ``12.5 %``; a share that is not zero never looks like zero."""
    if value is None:
        return NO_DATA
    percent = 100 * value
    if 0 < percent < 0.01:
        return "<0.01 %"
    return f"{percent:.{2 if 0 < percent < 9.995 else 1 if percent else 0}f} %"


def seconds(value: float | None) -> str:
    """Return a latency in seconds: ``0.8 ms``, ``18 ms``, ``1.24 s``."""
    if value is None:
        return NO_DATA
    if value < 0.9995:
        return f"{1000 * value:.{1 if value < 0.00995 else 0}f} ms"
    return f"{value:.2f} s"


def size(value: float | None) -> str:
    """Return a number of bytes, as others show it."""
    return NO_DATA if value is None else show_size(value)


def length(value: float) -> str:
    """Return a time in seconds without what is nothing of it: ``5 m``, ``24 h``, ``1 h 30 m``."""
    return show_duration(value).removesuffix(" 0 s").removesuffix(" 0 m")


def number(value: float | None) -> str:
    """Return a number: whole and large ones without a fraction, others with three digits that tell."""
    if value is None:
        return NO_DATA
    return f"{value:,.0f}" if value == round(value) or value >= 100 else f"{value:.3g}"


def sparkline(values: Sequence[float | None], unicode: bool, width: int = 0) -> str:
    """Return a line of one character for each value, from zero to the highest; a blank where nothing was measured.

    ``width`` is how many characters there is room for, 0 for any: of more values, neighbours are shown as the highest
    of them. Without a single value the line is empty.
    """
    if all(value is None for value in values):
        return ""
    if width and len(values) > width:
        values = _fewer(values, width)
    top = max((value for value in values if value is not None), default=0.0)
    signs = _BLOCKS if unicode else _ASCII
    return "".join(" " if value is None else signs[_level(value, top, len(signs))] for value in values)


def _fewer(values: Sequence[float | None], width: int) -> list[float | None]:
    """Return so many values, each the highest of its share of the given ones: a peak is not lost."""
    bounds = [round(part * len(values) / width) for part in range(width + 1)]
    parts = [[value for value in values[a:b] if value is not None] for a, b in itertools.pairwise(bounds)]
    return [max(part) if part else None for part in parts]


def _level(value: float, top: float, levels: int) -> int:
    """Return the level of a value; only zero has the lowest one."""
    if value <= 0 or top <= 0:
        return 0
    return max(1, min(levels - 1, round(value / top * (levels - 1))))
