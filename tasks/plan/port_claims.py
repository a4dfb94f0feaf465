"""Ports and addresses of which a machine or a network has one: who wants them, and whether there are enough."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from .extension import BLUE_GREEN, RECREATE
from .stack import Port, Service, Stack

_EVERY_HOST = ("", "0.0.0.0", "::")  # noqa: S104 - compared, not bound


@dataclass(frozen=True)
class _Claim:
    """Ports of the host that a service chooses from, and how many of them it needs at once."""

    service: str
    port: Port
    first: int
    last: int
    needed: int


def at_once(service: Service) -> int:
    """Return how many containers of a service run at once while it is rolled out."""
    if service.rollout == RECREATE:
        return service.replicas
    batch = service.replicas if service.rollout == BLUE_GREEN else service.update.parallelism or service.replicas
    return service.replicas + min(batch, service.replicas)


def alone(port: Port, needed: int) -> bool:
    """Whether a published port is not enough for so many containers."""
    return port.choice is not None and port.choice[1] - port.choice[0] + 1 < needed


def contended(stack: Stack, rolled: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield which ports and addresses are wanted more often than there are, and what to do.

    ``rolled`` are services that are rolled out: that their own ports suffice is looked at elsewhere.
    """
    wanted = [one for one in stack.services.values() if one.replicas > 0 and not stack.one_off(one)]
    claims = []
    for service in wanted:
        needed = at_once(service) if service.name in rolled else service.replicas
        for port in service.ports if service.network_mode != "host" else ():
            if port.choice is None:
                continue
            if not alone(port, needed):
                claims.append(_Claim(service.name, port, *port.choice, needed))
            elif service.name not in rolled:
                yield (
                    f"services.{service.name}.ports: {needed} containers cannot share {port}",
                    f"publish a range of {needed} ports, or none, or run one replica",
                )
    yield from _pairs(claims)
    yield from _addresses(wanted, rolled)


def _pairs(claims: list[_Claim]) -> Iterator[tuple[str, str]]:
    fixed: dict[int, list[_Claim]] = {}
    ranges: list[_Claim] = []
    for one in claims:
        if one.first < one.last:
            others = [*ranges, *(other for port in range(one.first, one.last + 1) for other in fixed.get(port, []))]
            ranges.append(one)
        else:
            others = [*fixed.setdefault(one.first, []), *ranges]
            fixed[one.first].append(one)
        for other in others:
            if _collide(other, one):
                both = f"services.{other.service}.ports and services.{one.service}.ports"
                if one.service == other.service:
                    both = f"services.{one.service}.ports: {other.port.target} and {one.port.target}"
                shown = str(one.port) if str(one.port) == str(other.port) else f"{other.port} and {one.port}"
                yield f"{both}: both want port {shown} of the host", "publish another port for one of them"


def _collide(one: _Claim, other: _Claim) -> bool:
    """Whether two claims cannot both be met."""
    if one.port.protocol != other.port.protocol or not _same_host(one.port.host_ip, other.port.host_ip):
        return False
    if one.last < other.first or other.last < one.first:
        return False
    both = max(one.last, other.last) - min(one.first, other.first) + 1
    return one.needed + other.needed > both


def _same_host(one: str, other: str) -> bool:
    if one == other or "" in (one, other):
        return True
    every = one if one in _EVERY_HOST else other if other in _EVERY_HOST else ""
    return bool(every) and (":" in one) == (":" in other)


def _addresses(services: list[Service], rolled: Collection[str]) -> Iterator[tuple[str, str]]:
    seen: dict[tuple[str, str], str] = {}
    for service in services:
        for one in service.addresses:
            if one.kind == "mac_address":
                continue
            where = f"services.{service.name}.networks: {one.kind}: {one.address}"
            if service.replicas > 1 and service.name not in rolled:
                yield f"{where}: {service.replicas} containers cannot share it", "remove it, or run one replica"
            other = seen.setdefault((one.network, one.address), service.name)
            if other != service.name:
                yield f"{where}: service {other} has it already", "give one of them another address"
