"""Operations for services that are not rolled out: create, recreate, start and restart their containers."""

from collections.abc import Iterable, Sequence

from ...model.stack.stack import Stack
from .difference import Policy, stuck_state
from .observed import Observed
from .operation import AWAIT, CREATE, RECREATE, RESTART, START, Change, Operation
from .rollout_operations import container_names


def bring_up_operations(changes: Sequence[Change], observed: Observed, stack: Stack, policy: Policy) -> list[Operation]:
    """Return the operations for services that do not depend on each other: one for each action, then one wait."""
    by_action = {
        action: tuple(change.service for change in changes if change.action == action)
        for action in (CREATE, RECREATE, START, RESTART)
    }
    causes = {change.service: change.causes for change in changes}
    touched = tuple(name for names in by_action.values() for name in names)
    if not touched:
        return []
    group = f"up {' '.join(touched)}"
    operations = []
    for action, names in by_action.items():
        if not names:
            continue
        why = tuple(dict.fromkeys(cause for name in names for cause in causes[name]))
        details = _acted(action, names, observed, stack)
        operations.append(
            Operation(action, " ".join(names), services=names, cause=why, group=group, **details)  # type: ignore[arg-type]
        )
    if fresh := (*by_action[CREATE], *by_action[RECREATE]):
        names = names_after(fresh, observed, stack)
        operations.append(Operation(START, " ".join(fresh), services=fresh, names=names, group=group))
    seconds = policy.waiting(touched)
    operations.append(Operation(AWAIT, " ".join(touched), services=touched, seconds=seconds, group=group))
    return operations


def _acted(action: str, names: tuple[str, ...], observed: Observed, stack: Stack) -> dict[str, object]:
    counts = {name: stack.service(name).replicas for name in names}
    if action == CREATE:
        return {"counts": counts, "names": names_after(names, observed, stack)}
    containers = [container for name in names for container in observed.of(name)]
    if action == RECREATE:
        interrupted = tuple(name for name in names if observed.running(name))
        return {"counts": counts, "interrupts": interrupted, "names": tuple(container.name for container in containers)}
    if action == RESTART:
        # A stopped container next to a stuck one is started by the same `docker restart`.
        stuck = any(map(stuck_state, containers))
        acted = [
            container for container in containers if not stuck or stuck_state(container) or container.state != "running"
        ]
        running = (
            ()
            if stuck
            else tuple(dict.fromkeys(container.service for container in containers if container.state == "running"))
        )
        return {"names": tuple(container.name for container in acted), "interrupts": running}
    return {"names": tuple(container.name for container in containers if container.state != "running")}


def names_after(services: Iterable[str], observed: Observed, stack: Stack) -> tuple[str, ...]:
    """Return the names that the containers of services have after Compose has created them."""
    names_by_service = (container_names(stack.service(name), stack, observed.of(name)) for name in services)
    return tuple(name for names in names_by_service for name in names)
