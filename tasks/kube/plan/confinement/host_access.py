"""What a container shares with its host: privileges, devices and namespaces. Mostly refused, unless accepted."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from ..outcome import KeyOutcome, ignored, inferred, refused, translated
from ..part import Part, together

KEYS = frozenset(
    {"privileged", "devices", "device_cgroup_rules", "pid", "ipc", "uts", "cgroup", "cgroup_parent", "userns_mode"}
    | {"runtime", "isolation", "credential_spec", "use_api_socket"}
)

_SHARED = "a container shares it only with containers of its own Pod"


def host_access(raw: Mapping[str, Any], where: str) -> Part:
    """Return what a service shares with its host, as far as it says so: ``raw`` as Compose prints it."""
    return together(rule(raw[key], f"{where}.{key}") for key, rule in _RULES.items() if raw.get(key))


def _only(outcome: KeyOutcome) -> Part:
    return Part(outcomes=(outcome,))


def _privileged(_: Any, key: str) -> Part:
    hint = "name what it needs: cap_add for capabilities; or accept it with a reason"
    outcome = refused(
        key, "it can do all that its node can, and with it all Pods there", hint, accept="KUBE-PRIVILEGED"
    )
    return Part(container={"securityContext": {"privileged": True}}, outcomes=(outcome,))


def _devices(value: Any, key: str) -> Part:
    names = ", ".join(str(entry["source"] if isinstance(entry, Mapping) else entry) for entry in value)
    hint = "ask a device plugin of the cluster for it, or accept with a reason that it is not there"
    return _only(
        refused(key, f"a node gives no Pod its {names}, except by a device plugin", hint, accept="KUBE-DEVICES")
    )


def _device_rules(_: Any, key: str) -> Part:
    hint = "take it out, or accept with a reason that it is not there"
    return _only(refused(key, "Kubernetes has no rules for devices", hint, accept="KUBE-DEVICE-RULES"))


def _namespace(field: str, accept: str) -> Callable[[Any, str], Part]:
    """Return the rule of a namespace that a Pod can share with its host by a field of its own."""

    def rule(value: Any, key: str) -> Part:
        mode = str(value)
        if mode == "host":
            hint = "take it out, or accept it with a reason"
            outcome = refused(key, "it sees what all Pods of its node do", hint, accept=accept)
            return Part(pod={field: True}, outcomes=(outcome,))
        if mode.startswith(("service:", "container:")):
            hint = "make one image of both, or accept with a reason that they share nothing"
            return _only(refused(key, f"{mode}: {_SHARED}", hint, accept=accept))
        return _only(ignored(key, "each Pod has its own"))

    return rule


def _uts(value: Any, key: str) -> Part:
    hint = "take it out, or accept with a reason that it has a host name of its own"
    return _only(refused(key, f"Kubernetes has no {value}: a Pod has a host name of its own", hint, accept="KUBE-UTS"))


def _cgroup(value: Any, key: str) -> Part:
    if value == "private":
        return _only(ignored(key, "each Pod has its own"))
    hint = "take it out, or accept with a reason that it has a cgroup of its own"
    return _only(refused(key, "a Pod can not have the node's control group", hint, accept="KUBE-CGROUP"))


def _cgroup_parent(_: Any, key: str) -> Part:
    return _only(ignored(key, "the kubelet decides in which control group a Pod is; limits are in the Pod"))


def _users(value: Any, key: str) -> Part:
    if value == "host":
        return Part(pod={"hostUsers": True}, outcomes=(translated(key, "hostUsers"),))
    hint = "take it out: every Pod may have users of its own with hostUsers: false"
    return _only(refused(key, f"Kubernetes has no mode {value}", hint, accept="KUBE-USER-NAMESPACE"))


def _runtime(value: Any, key: str) -> Part:
    if value in ("runc", "io.containerd.runc.v2"):
        return _only(ignored(key, "it is what nodes have"))
    name = re.sub(r"[^a-z0-9.-]+", "-", str(value).lower()).strip("-.")
    outcome = inferred(key, "runtimeClassName", f"the cluster needs a RuntimeClass {name}")
    return Part(pod={"runtimeClassName": name}, outcomes=(outcome,))


def _isolation(value: Any, key: str) -> Part:
    if value == "default":
        return _only(ignored(key, "it is what nodes do"))
    hint = "take it out, or accept with a reason that it is isolated as the nodes do it"
    return _only(refused(key, f"Kubernetes has no isolation {value}", hint, accept="KUBE-ISOLATION"))


def _credentials(_: Any, key: str) -> Part:
    hint = "take it out, or accept with a reason that it has no such account"
    return _only(refused(key, "accounts of Windows are objects of the cluster", hint, accept="KUBE-CREDENTIALS"))


def _engine_socket(_: Any, key: str) -> Part:
    return _only(refused(key, "there is no Docker engine on a node that a Pod could speak to", "take it out"))


_RULES: Mapping[str, Callable[[Any, str], Part]] = {
    "privileged": _privileged,
    "devices": _devices,
    "device_cgroup_rules": _device_rules,
    "pid": _namespace("hostPID", "KUBE-PID"),
    "ipc": _namespace("hostIPC", "KUBE-IPC"),
    "uts": _uts,
    "cgroup": _cgroup,
    "cgroup_parent": _cgroup_parent,
    "userns_mode": _users,
    "runtime": _runtime,
    "isolation": _isolation,
    "credential_spec": _credentials,
    "use_api_socket": _engine_socket,
}
