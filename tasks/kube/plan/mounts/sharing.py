"""Services that share a volume which one node mounts: their Pods run there together."""

from ....model.stack.stack import Service
from .. import labels
from ..data.naming import digest
from ..outcome import inferred
from ..part import Part
from ..source import KubeSource
from . import claims

_LABEL = "slipway.volume."
_LONGEST = 63  # https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/


def on_one_node(source: KubeSource, service: Service, held: claims.Storage) -> Part:
    """Return that the Pods of a service run where the others are that share a volume; nothing where any node will do.

    All Pods have the same label, and want to be where it is; the first one that is scheduled may be anywhere.
    https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#inter-pod-affinity-and-anti-affinity
    """
    if len(held.sharers) < 2 or held.access != claims.ONCE:
        return Part()
    name = f"{_LABEL}{held.claim}"
    label = {name if len(name) <= _LONGEST else f"{_LABEL}{digest(held.claim)}": "shared"}
    term = {
        "labelSelector": {"matchLabels": {**labels.of_project(source.stack.project), **label}},
        "topologyKey": "kubernetes.io/hostname",
    }
    names = ", ".join(sharer.name for sharer in held.sharers)
    reason = f"{names} share it, and with {claims.ONCE} one node mounts it: their Pods run there"
    outcome = inferred(f"volumes.{held.volume}.access", "affinity.podAffinity", reason)
    return Part(
        pod={"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}},
        labels=label,
        outcomes=(outcome,) if held.sharers[0] is service else (),
    )
