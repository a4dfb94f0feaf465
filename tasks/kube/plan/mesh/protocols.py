"""Which ports of a service speak HTTP, as far as its project shows it, and how often and how long requests are tried.

A port is TCP until something says more: ``app_protocol`` of the Compose file, an ingress, metrics, a request of a smoke
check in the container, ``http://web:8080`` in a variable or a file. mTLS and authorization work for any protocol, also
where the server speaks first.

A method that is idempotent (RFC 9110, 9.2.2) is tried again as often as the health check may fail before it counts. A
try has begun to be answered when the check would have called the container unhealthy, or another one is tried. There
is no limit for a whole answer, as there is none on Compose.
"""

from ....model.lazy_pattern import lazy_pattern
from ....model.stack.smoke import CONTAINER
from ....model.stack.stack import Service
from ..network.ingress import ingress_port
from ..network.ports import container_ports, names_of
from ..source import KubeSource
from ..workloads.probes import Times

IDEMPOTENT = ("GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE")
_USUAL = 2  # retries, as Istio has them, without a health check
_HTTP = ("http", "http2", "grpc", "grpc-web", "kubernetes.io/h2c", "kubernetes.io/ws")
_URL = lazy_pattern(r"http://([\w.-]+)(?::(\d{1,5}))?(?![\w.:-])")


def http_ports(source: KubeSource, service: Service) -> dict[int, str]:
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


def attempts(known: Times | None) -> int:
    """Return how often a request is tried again."""
    return max(1, known.retries - 1) if known else _USUAL


def unhealthy(known: Times) -> float:
    """Return after how many seconds the check calls a container unhealthy that has stopped to answer."""
    return known.retries * known.interval + known.timeout
