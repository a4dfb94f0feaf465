"""How the answers to smoke checks (``x-slipway.smoke`` of a service) and the health of services are judged."""

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ...model.engine.facts import Container, Image
from ...model.lazy_pattern import lazy_pattern
from ...model.stack.smoke import VERSION_LABEL, Check
from ...model.suite import FAILED, PASSED, SKIPPED
from ...model.units import show_duration

if TYPE_CHECKING:
    from ...model.stack.stack import Service, Stack

_VERSION = lazy_pattern(r"v?[0-9]+\.[0-9]+\.[0-9]+(?:[-+.][0-9A-Za-z.+-]+)?", re.ASCII)
_SHOWN = 120  # characters of a body in a reason
# https://curl.se/docs/manpage.html#EXIT and the shell's own codes
_CURL_TIMEOUT, _NO_CURL = 28, (126, 127)
SECRETS = "/run/secrets"


@dataclass(frozen=True)
class Answer:
    """The answer to a check; ``error`` is why there is none, "" when there is one."""

    status: int = 0
    body: str = ""
    seconds: float = 0.0
    error: str = ""


@dataclass(frozen=True)
class SmokeRow:
    """The result of a check of a service; ``seconds`` is how long the answer took."""

    service: str
    check: str
    outcome: str
    seconds: float = 0.0
    reason: str = ""

    def document(self) -> dict[str, Any]:
        """Return the row as JSON data."""
        seconds = round(self.seconds, 3)
        return {**vars(self), "seconds": seconds, "reason": self.reason or None}


def health(
    stack: "Stack", containers: Iterable[Container], ran: Collection[str] = (), fresh: Collection[str] = ()
) -> tuple[SmokeRow, ...]:
    """Return a row for each service: whether its containers run and are healthy, or whether its job has ended well.

    ``ran`` are the jobs that are known to have ended well: the container of such a job may be gone.
    ``fresh`` are the new containers of a rollout that is being checked. Of other services that are rolled out at the
    same time, as many containers as there are replicas must serve; further ones may still be starting.
    """
    regular = [container for container in containers if not container.oneoff]
    rows = []
    for service in stack.services.values():
        own = [container for container in regular if container.service == service.name]
        serving = [container for container in own if not _serving(service, [container] * service.replicas)]
        if in_other_rollout(service, own, fresh) and len(serving) >= service.replicas:
            own = serving
        if own or service.name not in ran:
            rows.append(_health(service, own, stack.one_off(service)))
    return tuple(rows)


def in_other_rollout(service: "Service", own: Sequence[Container], fresh: Collection[str]) -> bool:
    """Whether a service is being rolled out at the same time as the service of the ``fresh`` containers."""
    more = len(own) > service.replicas or len({container.image_id for container in own}) > 1
    return (
        bool(fresh) and service.rollout != "recreate" and more and not any(container.name in fresh for container in own)
    )


def _health(service: "Service", containers: Sequence[Container], ends: bool) -> SmokeRow:
    reason = _ended(containers) if ends else _serving(service, containers)
    return SmokeRow(service.name, "completed" if ends else "health", FAILED if reason else PASSED, 0.0, reason)


def _ended(containers: Sequence[Container]) -> str:
    for container in containers:
        if container.state != "exited":
            return f"{container.name} is {container.state}"
        if container.exit_code:
            return f"{container.name} ended with exit code {container.exit_code}"
    return "" if containers else "it has not run"


def _serving(service: "Service", containers: Sequence[Container]) -> str:
    for container in containers:
        if container.state != "running":
            return f"{container.name} is {container.state}"
        if service.health_check and container.health != "healthy":
            return f"{container.name} is {container.health or 'without a health check'}"
    missing = service.replicas - len(containers)
    return f"{len(containers)} of {service.replicas} containers run" if missing > 0 else ""


def image_version(image: Image | None, reference: str) -> tuple[str, str]:
    """Return the version of an image and "", or "" and why the version is not known.

    It is the image's OCI label; without the label, the tag that the container was made from, or the only tag that is a
    version.
    """
    if image is None:
        return "", f"image {reference} is not on the engine any more"
    if label := image.labels.get(VERSION_LABEL, ""):
        return label, ""
    for references in ((reference,), image.tags):
        tags = {name.rpartition("/")[2].partition(":")[2].partition("@")[0] for name in references}
        versions = {_without_stage(tag.removeprefix("v")) for tag in tags if _VERSION.fullmatch(tag)}
        if len(versions) == 1:
            return versions.pop(), ""
    return "", f"image {reference} has no label {VERSION_LABEL}, and no tag of its own that is a version"


