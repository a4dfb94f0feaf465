"""What a container may do: its user, capabilities, confinement, and namespaces that it shares with its host.

What Docker does to every container and Kubernetes only when told (a seccomp profile, ports below 1024 for every user)
is added; Pod Security `restricted` then admits each service that does not ask for more.
https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ....model.stack.stack import Service
from ..network.ports import container_ports
from ..outcome import KeyOutcome, ignored, inferred, refused, translated
from ..part import Part, together
from ..source import KubeSource
from .host_access import KEYS as HOST_KEYS
from .host_access import host_access
from .identity import PodUser, identity

KEYS = HOST_KEYS | frozenset(
    {"user", "group_add", "cap_add", "cap_drop", "security_opt", "read_only", "sysctls", "ulimits"}
)

_ALL, _BIND = "ALL", "NET_BIND_SERVICE"
_FIRST_FREE_PORT = 1024
_LOW_PORTS = "net.ipv4.ip_unprivileged_port_start"
# https://kubernetes.io/docs/tasks/administer-cluster/sysctl-cluster/#safe-and-unsafe-sysctls, as of 1.35
_SAFE = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        _LOW_PORTS,
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.tcp_wmem",
    }
)


def part(source: KubeSource, service: Service) -> Part:
    """Return the security contexts of the Pod and of the container."""
    raw, user, where = source.raw(service.name), identity(source, service), f"services.{service.name}"
    return together(
        (
            Part(pod=_context(user.fields()), outcomes=(user.outcome,) if user.outcome else ()),
            _groups(raw, where),
            _capabilities(raw, user, where),
            _options(raw, user, where),
            _root_filesystem(raw, where),
            _sysctls(raw, user, container_ports(source, service), where),
            _ulimits(raw, where),
            host_access(raw, where),
        )
    )


def capabilities(names: Iterable[object]) -> list[str]:
    """Return capabilities as Kubernetes writes them, sorted: ``CAP_CHOWN`` and ``chown`` are ``CHOWN``."""
    return sorted({str(name).upper().removeprefix("CAP_") for name in names})


def _context(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"securityContext": dict(fields)} if fields else {}


def _confined(raw: Mapping[str, Any], user: PodUser) -> bool:
    """Whether a service that says nothing of it loses nothing by the confinement that `restricted` asks for.

    A user other than root has no capabilities; only a set-user-ID program would give some.
    """
    added = set(capabilities(raw.get("cap_add") or ()))
    return user.ordinary and not raw.get("privileged") and added <= {_BIND}


def _groups(raw: Mapping[str, Any], where: str) -> Part:
    said, key = [str(group) for group in raw.get("group_add") or ()], f"{where}.group_add"
    if not said:
        return Part()
    if names := [group for group in said if not group.isdecimal()]:
        hint = "write the group's number, or accept with a reason that it is not in that group"
        reason = f"Kubernetes takes numbers, and {', '.join(names)} is none"
        return Part(outcomes=(refused(key, reason, hint, accept="KUBE-GROUPS"),))
    groups = sorted({int(group) for group in said})
    outcome = translated(key, "securityContext.supplementalGroups")
    return Part(pod=_context({"supplementalGroups": groups}), outcomes=(outcome,))


def _capabilities(raw: Mapping[str, Any], user: PodUser, where: str) -> Part:
    added, dropped = capabilities(raw.get("cap_add") or ()), capabilities(raw.get("cap_drop") or ())
    into = "securityContext.capabilities"
    outcomes = [translated(f"{where}.{key}", f"{into}.{key[4:]}") for key in ("cap_add", "cap_drop") if raw.get(key)]
    if _ALL in dropped:
        dropped = [_ALL]
    elif _confined(raw, user):
        dropped = [_ALL]
        outcomes = [outcome for outcome in outcomes if not outcome.key.endswith(".cap_drop")]
        reason = f"user {user.uid} has no capabilities, except by a set-user-ID program"
        outcomes.append(inferred(f"{where}.cap_drop", f"{into}.drop", reason))
    found = {key: names for key, names in (("add", added), ("drop", dropped)) if names}
    return Part(container=_context({"capabilities": found} if found else {}), outcomes=tuple(outcomes))


def _options(raw: Mapping[str, Any], user: PodUser, where: str) -> Part:
    """Return what ``security_opt`` says, and what Docker does when it says nothing."""
    said = dict(_option(str(entry)) for entry in raw.get("security_opt") or ())
    if raw.get("privileged"):
        reason = "a privileged container is not confined, and the API refuses both"
        return Part(outcomes=tuple(ignored(f"{where}.security_opt.{name}", reason) for name in said))
    parts = [_option_part(name, value, f"{where}.security_opt.{name}") for name, value in said.items()]
    if "seccomp" not in said:
        reason = "Docker's own profile confines a container that says nothing, Kubernetes does so only when told"
        parts.append(_seccomp(inferred(f"{where}.security_opt.seccomp", "securityContext.seccompProfile", reason)))
    if "no-new-privileges" not in said and _confined(raw, user):
        reason = f"for user {user.uid} it only matters to set-user-ID programs; no-new-privileges:false keeps them"
        key = f"{where}.security_opt.no-new-privileges"
        parts.append(_escalation(False, inferred(key, "securityContext.allowPrivilegeEscalation", reason)))
    return together(parts)


def _option(entry: str) -> tuple[str, str]:
    """Return the name and the value of an entry: ``no-new-privileges``, ``label:type:x``, ``apparmor=x``."""
    separator = min((mark for mark in ":=" if mark in entry), key=entry.index, default=":")
    name, _, value = entry.partition(separator)
    return (f"label:{value.partition(':')[0]}", value.partition(":")[2]) if name == "label" else (name, value)


def _option_part(name: str, value: str, key: str) -> Part:
    if name == "no-new-privileges":
        allowed = value == "false"
        return _escalation(allowed, translated(key, "securityContext.allowPrivilegeEscalation"))
    if name == "seccomp":
        return _seccomp_said(value, key)
    if name == "apparmor":
        return _apparmor(value, key)
    if name in ("label:user", "label:role", "label:type", "label:level"):
        fields = {"seLinuxOptions": {name.removeprefix("label:"): value}}
        return Part(pod=_context(fields), outcomes=(translated(key, "securityContext.seLinuxOptions"),))
    hint = "take it out, or accept with a reason that it is not there"
    return Part(outcomes=(refused(key, "Kubernetes has no such option", hint, accept="KUBE-SECURITY-OPTIONS"),))


def _escalation(allowed: bool, outcome: KeyOutcome) -> Part:
    return Part(container=_context({"allowPrivilegeEscalation": allowed}), outcomes=(outcome,))


def _seccomp(outcome: KeyOutcome, kind: str = "RuntimeDefault") -> Part:
    return Part(pod=_context({"seccompProfile": {"type": kind}}), outcomes=(outcome,))


def _seccomp_said(value: str, key: str) -> Part:
    into = "securityContext.seccompProfile"
    if value == "unconfined":
        return _seccomp(translated(key, into), "Unconfined")
    if value in ("builtin", "default"):
        return _seccomp(translated(key, into))
    reason = "a profile of one's own has to be a file on every node, so the runtime's own is used"
    hint = "take it out, or accept with a reason that it is the runtime's own profile"
    return _seccomp(refused(key, reason, hint, accept="KUBE-SECURITY-OPTIONS"))


def _apparmor(value: str, key: str) -> Part:
    into = "securityContext.appArmorProfile"
    if value == "unconfined":
        profile, outcome = {"type": "Unconfined"}, translated(key, into)
    elif value in ("docker-default", "runtime/default"):
        profile, outcome = {"type": "RuntimeDefault"}, translated(key, into)
    else:
        profile = {"type": "Localhost", "localhostProfile": value}
        outcome = inferred(key, into, f"{value} has to be loaded on each node")
    return Part(pod=_context({"appArmorProfile": profile}), outcomes=(outcome,))


def _root_filesystem(raw: Mapping[str, Any], where: str) -> Part:
    if "read_only" not in raw:
        return Part()
    fields = {"readOnlyRootFilesystem": bool(raw["read_only"])}
    outcome = translated(f"{where}.read_only", "securityContext.readOnlyRootFilesystem")
    return Part(container=_context(fields), outcomes=(outcome,))


def _sysctls(raw: Mapping[str, Any], user: PodUser, ports: Iterable[Any], where: str) -> Part:
    said = {str(name): str(value) for name, value in (raw.get("sysctls") or {}).items()}
    outcomes = [_sysctl(name, f"{where}.sysctls.{name}") for name in said]
    low = sorted(port.number for port in ports if port.number < _FIRST_FREE_PORT)
    if low and _LOW_PORTS not in said and raw.get("network_mode") != "host" and not _binds_low(raw, user):
        said[_LOW_PORTS] = "0"
        reason = f"Docker lets every user listen at {low[0]}, Kubernetes only when told"
        outcomes.append(inferred(f"{where}.sysctls.{_LOW_PORTS}", "securityContext.sysctls", reason))
    fields = {"sysctls": [{"name": name, "value": said[name]} for name in sorted(said)]} if said else {}
    return Part(pod=_context(fields), outcomes=tuple(outcomes))


def _binds_low(raw: Mapping[str, Any], user: PodUser) -> bool:
    """Whether the service is known to run as root, with the capability to listen below 1024."""
    added, dropped = capabilities(raw.get("cap_add") or ()), capabilities(raw.get("cap_drop") or ())
    return user.uid == 0 and (bool({_ALL, _BIND} & set(added)) or not {_ALL, _BIND} & set(dropped))


def _sysctl(name: str, key: str) -> KeyOutcome:
    if name in _SAFE:
        return translated(key, "securityContext.sysctls")
    reason = "a kubelet starts a Pod with it only where --allowed-unsafe-sysctls has it"
    return refused(key, reason, "take it out, or accept it when the nodes allow it", accept="KUBE-SYSCTLS")


def _ulimits(raw: Mapping[str, Any], where: str) -> Part:
    reason = "a node's runtime sets the limits of processes, for all its containers"
    return Part(outcomes=tuple(_each(raw.get("ulimits") or {}, f"{where}.ulimits", reason)))


def _each(names: Iterable[str], key: str, reason: str) -> Iterator[KeyOutcome]:
    return (ignored(f"{key}.{name}", reason) for name in names)
