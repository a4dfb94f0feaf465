"""File systems in memory: ``tmpfs`` and ``/dev/shm``, of the size that the Compose file says."""

from collections.abc import Iterator, Mapping
from typing import Any

from ....model.record import Record
from ....model.stack.stack import Service
from ..data.naming import of_path
from ..data.owner import filesystem_group
from ..outcome import KeyOutcome, ignored, inferred, translated
from ..part import Part
from ..source import KubeSource
from .entries import MountEntry
from .prepare import DIRECTORY, NewDirectory, init_container
from .sizes import docker_bytes, in_binary

KEYS = frozenset({"tmpfs", "shm_size"})
_INTO = "volumes[].emptyDir.medium"
# emptyDir is writable for everybody; the sticky bit only keeps users of one container apart.
_OPEN = ("", "777", "1777")
# What docker sets unless told otherwise, and what an emptyDir has not.
_FLAGS = ("noexec", "nosuid", "nodev")


class MemoryMount(Record):
    """A file system in memory: ``size`` in bytes, 0 without a limit; ``mode`` as an octal number, "" for 1777."""

    key: str
    target: str
    size: int = 0
    mode: str = ""
    ignored: tuple[str, ...] = ()


def part(source: KubeSource, service: Service) -> Part:
    """Return the memory of a service: ``tmpfs`` as sized volumes at their paths, ``shm_size`` at /dev/shm."""
    raw, where = source.raw(service.name), f"services.{service.name}"
    said = raw.get("tmpfs") or []
    mounts = [_of_option(where, str(text)) for text in ([said] if isinstance(said, str) else said)]
    outcomes = [translated(f"{where}.{key}", _INTO) for key in ("tmpfs", "shm_size") if raw.get(key)]
    shared = docker_bytes(str(raw["shm_size"]), f"{where}.shm_size") if raw.get("shm_size") else 0
    made = in_memory(source, service, mounts, "prepare-tmpfs")
    container, pod = dict(made.container), dict(made.pod)
    if shared:
        volume = {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": in_binary(shared)}}
        pod["volumes"] = [*pod.get("volumes", ()), volume]
        container["volumeMounts"] = [
            *container.get("volumeMounts", ()),
            {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108
        ]
    outcomes += _beyond_limit(raw, where, sum(mount.size for mount in mounts) + shared)
    return Part(container, pod, outcomes=(*outcomes, *made.outcomes))


def of_entry(entry: MountEntry) -> MemoryMount:
    """Return the file system of a mount of type ``tmpfs``."""
    size, mode = entry.options.get("size"), entry.options.get("mode")
    octal = "" if mode is None else str(mode).lstrip("0") if isinstance(mode, str) else f"{int(mode):o}"
    return MemoryMount(entry.key, entry.target, docker_bytes(str(size), entry.key) if size else 0, octal)


def in_memory(source: KubeSource, service: Service, mounts: list[MemoryMount], init: str) -> Part:
    """Return file systems in memory; one with an owner or permissions of its own is made by an init container.

    ``init`` is the name of that container.
    """
    shell = source.image(service.name).shell
    private = [mount for mount in mounts if mount.mode not in ("0", *_OPEN)]
    prepared = [mount for mount in private if shell]
    volumes, volume_mounts = [], []
    for mount in mounts:
        name = of_path(mount.target, "tmpfs")
        limit = {"sizeLimit": in_binary(mount.size)} if mount.size else {}
        volumes.append({"name": name, "emptyDir": {"medium": "Memory", **limit}})
        inside = {"subPath": DIRECTORY} if mount in prepared else {}
        volume_mounts.append({"name": name, "mountPath": mount.target, **inside})
    directories = [NewDirectory(of_path(mount.target, "tmpfs"), mode=mount.mode) for mount in prepared]
    group = filesystem_group(source, service) if prepared else {}
    return Part(
        {"volumeMounts": volume_mounts} if mounts else {},
        {**({"volumes": volumes} if mounts else {}), **init_container(init, directories), **group},
        outcomes=tuple(note for mount in mounts for note in _notes(mount, mount in private, mount in prepared)),
    )


def _of_option(where: str, text: str) -> MemoryMount:
    """Return a mount of the form ``/run:size=64m,mode=1777``."""
    target, _, options = text.partition(":")
    said = dict(_option(option) for option in options.split(",") if option)
    key = f"{where}.tmpfs.{target}"
    size = said.get("size", "")
    return MemoryMount(
        key,
        target.rstrip("/") or "/",
        docker_bytes(size, key) if size and not size.endswith("%") else 0,
        said.get("mode", "").lstrip("0") or ("0" if "mode" in said else ""),
        tuple(option for option in options.split(",") if option in _FLAGS or option.endswith("%")),
    )


def _option(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


def _notes(mount: MemoryMount, private: bool, prepared: bool) -> Iterator[KeyOutcome]:
    if private and prepared:
        yield inferred(mount.key, "initContainers[]", f"made with mode {mount.mode} by an init container of the image")
    elif private or mount.mode == "0":
        reason = "" if mount.mode == "0" else ": the image is not known to have a shell that could set it"
        yield ignored(mount.key, f"mode {mount.mode}: everybody in the container may write{reason}")
    if mount.ignored:
        yield ignored(mount.key, f"{', '.join(mount.ignored)}: Kubernetes has no such option of a volume")


def _beyond_limit(raw: Mapping[str, Any], where: str, size: int) -> Iterator[KeyOutcome]:
    """Yield that memory file systems may fill more than the container may have, as they may with Docker."""
    limits = ((raw.get("deploy") or {}).get("resources") or {}).get("limits") or {}
    limit = docker_bytes(str(limits.get("memory") or raw.get("mem_limit") or 0), f"{where}.mem_limit")
    if 0 < limit <= size:
        reason = f"up to {in_binary(size)} in memory count against the limit of {in_binary(limit)}, as with Docker"
        key = "tmpfs" if raw.get("tmpfs") else "shm_size"
        yield inferred(f"{where}.{key}.size", _INTO, reason)
