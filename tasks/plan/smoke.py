"""What a smoke test checks: the ``x-slipway.smoke`` field of a service, and how the answers are judged."""

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .address import Address
from .address import parse as parse_address
from .errors import InputError
from .facts import Container, Image
from .suites import FAILED, PASSED, SKIPPED
from .units import parse_duration, show_duration
from .version import WORKING_STAGES

if TYPE_CHECKING:
    from .stack import Service, Stack

VERSION_LABEL = "org.opencontainers.image.version"
HOST, CONTAINER = "host", "container"
_KEYS = ("url", "method", "status", "body", "timeout", "from", "version")
_VERSION_KEYS = ("json", "service")
_TIMEOUT = 5.0  # seconds
_LONGEST = 60.0
_VERSION = re.compile(r"v?[0-9]+\.[0-9]+\.[0-9]+(?:[-+.][0-9A-Za-z.+-]+)?", re.ASCII)
_SHOWN = 120  # characters of a body in a reason
# https://curl.se/docs/manpage.html#EXIT and the shell's own codes
_CURL_TIMEOUT, _NO_CURL = 28, (126, 127)
SECRETS = "/run/secrets"


@dataclass(frozen=True)
class Check:
    """One request and what its answer must be. ``timeout`` in seconds is for the whole answer.

    ``origin`` says where it is asked from: the host that runs the task, or inside the service's container.
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


@dataclass(frozen=True)
class Answer:
    """What came back, or in ``error`` why nothing did."""

    status: int = 0
    body: str = ""
    seconds: float = 0.0
    error: str = ""


@dataclass(frozen=True)
class Row:
    """One thing that was checked."""

    service: str
    check: str
    outcome: str
    seconds: float = 0.0
    reason: str = ""

    def document(self) -> dict[str, Any]:
        """Return the row as JSON data."""
        seconds = round(self.seconds, 3)
        return {**vars(self), "seconds": seconds, "reason": self.reason or None}


def parse(raw: object, where: str, owner: str) -> tuple[Check, ...]:
    """Return the checks of a service; raises InputError for one that is not understood."""
    if raw is None:
        return ()
    if not isinstance(raw, list):
        raise InputError(f"{where}: expected a list of checks, got {raw!r}", 'as in [{url: "http://localhost/health"}]')
    return tuple(_check(one, f"{where}[{number}]", owner) for number, one in enumerate(raw))


def _check(raw: object, where: str, owner: str) -> Check:
    found = _mapping(raw, where, _KEYS)
    if "url" not in found:
        raise InputError(f"{where}: a check needs a url", 'as in {url: "http://localhost/health", status: 200}')
    member, service = _version(found.get("version"), f"{where}.version", owner)
    return Check(
        address=parse_address(found["url"], f"{where}.url"),
        method=_choice(found.get("method", "GET"), ("GET", "HEAD"), f"{where}.method"),
        status=_status(found.get("status", 200), f"{where}.status"),
        body=_pattern(found.get("body", ""), f"{where}.body"),
        timeout=_timeout(found.get("timeout"), f"{where}.timeout"),
        origin=_choice(found.get("from", HOST), (HOST, CONTAINER), f"{where}.from"),
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
    found = _mapping(raw, where, _VERSION_KEYS)
    member = found.get("json")
    if not isinstance(member, str) or not member:
        raise InputError(f"{where}.json: expected the name of a member, got {member!r}", "as in {json: version}")
    return member, str(found.get("service", owner))


def health(stack: "Stack", containers: Iterable[Container], ran: Collection[str] = ()) -> tuple[Row, ...]:
    """Return whether each service is as it should be, by what the engine says.

    ``ran`` are jobs that are known to have ended well: their container may be gone with what replaced it and failed.
    """
    mine = [one for one in containers if not one.oneoff]
    found = []
    for service in stack.services.values():
        own = [one for one in mine if one.service == service.name]
        if own or service.name not in ran:
            found.append(_health(service, own, stack.one_off(service)))
    return tuple(found)


def _health(service: "Service", containers: Sequence[Container], ends: bool) -> Row:
    reason = _ended(containers) if ends else _serving(service, containers)
    return Row(service.name, "completed" if ends else "health", FAILED if reason else PASSED, 0.0, reason)


def _ended(containers: Sequence[Container]) -> str:
    for one in containers:
        if one.state != "exited":
            return f"{one.name} is {one.state}"
        if one.exit_code:
            return f"{one.name} ended with exit code {one.exit_code}"
    return "" if containers else "it has not run"


def _serving(service: "Service", containers: Sequence[Container]) -> str:
    for one in containers:
        if one.state != "running":
            return f"{one.name} is {one.state}"
        if service.health_check and one.health != "healthy":
            return f"{one.name} is {one.health or 'without a health check'}"
    missing = service.replicas - len(containers)
    return f"{len(containers)} of {service.replicas} containers run" if missing > 0 else ""


def carried_version(image: Image | None, reference: str) -> tuple[str, str]:
    """Return the version that an image carries, or "" and why it is not known.

    It is its OCI label; without one, the tag that its container was made from, or the only one that is a version.
    """
    if image is None:
        return "", f"image {reference} is not on the engine any more"
    if label := image.labels.get(VERSION_LABEL, ""):
        return label, ""
    for references in ((reference,), image.tags):
        tags = {one.rpartition("/")[2].partition(":")[2].partition("@")[0] for one in references}
        versions = {_without_stage(tag.removeprefix("v")) for tag in tags if _VERSION.fullmatch(tag)}
        if len(versions) == 1:
            return versions.pop(), ""
    return "", f"image {reference} has no label {VERSION_LABEL}, and no tag of its own that is a version"


def _without_stage(tag: str) -> str:
    """Return the version of a tag: an image of a working stage names the stage after it."""
    return next((tag.removesuffix(f"-{one}") for one in WORKING_STAGES if tag.endswith(f"-{one}")), tag)


def judge(check: Check, owner: str, answer: Answer, deployed: tuple[str, str] = ("", "")) -> tuple[Row, ...]:
    """Return what an answer comes to; a check that asks for the version is two rows.

    ``deployed`` is the version that the service's image carries, or "" and why it is not known.
    """
    reason = _fault(check, answer)
    rows = [Row(owner, str(check), FAILED if reason else PASSED, answer.seconds, reason)]
    if check.version:
        rows.append(_served(check, answer, deployed, bool(reason)))
    return tuple(rows)


def _fault(check: Check, answer: Answer) -> str:
    if answer.error:
        return answer.error
    if answer.seconds > check.timeout:
        return late(check)
    if answer.status != check.status:
        return f"status {answer.status}, expected {check.status}"
    if check.body and re.search(check.body, answer.body) is None:
        text = " ".join(answer.body.split())
        shown = f"{text[:_SHOWN]}…" if len(text) > _SHOWN else text
        return f"the body does not match {check.body!r}: {shown or 'it is empty'}"
    return ""


def late(check: Check) -> str:
    """Return what is said of an answer that does not come in time."""
    return f"no answer within {show_duration(check.timeout)}"


def _served(check: Check, answer: Answer, deployed: tuple[str, str], failed: bool) -> Row:
    name = f"version of {check.service}"
    wanted, unknown = deployed
    if failed:
        return Row(check.service, name, FAILED, 0.0, f"{check} did not answer as expected")
    served = _member(answer.body, check.version)
    if served is None:
        return Row(check.service, name, FAILED, 0.0, f"the answer has no member {check.version!r}")
    if not wanted:
        return Row(check.service, name, SKIPPED, 0.0, f"serves {served}; {unknown}")
    if served.removeprefix("v") != wanted.removeprefix("v"):
        return Row(check.service, name, FAILED, 0.0, f"serves {served}, deployed is {wanted}")
    return Row(check.service, name, PASSED, 0.0, served)


def _member(body: str, path: str) -> str | None:
    """Return the text at a path such as ``build.version`` of a JSON document, None when there is none."""
    try:
        found: Any = json.loads(body)
    except (ValueError, RecursionError):
        return None
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return str(found) if isinstance(found, str | int | float) and not isinstance(found, bool) else None


def curl(check: Check, certificates: str) -> tuple[str, ...]:
    """Return the curl command that asks from inside a container; the status is the last line of its output.

    ``certificates`` is the file of a self-signed certificate to trust, "" for those that the image trusts.
    """
    words = ["curl", "--disable", "--silent", "--show-error", "--globoff", "--noproxy", "*"]
    words += ["--max-time", f"{check.timeout:.3f}", "--max-filesize", str(2**20), "--write-out", r"\n%{http_code}"]
    words += ["--head"] if check.method == "HEAD" else []
    words += ["--cacert", certificates] if certificates and check.address.scheme == "https" else []
    return (*words, str(check.address))


def from_curl(check: Check, exit_code: int, output: str, errors: str, seconds: float) -> Answer:
    """Return the answer that curl printed."""
    body, _, status = output.rpartition("\n")
    if exit_code in _NO_CURL:
        return Answer(error="there is no curl in the container to ask with")
    if exit_code == _CURL_TIMEOUT:
        return Answer(error=late(check))
    if exit_code or not status.isdigit():
        lines = errors.strip().splitlines() or [f"curl ended with exit code {exit_code}"]
        return Answer(error=re.sub(r"\Acurl: \([0-9]+\) ", "", lines[0]))
    return Answer(int(status), body, seconds)
