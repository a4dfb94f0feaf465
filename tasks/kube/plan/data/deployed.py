"""Which services become objects at all."""

from ....model.stack.extension import JOBS, ROLES
from ....model.stack.stack import Service, Stack

_TEST, _LOAD = JOBS[2], ROLES[1]


def deployed(stack: Stack) -> tuple[Service, ...]:
    """Return the services that are deployed: tests and load generators are not."""
    return tuple(
        service for service in stack.services.values() if service.slipway.job != _TEST and service.slipway.role != _LOAD
    )
