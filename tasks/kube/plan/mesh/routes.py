"""How requests go to a service of the mesh: protocols of its ports, retries, timeouts, and shares of a canary.

**Protocol.** Istio carries a port as what its Service says it is. Ours are called ``tcp-8080`` where nothing is known,
and stay so: mTLS and authorization work for any protocol, also where the server speaks first. ``app_protocol`` of the
Compose file is taken as it is. Where the project shows that a port speaks HTTP (an ingress, metrics, a request of a
smoke check in the container, ``http://web:8080`` in a variable or a file) its name says nothing of TCP, and Istio
looks at what comes: then a proxy may also keep the ``Host`` of its client, which with a declared protocol would be no
name that the mesh knows. https://istio.io/latest/docs/ops/configuration/traffic-management/protocol-selection/

**Retries.** A method that is idempotent (RFC 9110, 9.2.2) is tried again when the server could not be reached, broke
the connection or said 502 to 504: as often as the health check may fail before it counts. Of any other only what never
reached a server is sent again, which Istio's own default does not keep to: it repeats a POST after 503.

**Times.** ``timeout`` of the health check is how long a connection may take to come about. A try of what is idempotent
has begun to answer when the check would have called the container unhealthy, or another one is tried. There is no
limit for a whole answer, as there is none on Compose. Of several Pods, one that fails as often as the check allows gets
nothing for an ``interval``, or for as long as a new one is watched in an update, if that is longer.

No header is changed: those of a trace pass through as they came.
https://istio.io/latest/docs/reference/config/networking/virtual-service/#HTTPRetry
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ....model.lazy_pattern import lazy_pattern
from ....model.stack.extension import CANARY
from ....model.stack.smoke import CONTAINER
from ....model.stack.stack import Service
from ..network.ingress import ingress_port
from ..network.ports import container_ports, names_of
from ..outcome import KeyOutcome, inferred
from ..part import Fields
from ..source import KubeSource
from ..workloads.kinds import DEPLOYMENT, kind
from ..workloads.probes import Times, times
from ..workloads.rollout import min_ready, pods
from ..workloads.slots import SLOT, SLOTS
from .members import in_mesh

NETWORKING = "networking.istio.io/v1"
_IDEMPOTENT = "GET|HEAD|OPTIONS|TRACE|PUT|DELETE"
_NEVER_SENT = "connect-failure,refused-stream"
_AGAIN = f"{_NEVER_SENT},reset,gateway-error"
_USUAL = 2  # retries, as Istio has them, without a health check
_HTTP = ("http", "http2", "grpc", "grpc-web", "kubernetes.io/h2c", "kubernetes.io/ws")
_URL = lazy_pattern(r"http://([\w.-]+)(?::(\d{1,5}))?(?![\w.:-])")


def meshed(source: KubeSource, service: Service, objects: Iterable[Fields]) -> tuple[Fields, ...]:
    """Return the objects of a service with what leads requests of the mesh to its Services, each name for itself."""
    given = tuple(objects)
    if not in_mesh(source, service):
        return given
    kinds, found = _kinds(source, service), list[Fields]()
    for each in given:
        if each["kind"] != "Service":
            found.append(each)
            continue
        found += [_named(each, kinds), *_rule(source, service, each)]
        if any(kinds.get(port["port"]) for port in each["spec"].get("ports") or ()):
            found.append(_routes(source, service, each))
    return tuple(found)


def outcomes(source: KubeSource, service: Service) -> Iterator[KeyOutcome]:
    """Yield what became of a service's ports and of its check."""
    if not in_mesh(source, service):
        return
    where, kinds = f"services.{service.name}", _kinds(source, service)
    ports = [port for port in container_ports(source, service) if port.protocol == "tcp"]
    numbers = [port.number for port in ports]
    if plain := [str(port.number) for port in ports if not kinds.get(port.number) and not port.application]:
        reason = f"{', '.join(plain)}: carried as TCP, without retries; ports.app_protocol says what it is"
        yield inferred(f"{where}.ports", "Service", reason)
    if told := [f"{number}: HTTP, {kinds[number]}" for number in numbers if kinds.get(number)]:
        yield inferred(f"{where}.ports", "VirtualService", "; ".join(told))
    if numbers and times(source, service):
        reason = "its times and retries are those of connections and of requests that may be repeated"
        yield inferred(f"{where}.healthcheck", "DestinationRule, VirtualService", reason)


def _kinds(source: KubeSource, service: Service) -> dict[int, str]:
    """Return why a port is HTTP, by number; one that is not known to be is not in it."""
    found: dict[int, str] = {}
    if port := ingress_port(source, service):
        found[port] = "x-slipway.ingress leads to it"
    if service.slipway.metrics and service.slipway.metrics.port:
        found.setdefault(service.slipway.metrics.port, "x-slipway.metrics says so")
    for check in service.slipway.smoke:
        if check.origin == CONTAINER and check.address.loopback and check.address.scheme == "http":
            found.setdefault(check.address.port, "x-slipway.smoke says so")
    asked = source.once(_asked)
    for name in names_of(source, service):
        for number, key in asked.get(name, ()):
            found.setdefault(number, f"{key} says so")
    for said in container_ports(source, service):
        if said.application:
            found.pop(said.number, "")
            if said.application in _HTTP:
                found[said.number] = f"app_protocol: {said.application}"
    return found


def _asked(source: KubeSource) -> dict[str, list[tuple[int, str]]]:
    """Return the ports that the project asks by HTTP, by host, each with the key or path that says so."""
    found: dict[str, list[tuple[int, str]]] = {}
    for key, text in source.mentions.texts:
        for host, number in _URL.findall(text):
            found.setdefault(host, []).append((int(number or 80), key))
    return found


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
    if shared(source, service):
        spec["subsets"] = [{"name": slot, "labels": {SLOT: slot}} for slot in SLOTS]
    if len(spec) > 1:
        yield _about(made, "DestinationRule", spec)


def shared(source: KubeSource, service: Service) -> bool:
    """Whether a canary of a service gets a share of the requests by the mesh."""
    if not in_mesh(source, service) or service.rollout != CANARY or kind(source, service) != DEPLOYMENT:
        return False
    return bool(_kinds(source, service))  # of connections without requests there is none


def _routes(source: KubeSource, service: Service, made: Fields) -> dict[str, Any]:
    name, known = made["metadata"]["name"], times(source, service)
    attempts = max(1, known.retries - 1) if known else _USUAL
    route = [{"destination": {"host": name}}]
    again: dict[str, Any] = {"attempts": attempts, "retryOn": _AGAIN}
    if known:
        again["perTryTimeout"] = _seconds(_unhealthy(known))
    http = [
        {"name": "idempotent", "match": [{"method": {"regex": _IDEMPOTENT}}], "route": route, "retries": again},
        {"name": "others", "route": route, "retries": {"attempts": attempts, "retryOn": _NEVER_SENT}},
    ]
    return _about(made, "VirtualService", {"hosts": [name], "http": http})


def _unhealthy(known: Times) -> float:
    """Return after how many seconds the check calls a container unhealthy that has stopped to answer."""
    return known.retries * known.interval + known.timeout


def _seconds(value: float) -> str:
    return f"{value:g}s"
