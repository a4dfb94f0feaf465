"""The times of a health check, and when the engine makes the checks."""

from collections.abc import Mapping
from typing import Any

from ..record import Record
from ..units import parse_duration

_INTERVAL, _START_INTERVAL, _TIMEOUT, _RETRIES = 30.0, 5.0, 30.0, 3  # the engine's defaults


class Health(Record):
    """The times of a health check in the Compose file, in seconds; None for what it leaves to the image."""

    interval: float | None = None
    timeout: float | None = None
    retries: int | None = None
    start_period: float | None = None
    start_interval: float | None = None

    @property
    def first(self) -> float:
        """The time of the first check, in seconds after the start."""
        if self.start_period:
            return _START_INTERVAL if self.start_interval is None else self.start_interval
        return _INTERVAL if self.interval is None else self.interval

    @property
    def first_is_said(self) -> bool:
        """Whether the Compose file alone decides when the first check is made."""
        return (self.start_interval if self.start_period else self.interval) is not None

    @property
    def last(self) -> float:
        """The latest time at which the engine calls a failing container unhealthy, in seconds after the start."""
        interval = _INTERVAL if self.interval is None else self.interval
        timeout = _TIMEOUT if self.timeout is None else self.timeout
        return (self.start_period or 0.0) + interval * (self.retries or _RETRIES) + timeout


def parse_health(raw: Mapping[str, Any], where: str) -> Health:
    """Return the times of a ``healthcheck`` section."""

    def seconds(key: str) -> float | None:
        return (parse_duration(str(raw[key]), f"{where}.{key}") or None) if raw.get(key) else None

    return Health(
        interval=seconds("interval"),
        timeout=seconds("timeout"),
        retries=int(raw["retries"]) if raw.get("retries") else None,
        start_period=seconds("start_period"),
        start_interval=seconds("start_interval"),
    )
