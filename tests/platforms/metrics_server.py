"""metrics-server on the test cluster, from its Go module: the numbers that autoscalers go by."""

import json
from pathlib import Path
from typing import Any

from tests.cluster.cluster import Cluster
from tests.cluster.programs import Programs

_PROGRAM = "metrics-server"
METRICS_SERVER = Programs(
    _PROGRAM, Path(__file__).with_name("metrics"), {_PROGRAM: "sigs.k8s.io/metrics-server/cmd/metrics-server"}
)
IMAGE = "slipway.test/metrics-server:1"
_ABOUT: dict[str, Any] = {"name": _PROGRAM, "namespace": "kube-system"}
_LABELS = {"k8s-app": _PROGRAM}
_RBAC, _GROUP = "rbac.authorization.k8s.io/v1", "rbac.authorization.k8s.io"
_ACCOUNT = {"kind": "ServiceAccount", **_ABOUT}
_PORT = 10250
_ARGUMENTS = (
    "--cert-dir=/tmp",
    f"--secure-port={_PORT}",
    "--kubelet-insecure-tls",  # the kubelet of the tests has a certificate of its own making
    "--kubelet-preferred-address-types=InternalIP",
    "--metric-resolution=10s",
    "--kubelet-request-timeout=5s",
)


def _bound(kind: str, about: dict[str, str], role: str) -> dict[str, Any]:
    """Return a binding of metrics-server to a role."""
    referred = {"apiGroup": _GROUP, "kind": "Role" if kind == "RoleBinding" else "ClusterRole", "name": role}
    return {"apiVersion": _RBAC, "kind": kind, "metadata": about, "roleRef": referred, "subjects": [_ACCOUNT]}


def objects() -> list[dict[str, Any]]:
    """Return what installs it, as its project does; one replica, and no certificate that is checked."""
    container = {
        "name": _PROGRAM,
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "args": list(_ARGUMENTS),
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": _PORT, "scheme": "HTTPS"}, "periodSeconds": 2},
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }
    pod = {"serviceAccountName": _PROGRAM, "containers": [container], "volumes": [{"name": "tmp", "emptyDir": {}}]}
    template = {"metadata": {"labels": _LABELS}, "spec": pod}
    rules = [
        {"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["pods", "nodes"], "verbs": ["get", "list", "watch"]},
    ]
    reader = "extension-apiserver-authentication-reader"
    api = {
        "group": "metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": 100, "versionPriority": 100,
        "insecureSkipTLSVerify": True, "service": _ABOUT,
    }  # fmt: skip
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _ABOUT},
        {"apiVersion": _RBAC, "kind": "ClusterRole", "metadata": {"name": f"system:{_PROGRAM}"}, "rules": rules},
        _bound("ClusterRoleBinding", {"name": f"system:{_PROGRAM}"}, f"system:{_PROGRAM}"),
        _bound("ClusterRoleBinding", {"name": f"{_PROGRAM}:delegator"}, "system:auth-delegator"),
        _bound("RoleBinding", {"name": f"{_PROGRAM}-reader", "namespace": "kube-system"}, reader),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": _ABOUT,
            "spec": {"selector": _LABELS, "ports": [{"name": "https", "port": 443, "targetPort": _PORT}]},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": _ABOUT,
            "spec": {"selector": {"matchLabels": _LABELS}, "template": template},
        },
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": "v1beta1.metrics.k8s.io"},
            "spec": api,
        },
    ]


def install(cluster: Cluster) -> None:
    """Install metrics-server, and wait until the API server asks it."""
    program = METRICS_SERVER.build() / _PROGRAM
    cluster.load_files(IMAGE, {"/metrics-server": program}, entrypoint=("/metrics-server",), user="1000:1000")
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects()})
    cluster.kubectl("apply", "--server-side", "-f", "-", stdin=listed)
    cluster.kubectl("wait", "--for=condition=Available", "apiservice/v1beta1.metrics.k8s.io", "--timeout=120s")
