"""The mounts of a service: named volumes as claims, anonymous ones in the Pod, host paths and memory by their own."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ....model.lazy_pattern import lazy_pattern
from ....model.stack.stack import Service
from ..data.naming import of_path
from ..data.owner import filesystem_group
from ..outcome import KeyOutcome, inferred, refused, translated
from ..part import Part, together
from ..source import KubeSource
from . import binds, claims, filling, memory, sharing
from .entries import BIND, IMAGE, TMPFS, VOLUME, MountEntry, entries
from .sizes import docker_bytes, in_binary

KEYS = frozenset({"volumes", "volumes_from"})
_PATH = lazy_pattern(r"/[^:]*")
_EMPTY_INTO = "volumes[].emptyDir"


def part(source: KubeSource, service: Service) -> Part:
    """Return the mounts of a service, the objects that hold their data, and what became of each."""
    found = entries(source, service)
    named = _by_volume(found)
    known = claims.storages(source, named)
    nameless = (
        *(entry for entry in found if entry.kind == VOLUME and not entry.source),
        *_of_read_only_image(source, service, found),
    )
    parts = [
        Part(outcomes=tuple(_others(source, service))),
        *(binds.bound(source, service, entry) for entry in found if entry.kind == BIND),
        *(_named(source, service, known, known[volume], mounts) for volume, mounts in named.items()),
        *(_in_pod(source, service, known, entry) for entry in nameless),
        *(_of_image(entry) for entry in found if entry.kind == IMAGE),
        memory.in_memory(
            source, service, [memory.of_entry(entry) for entry in found if entry.kind == TMPFS], "prepare-memory"
        ),
        Part(outcomes=tuple(_unknown(found))),
        filling.filled(source, service, known, (*(entry for entry in found if entry.source), *nameless)),
    ]
    return together(parts)


def _by_volume(found: Iterable[MountEntry]) -> Mapping[str, tuple[MountEntry, ...]]:
    named = [entry for entry in found if entry.kind == VOLUME and entry.source]
    return {
        volume: tuple(entry for entry in named if entry.source == volume)
        for volume in dict.fromkeys(entry.source for entry in named)
    }


def _named(
    source: KubeSource, service: Service, known: filling.Known, held: claims.Storage, mounts: tuple[MountEntry, ...]
) -> Part:
    """Return the mounts of a named volume in a service, and its claim where the service is the first to use it."""
    kind, first = held.place, held.sharers[:1] == (service,)
    conflict = claims.conflict(source, held, service)
    into = _EMPTY_INTO if kind == claims.EMPTY else "volumes[].persistentVolumeClaim"
    outcomes = [refused(entry.key, *conflict) if conflict else translated(entry.key, into) for entry in mounts]
    parts = [
        Part(
            {"volumeMounts": [filling.mount(source, service, known, entry) for entry in mounts]},
            _pod_volume(held),
            outcomes=(*outcomes, *(claims.outcomes(source, held) if first else ())),
        )
    ]
    if kind != claims.EMPTY and not all(entry.read_only for entry in mounts):
        parts.append(Part(pod=filesystem_group(source, service)))
    if kind == claims.TEMPLATE:
        retained = {"whenDeleted": "Retain", "whenScaled": "Retain"}
        fields = {"volumeClaimTemplates": [claims.claim_template(source, held)]}
        parts.append(Part(workload={**fields, "persistentVolumeClaimRetentionPolicy": retained}))
    if kind == claims.CLAIM:
        parts.append(Part(objects=(claims.claim(source, held),) if first else ()))
        parts.append(sharing.on_one_node(source, service, held))
    return together(parts)


def _pod_volume(held: claims.Storage) -> dict[str, Any]:
    """Return the Pod's volume; that of a claim template is added by the StatefulSet."""
    if held.place == claims.TEMPLATE:
        return {}
    if held.place == claims.EMPTY:
        limit = {"sizeLimit": held.size} if held.size else {}
        if held.memory:
            said = dict(option.partition("=")[::2] for option in str(held.options.get("o") or "").split(","))
            size = str(said.get("size") or "")
            limit = {"sizeLimit": in_binary(docker_bytes(size, f"volumes.{held.claim}"))} if size else limit
            limit = {"medium": "Memory", **limit}
        return {"volumes": [{"name": held.name, "emptyDir": limit}]}
    return {"volumes": [{"name": held.name, "persistentVolumeClaim": {"claimName": held.claim}}]}


