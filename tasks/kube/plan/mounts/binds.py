"""Paths of the host in a container: files of the project become ConfigMaps, everything else needs another way."""

from collections.abc import Mapping
from typing import Any

from ....model.stack.stack import Service
from ..data import docker_dns
from ..data.config_map import EXECUTABLE, LARGEST, file_map, file_name, size
from ..data.naming import of_path
from ..outcome import KeyOutcome, ignored, inferred, refused, translated
from ..part import Part
from ..source import HostFile, KubeSource
from .entries import MountEntry

HOST_PATH, READ_ONLY, IN_IMAGE = "KUBE-HOST-PATH", "KUBE-READ-ONLY", "KUBE-IN-IMAGE"
_INTO = "ConfigMap"
_PROPAGATION = {"rslave": "HostToContainer", "slave": "HostToContainer"}
_PROPAGATION |= {"rshared": "Bidirectional", "shared": "Bidirectional"}


def bound(source: KubeSource, service: Service, entry: MountEntry) -> Part:
    """Return what one bind mount of a service becomes.

    A copy of the files is all that a cluster can have of the machine that deploys, so a mount is translated where a
    copy is what the service had: files of the project that it only reads, up to 1 MiB.
    """
    there = source.files.get(entry.source, HostFile("missing"))
    refusal = _refusal(source, service, there, entry)
    if refusal is not None and entry.target in source.image(service.name).copies and not entry.taken:
        reason = "the image has the same files; what the container writes there goes with the Pod"
        return Part(outcomes=(inferred(entry.key, "image", reason),))
    if refusal is not None and refusal.accept in ("", IN_IMAGE):
        return Part(outcomes=(refusal,))
    if refusal is not None and refusal.accept == HOST_PATH:
        return _of_host(there, entry, refusal)
    copied = _copied(service, there, entry)
    told = refusal or _told(there, entry)
    return Part(
        copied.container,
        copied.pod,
        objects=copied.objects,
        outcomes=(told, *copied.outcomes, *_options(entry), *docker_dns.outcomes(service, entry.key, there.files)),
    )


def _copied(service: Service, there: HostFile, entry: MountEntry) -> Part:
    single = there.kind == "file"
    files: Mapping[str, bytes] = {file_name(entry.source): there.files[""]} if single else there.files
    volume = of_path(entry.target, "bind")
    made = file_map(service.name, entry.target, files)
    mount: dict[str, Any] = {"name": volume, "mountPath": entry.target, "readOnly": True}
    if single:
        mount["subPath"] = file_name(entry.source)
    return Part(
        {"volumeMounts": [mount]},
        {"volumes": [made.volume(volume, EXECUTABLE)]},
        objects=(made.object,),
        outcomes=tuple(made.notes(entry.key)),
    )


def _refusal(source: KubeSource, service: Service, there: HostFile, entry: MountEntry) -> KeyOutcome | None:
    """Return why a host path can not be copied, None where it can."""
    path, key = entry.source, entry.key
    if there.kind == "socket" or path.endswith(".sock"):
        hint = "use the API of the cluster, or run this service where the engine is"
        return refused(key, f"{path} is a socket of the machine: it leads to what runs there", hint)
    if there.kind == "directory" and not entry.read_only and _built_from(service, path):
        reason = f"{path} is what the image is built from, mounted over it for development"
        return refused(key, reason, _not_in_image(source, service), IN_IMAGE)
    if there.withheld:
        what = path if there.kind == "file" else f"{there.withheld} in {path}"
        reason = f"{what} is not copied: git ignores it, it is the file of a secret, or a link out of the project"
        return refused(key, reason, _way_out(there), HOST_PATH)
    if not there.tracked:
        hint = "put the files into the project, or the data into a named volume"
        reason = f"{path} is outside of the project: nodes do not have it"
        return refused(key, reason, hint, HOST_PATH)
    if there.kind == "missing":
        return refused(key, f"{path} does not exist", "for data of the service say a named volume")
    if size(there.files) > LARGEST:
        reason = f"{path} has {size(there.files)} bytes, and a ConfigMap has {LARGEST} at most"
        return refused(key, reason, "put it into the image")
    if there.kind == "directory" and not (entry.read_only or _configuration(there, entry)):
        hint = _way_out(there)
        return refused(key, f"the service may write into {path}, and a ConfigMap is read-only", hint, READ_ONLY)
    return None


def _built_from(service: Service, path: str) -> bool:
    """Whether a path is part of the directory that the image of a service is built from."""
    context = service.build.context.rstrip("/") if service.build else ""
    return bool(context) and f"{path.rstrip('/')}/".startswith(f"{context}/")


def _not_in_image(source: KubeSource, service: Service) -> str:
    """Return what to do about sources that the image has not got, or is not known to have."""
    if source.image(service.name).reference:
        return "the image has other files there: build it (inv build), or leave the mount out of this environment"
    return (
        "build the image (inv build): the mount is left out where the image has the same files; "
        "or accept with a reason that it has them"
    )


def _configuration(there: HostFile, entry: MountEntry) -> bool:
    """Whether a directory is configuration, which a program reads and does not write: what is below ``/etc``.

    https://refspecs.linuxfoundation.org/FHS_3.0/fhs/ch03s07.html
    """
    return entry.target.startswith("/etc/") and bool(there.files)


def _way_out(there: HostFile) -> str:
    """Return what to do about something that is not copied."""
    if there.kind == "file":
        return "say secrets: or configs: for a file that is not in git, a named volume for data"
    only = "mount only the files that it reads" if there.withheld else "say :ro if it only reads"
    return f"{only}, a named volume for its data, or put the files into the image"


def _told(there: HostFile, entry: MountEntry) -> KeyOutcome:
    if there.kind == "directory" and not there.files:
        return inferred(entry.key, _INTO, f"{entry.source} is empty, and so is the directory in the container")
    if entry.read_only:
        return translated(entry.key, _INTO)
    return inferred(entry.key, _INTO, f"read-only: the container can not write to {entry.target}")


def _options(entry: MountEntry) -> list[KeyOutcome]:
    """Return what became of options that only a mount of the host has."""
    return [
        ignored(entry.key, f"{name}: {entry.options[name]}: a ConfigMap is no mount of the host")
        for name in ("propagation", "selinux", "recursive")
        if entry.options.get(name)
    ]


def _of_host(there: HostFile, entry: MountEntry, refusal: KeyOutcome) -> Part:
    """Return a mount of a path of the node, for when that is accepted."""
    volume = of_path(entry.target, "bind")
    kinds = {"file": "File", "directory": "Directory"}
    host: dict[str, Any] = {"path": entry.source, "type": kinds.get(there.kind, "")}
    mount: dict[str, Any] = {"name": volume, "mountPath": entry.target, "readOnly": entry.read_only}
    propagation = _PROPAGATION.get(str(entry.options.get("propagation") or ""))
    mount |= {"mountPropagation": propagation} if propagation else {}
    return Part({"volumeMounts": [mount]}, {"volumes": [{"name": volume, "hostPath": host}]}, outcomes=(refusal,))
