"""The x-slipway.smoke field of a service: the requests of a smoke test."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..address import Address
from ..address import parse as parse_address
from ..errors import InputError
from ..record import Record
from ..units import parse_duration

VERSION_LABEL = "org.opencontainers.image.version"

HOST, CONTAINER = "host", "container"
_KEYS = ("url", "method", "status", "body", "timeout", "from", "version")
_VERSION_KEYS = ("json", "service")
_TIMEOUT = 5.0  # seconds
_LONGEST = 60.0


class Check(Record):
    """A request and the answer that is expected. ``timeout``, in seconds, is for the whole answer.

    ``origin`` says where the request is sent from: the host that runs the task, or the service's container.
    ``version`` names the member of the JSON answer that must equal the version of ``service``'s image.
    """

    address: Address
    method: str = "GET"
    status: int = 200
    body: str = ""
    timeout: float = _TIMEOUT
    origin: str = HOST
    version: str = ""
    service: str = ""

    def __str__(self) -> str:
        return f"{self.method} {self.address}"


def parse(raw: object, where: str, owner: str) -> tuple[Check, ...]:
    """Return the checks of a service; raises InputError for a check that is not valid."""
    if raw is None:
        return ()
    if not isinstance(raw, list):
        raise InputError(f"{where}: expected a list of checks, got {raw!r}", 'as in [{url: "http://localhost/health"}]')
    return tuple(_check(check, f"{where}[{number}]", owner) for number, check in enumerate(raw))


def _check(raw: object, where: str, owner: str) -> Check:
    fields = _mapping(raw, where, _KEYS)
    if "url" not in fields:
        raise InputError(f"{where}: a check needs a url", 'as in {url: "http://localhost/health", status: 200}')
    member, service = _version(fields.get("version"), f"{where}.version", owner)
    return Check(
        address=parse_address(fields["url"], f"{where}.url"),
        method=_choice(fields.get("method", "GET"), ("GET", "HEAD"), f"{where}.method"),
        status=_status(fields.get("status", 200), f"{where}.status"),
        body=_pattern(fields.get("body", ""), f"{where}.body"),
        timeout=_timeout(fields.get("timeout"), f"{where}.timeout"),
        origin=_choice(fields.get("from", HOST), (HOST, CONTAINER), f"{where}.from"),
        version=member,
        service=service,
    )


def _mapping(raw: object, where: str, known: Sequence[str]) -> Mapping[str, Any]:
    if not isinstance(raw, dict):
        raise InputError(f"{where}: expected a mapping, got {raw!r}", f"its keys: {', '.join(known)}")
    for key in raw:
        if key not in known:
            raise InputError(f"{where}: unknown key {key!r}", f"there are: {', '.join(known)}")
    return raw


def _choice(value: object, words: Sequence[str], where: str) -> str:
    if not isinstance(value, str) or value not in words:
        raise InputError(f"{where}: expected {' or '.join(words)}, got {value!r}", "a smoke test has no side effects")
    return value


def _status(value: object, where: str) -> int:
    number = int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value
    if not isinstance(number, int) or isinstance(number, bool) or not 100 <= number <= 599:
        raise InputError(f"{where}: expected an HTTP status such as 200, got {value!r}", "redirects are not followed")
    return number


def _pattern(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise InputError(f"{where}: expected a regular expression, got {value!r}", "quote it")
    try:
        re.compile(value)
    except re.error as error:
        raise InputError(f"{where}: {value!r} is not a regular expression: {error}", "escape its signs") from None
    return value


def _timeout(value: object, where: str) -> float:
    seconds = _TIMEOUT if value is None else parse_duration(str(value), where)
    if not 0 < seconds <= _LONGEST:
        raise InputError(f"{where}: expected up to {_LONGEST:g}s, got {value!r}", "a smoke test takes seconds")
    return seconds


def _version(raw: object, where: str, owner: str) -> tuple[str, str]:
    if raw is None:
        return "", ""
    fields = _mapping(raw, where, _VERSION_KEYS)
    member = fields.get("json")
    if not isinstance(member, str) or not member:
        raise InputError(f"{where}.json: expected the name of a member, got {member!r}", "as in {json: version}")
    return member, str(fields.get("service", owner))
