"""What sidecars reach besides the networks of their service: where they get certificates and configuration."""

from collections.abc import Mapping
from typing import Any

from ..source import ISTIO, LINKERD

# Whatever the namespace and the revision of the control plane are.
# https://istio.io/latest/docs/ops/deployment/application-requirements/#ports-used-by-istio
_PILOTS = {"key": "istio", "operator": "In", "values": ["pilot", "istiod"]}
# Of linkerd-identity, linkerd-dst and linkerd-policy; the last two are of one Pod.
# https://linkerd.io/2/reference/architecture/#control-plane
_CONTROLLERS = {
    "key": "linkerd.io/control-plane-component",
    "operator": "In",
    "values": ["destination", "identity"],
}


def _rule(pods: Mapping[str, Any], *ports: int) -> dict[str, Any]:
    return {
        "to": [{"namespaceSelector": {}, "podSelector": {"matchExpressions": [pods]}}],
        "ports": [{"port": port, "protocol": "TCP"} for port in ports],
    }


# The rule of egress of a NetworkPolicy, by mesh.
REACHED: Mapping[str, Mapping[str, Any]] = {
    ISTIO: _rule(_PILOTS, 15012),
    LINKERD: _rule(_CONTROLLERS, 8080, 8086, 8090),
}
# Proxies of Linkerd speak to each other at this port, with the port that is meant in a header
# (``proxy.outboundTransportMode`` of its chart).
OPAQUE = {LINKERD: 4143}
