"""Fields of Kubernetes objects in the words of the Compose file that they come from.

The words are those of a plan on an engine: a key of the service, and the names below it; never a value.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from ....model.lazy_pattern import lazy_pattern
from ..mesh.shares import is_route
from .fields import Path

SECRETS = "slipway.dev/secrets"  # annotation of Pods: which state of which secrets they have
_ELEMENT = lazy_pattern(r"(?P<field>[^\[]+)\[(?P<name>.*)\]$")
_TEMPLATE = ("spec", "template")
_RUNS = ("spec", "jobTemplate", "spec")

_POD: Mapping[str, str] = {
    "terminationGracePeriodSeconds": "stop_grace_period",
    "hostAliases": "extra_hosts",
    "dnsConfig": "dns",
    "dnsPolicy": "dns",
    "hostname": "hostname",
    "hostNetwork": "network_mode",
    "hostPID": "pid",
    "hostIPC": "ipc",
    "shareProcessNamespace": "pid",
    "imagePullSecrets": "image pull secrets (KUBE_PULL_SECRETS)",
    "nodeSelector": "deploy placement",
    "affinity": "deploy placement",
    "topologySpreadConstraints": "deploy placement",
    "tolerations": "node timeout (KUBE_NODE_TIMEOUT)",
    "restartPolicy": "restart",
    "runtimeClassName": "runtime",
}
_CONTAINER: Mapping[str, str] = {
    "command": "entrypoint",
    "args": "command",
    "workingDir": "working_dir",
    "envFrom": "environment",
    "resources": "deploy resources",
    "readinessProbe": "healthcheck",
    "startupProbe": "healthcheck",
    "livenessProbe": "healthcheck",
    "lifecycle": "stop_grace_period",
    "imagePullPolicy": "pull_policy",
    "stdin": "stdin_open",
    "tty": "tty",
}
_SECURITY: Mapping[str, str] = {
    "runAsUser": "user",
    "runAsGroup": "user",
    "runAsNonRoot": "user",
    "fsGroup": "user",
    "fsGroupChangePolicy": "user",
    "supplementalGroups": "group_add",
    "readOnlyRootFilesystem": "read_only",
    "privileged": "privileged",
    "allowPrivilegeEscalation": "security_opt",
    "seccompProfile": "security_opt",
    "seLinuxOptions": "security_opt",
    "appArmorProfile": "security_opt",
    "sysctls": "sysctls",
}
_WORKLOAD: Mapping[str, str] = {
    "replicas": "deploy replicas",
    "strategy": "deploy update_config",
    "updateStrategy": "deploy update_config",
    "minReadySeconds": "deploy update_config",
    "progressDeadlineSeconds": "deploy update_config",
    "podManagementPolicy": "deploy update_config",
    "volumeClaimTemplates": "volumes",
    "backoffLimit": "restart",
}
_KINDS: Mapping[str, str] = {
    "Service": "ports",
    "Ingress": "x-slipway ingress",
    "HTTPRoute": "x-slipway ingress",
    "NetworkPolicy": "networks",
    "ServiceAccount": "MESH",
    "PeerAuthentication": "MESH",
    "AuthorizationPolicy": "networks",
    "DestinationRule": "healthcheck",
    "Server": "ports",
    "MeshTLSAuthentication": "networks",
    "NetworkAuthentication": "x-slipway ingress",
    "PersistentVolumeClaim": "volumes",
    "HorizontalPodAutoscaler": "x-slipway scale",
    "PodDisruptionBudget": "deploy update_config",
    "ConfigMap": "configs",
}


def touches_pods(path: Path) -> bool:
    """Whether a field of a workload is in its Pods, which are made anew for it."""
    return path[:2] == _TEMPLATE


def causes(raw: Mapping[str, Any], paths: Iterable[Path], hands: Mapping[Path, str] | None = None) -> tuple[str, ...]:
    """Return why an object differs in these fields; ``raw`` is the object as it should be.

    ``hands`` are the fields that somebody set by hand, with the program: a cause says so.
    """
    grouped: dict[tuple[str, str], list[str]] = {}
    for path in paths:
        key, name = word(raw, path)
        by = (hands or {}).get(path, "")
        names = grouped.setdefault((key, by), [])
        if name and name not in names:
            names.append(name)
    return tuple(
        " ".join(part for part in (key, ", ".join(names), f"(changed with {by})" if by else "") if part)
        for (key, by), names in grouped.items()
    )


def word(raw: Mapping[str, Any], path: Path) -> tuple[str, str]:
    """Return the key of the Compose file for a field of an object, and a name below the key, "" for none."""
    kind = str(raw.get("kind", ""))
    if is_route(raw):
        return "healthcheck", ""
    if kind in _KINDS:
        return _KINDS[kind], str(raw["metadata"]["name"]) if kind in ("ConfigMap", "PersistentVolumeClaim") else ""
    if path[: len(_RUNS)] == _RUNS:  # of a CronJob
        return word({**raw, "spec": raw["spec"]["jobTemplate"]["spec"]}, ("spec", *path[len(_RUNS) :]))
    if touches_pods(path):
        return _pod_word(raw, path[2:])
    if path[:1] == ("spec",) and len(path) > 1:
        return _WORKLOAD.get(_split(path[1])[0], ".".join(path)), ""
    return ("labels", "") if path[:1] == ("metadata",) else (".".join(path), "")


def _pod_word(raw: Mapping[str, Any], path: Path) -> tuple[str, str]:
    if path[:2] == ("metadata", "annotations") and path[2:] == (SECRETS,):
        return "secrets changed", ""
    if path[:1] == ("metadata",):
        return "labels", ""
    if len(path) < 2:
        return ".".join(path), ""
    field, name = _split(path[1])
    if field in ("containers", "initContainers"):
        return _container_word(raw, field, name, path[2:])
    if field == "securityContext":
        return _security_word(path[2:])
    if field == "volumes":
        return _volume_word(raw, name)
    return _POD.get(field, field), ""


def _container_word(raw: Mapping[str, Any], group: str, container: str, path: Path) -> tuple[str, str]:
    if not path:
        return "depends_on" if group == "initContainers" else f"container {container}", ""
    field, name = _split(path[0])
    if group == "initContainers":
        return "depends_on", ""
    if field == "image":
        return f"image {_image(raw, container)} changed", ""
    if field == "env":
        return "environment", name
    if field == "ports":
        return "ports", ""
    if field == "volumeMounts":
        return "volumes", name
    if field == "securityContext":
        return _security_word(path[1:])
    return _CONTAINER.get(field, field), ""


def _security_word(path: Path) -> tuple[str, str]:
    if path[:1] == ("capabilities",):
        return f"cap_{path[1]}" if len(path) > 1 else "cap_add", ""
    return _SECURITY.get(path[0], "security_opt") if path else "security_opt", ""


def _volume_word(raw: Mapping[str, Any], name: str) -> tuple[str, str]:
    volume = _named(raw, "volumes", name)
    if "configMap" in volume:
        return "config", f"{name} changed"
    if "projected" in volume or "secret" in volume:
        return "secrets", ""
    return ("tmpfs", "") if "emptyDir" in volume else ("volumes", name)


def _image(raw: Mapping[str, Any], container: str) -> str:
    return str(_named(raw, "containers", container).get("image", "")).partition("@")[0]


def _named(raw: Mapping[str, Any], group: str, name: str) -> Mapping[str, Any]:
    """Return the volume or the container of a name in the Pods of a workload, an empty one where there is none."""
    pod = ((raw.get("spec") or {}).get("template") or {}).get("spec") or {}
    nothing: Mapping[str, Any] = {}
    return next((one for one in pod.get(group) or () if one.get("name") == name), nothing)


def _split(element: str) -> tuple[str, str]:
    """Return a field and the element of its list: ``env[MODE]`` is ``env`` and ``MODE``."""
    found = _ELEMENT.match(element)
    return (found["field"], found["name"]) if found else (element, "")
