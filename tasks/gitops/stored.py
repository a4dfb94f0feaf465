"""Keeps what the agent remembers, and what people tell it, where the environment is: on its engine or its cluster.

So another agent goes on where one ended, and `inv gitops.status` and `inv gitops.suspend` work from any machine. Only
the agent writes its memory, and only people write orders: neither overwrites the other.
"""

import json
from typing import Any

from ..host.project import Project
from ..reconcile import state
from .plan.memory import Memory, Orders, memory_from, orders_from

GITOPS_LABEL = "slipway.gitops"
_MEMORY, _ORDERS = "memory", "orders"


def memory(project: Project) -> Memory:
    """Return what the agent remembers, an empty memory where there is none."""
    return memory_from(_read(project, _MEMORY))


def orders(project: Project) -> Orders:
    """Return what people have told the agent."""
    return orders_from(_read(project, _ORDERS))


def remember(project: Project, known: Memory) -> None:
    """Keep what the agent remembers; only the agent does, which holds its lock."""
    _write(project, _MEMORY, known.document())


def order(project: Project, given: Orders) -> None:
    """Keep what a person tells the agent."""
    _write(project, _ORDERS, given.document())


def _read(project: Project, kind: str) -> Any:
    if project.clustered:
        from ..kube.live.cluster import Cluster

        cluster = Cluster(project)
        raw = cluster.read("get", "configmap", _on_cluster(cluster.release, kind), missing="null")
        text = ((raw or {}).get("data") or {}).get(kind, "")
        try:
            return json.loads(text or "null")
        except ValueError:
            return None
    return state.read_document(project, _reference(project, kind), GITOPS_LABEL)


def _write(project: Project, kind: str, document: dict[str, Any]) -> None:
    if project.clustered:
        from ..kube.live.cluster import Cluster

        cluster = Cluster(project)
        text = json.dumps(document, separators=(",", ":"), sort_keys=True)
        about = {"name": _on_cluster(cluster.release, kind)}
        made = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": about, "data": {kind: text}})
        options = ("--server-side", "--force-conflicts", "--field-manager", "slipway-gitops", "--filename", "-")
        cluster.silently(cluster.kubectl("apply", *options, stdin=made, reason="what the GitOps agent remembers"))
        return
    state.write_document(project, _reference(project, kind), GITOPS_LABEL, document)


def _reference(project: Project, kind: str) -> str:
    return f"{project.stack.project}-gitops:{kind}"


def _on_cluster(release: str, kind: str) -> str:
    return f"{release}-gitops-{kind}"