def _in_pod(source: KubeSource, service: Service, known: filling.Known, entry: MountEntry) -> Part:
    """Return a volume without a name: with Docker too its data is not found again by another container."""
    reason = "an anonymous volume: its data goes with the Pod; for data to keep, give it a name"
    if not entry.raw:
        reason = "a VOLUME of the image, whose file system is read-only otherwise"
    name = filling.pod_name(known, entry)
    return Part(
        {"volumeMounts": [filling.mount(source, service, known, entry)]},
        {"volumes": [{"name": name, "emptyDir": {}}]},
        outcomes=(inferred(entry.key, _EMPTY_INTO, reason),),
    )


def _of_read_only_image(source: KubeSource, service: Service, found: Iterable[MountEntry]) -> list[MountEntry]:
    """Return the VOLUMEs of an image that nothing is mounted at: Docker makes a volume for each, which is writable."""
    raw = source.raw(service.name)
    said = raw.get("tmpfs") or []
    tmpfs = [str(text).partition(":")[0].rstrip("/") for text in ([said] if isinstance(said, str) else said)]
    mounted = {*(entry.target for entry in found), *tmpfs}
    paths = [path.rstrip("/") for path in source.image(service.name).volumes] if raw.get("read_only") else []
    where = f"services.{service.name}.volumes"
    return [MountEntry(f"{where}.{path}", VOLUME, "", path, {}) for path in paths if path not in mounted]


def _of_image(entry: MountEntry) -> Part:
    """Return a mount of the files of another image.

    https://kubernetes.io/docs/concepts/storage/volumes/#image
    """
    name, inside = of_path(entry.target, "image"), str(entry.options.get("subpath") or "")
    mount = {"name": name, "mountPath": entry.target, "readOnly": True, **({"subPath": inside} if inside else {})}
    return Part(
        {"volumeMounts": [mount]},
        {"volumes": [{"name": name, "image": {"reference": entry.source, "pullPolicy": "IfNotPresent"}}]},
        outcomes=(inferred(entry.key, "volumes[].image", "read-only, and needs Kubernetes 1.35 or later"),),
    )


def _unknown(found: Iterable[MountEntry]) -> Iterator[KeyOutcome]:
    for entry in found:
        if entry.kind in (BIND, VOLUME, TMPFS, IMAGE) and not _PATH.fullmatch(entry.target):
            # Compose takes d:/data for a path of Windows, and not for a volume called d.
            reason = f"{entry.target} is no path that Kubernetes can mount at: it begins with / and has no colon"
            yield refused(entry.key, reason, "write it as a mapping: {type: volume, source: NAME, target: /PATH}")
        if entry.kind not in (BIND, VOLUME, TMPFS, IMAGE):
            yield refused(entry.key, f"type {entry.kind} has no counterpart", "say a volume, a bind mount or a tmpfs")


def _others(source: KubeSource, service: Service) -> Iterator[KeyOutcome]:
    """Yield what became of ``volumes_from``."""
    for said in source.raw(service.name).get("volumes_from") or ():
        other = str(said).partition(":")[0]
        key = f"services.{service.name}.volumes_from.{other}"
        if other in source.stack.services:
            yield translated(key, "volumeMounts[]")
        else:
            hint = "name a service, or mount a named volume in both"
            yield refused(f"services.{service.name}.volumes_from", f"{said} is a container of the engine", hint)
