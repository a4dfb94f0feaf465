"""Objects as one writes them by hand, for tests of the cluster and of what judges objects."""

from typing import Any

Fields = dict[str, Any]
POD = {"runAsNonRoot": True, "runAsUser": 1000, "fsGroup": 1000, "seccompProfile": {"type": "RuntimeDefault"}}
CONTAINER = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
HEALTH = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1, "timeoutSeconds": 10}


def pod(image: str, *command: str, **fields: Any) -> Fields:
    """Return the ``spec`` of a Pod that `restricted` allows; without a command it serves HTTP on port 8080."""
    container = {"name": "main", "image": image, "imagePullPolicy": "IfNotPresent", "securityContext": CONTAINER}
    container |= {"command": list(command)} if command else {"readinessProbe": HEALTH}
    container |= fields.pop("container", {})
    return {"securityContext": POD, "terminationGracePeriodSeconds": 1, "containers": [container], **fields}


def named(kind: str, name: str, **fields: Any) -> Fields:
    """Return an object of the core API."""
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, **fields}


def deployment(name: str, spec: Fields, replicas: int = 1) -> Fields:
    """Return a Deployment of Pods; they have the label ``app``."""
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": spec}
    wanted = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": wanted}


def service(name: str) -> Fields:
    """Return the Service of a Deployment's Pods, on port 80."""
    return named("Service", name, spec={"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}]})


def job(name: str, spec: Fields) -> Fields:
    """Return a Job that is tried once."""
    wanted = {"backoffLimit": 0, "template": {"spec": {"restartPolicy": "Never", **spec}}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": wanted}


def only_from(name: str, *friends: str) -> Fields:
    """Return a NetworkPolicy that lets only Pods with one of the labels ``app`` reach those of ``name``."""
    allowed = [{"podSelector": {"matchLabels": {"app": friend}}} for friend in friends]
    spec = {
        "podSelector": {"matchLabels": {"app": name}},
        "policyTypes": ["Ingress"],
        "ingress": [{"from": allowed}] if allowed else [],
    }
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": f"{name}-only"},
        "spec": spec,
    }
