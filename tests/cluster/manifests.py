"""What the cluster itself needs: names, storage."""

from pathlib import Path
from typing import Any

from .layout import COMPONENTS, STORAGE_CLASS, Layout, Node

_COREFILE = """.:53 {
    errors
    health
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        ttl 5
    }
    cache 5
}
"""
_LABELS = {"k8s-app": "kube-dns"}  # what policies that let names through select by
_IN = {"namespace": "kube-system"}
Fields = dict[str, Any]


def all_of(layout: Layout) -> Fields:
    """Return everything as one list."""
    return {"apiVersion": "v1", "kind": "List", "items": [*_names(layout), *_storage(layout)]}


def make_volumes(node: Node) -> None:
    """Make the directories of a node that claims are bound to."""
    for path in node.volumes:
        path.mkdir(parents=True)
        path.chmod(0o777)


def _names(layout: Layout) -> list[Fields]:
    """Return the name server, as its own Pod: where it runs otherwise, policies would not tell it from a stranger."""
    account = {"kind": "ServiceAccount", "name": "coredns", **_IN}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:coredns"}
    ports = [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}]
    look = ["list", "watch"]
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "coredns", **_IN}},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "system:coredns"},
            "rules": [
                {"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": look},
                {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": look},
            ],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "system:coredns"},
            "roleRef": role,
            "subjects": [account],
        },
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "coredns", **_IN},
            "data": {"Corefile": _COREFILE},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "kube-dns", "labels": _LABELS, **_IN},
            "spec": {"clusterIP": layout.dns, "selector": _LABELS, "ports": ports},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "coredns", **_IN},
            "spec": {
                "replicas": layout.size,
                "selector": {"matchLabels": _LABELS},
                "template": {"metadata": {"labels": _LABELS}, "spec": _name_server()},
            },
        },
    ]


def _name_server() -> Fields:
    apart = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": _LABELS}}
    return {
        "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [apart]}},
        "serviceAccountName": "coredns",
        "dnsPolicy": "Default",
        "containers": [
            {
                "name": "coredns",
                "image": COMPONENTS,
                "imagePullPolicy": "Never",
                "args": ["coredns", "-conf", "/etc/coredns/Corefile"],
                "securityContext": {"runAsUser": 0},
                "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1},
                "volumeMounts": [{"name": "settings", "mountPath": "/etc/coredns"}],
            }
        ],
        "volumes": [{"name": "settings", "configMap": {"name": "coredns"}}],
    }


def _storage(layout: Layout) -> list[Fields]:
    """Return a storage class and what it has: directories of the nodes, which nothing makes on demand."""
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    storage_class = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": STORAGE_CLASS, "annotations": default},
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
    }
    return [storage_class, *(_volume(node, path) for node in layout.nodes for path in node.volumes)]


def _volume(node: Node, path: Path) -> Fields:
    on_node = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [node.name]}]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"{STORAGE_CLASS}-{node.number}-{path.name}"},
        "spec": {
            "capacity": {"storage": "100Gi"},
            "accessModes": ["ReadWriteOnce", "ReadWriteMany"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": STORAGE_CLASS,
            "local": {"path": str(path)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [on_node]}},
        },
    }
