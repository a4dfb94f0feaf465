"""Which containers of a service stay in a rollout, which serve until new ones take over, and which leave first."""

from collections.abc import Sequence

from ...model.engine.facts import Container
from ...model.stack.stack import Service
from ...model.stack.upstream import watched_containers
from .desired import Desired
from .difference import Policy, matches
from .observed import Observed


def is_reached(observed: Observed, container: Container) -> bool:
    """Whether the running proxy shares a network with a container; True where that cannot be known.

    A proxy refuses a file that names a container whose address it cannot look up, also one that is only the backup.
    Containers that a plan makes have no id yet; they are in the networks of their service.
    """
    if not container.id:
        return True
    fronts = [other for other in observed.containers if other.name in observed.front and other.networks]
    return not fronts or any({*front.networks} & {*container.networks, "host"} for front in fronts)


def _noted_proven(observed: Observed, container: Container) -> bool:
    """Whether no stamp says that the container's rollout was not finished."""
    stamp = observed.state.stamps.get(container.id)
    return stamp is None or stamp.proven


def _proven(service: Service, observed: Observed, containers: Sequence[Container]) -> list[Container]:
    """Return the running containers whose rollout was finished: by their stamp, else by the proxy's file."""
    running = {container.name for container in observed.running(service.name)}
    text = observed.upstreams.get(service.name, "")
    named = watched_containers(text, service.name, running, service.replicas)
    result = []
    for container in containers:
        stamp = observed.state.stamps.get(container.id)
        if container.state == "running" and (stamp.proven if stamp else not named or container.name in named):
            result.append(container)
    return result


def kept_containers(
    service: Service, alike: Sequence[Container], observed: Observed, policy: Policy
) -> list[Container]:
    """Return the containers that stay, of those that are ``alike`` to what is wanted."""
    kept = _proven(service, observed, alike)
    if policy.back and not kept:
        # What ran before the deploy need not be watched again, unless it is from an unfinished way back.
        kept = [container for container in alike if container.state == "running" and _noted_proven(observed, container)]
    return kept[: service.replicas]


def keeps_containers(service: Service, observed: Observed, desired: Desired, policy: Policy) -> bool:
    """Whether, on the way back, containers of a service that are as they should be run next to others.

    They stay then, whatever the rollout of the release is: the failed one may have had another. A service that shares
    something with another one may have to be made anew all the same.
    """
    stack = desired.stack
    bound = [other for other in stack.services.values() if service.name in (*other.shares, *other.restarts_with)]
    if not policy.back or bound or service.shares or stack.one_off(service):
        return False
    containers = observed.of(service.name)
    alike = [container for container in containers if matches(service, container, observed, desired)]
    return len(alike) < len(containers) and bool(kept_containers(service, alike, observed, policy))


def _serving(service: Service, observed: Observed, containers: Sequence[Container]) -> list[Container]:
    """Return the running containers that serve until new ones take over.

    A container that was never proven is none of them where others are: one that crashes again and again is running
    whenever it was just started.
    """
    running = [
        container for container in containers if container.state == "running" and is_reached(observed, container)
    ]
    return _proven(service, observed, running) or running


def old_and_dead(
    service: Service,
    observed: Observed,
    alike: Sequence[Container],
    kept: Sequence[Container],
    staying: Sequence[Container],
) -> tuple[list[Container], list[Container]]:
    """Return the containers that serve until new ones take over, and those that are removed first."""
    containers = [container for container in observed.of(service.name) if container not in staying]
    if staying:
        old = [one for one in _proven(service, observed, containers) if is_reached(observed, one)]
        return old, [container for container in containers if container not in old]
    # Containers of an unfinished rollout are removed first: the serving ones serve alone.
    fresh = [container for container in alike if container not in kept]
    old = _serving(service, observed, [container for container in containers if container not in fresh]) or fresh
    return old, [container for container in containers if container not in old]
