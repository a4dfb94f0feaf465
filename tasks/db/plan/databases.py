"""Which service is the database that a task works on."""

from ...model.errors import InputError
from ...model.stack.extension import ROLES
from ...model.stack.stack import Service, Stack


def chosen(stack: Stack, name: str) -> Service:
    """Return the named service, without a name the only database; raises InputError when there are several or none."""
    if name:
        return stack.service(name)
    names = [service.name for service in stack.services.values() if service.slipway.role == ROLES[0]]
    if len(names) > 1:
        raise InputError(
            f"project {stack.project} has several databases: {', '.join(names)}", f"say which: --service {names[0]}"
        )
    return stack.role(ROLES[0])


def backed_up(stack: Stack) -> tuple[Service, ...]:
    """Return the services that say how they are backed up."""
    return tuple(service for service in stack.services.values() if service.slipway.backup is not None)
