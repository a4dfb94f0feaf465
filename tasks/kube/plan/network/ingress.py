"""What leads to a service from outside of the cluster: an Ingress, or a route of the profile's Gateway.

https://kubernetes.io/docs/concepts/services-networking/ingress/, https://gateway-api.sigs.k8s.io/api-types/httproute/
"""

from collections.abc import Mapping
from typing import Any

from ....model.stack.cluster.ingress import IngressRoute
from ....model.stack.stack import Service
from .. import labels
from ..names import label
from ..outcome import KeyOutcome, ignored, refused, translated
from ..part import Part
from ..source import KubeSource
from .ports import container_ports

KEYS: frozenset[str] = frozenset()

_ISSUER = "cert-manager.io/cluster-issuer"  # https://cert-manager.io/docs/usage/ingress/#supported-annotations
_NOT_REACHED = ("none", "host")


def part(source: KubeSource, service: Service) -> Part:
    """Return the Ingress or the HTTPRoute of a service that asks for one."""
    route, key = service.slipway.ingress, f"services.{service.name}.x-slipway.ingress"
    if route is None:
        return Part()
    if source.raw(service.name).get("network_mode") in _NOT_REACHED:
        hint = "put it into a network, or take x-slipway.ingress out"
        return Part(outcomes=(refused(key, "a service without a network of the cluster has no Service", hint),))
    port = ingress_port(source, service)
    if not port:
        return Part(outcomes=(refused(key, _doubt(source, service), "say which: ingress.port"),))
    if source.settings.gateway:
        return Part(objects=(_route(source, service, route, port),), outcomes=_of_gateway(source, route, key))
    into = f"Ingress {label(service.name)}"
    return Part(objects=(_ingress(source, service, route, port),), outcomes=(translated(key, into),))


def ingress_port(source: KubeSource, service: Service) -> int:
    """Return the port to which a service's requests from outside are led, 0 where there is none or no telling which.

    It is the one that ``x-slipway.ingress`` names, else the only published one, else the only one by TCP.
    """
    if service.slipway.ingress is None:
        return 0
    if service.slipway.ingress.port:
        return service.slipway.ingress.port
    known = [port for port in container_ports(source, service) if port.protocol == "tcp"]
    published = [port for port in known if port.open]
    (only,) = published if len(published) == 1 else known if len(known) == 1 else (None,)
    return only.number if only else 0


def _doubt(source: KubeSource, service: Service) -> str:
    ports = sorted({port.number for port in container_ports(source, service) if port.protocol == "tcp"})
    if not ports:
        return "no port of the service is known"
    return f"the service has several ports: {', '.join(map(str, ports))}"


def _metadata(source: KubeSource, service: Service, annotations: Mapping[str, str]) -> dict[str, Any]:
    name = label(service.name)
    found: dict[str, Any] = {"name": name, "labels": labels.of_service(source.stack.project, name)}
    return {**found, "annotations": dict(annotations)} if annotations else found


def _ingress(source: KubeSource, service: Service, route: IngressRoute, port: int) -> dict[str, Any]:
    name, spec = label(service.name), dict[str, Any]()
    if class_name := route.class_name or source.settings.ingress_class:
        spec["ingressClassName"] = class_name
    if secret := route.secret or (f"{name}-tls" if route.issuer else ""):
        spec["tls"] = [{**({"hosts": [route.host]} if route.host else {}), "secretName": secret}]
    backend = {"service": {"name": name, "port": {"number": port}}}
    paths = [{"path": route.path, "pathType": "Prefix", "backend": backend}]
    spec["rules"] = [{**({"host": route.host} if route.host else {}), "http": {"paths": paths}}]
    issuer = {_ISSUER: route.issuer} if route.issuer else {}
    metadata = _metadata(source, service, {**issuer, **(route.annotations or {})})
    return {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": metadata, "spec": spec}


def _route(source: KubeSource, service: Service, route: IngressRoute, port: int) -> dict[str, Any]:
    namespace, _, gateway = source.settings.gateway.rpartition("/")
    parent = {"name": gateway, **({"namespace": namespace} if namespace else {})}
    rule = {
        "matches": [{"path": {"type": "PathPrefix", "value": route.path}}],
        "backendRefs": [{"name": label(service.name), "port": port}],
    }
    spec: dict[str, Any] = {"parentRefs": [parent], "rules": [rule]}
    if route.host:
        spec["hostnames"] = [route.host]
    metadata = _metadata(source, service, route.annotations or {})
    return {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": metadata, "spec": spec}


def _of_gateway(source: KubeSource, route: IngressRoute, key: str) -> tuple[KeyOutcome, ...]:
    gateway = source.settings.gateway
    outcomes = [translated(key, f"HTTPRoute of Gateway {gateway}")]
    if route.secret or route.issuer:
        outcomes.append(ignored(f"{key}.tls", f"the listeners of Gateway {gateway} have the certificates"))
    if route.class_name:
        outcomes.append(ignored(f"{key}.class", f"a route has the class of Gateway {gateway}"))
    return tuple(outcomes)
