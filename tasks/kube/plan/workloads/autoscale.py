"""How many Pods there are: ``x-slipway.scale`` as a HorizontalPodAutoscaler."""

from collections.abc import Mapping
from typing import Any

from ....model.stack.stack import Service
from ..outcome import inferred, refused, translated
from ..part import Part
from ..source import KubeSource
from .kinds import DEPLOYMENT, STATEFUL_SET, kind

KEYS: frozenset[str] = frozenset()


def part(source: KubeSource, service: Service) -> Part:
    """Return what became of ``x-slipway.scale``: it needs a share of a CPU to count by."""
    scale, where = service.slipway.scale, f"services.{service.name}.x-slipway.scale"
    if scale is None:
        return Part()
    if kind(source, service) not in (DEPLOYMENT, STATEFUL_SET):
        return Part(outcomes=(refused(where, "only a service that runs on has a number of Pods", "take it out"),))
    if not _has_cpu(source.raw(service.name)):
        hint = f"say services.{service.name}.deploy.resources.reservations.cpus, or cpus"
        return Part(outcomes=(refused(where, "the service asks for no CPU that a share can be taken of", hint),))
    outcomes = [translated(where, "HorizontalPodAutoscaler")]
    if not scale.least <= service.replicas <= scale.most:
        reason = f"the number of Pods is {scale.least} to {scale.most}, and not {service.replicas}"
        outcomes.append(inferred(f"services.{service.name}.deploy.replicas", "HorizontalPodAutoscaler", reason))
    return Part(outcomes=tuple(outcomes))


def _has_cpu(raw: Mapping[str, Any]) -> bool:
    resources = (raw.get("deploy") or {}).get("resources") or {}
    shares = ((resources.get(part) or {}).get("cpus") for part in ("reservations", "limits"))
    return bool(raw.get("cpus") or any(shares))


def scaled(service: Service, name: str, workload: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    """Return the autoscaler of a workload, none when the service does not scale by itself."""
    scale = service.slipway.scale
    if scale is None or workload["kind"] not in (DEPLOYMENT, STATEFUL_SET):
        return ()
    target = {"apiVersion": workload["apiVersion"], "kind": workload["kind"], "name": name}
    cpu = {"type": "Utilization", "averageUtilization": scale.cpu}
    spec = {
        "scaleTargetRef": target,
        "minReplicas": scale.least,
        "maxReplicas": scale.most,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": cpu}}],
    }
    about = {"name": name, "labels": dict(workload["metadata"]["labels"])}
    return ({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": about, "spec": spec},)
