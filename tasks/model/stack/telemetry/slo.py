"""The x-slipway.slo field of a service: the share of its requests that are to be answered well."""

import re
from typing import Any

from ...errors import InputError
from ...lazy_pattern import lazy_pattern
from ...record import Record
from ...units import parse_duration

_KEYS = ("name", "objective", "latency")
_NAME = lazy_pattern(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_PERCENT = lazy_pattern(r"(\d{1,3}(?:\.\d{1,6})?)\s*%", re.ASCII)


class Objective(Record):
    """An objective: ``ratio`` (more than 0, less than 1) of the requests are to be answered well.

    That is without an error of the server (5xx), or, with ``latency``, within so many seconds.
    """

    name: str
    ratio: float
    latency: float = 0.0


def parse(raw: object, where: str) -> tuple[Objective, ...]:
    """Return the objectives of a service; raises InputError for one that is not valid."""
    if raw is None:
        return ()
    if not isinstance(raw, list):
        raise InputError(f"{where}: expected a list, got {raw!r}", "as in [{name: availability, objective: 99.9%}]")
    objectives = tuple(_objective(item, f"{where}[{number}]") for number, item in enumerate(raw))
    names = [one.name for one in objectives]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{where}: two objectives are called {name}", "give each a name of its own")
    return objectives


def parse_files(raw: object, where: str) -> tuple[str, ...]:
    """Return the files with OpenSLO documents, as written; raises InputError for what is no list of files."""
    if raw is None:
        return ()
    if not isinstance(raw, list) or not all(isinstance(file, str) and file for file in raw):
        raise InputError(f"{where}: expected a list of files, got {raw!r}", "as in [slo/shop.yaml]")
    return tuple(raw)


def parse_percent(raw: object, where: str) -> float:
    """Return a percentage such as ``99.9%`` as a ratio; raises InputError unless it is more than 0 and less than 100.

    With an objective of 100 % every error is a breach, and with 0 % none is: neither can be watched.
    """
    match = _PERCENT.fullmatch(raw.strip()) if isinstance(raw, str) else None
    if match is None:
        raise InputError(f"{where}: expected a percentage, got {raw!r}", "as in 99.9%")
    return checked(round(float(match[1]) / 100, 10), where)


def checked(ratio: float, where: str) -> float:
    """Return the ratio of an objective; raises InputError for one that allows every error, or none."""
    if ratio >= 1:
        raise InputError(
            f"{where}: an objective of {ratio:.4g} allows no error at all", "such as 99.9%: less than 100%"
        )
    if ratio <= 0:
        raise InputError(f"{where}: an objective of {ratio:.4g} allows every error", "such as 99.9%: more than 0%")
    return ratio


def _objective(raw: Any, where: str) -> Objective:
    if not isinstance(raw, dict):
        raise InputError(f"{where}: expected a mapping, got {raw!r}", "as in {name: availability, objective: 99.9%}")
    for key in raw:
        if key not in _KEYS:
            raise InputError(f"{where}: unknown key {key!r}", f"there are: {', '.join(_KEYS)}")
    name = raw.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InputError(
            f"{where}.name: expected a name, got {name!r}", "small letters, digits and -, as in availability"
        )
    latency = raw.get("latency")
    seconds = parse_duration(str(latency), f"{where}.latency") if latency is not None else 0.0
    if latency is not None and seconds <= 0:
        raise InputError(f"{where}.latency: expected more than 0, got {latency!r}", "as in 300ms")
    return Objective(name, parse_percent(raw.get("objective"), f"{where}.objective"), seconds)
