"""Sizes and durations: reading them from text, and showing them."""

import re

from .errors import InputError
from .lazy_pattern import lazy_pattern

_SIZE = lazy_pattern(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>B|[kKMG]i?B)?", re.ASCII)
_FACTORS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_DURATION_PART = lazy_pattern(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>ms|s|m|h|d)", re.ASCII)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_size(text: str, where: str = "size") -> int:
    """Return a size such as ``20MB`` or ``1.5GiB`` in bytes (decimal and binary units as in IEC 80000-13)."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise InputError(f"{where}: expected a size such as 20MB, got {text!r}", "units: B, kB, MB, GB, KiB, MiB, GiB")
    return round(float(match["number"]) * _FACTORS[(match["unit"] or "").upper()])


def parse_duration(text: str, where: str = "duration") -> float:
    """Return a duration such as ``90s`` or ``1m30s`` in seconds."""
    parts = list(_DURATION_PART.finditer(text))
    if not parts or "".join(part[0] for part in parts) != text:
        raise InputError(f"{where}: expected a duration such as 30s, got {text!r}", "units: ms, s, m, h, d")
    return sum(float(part["number"]) * _SECONDS[part["unit"]] for part in parts)


def show_size(size: float) -> str:
    """Return bytes for a person: ``6.9 MB``."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        # 999,950 bytes is 1.0 MB, not 1000.0 kB.
        if abs(size) >= factor - factor / 20_000:
            return f"{size / factor:.1f} {unit}"
    return f"{size:.0f} B"


def show_duration(seconds: float) -> str:
    """Return seconds for a person: ``0.4 s``, ``3 m 20 s``, ``2 h 5 m``."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} m {rest} s"
    return f"{minutes // 60} h {minutes % 60} m"
