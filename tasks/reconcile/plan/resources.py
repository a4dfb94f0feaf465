"""Differences outside the services themselves: networks, volumes, dependents of recreated services, leftovers."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ...model.engine.facts import Container
from ...model.stack.stack import Service, Stack
from .desired import Desired
from .difference import Policy, network_difference, volume_difference
from .observed import Observed
from .operation import CREATE, PULL, RECREATE, RELOAD, RESTART, START, UNCHANGED, WAIT, Change
from .rollout import levels

NEW_CONTAINERS = (CREATE, RECREATE)


@dataclass
class ResourceDifferences:
    """Differences of ``networks`` by name, remarks about volumes that stay as they are, and missing external ones."""

    networks: dict[str, list[str]] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    refusals: list[tuple[str, str]] = field(default_factory=list)


def compare_resources(desired: Desired, observed: Observed) -> ResourceDifferences:
    """Return how the networks and volumes of the model differ from those on the engine."""
    result = ResourceDifferences()
    for key, declared in (desired.model.get("networks") or {}).items():
        name = str((declared or {}).get("name") or key)
        network = observed.networks.get(name)
        if (declared or {}).get("external"):
            if network is None:
                result.refusals.append(_absent("network", name))
        elif network and (words := network_difference(name, declared or {}, network)):
            result.networks[name] = words
    for key, declared in (desired.model.get("volumes") or {}).items():
        name = str((declared or {}).get("name") or key)
        volume = observed.volumes.get(name)
        if (declared or {}).get("external"):
            if volume is None:
                result.refusals.append(_absent("volume", name))
        elif volume and (words := volume_difference(name, declared or {}, volume)):
            result.told += [f"{word}: it keeps its old option, since it has data" for word in words]
    return result


def _absent(kind: str, name: str) -> tuple[str, str]:
    return f"{kind} {name} is external and does not exist", f"docker {kind} create {name}"


def with_dependents(stack: Stack, observed: Observed, changes: dict[str, Change]) -> dict[str, Change]:
    """Return the changes plus those of services that depend on a recreated or restarted service."""
    for group in levels(stack):
        for service in group:
            changes[service.name] = _following(stack, observed, service, changes)
    return changes


def _following(stack: Stack, observed: Observed, service: Service, changes: Mapping[str, Change]) -> Change:
    own = changes[service.name]
    if stack.one_off(service) or own.action in NEW_CONTAINERS or not observed.of(service.name):
        return own
    recreated = [name for name in service.shares if name in changes and changes[name].action in NEW_CONTAINERS]
    if recreated:
        return Change(service.name, RECREATE, (*own.causes, *(f"it shares resources of {name}" for name in recreated)))
    acted = (*NEW_CONTAINERS, RESTART, START)
    restarted = [name for name in service.restarts_with if name in changes and changes[name].action in acted]
    restarted = [name for name in restarted if observed.of(name)]
    if restarted and own.action in (UNCHANGED, WAIT, RELOAD, PULL):
        return Change(service.name, RESTART, (*own.causes, *(f"restart with {name}" for name in restarted)))
    return own


def blocking_containers(service: Service, observed: Observed) -> list[Container]:
    """Return the containers of other services that have a published port or the name that a service needs."""
    ports = {port.published for port in service.ports if port.published}
    blocking = []
    for container in observed.containers:
        if container.service == service.name or container.oneoff:
            continue
        # A stopped container has its ports free, but not its name.
        held = {int(text.partition("->")[0].rpartition(":")[2]) for text in container.ports}
        if held & ports or (service.container_name and container.name == service.container_name):
            blocking.append(container)
    return blocking


def leaving_containers(
    stack: Stack, observed: Observed, policy: Policy
) -> tuple[tuple[Container, ...], tuple[str, ...]]:
    """Return the containers to remove because their service is in no file, and the names of those that stay.

    On the way back from a failed deploy, containers of failed jobs are removed too.
    """
    unlisted = [
        container
        for container in observed.containers
        if container.service not in stack.services and not container.oneoff
    ]
    unlisted = [container for container in unlisted if container.service not in observed.other_profiles]
    leave = [container for container in unlisted if _leaves(container, observed, policy)]
    jobs = [service.name for service in stack.services.values() if policy.back and stack.one_off(service)]
    failed = [
        container
        for name in jobs
        for container in observed.of(name)
        if container.state != "exited" or container.exit_code
    ]
    return (*leave, *failed), tuple(container.name for container in unlisted if container not in leave)


def _leaves(container: Container, observed: Observed, policy: Policy) -> bool:
    if policy.orphans is None or policy.back:
        return container.service in policy.ours or container.id in observed.state.stamps
    return policy.orphans
