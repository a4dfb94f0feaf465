"""The Pods of a `helm test`: they ask each service of the stack whether it takes connections.

https://helm.sh/docs/topics/chart_tests/
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...kube.manifests.plan.overlays import Object
from ...kube.manifests.plan.yaml_text import Expression
from ...kube.plan import labels
from ...kube.plan.workloads.slots import is_former, is_of_one_slot

_SECONDS = 5  # until a service has to answer
_MOST = 16  # containers of a Pod
_NOBODY = 65534
_HOOK = {"helm.sh/hook": "test", "helm.sh/hook-delete-policy": "before-hook-creation"}
_CONFINED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}


def pods(chart: str, environments: Sequence[Sequence[Object]], project: str) -> dict[str, dict[str, Any]]:
    """Return the templates of the Pods by the name of their file: each container asks one port of one service.

    Asked is what all of the environments have.
    They have the labels by which NetworkPolicies let Pods of the stack in, and run under Pod Security `restricted`.
    """
    asked = sorted(set.intersection(*(set(_ports(objects)) for objects in environments)))
    objects = [one for several in environments for one in several]
    groups = [asked[start : start + _MOST] for start in range(0, len(asked), _MOST)]
    let_in = {
        **_let_in(objects),
        labels.PROJECT: Expression(f"{{{{ toJson (.Values.project | default {json.dumps(project)}) }}}}"),
    }
    return {f"services-{number}.yaml": _pod(chart, number, group, let_in) for number, group in enumerate(groups, 1)}


def _pod(chart: str, number: int, asked: Sequence[tuple[str, int]], let_in: Mapping[str, Any]) -> dict[str, Any]:
    image = Expression(f'{{{{ include "{chart}.image" .Values.test.image | toJson }}}}')
    name = f'{{{{ printf "%s-test-{number}" (.Release.Name | trunc 50) | toJson }}}}'
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": Expression(name),
            "labels": {**let_in, labels.SERVICE: f"{chart}-test"},
            "annotations": _HOOK,
        },
        "spec": {
            "restartPolicy": "Never",
            "enableServiceLinks": False,
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": _NOBODY,
                "runAsGroup": _NOBODY,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [_container(image, service, port) for service, port in asked],
        },
    }


def _container(image: Expression, service: str, port: int) -> dict[str, Any]:
    return {
        "name": f"{service[:57].rstrip('-')}-{port}",
        "image": image,
        "command": ["nc", "-z", "-w", str(_SECONDS), service, str(port)],
        "securityContext": _CONFINED,
        "resources": {"requests": {"cpu": "10m", "memory": "8Mi"}, "limits": {"memory": "32Mi"}},
    }


def _ports(objects: Sequence[Object]) -> Iterator[tuple[str, int]]:
    """Yield the TCP ports at which Services lead to Pods."""
    for one in objects:
        # One of the slots may have no Pods.
        if one["kind"] == "Service" and one["spec"].get("selector") and not (is_of_one_slot(one) or is_former(one)):
            for port in one["spec"].get("ports") or ():
                if port.get("protocol", "TCP") == "TCP":
                    yield one["metadata"]["name"], int(port["port"])


def _let_in(objects: Sequence[Object]) -> dict[str, str]:
    """Return the labels of Pods that NetworkPolicies let in."""
    found: dict[str, str] = {}
    for one in objects:
        if one["kind"] == "NetworkPolicy":
            for rule in one["spec"].get("ingress") or ():
                for peer in rule.get("from") or ():
                    found |= _matched(peer.get("podSelector") or {})
    return {name: value for name, value in sorted(found.items()) if name not in (labels.SERVICE, labels.PROJECT)}


def _matched(selector: Mapping[str, Any]) -> dict[str, str]:
    return dict(selector.get("matchLabels") or {})