def _without_stage(tag: str) -> str:
    """Return the version in a tag: images of working stages have the stage's name after it."""
    from ...model.version import WORKING_STAGES

    return next((tag.removesuffix(f"-{stage}") for stage in WORKING_STAGES if tag.endswith(f"-{stage}")), tag)


def judge(check: Check, owner: str, answer: Answer, deployed: tuple[str, str] = ("", "")) -> tuple[SmokeRow, ...]:
    """Return the result of a check, and a second row for a check that asks for the version.

    ``deployed`` is the version of the service's image and "", or "" and why it is not known.
    """
    reason = _fault(check, answer)
    rows = [SmokeRow(owner, str(check), FAILED if reason else PASSED, answer.seconds, reason)]
    if check.version:
        rows.append(_served(check, answer, deployed, bool(reason)))
    return tuple(rows)


def _fault(check: Check, answer: Answer) -> str:
    if answer.error:
        return answer.error
    if answer.seconds > check.timeout:
        return timeout_text(check)
    if answer.status != check.status:
        return f"status {answer.status}, expected {check.status}"
    if check.body and re.search(check.body, answer.body) is None:
        text = " ".join(answer.body.split())
        shown = f"{text[:_SHOWN]}…" if len(text) > _SHOWN else text
        return f"the body does not match {check.body!r}: {shown or 'it is empty'}"
    return ""


def timeout_text(check: Check) -> str:
    """Return the reason for an answer that did not come in time."""
    return f"no answer within {show_duration(check.timeout)}"


def _served(check: Check, answer: Answer, deployed: tuple[str, str], failed: bool) -> SmokeRow:
    name = f"version of {check.service}"
    wanted, unknown = deployed
    if failed:
        return SmokeRow(check.service, name, FAILED, 0.0, f"{check} did not answer as expected")
    served = _member(answer.body, check.version)
    if served is None:
        return SmokeRow(check.service, name, FAILED, 0.0, f"the answer has no member {check.version!r}")
    if not wanted:
        return SmokeRow(check.service, name, SKIPPED, 0.0, f"serves {served}; {unknown}")
    if served.removeprefix("v") != wanted.removeprefix("v"):
        return SmokeRow(check.service, name, FAILED, 0.0, f"serves {served}, deployed is {wanted}")
    return SmokeRow(check.service, name, PASSED, 0.0, served)


def _member(body: str, path: str) -> str | None:
    """Return the text at a path such as ``build.version`` in a JSON document, None when there is no text."""
    try:
        value: Any = json.loads(body)
    except (ValueError, RecursionError):
        return None
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else None


def curl(check: Check, certificates: str, headers: Mapping[str, str] = MappingProxyType({})) -> tuple[str, ...]:
    """Return the curl command for a check from inside a container; the HTTP status is the last line of its output.

    ``certificates`` is the path of a self-signed certificate to trust, "" to trust what the image trusts.
    """
    words = ["curl", "--disable", "--silent", "--show-error", "--globoff", "--noproxy", "*"]
    words += ["--max-time", f"{check.timeout:.3f}", "--max-filesize", str(2**20), "--write-out", r"\n%{http_code}"]
    words += ["--head"] if check.method == "HEAD" else []
    words += [word for name, value in headers.items() for word in ("--header", f"{name}: {value}")]
    words += ["--cacert", certificates] if certificates and check.address.scheme == "https" else []
    return (*words, str(check.address))


def from_curl(check: Check, exit_code: int, output: str, errors: str, seconds: float) -> Answer:
    """Return the answer in the output of ``curl``; ``seconds`` is how long it took."""
    body, _, status = output.rpartition("\n")
    if exit_code in _NO_CURL:
        return Answer(error="there is no curl in the container to ask with")
    if exit_code == _CURL_TIMEOUT:
        return Answer(error=timeout_text(check))
    if exit_code or not status.isdigit():
        lines = errors.strip().splitlines() or [f"curl ended with exit code {exit_code}"]
        return Answer(error=re.sub(r"\Acurl: \([0-9]+\) ", "", lines[0]))
    return Answer(int(status), body, seconds)
