"""How many Pods of a service there may be on Kubernetes: ``x-slipway.scale``."""

import re
from collections.abc import Mapping
from typing import Any

from ...errors import InputError
from ...lazy_pattern import lazy_pattern
from ...record import Record

_KEYS = ("min", "max", "cpu")
_PERCENTAGE = lazy_pattern(r"(\d{1,3})\s*%?", re.ASCII)
_MOST = 1000
_USUAL = 80


class Scale(Record):
    """``least`` and ``most`` are numbers of Pods, ``cpu`` the use of the CPU that is aimed at, in percent of it."""

    least: int
    most: int
    cpu: int = _USUAL


def parse_scale(raw: object, where: str) -> Scale:
    """Return how many Pods there may be; raises InputError for what is not valid."""
    if not isinstance(raw, dict):
        raise InputError(f"{where}: expected a mapping, got {raw!r}", "as in {min: 2, max: 10, cpu: 70%}")
    for key in raw:
        if key not in _KEYS:
            raise InputError(f"{where}: unknown key {key!r}", f"it has {', '.join(_KEYS)}")
    if "max" not in raw:
        raise InputError(f"{where}: it says no max", "as in {min: 2, max: 10, cpu: 70%}")
    least, most = _number(raw, "min", where), _number(raw, "max", where)
    if least > most:
        raise InputError(f"{where}: min {least} is more than max {most}", "exchange them")
    match = _PERCENTAGE.fullmatch(str(raw.get("cpu", _USUAL)).strip())
    if match is None or not int(match[1]):
        raise InputError(f"{where}.cpu: expected a percentage, got {raw['cpu']!r}", "as in cpu: 70%")
    return Scale(least, most, int(match[1]))


def _number(raw: Mapping[str, Any], key: str, where: str) -> int:
    value = raw.get(key, 1)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= _MOST:
        raise InputError(f"{where}.{key}: expected a number of Pods from 1 on, got {value!r}", f"as in {key}: 2")
    return value
