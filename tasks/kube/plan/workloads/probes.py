"""The health check of a service as probes.

- Readiness is the check: a Pod that does not pass it gets no traffic, and stays.
- Startup is the same check while the container starts: ``start_interval`` is its period, and it may fail for as long as
  the engine needs to call the container unhealthy: ``start_period``, and after it ``retries`` times ``interval``.
  Compose starts a container when what it depends on is up, Kubernetes at once, so the time of those it waits for is
  added. A container that does not pass it in time is started again.
- Liveness restarts a container, which no check of Compose does, and which restarts every app when a database is slow.
  So it is made on request only (``x-slipway.liveness: true``) and fails three times as late as readiness.

Keys that the Compose file leaves out are those of the image's HEALTHCHECK, which Kubernetes does not read, else the
engine's defaults. Times are whole seconds, rounded up. Without a check, a request of ``x-slipway.smoke`` that the
service's own container makes (``from: container``) is one, if the port is known as the container's.
https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#container-probes
"""

import math
from collections.abc import Mapping
from typing import Any

from ....model.record import Record
from ....model.stack.smoke import CONTAINER, Check
from ....model.stack.stack import Service
from ....model.units import parse_duration
from ..data import checks
from ..data.expansion import literal
from ..data.placeholders import named
from ..outcome import KeyOutcome, ignored, inferred, refused, translated
from ..part import Part
from ..source import ImageFacts, KubeSource
from .kinds import ENDING, NOTHING, kind
from .ordering import distance
from .words import words

KEYS = frozenset({"healthcheck"})
_TIMES = {  # the key, that of the image's configuration (in nanoseconds), the engine's default in seconds
    "interval": ("Interval", 30.0),
    "timeout": ("Timeout", 30.0),
    "start_period": ("StartPeriod", 0.0),
    "start_interval": ("StartInterval", 5.0),
}
_RETRIES = 3
_PATIENCE = 3  # how many times as late as readiness liveness fails
_INTO = "containers[].readinessProbe"


class Times(Record):
    """The times of a check in seconds, as they are said, and how many failures in a row count."""

    interval: float
    timeout: float
    start_period: float
    start_interval: float
    retries: int


def part(source: KubeSource, service: Service) -> Part:
    """Return the probes of a service; refused where the image has no shell that the check needs."""
    raw = source.raw(service.name).get("healthcheck") or {}
    image, key = source.image(service.name), f"services.{service.name}.healthcheck"
    if kind(source, service) in (*ENDING, NOTHING):
        return Part(outcomes=(ignored(key, "what is meant to end is not asked whether it is healthy"),) if raw else ())
    test = _test(raw, image)
    if service.health_disabled or test[1:] == []:
        return _without(source, service, raw, key)
    if _needs_shell(test) and image.shell is False:
        hint = "write it as [CMD, PROGRAM, …], or say a request under x-slipway.smoke with from: container"
        return Part(outcomes=(refused(key, "the check needs a shell, and the image has no /bin/sh", hint),))
    said_times = _times(raw, image, key)
    handler = {"exec": {"command": _command(test, bool(raw.get("test")))}}
    said = translated(key, _INTO) if raw.get("test") else inferred(key, _INTO, "the HEALTHCHECK of the image")
    return Part(
        container=_probes(source, service, handler, said_times),
        outcomes=(said, *_rounded(raw, key), *_liveness(service)),
    )


def times(source: KubeSource, service: Service) -> Times | None:
    """Return the times of the check of a service, None where it has none."""
    raw, image = source.raw(service.name).get("healthcheck") or {}, source.image(service.name)
    test = _test(raw, image)
    if kind(source, service) in (*ENDING, NOTHING) or service.health_disabled or not test[1:]:
        return None
    return _times(raw, image, f"services.{service.name}.healthcheck")


def _test(raw: Mapping[str, Any], image: ImageFacts) -> list[str]:
    said = raw.get("test") or (image.health or {}).get("Test") or []
    return ["CMD-SHELL", said] if isinstance(said, str) else [str(word) for word in said]


def _needs_shell(test: list[str]) -> bool:
    """Whether a shell runs a check: also one with a secret among its words, which the shell puts in."""
    return test[0] == "CMD-SHELL" or any(named(word) for word in test)


