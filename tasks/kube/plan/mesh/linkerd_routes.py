"""Linkerd: how requests go to a service: which ports are opaque, retries, their times, and shares of a canary.

**Retries.** Each name of a service has two HTTPRoutes for a port that speaks HTTP. What is idempotent is tried again
after 502 to 504, or when it has not begun to be answered in time; the annotations of a route say so for all of its
requests. Of any other request nothing is sent again. An HTTPRoute of the Gateway API is Linkerd's where its parent is
a Service. https://linkerd.io/2/reference/retries/, https://linkerd.io/2/reference/httproute/

**What Linkerd can not say.** How long a connection may take is a matter of the client's proxy, and its circuit breaker
takes each 5xx of an application for a failure of its Pod, the only Pod included: neither is made of a health check. No
route leads requests by the name of a headless Service, which is an address of a Pod already.

**Canary.** The backends of a route are Services. So a service whose canary gets shares has a Service for each slot,
``app-blue`` and ``app-green``, between which the weights divide (``shares.py``).

No header is changed: those of a trace pass through as they came.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from ....model.stack.stack import Service
from ..network.ports import container_ports
from ..network.services import headless
from ..outcome import KeyOutcome, ignored, inferred
from ..part import Fields, merged
from ..source import KubeSource
from ..workloads.probes import times
from ..workloads.slots import SLOTS, of_one_slot
from .members import is_canary
from .protocols import IDEMPOTENT, attempts, http_ports, unhealthy
from .shares import HTTP_ROUTE

OPAQUE = "config.linkerd.io/opaque-ports"
GATEWAY_API = "gateway.networking.k8s.io/v1"
RETRY = "retry.linkerd.io"
_AGAIN = "gateway-error"  # 502 to 504
_NO_NAME = "None"  # spec.clusterIP of a headless Service


def opaque(source: KubeSource, service: Service, numbers: Iterable[int]) -> str:
    """Return those of some ports that are not known to speak HTTP, as Linkerd lists them.

    It is said also where there is none: else Linkerd takes usual ports of databases for opaque.
    """
    known = http_ports(source, service)
    return ",".join(str(number) for number in numbers if number not in known)


def routed(source: KubeSource, service: Service, objects: Iterable[Fields]) -> tuple[Fields, ...]:
    """Return the objects of a service with the routes to each of its names, and a Service for each slot of a canary."""
    found: list[Fields] = []
    for each in objects:
        if each["kind"] != "Service":
            found.append(each)
            continue
        made = _noted(source, service, each)
        found.append(made)
        if made["spec"].get("clusterIP") == _NO_NAME:
            continue
        numbers = [port for port in _tcp(made) if port in http_ports(source, service)]
        found += [route for number in numbers for route in _routes(source, service, made, number)]
        if numbers and divides(source, service):
            found += [of_one_slot(made, slot) for slot in SLOTS]
    return tuple(found)


def divides(source: KubeSource, service: Service) -> bool:
    """Whether the new Pods of a canary get a share of the requests: it needs a name that routes lead by."""
    return is_canary(source, service) and _is_routed(source, service)


def told(source: KubeSource, service: Service) -> Iterator[KeyOutcome]:
    """Yield what became of a service's ports and of its check."""
    where, kinds = f"services.{service.name}", http_ports(source, service)
    ports = [port for port in container_ports(source, service) if port.protocol == "tcp"]
    if plain := [str(port.number) for port in ports if port.number not in kinds]:
        reason = f"{', '.join(plain)}: carried as TCP, without retries; ports.app_protocol says what it is"
        yield inferred(f"{where}.ports", OPAQUE, reason)
    if shown := [f"{port.number}: HTTP, {kinds[port.number]}" for port in ports if port.number in kinds]:
        reason = "Linkerd leads no requests by a name that is an address of a Pod: they are not tried again"
        routes = inferred(f"{where}.ports", HTTP_ROUTE, "; ".join(shown))
        yield routes if _is_routed(source, service) else ignored(f"{where}.ports", f"{'; '.join(shown)}. {reason}")
    if not times(source, service):
        return
    if _is_routed(source, service):
        reason = "its times and retries are those of requests that may be repeated"
        yield inferred(f"{where}.healthcheck", f"{HTTP_ROUTE}, {RETRY}", reason)
    if ports:
        reason = (
            "Linkerd times connections by client, and its circuit breaker counts every 5xx: neither is made of a check"
        )
        yield ignored(f"{where}.healthcheck", reason)


def _is_routed(source: KubeSource, service: Service) -> bool:
    ports = container_ports(source, service)
    return bool(http_ports(source, service)) and not headless(service, ports, source.raw(service.name))


def _tcp(made: Fields) -> list[int]:
    return [port["port"] for port in made["spec"].get("ports") or () if port["protocol"] == "TCP"]


def _noted(source: KubeSource, service: Service, made: Fields) -> Fields:
    """Return a Service that says which of its ports are opaque: clients' proxies go by it."""
    if not (numbers := _tcp(made)):
        return made
    notes = {OPAQUE: opaque(source, service, numbers)}
    return {**made, "metadata": merged(made["metadata"], {"annotations": notes})}


def _routes(source: KubeSource, service: Service, made: Fields, number: int) -> tuple[dict[str, Any], ...]:
    """Return the routes to a port of a Service: of two that match, the one that names a method goes first."""
    known = times(source, service)
    again = {f"{RETRY}/http": _AGAIN, f"{RETRY}/limit": str(attempts(known))}
    if known:
        again[f"{RETRY}/timeout"] = _duration(unhealthy(known))
    repeatable = {"matches": [{"method": method} for method in IDEMPOTENT]}
    return (
        _route(made, number, ".idempotent", repeatable, {"annotations": again}),
        _route(made, number, "", {}, {}),
    )


def _route(made: Fields, number: int, ending: str, rule: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    name = made["metadata"]["name"]
    # With a dot it is no name of a Service, and so of no route of a Gateway (``network/ingress.py``).
    about = {"name": f"{name}.{number}{ending}", "labels": dict(made["metadata"]["labels"]), **more}
    spec = {
        "parentRefs": [{"group": "", "kind": "Service", "name": name, "port": number}],
        "rules": [{**rule, "backendRefs": [{"name": name, "port": number}]}],
    }
    return {"apiVersion": GATEWAY_API, "kind": HTTP_ROUTE, "metadata": about, "spec": spec}


def _duration(seconds: float) -> str:
    """Return a time as Linkerd reads it: in whole numbers only."""
    return f"{seconds:.0f}s" if seconds == int(seconds) else f"{1000 * seconds:.0f}ms"
