"""How long a service may take to be healthy: from its health check and HEALTH_TIMEOUT.

The engine makes the first check after an interval has passed: ``start_interval`` while there is a
``start_period``, else ``interval`` (https://docs.docker.com/reference/dockerfile/#healthcheck).
"""

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING

from ..profile.profile import DEFAULT, Profile
from .health import Health

if TYPE_CHECKING:
    from ..engine.facts import Image
    from .stack import Service


def effective_health(service: "Service", image: "Image | None") -> Health | None:
    """Return the health check of a service's containers, None when it has none.

    Keys that the Compose file leaves out are taken from the image, if it is known, as the engine does.
    """
    of_image = dict(image.health) if image and image.health_check else {}
    if service.health_disabled or (service.health is None and not (image and image.health_check)):
        return None
    given = {} if service.health is None else {key: value for key, value in asdict(service.health).items() if value}
    return Health(**{**of_image, **given})


def is_fixed(profile: Profile) -> bool:
    """Whether the profile sets HEALTH_TIMEOUT."""
    value = profile.values.get("HEALTH_TIMEOUT")
    return value is not None and value.origin != DEFAULT and bool(str(value.value))


def health_timeout(service: "Service", profile: Profile, image: "Image | None" = None) -> float:
    """Return how long to wait for a container of a service to be healthy, in seconds.

    HEALTH_TIMEOUT where the profile sets it; else its default, or longer when the health check needs longer to decide.
    """
    timeout = profile.duration("HEALTH_TIMEOUT")
    health = effective_health(service, image)
    return timeout if is_fixed(profile) or health is None else max(timeout, health.last)


def longest_health_timeout(services: Iterable["Service"], profile: Profile) -> float:
    """Return how long to wait until all of the services are healthy, in seconds."""
    return max((health_timeout(service, profile) for service in services), default=profile.duration("HEALTH_TIMEOUT"))