def _command(test: list[str], of_compose: bool) -> list[str]:
    """Return the command of a check; ``of_compose``: it is in the words of the model, and not in those of an image."""
    line, given = " ".join(test[1:]), test[1:]
    if test[0] == "CMD-SHELL":
        return ["/bin/sh", "-c", checks.in_shell(line) if of_compose else literal(line)]
    return checks.command(given) if of_compose else words(given)


def _times(raw: Mapping[str, Any], image: ImageFacts, where: str) -> Times:
    """Return the times of the Compose file, else of the image, else of the engine."""
    health = image.health or {}
    seconds = {}
    for key, (name, usual) in _TIMES.items():
        said = parse_duration(str(raw[key]), f"{where}.{key}") if raw.get(key) else 0.0
        seconds[key] = said or float(health.get(name) or 0) / 1e9 or usual
    return Times(**seconds, retries=int(raw.get("retries") or health.get("Retries") or _RETRIES))


def _probes(source: KubeSource, service: Service, handler: Mapping[str, Any], known: Times) -> dict[str, Any]:
    timeout, period = _whole(known.timeout), _whole(known.interval)
    usual = {**handler, "timeoutSeconds": timeout, "periodSeconds": period, "failureThreshold": known.retries}
    probes: dict[str, Any] = {"readinessProbe": usual}
    start = known.start_period + distance(source.stack, service.name) * source.settings.health_timeout
    if service.slipway.liveness:
        probes["livenessProbe"] = {**usual, "failureThreshold": _PATIENCE * known.retries}
        start = start or source.settings.health_timeout
    if known.start_period or service.slipway.liveness:
        often = _whole(known.start_interval)
        unhealthy = start + known.retries * known.interval
        probes["startupProbe"] = {
            **handler,
            "timeoutSeconds": timeout,
            "periodSeconds": often,
            "failureThreshold": math.ceil(unhealthy / often),
        }
    return probes


def _whole(seconds: float) -> int:
    return max(1, math.ceil(seconds))


def _rounded(raw: Mapping[str, Any], where: str) -> list[KeyOutcome]:
    """Return which times are longer than the Compose file says, because Kubernetes counts whole seconds."""
    found = []
    for key in _TIMES:
        said = parse_duration(str(raw[key]), f"{where}.{key}") if raw.get(key) else 0.0
        if said and said != _whole(said):
            reason = f"Kubernetes counts whole seconds: {_whole(said)} s and not {raw[key]}"
            found.append(inferred(f"{where}.{key}", "periodSeconds, timeoutSeconds", reason))
    return found


def _liveness(service: Service) -> tuple[KeyOutcome, ...]:
    key = f"services.{service.name}.x-slipway.liveness"
    return (translated(key, "containers[].livenessProbe"),) if service.slipway.liveness else ()


def _without(source: KubeSource, service: Service, raw: Mapping[str, Any], key: str) -> Part:
    """Return the probes of a service without a check: those of a request that its container can make, or none."""
    off = translated(key, "no probe") if service.health_disabled else ignored(key, "there is no check that it is about")
    said = (off,) if raw else ()
    check = None if service.health_disabled else _request(source, service)
    if check is None:
        return Part(outcomes=said)
    address = check.address
    get: dict[str, Any] = {"path": address.path, "port": address.port}
    if address.scheme == "https":
        get["scheme"] = "HTTPS"
    usual = {name: seconds for name, (_, seconds) in _TIMES.items()}
    known = Times(**{**usual, "interval": 10.0, "timeout": check.timeout}, retries=_RETRIES)
    reason = f"there is no health check, but a request that has to succeed: {check}"
    smoke = f"services.{service.name}.x-slipway.smoke"
    outcomes = (*said, inferred(smoke, _INTO, reason), *_liveness(service))
    return Part(container=_probes(source, service, {"httpGet": get}, known), outcomes=outcomes)


def _request(source: KubeSource, service: Service) -> Check | None:
    """Return the first request of the smoke test that the kubelet can make as it is meant, None without one."""
    ports = {*service.listens, *(int(port.partition("/")[0]) for port in source.image(service.name).ports)}
    return next((check for check in service.slipway.smoke if _makes(check) and check.address.port in ports), None)


def _makes(check: Check) -> bool:
    # The kubelet takes 200 to 399 for success, and reads no body.
    plain = check.method == "GET" and not check.body and not check.version and check.status < 400
    return plain and check.origin == CONTAINER and check.address.loopback
