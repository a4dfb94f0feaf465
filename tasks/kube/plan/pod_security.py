"""Whether Pods are as a level of the Pod Security Standards wants them.

https://kubernetes.io/docs/concepts/security/pod-security-standards/ as of Kubernetes 1.35, for Linux.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...model.record import Record

PRIVILEGED, BASELINE, RESTRICTED = "privileged", "baseline", "restricted"
LEVELS = (RESTRICTED, BASELINE, PRIVILEGED)
_CONTAINERS = ("initContainers", "containers", "ephemeralContainers")
_CAPABILITIES = {
    *("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE"),
    *("SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"),
}
_SYSCTLS = {
    *("kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start"),
    *("net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range", "net.ipv4.ip_local_reserved_ports"),
    *("net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl"),
    *("net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"),
}
_VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
_SELINUX_TYPES = {"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
Fields = Mapping[str, Any]


class Violation(Record):
    """What a Pod has that a level forbids: ``field`` is the path below the Pod's ``spec``."""

    field: str
    message: str


def pod_of(thing: Fields) -> Fields | None:
    """Return the ``spec`` of the Pods that an object is or makes, None where it makes none."""
    spec = thing.get("spec") or {}
    if thing.get("kind") == "Pod":
        return spec
    if thing.get("kind") == "CronJob":
        spec = (spec.get("jobTemplate") or {}).get("spec") or {}
    template = spec.get("template") if thing.get("apiVersion") in ("apps/v1", "batch/v1") else None
    return template.get("spec") or {} if template else None


def violations(pod: Fields, level: str) -> tuple[Violation, ...]:
    """Return what the ``spec`` of a Pod has that a level forbids, in the order of its fields."""
    if level == PRIVILEGED:
        return ()
    found = [*_baseline(pod)]
    if level == RESTRICTED:
        found += _restricted(pod)
    return tuple(Violation(field, message) for field, message in dict.fromkeys(found))


_Found = Iterator[tuple[str, str]]


def _containers(pod: Fields) -> Iterator[tuple[str, Fields]]:
    for kind in _CONTAINERS:
        for container in pod.get(kind) or ():
            yield f"{kind}[{container.get('name', '')}]", container


def _contexts(pod: Fields) -> Iterator[tuple[str, Fields]]:
    """Yield the security contexts of a Pod and of its containers, each with its path."""
    yield "securityContext", pod.get("securityContext") or {}
    for path, container in _containers(pod):
        yield f"{path}.securityContext", container.get("securityContext") or {}


def _baseline(pod: Fields) -> _Found:
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(field):
            yield field, "the Pod shares what belongs to its node"
    for volume in pod.get("volumes") or ():
        if "hostPath" in volume:
            yield f"volumes[{volume.get('name', '')}].hostPath", "a path of the node"
    for sysctl in (pod.get("securityContext") or {}).get("sysctls") or ():
        if sysctl.get("name") not in _SYSCTLS:
            yield f"securityContext.sysctls[{sysctl.get('name')}]", "not among the safe settings of the kernel"
    for path, context in _contexts(pod):
        yield from _baseline_context(path, context)
    for path, container in _containers(pod):
        yield from _ports(path, container)
        yield from _hosts(path, container)


def _baseline_context(path: str, context: Fields) -> _Found:
    if context.get("privileged"):
        yield f"{path}.privileged", "has every right on its node"
    if (context.get("windowsOptions") or {}).get("hostProcess"):
        yield f"{path}.windowsOptions.hostProcess", "runs on the node itself"
    added = set((context.get("capabilities") or {}).get("add") or ())
    if beyond := sorted(added - _CAPABILITIES):
        yield f"{path}.capabilities.add", f"not allowed: {', '.join(beyond)}"
    if context.get("procMount", "Default") != "Default":
        yield f"{path}.procMount", "has to be Default"
    for field in ("seccompProfile", "appArmorProfile"):
        if (context.get(field) or {}).get("type") == "Unconfined":
            yield f"{path}.{field}.type", "must not be Unconfined"
    selinux = context.get("seLinuxOptions") or {}
    if selinux.get("type", "") not in _SELINUX_TYPES or selinux.get("user") or selinux.get("role"):
        yield f"{path}.seLinuxOptions", "only the type of a container is allowed, no user and no role"


def _ports(path: str, container: Fields) -> _Found:
    for port in container.get("ports") or ():
        if port.get("hostPort"):
            yield f"{path}.ports[{port.get('containerPort')}].hostPort", "a port of the node"


def _hosts(path: str, container: Fields) -> _Found:
    """Yield probes that ask another host: the node would ask it for the Pod."""
    handlers = {name: container.get(name) or {} for name in ("livenessProbe", "readinessProbe", "startupProbe")}
    handlers |= {f"lifecycle.{name}": handler or {} for name, handler in (container.get("lifecycle") or {}).items()}
    for name, handler in handlers.items():
        for kind in ("httpGet", "tcpSocket"):
            if isinstance(handler, Mapping) and (handler.get(kind) or {}).get("host"):
                yield f"{path}.{name}.{kind}.host", "asks another host than the Pod"


def _restricted(pod: Fields) -> _Found:
    general: Fields = pod.get("securityContext") or {}
    for volume in pod.get("volumes") or ():
        for kind in sorted(set(volume) - {"name"} - _VOLUMES):
            yield f"volumes[{volume.get('name', '')}].{kind}", "not a kind of volume that is allowed"
    if general.get("runAsUser") == 0:
        yield "securityContext.runAsUser", "must not be 0 (root)"
    for path, container in _containers(pod):
        yield from _restricted_container(f"{path}.securityContext", container.get("securityContext") or {}, general)


def _restricted_container(path: str, context: Fields, general: Fields) -> _Found:
    if context.get("allowPrivilegeEscalation") is not False:
        yield f"{path}.allowPrivilegeEscalation", "has to be false"
    if context.get("runAsNonRoot", general.get("runAsNonRoot")) is not True:
        yield f"{path}.runAsNonRoot", "has to be true, here or for the Pod"
    if context.get("runAsUser") == 0:
        yield f"{path}.runAsUser", "must not be 0 (root)"
    profile = context.get("seccompProfile") or general.get("seccompProfile") or {}
    if profile.get("type") not in ("RuntimeDefault", "Localhost"):
        yield f"{path}.seccompProfile.type", "has to be RuntimeDefault or Localhost, here or for the Pod"
    capabilities = context.get("capabilities") or {}
    if "ALL" not in _words(capabilities.get("drop")):
        yield f"{path}.capabilities.drop", "has to have ALL"
    if beyond := sorted(set(_words(capabilities.get("add"))) - {"NET_BIND_SERVICE"}):
        yield f"{path}.capabilities.add", f"only NET_BIND_SERVICE is allowed, not {', '.join(beyond)}"


def _words(value: Any) -> Sequence[str]:
    return [str(word) for word in value or ()]
