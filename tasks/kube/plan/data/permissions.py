"""Modes and owners of single files: on Kubernetes they belong to root, and to the group of the Pod's volumes."""

from collections.abc import Iterator, Mapping
from typing import Any

from ....model.stack.stack import Service
from ..outcome import KeyOutcome, ignored, inferred
from ..source import KubeSource
from .owner import owner

_WORLD, _OWNER = 0o004, 0o400


def permission(raw: object, usual: int) -> int:
    """Return the mode of a file as the Compose model has it: a number, or the text of an octal one."""
    if raw is None:
        return usual
    return int(raw, 8) if isinstance(raw, str) else int(str(raw))


def readable(mode: int, source: KubeSource, service: Service) -> int:
    """Return a mode with which the user of a service may read a file that belongs to root and the Pod's group."""
    if mode & _WORLD or owner(source, service).volumes is None:
        return mode
    return mode | (mode & _OWNER) >> 3


def ownership(
    key: str, entry: Mapping[str, Any], usual: int, source: KubeSource, service: Service
) -> Iterator[KeyOutcome]:
    """Yield what became of the owner and the mode of a secret or config."""
    mode = permission(entry.get("mode"), usual)
    group = owner(source, service).volumes
    if mode & _WORLD == 0 and group is not None:
        reason = f"belongs to root; the container reads it as a member of group {group}"
        yield inferred(key, "securityContext.fsGroup", reason)
    elif said := [name for name in ("uid", "gid") if entry.get(name) is not None]:
        may = ", and everybody in the container may read it" if mode & _WORLD else ""
        yield ignored(key, f"{' and '.join(said)}: the file belongs to root{may}")
