"""How volumes are mounted, and what they begin with: as on Docker, with the image's files at the path of the mount."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ....model.stack.stack import Service
from ..data.naming import of_path
from ..outcome import KeyOutcome, inferred, refused
from ..part import Part
from ..source import KubeSource
from . import claims, proxy_files
from .entries import VOLUME, MountEntry
from .prepare import DIRECTORY, NewDirectory, init_container

_NAME = "prepare-volumes"
Known = Mapping[str, claims.Storage]
"""The named volumes of a service."""


def pod_name(known: Known, entry: MountEntry) -> str:
    """Return how a volume is called in the Pod."""
    return known[entry.source].name if entry.source else of_path(entry.target, "anonymous")


def mount(source: KubeSource, service: Service, known: Known, entry: MountEntry) -> dict[str, Any]:
    """Return the mount of a volume: a directory in it, where the service is to find it as Docker would make it."""
    kind = _kind(known, entry)
    whole = kind == claims.EXISTING or (kind == claims.EMPTY and not _copies(source, service, entry))
    path = "/".join(filter(None, ("" if whole else DIRECTORY, str(entry.options.get("subpath") or ""))))
    return {
        "name": pod_name(known, entry),
        "mountPath": entry.target,
        **({"subPath": path} if path else {}),
        **({"readOnly": True} if entry.read_only else {}),
    }


def filled(source: KubeSource, service: Service, known: Known, mounts: Iterable[MountEntry]) -> Part:
    """Return the init container that makes the directories of a service's volumes, and what can not be made."""
    found = [entry for entry in mounts if entry.kind == VOLUME]
    directories = {
        pod_name(known, entry): directory
        for entry in reversed(found)  # of several mounts of a volume the first one fills it
        if (directory := _directory(source, service, known, entry)) is not None
    }
    return Part(
        pod=init_container(_NAME, reversed(directories.values())),
        outcomes=tuple(note for entry in found for note in _notes(source, service, known, entry)),
    )


def _kind(known: Known, entry: MountEntry) -> str:
    return known[entry.source].place if entry.source else claims.EMPTY


def _wants_copy(entry: MountEntry) -> bool:
    """Whether Docker would copy the image's files into this volume when it is new."""
    return not (entry.taken or entry.options.get("nocopy") or entry.options.get("subpath"))


def _copies(source: KubeSource, service: Service, entry: MountEntry) -> bool:
    """Whether the files are copied here; that takes a shell, and for a proxy's files one is expected."""
    shell = source.image(service.name).shell
    expected = shell is None and proxy_files.holds(service, entry.target)
    return _wants_copy(entry) and (bool(shell) or expected)


def _directory(source: KubeSource, service: Service, known: Known, entry: MountEntry) -> NewDirectory | None:
    kind, copies = _kind(known, entry), _copies(source, service, entry)
    if kind == claims.EXISTING or not (copies or (kind != claims.EMPTY and source.image(service.name).shell)):
        return None
    of_proxy = copies and kind == claims.EMPTY and proxy_files.holds(service, entry.target)
    return NewDirectory(
        pod_name(known, entry),
        copied=entry.target if copies else "",
        after=proxy_files.after_copy(service, proxy_files.backed_names(source)) if of_proxy else "",
    )


def _notes(source: KubeSource, service: Service, known: Known, entry: MountEntry) -> Iterator[KeyOutcome]:
    kind = _kind(known, entry)
    if kind == claims.EXISTING or not _wants_copy(entry):
        return
    if _copies(source, service, entry):
        reason = f"a new volume begins with the image's files at {entry.target}, as with Docker"
        yield inferred(entry.key, "initContainers[]", reason)
    elif entry.source and kind == claims.EMPTY and proxy_files.holds(service, entry.target):
        reason = f"the image has no shell that could copy its files at {entry.target}"
        yield refused(entry.key, reason, "put a shell into the image, or mount the files read-only from the project")
    else:
        unknown = "is not known to have a" if source.image(service.name).shell is None else "has no"
        reason = f"a new volume is empty: the image {unknown} shell that could copy its files at {entry.target}"
        yield inferred(entry.key, "volumeMounts[]", reason)
