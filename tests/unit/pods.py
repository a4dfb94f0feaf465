"""Pods that the levels of Pod Security judge, here and on a real API server."""

from typing import Any

CONTEXT = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
GENERAL = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


def pod(general: dict[str, Any] | None = None, context: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """Return a Pod that `restricted` allows, with other fields."""
    container = {"name": "web", "image": "web:1", "securityContext": {**CONTEXT, **(context or {})}}
    container |= more.pop("container", {})
    return {"securityContext": {**GENERAL, **(general or {})}, "containers": [container], **more}


WEB = "containers[web].securityContext"
# Of a Pod that is allowed otherwise: what is not allowed, and whether `baseline` says so as well.
CASES = {
    "shared network": (pod(hostNetwork=True), "hostNetwork", True),
    "shared processes": (pod(hostPID=True), "hostPID", True),
    "path of the node": (pod(volumes=[{"name": "d", "hostPath": {"path": "/"}}]), "volumes[d].hostPath", True),
    "other volume": (pod(volumes=[{"name": "d", "nfs": {"server": "a", "path": "/"}}]), "volumes[d].nfs", False),
    "setting of the kernel": (
        pod({"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}),
        "securityContext.sysctls[kernel.msgmax]",
        True,
    ),
    "privileged": (pod(context={"privileged": True, "allowPrivilegeEscalation": True}), f"{WEB}.privileged", True),
    "capability": (
        pod(context={"capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]}}),
        f"{WEB}.capabilities.add",
        True,
    ),
    "common capability": (
        pod(context={"capabilities": {"drop": ["ALL"], "add": ["CHOWN"]}}),
        f"{WEB}.capabilities.add",
        False,
    ),
    "nothing dropped": (pod(context={"capabilities": {}}), f"{WEB}.capabilities.drop", False),
    "whole /proc": (pod(context={"procMount": "Unmasked"}), f"{WEB}.procMount", True),
    "no seccomp": (pod(context={"seccompProfile": {"type": "Unconfined"}}), f"{WEB}.seccompProfile.type", True),
    "no AppArmor": (pod({"appArmorProfile": {"type": "Unconfined"}}), "securityContext.appArmorProfile.type", True),
    "SELinux": (pod({"seLinuxOptions": {"type": "spc_t"}}), "securityContext.seLinuxOptions", True),
    "port of the node": (
        pod(container={"ports": [{"containerPort": 80, "hostPort": 80}]}),
        "containers[web].ports[80].hostPort",
        True,
    ),
    "probe of another host": (
        pod(container={"readinessProbe": {"httpGet": {"host": "10.0.0.1", "port": 80}}}),
        "containers[web].readinessProbe.httpGet.host",
        True,
    ),
    "more rights": (pod(context={"allowPrivilegeEscalation": True}), f"{WEB}.allowPrivilegeEscalation", False),
    "root": (pod(context={"runAsUser": 0}), f"{WEB}.runAsUser", False),
    "root of the Pod": (pod({"runAsUser": 0}), "securityContext.runAsUser", False),
    "perhaps root": (pod({"runAsNonRoot": None}), f"{WEB}.runAsNonRoot", False),
    "no seccomp said": (pod({"seccompProfile": None}), f"{WEB}.seccompProfile.type", False),
}
