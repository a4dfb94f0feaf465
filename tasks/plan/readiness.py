"""How long a service may take to be healthy: what its health check says, and what HEALTH_TIMEOUT leaves.

The engine makes the first check not at once but when an interval has passed: ``start_interval`` while there is a
``start_period``, else ``interval`` (https://docs.docker.com/reference/dockerfile/#healthcheck).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .profile import DEFAULT, Profile
from .units import parse_duration

if TYPE_CHECKING:
    from .stack import Service

_INTERVAL, _START_INTERVAL, _TIMEOUT, _RETRIES = 30.0, 5.0, 30.0, 3  # what the engine takes for what nobody says


@dataclass(frozen=True)
class Health:
    """The times of a health check as the Compose file says them, in seconds; None for what the image may say."""

    interval: float | None = None
    timeout: float | None = None
    retries: int | None = None
    start_period: float | None = None
    start_interval: float | None = None

    @property
    def first(self) -> float:
        """When the first check is made, in seconds after the start."""
        if self.start_period:
            return _START_INTERVAL if self.start_interval is None else self.start_interval
        return _INTERVAL if self.interval is None else self.interval

    @property
    def first_is_said(self) -> bool:
        """Whether the Compose file alone decides when the first check is made."""
        return (self.start_interval if self.start_period else self.interval) is not None

    @property
    def last(self) -> float:
        """When the engine has seen enough to call a container unhealthy, in seconds after the start."""
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


def is_fixed(profile: Profile) -> bool:
    """Whether the profile says outright how long a deploy waits."""
    value = profile.values.get("HEALTH_TIMEOUT")
    return value is not None and value.origin != DEFAULT and bool(str(value.value))


def health_timeout(service: "Service", profile: Profile) -> float:
    """Return how long to wait for a container of a service to be healthy, in seconds.

    HEALTH_TIMEOUT where the profile sets it; else no less than its health check needs to say yes or no.
    """
    timeout = profile.duration("HEALTH_TIMEOUT")
    if is_fixed(profile) or service.health is None:
        return timeout
    return max(timeout, service.health.last)


def longest(services: Iterable["Service"], profile: Profile) -> float:
    """Return how long to wait for all of some services, in seconds."""
    return max((health_timeout(one, profile) for one in services), default=profile.duration("HEALTH_TIMEOUT"))
