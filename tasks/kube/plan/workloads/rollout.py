"""How new Pods take over from old ones.

``start-first``, ``blue-green`` and ``canary`` are a RollingUpdate that never takes a Pod away before a new one is
ready; how many new ones come at a time is ``update_config.parallelism``, with ``blue-green`` all of them. Kubernetes
has no share of requests and no switch in a RollingUpdate, and the report says so. ``recreate``, what holds where the
Compose file says nothing, never lets two containers of a service run that were not meant to: one Pod is a ``Recreate``,
of several one after another is replaced. A service that reads its configuration again in place (``reload``) is not
interrupted on Compose; here its configuration is part of its Pods, and so they are replaced new ones first.

A Pod counts when it has been ready for the longest of ``settle``, ``monitor`` and ``delay``. A rollout has failed when
nothing got on for HEALTH_TIMEOUT, once for each service that has to be up before.

A StatefulSet replaces Pods one after another, and makes them in parallel: in order, a Pod that never gets ready would
also hold up the way back (https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#forced-rollback).
"""

import math
from collections.abc import Mapping
from typing import Any

from ....model.stack.extension import BLUE_GREEN, CANARY, RECREATE, START_FIRST
from ....model.stack.stack import Service
from ..source import KubeSource
from .kinds import DAEMON_SET, DEPLOYMENT, STATEFUL_SET
from .ordering import distance

ALL = "100%"
_HOST = "kubernetes.io/hostname"


def pods(service: Service) -> int:
    """Return how many Pods of a service there are at least."""
    return service.slipway.scale.least if service.slipway.scale else service.replicas


def is_said(source: KubeSource, service: Service) -> bool:
    """Whether the Compose file says in which order new containers take over."""
    return bool(service.slipway.rollout or update_config(source, service).get("order"))


def update_config(source: KubeSource, service: Service) -> Mapping[str, Any]:
    """Return ``deploy.update_config`` of a service as Compose prints it."""
    section: Mapping[str, Any] = (source.raw(service.name).get("deploy") or {}).get("update_config") or {}
    return section


def new_first(source: KubeSource, service: Service) -> bool:
    """Whether new Pods are ready before old ones go."""
    if service.rollout != RECREATE:
        return True
    return service.slipway.reload is not None and not is_said(source, service)


def step(source: KubeSource, service: Service) -> int | str:
    """Return how many Pods are replaced at a time."""
    if service.rollout == BLUE_GREEN:
        return ALL
    if service.rollout == CANARY:
        return 1
    said = update_config(source, service).get("parallelism")
    return ALL if said == 0 else int(said or 1)


def strategy(source: KubeSource, service: Service) -> dict[str, Any]:
    """Return the ``strategy`` of a Deployment."""
    if new_first(source, service):
        return _rolling(0, step(source, service))
    if pods(service) > 1 and step(source, service) != ALL:
        return _rolling(step(source, service), 0)
    return {"type": "Recreate"}


def _rolling(unavailable: int | str, surge: int | str) -> dict[str, Any]:
    return {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": unavailable, "maxSurge": surge}}


def min_ready(source: KubeSource, service: Service) -> int:
    """Return how long a Pod has to be ready until it counts, in seconds."""
    monitor = service.update.monitor if update_config(source, service).get("monitor") else 0.0
    return math.ceil(max(service.settle or 0.0, service.update.delay, monitor))


def deadline(source: KubeSource, service: Service) -> int:
    """Return after how many seconds in which nothing got on a rollout has failed."""
    chain = 1 + distance(source.stack, service.name)
    return math.ceil(source.settings.health_timeout * chain) + min_ready(source, service)


def fields(source: KubeSource, service: Service, kind: str, selector: Mapping[str, str]) -> dict[str, Any]:
    """Return what a workload's specification says about the number of Pods and how they are replaced."""
    found: dict[str, Any] = {}
    if kind != DAEMON_SET and service.slipway.scale is None:
        found["replicas"] = service.replicas
    if min_ready(source, service):
        found["minReadySeconds"] = min_ready(source, service)
    if kind == DEPLOYMENT:
        found |= {"strategy": strategy(source, service), "progressDeadlineSeconds": deadline(source, service)}
    elif kind == STATEFUL_SET:
        found |= {"updateStrategy": {"type": "RollingUpdate"}, "podManagementPolicy": "Parallel"}
    else:
        found["updateStrategy"] = _on_each_node(source, service)
    spec: dict[str, Any] = {}
    if kind != DAEMON_SET and pods(service) > 1:
        spec["topologySpreadConstraints"] = [_spread(selector, kind)]
    if kind == DEPLOYMENT and source.settings.node_timeout is not None:
        spec["tolerations"] = _tolerations(source.settings.node_timeout)
    return {**found, "template": {"spec": spec}} if spec else found


def _on_each_node(source: KubeSource, service: Service) -> dict[str, Any]:
    if service.rollout == START_FIRST:
        return _rolling(0, step(source, service))
    return _rolling(1 if new_first(source, service) else step(source, service), 0)


def _tolerations(seconds: float) -> list[dict[str, Any]]:
    """Return how long Pods stay on a node that does not answer, in place of the cluster's 300 s.

    Those of a StatefulSet have their claims there, and only their node can say that they have ended: nothing would come
    in their place any sooner.
    https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/#taint-based-evictions
    """
    taints = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
    about = {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": math.ceil(seconds)}
    return [{"key": taint, **about} for taint in taints]


def _spread(selector: Mapping[str, str], kind: str) -> dict[str, Any]:
    """Return that Pods are on different nodes where there are enough of them.

    New Pods of a Deployment are counted without the old ones, after which they could all be on one node:
    https://github.com/kubernetes/enhancements/tree/master/keps/sig-scheduling/3243-respect-pod-topology-spread-after-rolling-upgrades
    """
    where = {"maxSkew": 1, "topologyKey": _HOST, "whenUnsatisfiable": "ScheduleAnyway"}
    apart = {"matchLabelKeys": ["pod-template-hash"]} if kind == DEPLOYMENT else {}
    return {**where, "labelSelector": {"matchLabels": dict(selector)}, **apart}


def budget(
    source: KubeSource, service: Service, kind: str, name: str, selector: Mapping[str, str]
) -> tuple[dict[str, Any], ...]:
    """Return that only one Pod at a time may be taken from a node that is emptied; of one Pod it says nothing."""
    if kind not in (DEPLOYMENT, STATEFUL_SET) or (pods(service) < 2 and kind != STATEFUL_SET):
        return ()
    spec = {
        "maxUnavailable": 1,
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
        "selector": {"matchLabels": dict(selector)},
    }
    about = {"name": name, "labels": dict(selector)}
    return ({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": about, "spec": spec},)
