"""Ports and addresses that only one container can have: which services want them, and whether there are enough."""

from collections.abc import Collection, Iterator

from ..record import Record
from .extension import RECREATE
from .stack import Port, Service, Stack

_EVERY_HOST = ("", "0.0.0.0", "::")  # noqa: S104 - compared, not bound


class _Claim(Record):
    """The range of host ports of a service, and how many of them it needs at once."""

    service: str
    port: Port
    first: int
    last: int
    needed: int


def at_once(service: Service) -> int:
    """Return how many containers of a service run at once while it is rolled out."""
    if service.rollout == RECREATE:
        return service.replicas
    batch = service.replicas if service.by_proxy else service.update.parallelism or service.replicas
    return service.replicas + min(batch, service.replicas)


def too_few_ports(port: Port, needed: int) -> bool:
    """Whether a published port or range is too small for ``needed`` containers."""
    return port.choice is not None and port.choice[1] - port.choice[0] + 1 < needed


def conflicting_claims(stack: Stack, rolled: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield which ports and addresses more containers want than can have them, and a hint what to do.

    ``rolled`` are services that are rolled out: whether their own ports suffice is checked in ``foresight``.
    """
    wanted = [service for service in stack.services.values() if service.replicas > 0 and not stack.one_off(service)]
    claims = []
    for service in wanted:
        needed = at_once(service) if service.name in rolled else service.replicas
        for port in service.ports if service.network_mode != "host" else ():
            if port.choice is None:
                continue
            if not too_few_ports(port, needed):
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
    for claim in claims:
        if claim.first < claim.last:
            others = [*ranges, *(other for port in range(claim.first, claim.last + 1) for other in fixed.get(port, []))]
            ranges.append(claim)
        else:
            others = [*fixed.setdefault(claim.first, []), *ranges]
            fixed[claim.first].append(claim)
        for other in others:
            if _collide(other, claim):
                both = f"services.{other.service}.ports and services.{claim.service}.ports"
                if claim.service == other.service:
                    both = f"services.{claim.service}.ports: {other.port.target} and {claim.port.target}"
                shown = str(claim.port) if str(claim.port) == str(other.port) else f"{other.port} and {claim.port}"
                yield f"{both}: both want port {shown} of the host", "publish another port for one of them"


def _collide(first: _Claim, second: _Claim) -> bool:
    """Whether two claims cannot both be met."""
    if first.port.protocol != second.port.protocol or not _same_host(first.port.host_ip, second.port.host_ip):
        return False
    if first.last < second.first or second.last < first.first:
        return False
    both = max(first.last, second.last) - min(first.first, second.first) + 1
    return first.needed + second.needed > both


def _same_host(first: str, second: str) -> bool:
    if first == second or "" in (first, second):
        return True
    every = first if first in _EVERY_HOST else second if second in _EVERY_HOST else ""
    return bool(every) and (":" in first) == (":" in second)


def _addresses(services: list[Service], rolled: Collection[str]) -> Iterator[tuple[str, str]]:
    seen: dict[tuple[str, str], str] = {}
    for service in services:
        for address in service.addresses:
            if address.kind == "mac_address":
                continue
            where = f"services.{service.name}.networks: {address.kind}: {address.address}"
            if service.replicas > 1 and service.name not in rolled:
                yield f"{where}: {service.replicas} containers cannot share it", "remove it, or run one replica"
            other = seen.setdefault((address.network, address.address), service.name)
            if other != service.name:
                yield f"{where}: service {other} has it already", "give one of them another address"
