"""Who is in a mesh, as whom, and who may speak to whom: what is the same in each mesh.

Each service has a ServiceAccount, which is its identity in the mesh. Its Pods have a sidecar, whatever the namespace
says: a native one, which ends after the container that it serves. So a Job with one ends, too, also as a hook of Helm.
"""

from typing import Any

from ....model.stack.extension import CANARY
from ....model.stack.stack import Service
from .. import labels
from ..names import label
from ..network.ingress import ingress_port
from ..network.policies import networks_of
from ..source import KubeSource
from ..workloads.kinds import DEPLOYMENT, ENDING, deployed, kind
from ..workloads.references import ACCOUNT, for_hook

_OUTSIDE = ("none", "host")


def in_mesh(source: KubeSource, service: Service) -> bool:
    """Whether the Pods of a service have a sidecar: all have, but those in no network of the cluster."""
    outside = source.raw(service.name).get("network_mode") in _OUTSIDE
    return bool(source.settings.mesh) and deployed(service) and not outside


def is_canary(source: KubeSource, service: Service) -> bool:
    """Whether the new Pods of a service could get their share of its requests by the mesh."""
    return service.rollout == CANARY and kind(source, service) == DEPLOYMENT and in_mesh(source, service)


def account(source: KubeSource, service: Service) -> dict[str, Any]:
    """Return the ServiceAccount of a service; nothing of the cluster's API is open to it."""
    name = label(service.name)
    about = {"name": name, "labels": labels.of_service(source.stack.project, name)}
    return {"apiVersion": "v1", "kind": ACCOUNT, "metadata": about, "automountServiceAccountToken": False}


def peers(source: KubeSource, service: Service) -> list[str]:
    """Return the accounts of services that share a network with a service, its own included."""
    shared = frozenset(networks_of(source, service))
    found: list[str] = []
    for other in source.stack.services.values():
        if in_mesh(source, other) and shared & frozenset(networks_of(source, other)):
            name = label(other.name)
            found += [name, for_hook(name)] if kind(source, other) in ENDING else [name]
    return sorted(found)


def plain_port(source: KubeSource, service: Service) -> int:
    """Return the port that takes plain text, too: that of an ingress outside of the mesh; 0 for none."""
    return 0 if source.settings.mesh_ingress else ingress_port(source, service)
