"""Sizes as Kubernetes writes them, from the ways in which Compose files write theirs."""

import re

from ....model.errors import InputError
from ....model.lazy_pattern import lazy_pattern

_QUANTITY = lazy_pattern(r"(?P<number>[1-9]\d*(?:\.\d+)?)(?P<unit>[KMGTP]i|[kMGTP])?(?P<byte>B)?")
_DOCKER = lazy_pattern(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[kmgtp]?)(?:i?b)?", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}


def quantity(text: str, where: str) -> str:
    """Return the size of a claim, such as ``10Gi`` or ``10GB``, as Kubernetes writes it; raises InputError."""
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise InputError(f"{where}: expected a size such as 10Gi, got {text!r}", "units: Ki, Mi, Gi, Ti, k, M, G, T")
    return f"{match['number']}{match['unit'] or ''}"


def docker_bytes(text: str, where: str) -> int:
    """Return the bytes of a size as Docker reads it, to the base 1024: ``64m``, ``134217728``; raises InputError."""
    match = _DOCKER.fullmatch(text.strip())
    if match is None:
        raise InputError(f"{where}: expected a size such as 64m, got {text!r}", "units: b, k, m, g")
    return int(float(match["number"]) * 1024 ** _POWERS[match["unit"].lower()])


def in_binary(size: int) -> str:
    """Return bytes as Kubernetes writes them, in the largest unit that divides them: ``64Mi``."""
    for unit, power in (("Gi", 3), ("Mi", 2), ("Ki", 1)):
        if size and size % 1024**power == 0:
            return f"{size // 1024**power}{unit}"
    return str(size)
