"""Istio: how requests go to a service: protocols of its ports, retries, timeouts, and shares of a canary.

**Protocol.** Istio carries a port as what its Service says it is. Ours are called ``tcp-8080`` where nothing is known,
and stay so. ``app_protocol`` of the Compose file is taken as it is. Where the project shows that a port speaks HTTP
(``protocols.py``) its name says nothing of TCP, and Istio looks at what comes: then a proxy may also keep the ``Host``
of its client, which with a declared protocol would be no name that the mesh knows.
https://istio.io/latest/docs/ops/configuration/traffic-management/protocol-selection/

**Retries.** A method that is idempotent is tried again when the server could not be reached, broke the connection or
said 502 to 504. Of any other only what never reached a server is sent again, which Istio's own default does not keep
to: it repeats a POST after 503.

**Times.** ``timeout`` of the health check is how long a connection may take to come about. Of several Pods, one that
fails as often as the check allows gets nothing for an ``interval``, or for as long as a new one is watched in an
update, if that is longer.

No header is changed: those of a trace pass through as they came.
https://istio.io/latest/docs/reference/config/networking/virtual-service/#HTTPRetry
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ....model.stack.stack import Service
from ..network.ports import container_ports
from ..outcome import KeyOutcome, inferred
from ..part import Fields
from ..source import KubeSource
from ..workloads.probes import times
from ..workloads.rollout import min_ready, pods
from ..workloads.slots import SLOT, SLOTS
from .members import is_canary
from .protocols import IDEMPOTENT, attempts, http_ports, unhealthy
from .shares import VIRTUAL_SERVICE

NETWORKING = "networking.istio.io/v1"
_NEVER_SENT = "connect-failure,refused-stream"
_AGAIN = f"{_NEVER_SENT},reset,gateway-error"


def routed(source: KubeSource, service: Service, objects: Iterable[Fields]) -> tuple[Fields, ...]:
    """Return the objects of a service with a DestinationRule and a VirtualService for each name that needs one."""
    kinds, found = http_ports(source, service), list[Fields]()
    for each in objects:
        if each["kind"] != "Service":
            found.append(each)
            continue
        found += [_named(each, kinds), *_rule(source, service, each)]
        if any(kinds.get(port["port"]) for port in each["spec"].get("ports") or ()):
            found.append(_routes(source, service, each))
    return tuple(found)


def divides(source: KubeSource, service: Service) -> bool:
    """Whether the new Pods of a canary get a share of the requests; of connections without requests there is none."""
    return is_canary(source, service) and bool(http_ports(source, service))


def told(source: KubeSource, service: Service) -> Iterator[KeyOutcome]:
    """Yield what became of a service's ports and of its check."""
    where, kinds = f"services.{service.name}", http_ports(source, service)
    ports = [port for port in container_ports(source, service) if port.protocol == "tcp"]
    numbers = [port.number for port in ports]
    if plain := [str(port.number) for port in ports if not kinds.get(port.number) and not port.application]:
        reason = f"{', '.join(plain)}: carried as TCP, without retries; ports.app_protocol says what it is"
        yield inferred(f"{where}.ports", "Service", reason)
    if shown := [f"{number}: HTTP, {kinds[number]}" for number in numbers if kinds.get(number)]:
        yield inferred(f"{where}.ports", VIRTUAL_SERVICE, "; ".join(shown))
    if numbers and times(source, service):
        reason = "its times and retries are those of connections and of requests that may be repeated"
        yield inferred(f"{where}.healthcheck", f"DestinationRule, {VIRTUAL_SERVICE}", reason)


def _named(made: Fields, kinds: Mapping[int, str]) -> Fields:
    """Return a Service whose HTTP ports have no name that says TCP."""
    ports = made["spec"].get("ports")
    if not ports:
        return made
    seen = [
        {**port, "name": f"port-{port['port']}"} if _says_tcp(port) and kinds.get(port["port"]) else port
        for port in ports
    ]
    return {**made, "spec": {**made["spec"], "ports": seen}}


def _says_tcp(port: Mapping[str, Any]) -> bool:
    return port["protocol"] == "TCP" and "appProtocol" not in port and port["name"] == f"tcp-{port['port']}"


def _about(made: Fields, kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    about = {"name": made["metadata"]["name"], "labels": dict(made["metadata"]["labels"])}
    return {"apiVersion": NETWORKING, "kind": kind, "metadata": about, "spec": spec}


def _rule(source: KubeSource, service: Service, made: Fields) -> Iterator[dict[str, Any]]:
    """Yield the DestinationRule of a Service that has something to say of connections or of slots."""
    known, policy = times(source, service), dict[str, Any]()
    if known:
        policy["connectionPool"] = {"tcp": {"connectTimeout": _seconds(known.timeout)}}
        if (number := pods(service)) > 1:
            policy["outlierDetection"] = {
                "consecutiveGatewayErrors": known.retries,
                "consecutive5xxErrors": 0,  # an application's 500 says nothing about its Pod
                "interval": _seconds(known.interval),
                "baseEjectionTime": _seconds(max(known.interval, min_ready(source, service))),
                "maxEjectionPercent": 100 * (number - 1) // number,
            }
    spec = {"host": made["metadata"]["name"], **({"trafficPolicy": policy} if policy else {})}
    if divides(source, service):
        spec["subsets"] = [{"name": slot, "labels": {SLOT: slot}} for slot in SLOTS]
    if len(spec) > 1:
        yield _about(made, "DestinationRule", spec)


def _routes(source: KubeSource, service: Service, made: Fields) -> dict[str, Any]:
    name, known = made["metadata"]["name"], times(source, service)
    route, often = [{"destination": {"host": name}}], attempts(known)
    again: dict[str, Any] = {"attempts": often, "retryOn": _AGAIN}
    if known:
        again["perTryTimeout"] = _seconds(unhealthy(known))
    http = [
        {
            "name": "idempotent",
            "match": [{"method": {"regex": "|".join(IDEMPOTENT)}}],
            "route": route,
            "retries": again,
        },
        {"name": "others", "route": route, "retries": {"attempts": often, "retryOn": _NEVER_SENT}},
    ]
    return _about(made, VIRTUAL_SERVICE, {"hosts": [name], "http": http})


def _seconds(value: float) -> str:
    return f"{value:g}s"
