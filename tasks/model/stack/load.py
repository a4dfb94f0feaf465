"""The x-slipway.load field of a service: the requests of a load test."""

from ..address import Address
from ..address import parse as parse_address
from ..errors import InputError
from ..record import Record

ROLE = "load-generator"

# Methods that change nothing in an environment.
_METHODS = ("GET", "HEAD")


class LoadTarget(Record):
    """A request of the load test."""

    method: str
    address: Address

    def __str__(self) -> str:
        return f"{self.method} {self.address}"


def parse(raw: object, where: str) -> tuple[LoadTarget, ...]:
    """Return the targets of a service; raises InputError for a target that is not valid."""
    if raw is None:
        return ()
    if not isinstance(raw, dict) or set(raw) - {"targets"}:
        raise InputError(f"{where}: expected targets alone, got {raw!r}", 'as in {targets: ["GET http://web:80/"]}')
    targets = raw.get("targets")
    if not isinstance(targets, list) or not targets:
        raise InputError(f"{where}.targets: expected a list, got {targets!r}", 'as in ["GET http://web:80/"]')
    return tuple(_target(target, f"{where}.targets[{number}]") for number, target in enumerate(targets))


def _target(raw: object, where: str) -> LoadTarget:
    method, _, address = raw.partition(" ") if isinstance(raw, str) else ("", "", "")
    if method not in _METHODS or not address:
        raise InputError(
            f"{where}: expected {' or '.join(_METHODS)} and an address, got {raw!r}", 'as in "GET http://web:80/"'
        )
    return LoadTarget(method, parse_address(address, where))
