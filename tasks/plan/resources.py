"""What differs beside the services themselves: networks, volumes, and those who depend on what is made anew."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from .desired import Desired
from .difference import Policy, network_difference, volume_difference
from .facts import Container
from .observed import Observed
from .operation import CREATE, PULL, RECREATE, RELOAD, RESTART, START, UNCHANGED, WAIT, Change
from .rollout import levels
from .stack import Service, Stack

NEW_CONTAINERS = (CREATE, RECREATE)


@dataclass
class Compared:
    """What is said of networks and volumes: those that differ and how, what stays as it is, and what is not there."""

    networks: dict[str, list[str]] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    refusals: list[tuple[str, str]] = field(default_factory=list)


def compared(desired: Desired, observed: Observed) -> Compared:
    """Return how the networks and volumes of a model differ from those that there are."""
    found = Compared()
    for key, declared in (desired.model.get("networks") or {}).items():
        name = str((declared or {}).get("name") or key)
        network = observed.networks.get(name)
        if (declared or {}).get("external"):
            if network is None:
                found.refusals.append(_absent("network", name))
        elif network and (words := network_difference(name, declared or {}, network)):
            found.networks[name] = words
    for key, declared in (desired.model.get("volumes") or {}).items():
        name = str((declared or {}).get("name") or key)
        volume = observed.volumes.get(name)
        if (declared or {}).get("external"):
            if volume is None:
                found.refusals.append(_absent("volume", name))
        elif volume and (words := volume_difference(name, declared or {}, volume)):
            found.told += [f"{word}: it keeps what it was made with, for it has data" for word in words]
    return found


def _absent(kind: str, name: str) -> tuple[str, str]:
    return f"{kind} {name} is external and does not exist", f"docker {kind} create {name}"


def followed(stack: Stack, observed: Observed, changes: dict[str, Change]) -> dict[str, Change]:
    """Return the changes with what has to happen to those who depend on a service that is made anew, or restarted."""
    for group in levels(stack):
        for service in group:
            changes[service.name] = _following(stack, observed, service, changes)
    return changes


def _following(stack: Stack, observed: Observed, service: Service, changes: Mapping[str, Change]) -> Change:
    now = changes[service.name]
    if stack.one_off(service) or now.action in NEW_CONTAINERS or not observed.of(service.name):
        return now
    anew = [name for name in service.shares if name in changes and changes[name].action in NEW_CONTAINERS]
    if anew:
        return Change(service.name, RECREATE, (*now.causes, *(f"it uses what {name} has" for name in anew)))
    acted = (*NEW_CONTAINERS, RESTART, START)
    with_ = [one for one in service.restarts_with if one in changes and changes[one].action in acted]
    with_ = [one for one in with_ if observed.of(one)]
    if with_ and now.action in (UNCHANGED, WAIT, RELOAD, PULL):
        return Change(service.name, RESTART, (*now.causes, *(f"restart with {name}" for name in with_)))
    return now


def holders(service: Service, observed: Observed) -> list[Container]:
    """Return the containers of other services that have a port or a name which a service needs."""
    ports = {port.published for port in service.ports if port.published}
    found = []
    for one in observed.containers:
        if one.service == service.name or one.oneoff:
            continue
        # A container that is stopped holds no port, and its name all the same.
        held = {int(text.partition("->")[0].rpartition(":")[2]) for text in one.ports}
        if held & ports or (service.container_name and one.name == service.container_name):
            found.append(one)
    return found


def leaving(stack: Stack, observed: Observed, policy: Policy) -> tuple[tuple[Container, ...], tuple[str, ...]]:
    """Return the containers of services that are gone, which leave, and the names of those that stay.

    On a way back the containers of jobs that did not end well leave too: nothing of what failed stays.
    """
    none = [one for one in observed.containers if one.service not in stack.services and not one.oneoff]
    none = [one for one in none if one.service not in observed.strangers]
    leave = [one for one in none if _leaves(one, observed, policy)]
    jobs = [one.name for one in stack.services.values() if policy.back and stack.one_off(one)]
    failed = [one for name in jobs for one in observed.of(name) if one.state != "exited" or one.exit_code]
    return (*leave, *failed), tuple(one.name for one in none if one not in leave)


def _leaves(container: Container, observed: Observed, policy: Policy) -> bool:
    if policy.orphans is None or policy.back:
        return container.service in policy.ours or container.id in observed.state.stamps
    return policy.orphans
