"""What the containers of Pods may do, in the words of a container engine, as the API server and the kubelet say it."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ....model.engine.confinement import Confined, Mount, PublishedPort
from ....model.lazy_pattern import lazy_pattern
from .difference import Raw, service_of

UNKNOWN = "unknown"  # the user of a container of which neither its Pod nor the kubelet says one
_SHARES = 1024  # of a processor, as Docker counts them
_UNITS = {
    "m": 1e-3,
    "": 1.0,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "P": 1e15,
    **{f"{unit}i": float(1 << 10 * power) for power, unit in enumerate("KMGTP", 1)},
}
_QUANTITY = lazy_pattern(r"([0-9.]+(?:[eE][+-]?[0-9]+)?)([A-Za-z]*)")
_PROPAGATION = {"Bidirectional": "rshared", "HostToContainer": "rslave"}


def amount(text: object) -> float:
    """Return a quantity such as ``128Mi`` or ``500m`` as a number, 0 for nothing.

    https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
    """
    found = _QUANTITY.fullmatch(str(text or "0"))
    return float(found[1]) * _UNITS.get(found[2], 1.0) if found else 0.0


def confined(pods: Iterable[Raw], names: Mapping[str, str]) -> tuple[Confined, ...]:
    """Return how the containers of running Pods are confined, those of sidecars included."""
    return tuple(
        _confined(pod, container, service_of(pod, names))
        for pod in pods
        if (pod.get("status") or {}).get("phase") == "Running"
        for container in _containers(pod)
    )


def with_token(pods: Iterable[Raw], names: Mapping[str, str]) -> tuple[str, ...]:
    """Return the services whose containers have the token of a service account: with it they may ask the cluster."""
    found = dict.fromkeys(
        service_of(pod, names) for pod in pods if any(_has_token(pod, one) for one in _containers(pod))
    )
    return tuple(name for name in found if name)


def _containers(pod: Raw) -> Iterator[Mapping[str, Any]]:
    """Yield the containers that run as long as their Pod: an init container that is started again is a sidecar."""
    spec = pod["spec"]
    yield from (one for one in spec.get("initContainers") or () if one.get("restartPolicy") == "Always")
    yield from spec.get("containers") or ()


def _confined(pod: Raw, container: Mapping[str, Any], service: str) -> Confined:
    spec, name = pod["spec"], str(pod["metadata"]["name"])
    general, own = spec.get("securityContext") or {}, container.get("securityContext") or {}
    capabilities, resources = own.get("capabilities") or {}, container.get("resources") or {}
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    several = len(spec.get("containers") or ()) > 1
    return Confined(
        name=f"{name}/{container['name']}" if several else name,
        service=service,
        user=_user(pod, container, general, own),
        added=tuple(capabilities.get("add") or ()),
        dropped=tuple(capabilities.get("drop") or ()),
        privileged=bool(own.get("privileged")),
        mounts=tuple(_mounts(spec, container)),
        network="host" if spec.get("hostNetwork") else "pod",
        ports=tuple(_ports(container)),
        read_only=bool(own.get("readOnlyRootFilesystem")),
        memory=int(amount(limits.get("memory"))),
        cpus=amount(limits.get("cpu")),
        cpu_shares=int(amount(requests.get("cpu")) * _SHARES),
        options=tuple(_options(general, own)),
        apparmor=_profile(general, own, "appArmorProfile") or "runtime/default",
        pid="host" if spec.get("hostPID") else "",
        ipc="host" if spec.get("hostIPC") else "",
        restart=str(spec.get("restartPolicy", "Always")).lower(),
        health_check="readinessProbe" in container or "livenessProbe" in container,
    )


def _user(pod: Raw, container: Mapping[str, Any], general: Mapping[str, Any], own: Mapping[str, Any]) -> str:
    """Return the user of a container: what the kubelet saw (from Kubernetes 1.33 on), else what the Pod says."""
    status = pod.get("status") or {}
    for one in (*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())):
        seen = ((one.get("user") or {}).get("linux") or {}) if one["name"] == container["name"] else {}
        if "uid" in seen:
            return f"{seen['uid']}:{seen['gid']}" if "gid" in seen else str(seen["uid"])
    said = own.get("runAsUser", general.get("runAsUser"))
    if said is not None:
        return str(said)
    return "not root" if own.get("runAsNonRoot", general.get("runAsNonRoot")) else UNKNOWN


def _options(general: Mapping[str, Any], own: Mapping[str, Any]) -> Iterator[str]:
    # Kubernetes, unlike Docker, uses no profile where a Pod names none.
    if _profile(general, own, "seccompProfile") in ("", "unconfined"):
        yield "seccomp:unconfined"
    if own.get("allowPrivilegeEscalation") is False:
        yield "no-new-privileges:true"
    if (own.get("seLinuxOptions") or general.get("seLinuxOptions") or {}).get("type") == "spc_t":
        yield "label:disable"


def _profile(general: Mapping[str, Any], own: Mapping[str, Any], key: str) -> str:
    said = own.get(key) or general.get(key) or {}
    return str(said.get("localhostProfile") or said.get("type") or "").lower()


def _mounts(spec: Mapping[str, Any], container: Mapping[str, Any]) -> Iterator[Mount]:
    paths = {one["name"]: one["hostPath"]["path"] for one in spec.get("volumes") or () if one.get("hostPath")}
    for mount in container.get("volumeMounts") or ():
        if path := paths.get(mount["name"]):
            spread = _PROPAGATION.get(str(mount.get("mountPropagation")), "")
            yield Mount(str(path), str(mount["mountPath"]), not mount.get("readOnly"), spread)


def _ports(container: Mapping[str, Any]) -> Iterator[PublishedPort]:
    for port in container.get("ports") or ():
        if port.get("hostPort"):
            address, protocol = str(port.get("hostIP") or ""), str(port.get("protocol", "TCP")).lower()
            yield PublishedPort(address, int(port["hostPort"]), int(port["containerPort"]), protocol)


def _has_token(pod: Raw, container: Mapping[str, Any]) -> bool:
    tokens = {
        volume["name"]
        for volume in pod["spec"].get("volumes") or ()
        for source in (volume.get("projected") or {}).get("sources") or ()
        if "serviceAccountToken" in source
    }
    return any(mount["name"] in tokens for mount in container.get("volumeMounts") or ())
