"""Objects of a small project as an API server has them."""

import copy
from typing import Any

from tasks.kube.plan.live.difference import ClusterState

NAMES = {"app": "app", "db": "db", "migrate": "migrate", "agent": "agent"}
_OURS = {"app.kubernetes.io/part-of": "shop"}


def metadata(name: str, service: str = "", live: bool = True, **more: Any) -> dict[str, Any]:
    """Return the metadata of an object; ``live``: of one that exists."""
    labels = {**_OURS, "app.kubernetes.io/managed-by": "Helm"}
    about: dict[str, Any] = {
        "name": name,
        "labels": {**labels, **({"app.kubernetes.io/name": service} if service else {})},
        "annotations": {"meta.helm.sh/release-name": "shop", "meta.helm.sh/release-namespace": "shop"},
        "uid": "1",
        "creationTimestamp": "2026-11-30T08:00:00Z",
        **more,
    }
    return {**about, "resourceVersion": "17", "generation": 1} if live else about


def deployment(name: str = "app", replicas: int = 2, image: str = "shop/app:1", **container: Any) -> dict[str, Any]:
    """Return a Deployment with what the API server fills in."""
    labels = {**_OURS, "app.kubernetes.io/name": name}
    one = {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "terminationMessagePath": "/dev/termination-log",
        "env": [{"name": "MODE", "value": "a"}, {"name": "LEVEL", "value": "info"}],
        **container,
    }
    pod = {"containers": [one], "restartPolicy": "Always", "terminationGracePeriodSeconds": 10}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(name, name),
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
        "status": {"replicas": replicas, "readyReplicas": replicas, "observedGeneration": 1},
    }


def stateful(name: str = "db", replicas: int = 1) -> dict[str, Any]:
    """Return a StatefulSet."""
    raw = deployment(name, replicas, "postgres:17")
    raw["kind"] = "StatefulSet"
    del raw["spec"]["strategy"]
    raw["spec"]["updateStrategy"] = {"type": "RollingUpdate"}
    return raw


def hook(image: str = "shop/app:1", name: str = "migrate-1") -> dict[str, Any]:
    """Return the Job of a migration as a chart has it."""
    raw = deployment("migrate", image=image)
    about = metadata(name, "migrate", live=False)
    about["annotations"] = {"helm.sh/hook": "pre-install,pre-upgrade"}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": about, "spec": {"template": raw["spec"]["template"]}}


def service(name: str = "app", port: int = 80) -> dict[str, Any]:
    """Return a Service."""
    spec = {"type": "ClusterIP", "clusterIP": "10.0.0.1", "ports": [{"name": "http", "port": port, "protocol": "TCP"}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata(name, name), "spec": spec, "status": {}}


def after(raw: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of an object as a dry run gives it back."""
    made = copy.deepcopy(raw)
    made["metadata"]["generation"] = 2
    made["metadata"]["managedFields"] = [{"manager": "helm", "operation": "Apply", "time": "2026-11-30T09:00:00Z"}]
    return made


def state(
    live: list[Any], wanted: list[Any], hooks: list[Any] | None = None, ran: list[Any] | None = None
) -> ClusterState:
    """Return what is on a cluster and what would be there."""
    return ClusterState(tuple(live), tuple(wanted), tuple(hooks or ()), tuple(ran or ()), NAMES, "shop")


def pod(name: str, service_name: str = "app", **status: Any) -> dict[str, Any]:
    """Return a Pod; ``status`` are fields of the status of its container."""
    spec = {"containers": [{"name": service_name, "image": "shop/app:1", "readinessProbe": {"exec": {}}, "ports": []}]}
    running = {"state": {"running": {"startedAt": "2026-11-30T08:00:05Z"}}, "ready": True, "started": True}
    container = {
        "name": service_name,
        "image": "shop/app:1",
        "imageID": f"shop/app@sha256:{'a' * 64}",
        "restartCount": 0,
        **running,
        **status,
    }
    return {
        "kind": "Pod",
        "metadata": metadata(name, service_name),
        "spec": spec,
        "status": {"phase": "Running", "containerStatuses": [container]},
    }
