"""The mounts of a service: its own ``volumes``, and those of the services that it names in ``volumes_from``."""

from collections.abc import Mapping
from typing import Any

from ....model.record import Record
from ....model.stack.stack import Service, unescaped
from ..data.deployed import deployed
from ..source import KubeSource

BIND, VOLUME, TMPFS, IMAGE = "bind", "volume", "tmpfs", "image"


class MountEntry(Record):
    """One mount: ``key`` is its place in a report, ``kind`` and ``source`` are as in the Compose file.

    ``taken``: another service has it, and this one says ``volumes_from``. ``raw`` is the entry as Compose prints it.
    """

    key: str
    kind: str
    source: str
    target: str
    raw: Mapping[str, Any]
    read_only: bool = False
    taken: bool = False

    @property
    def options(self) -> Mapping[str, Any]:
        """What the entry says that only its kind has, such as ``volume: {nocopy: true}``."""
        options: Mapping[str, Any] = self.raw.get(self.kind) or {}
        return options


def entries(source: KubeSource, service: Service) -> tuple[MountEntry, ...]:
    """Return the mounts of a service; its own win over those of others at the same path."""
    found = {entry.target: entry for entry in (*_from_others(source, service.name, ()), *_own(source, service.name))}
    return tuple(found.values())


def sharers(source: KubeSource) -> dict[str, tuple[Service, ...]]:
    """Return the services that are deployed and mount a volume, by its name in the Compose file."""
    found: dict[str, list[Service]] = {}
    for service in deployed(source.stack):
        for name in _volumes(source, service.name, frozenset()):
            found.setdefault(name, []).append(service)
    return {name: tuple(services) for name, services in found.items()}


def _volumes(source: KubeSource, name: str, seen: frozenset[str]) -> dict[str, None]:
    """Return the volumes that a service mounts, each once."""
    raw = source.raw(name)
    found = {str(entry["source"]): None for entry in raw.get("volumes") or () if _is_named(entry)}
    for said in raw.get("volumes_from") or ():
        other = str(said).partition(":")[0]
        if other in source.stack.services and other not in seen:
            found |= _volumes(source, other, seen | {name})
    return found


def _is_named(raw: Mapping[str, Any]) -> bool:
    return raw.get("type") == VOLUME and bool(raw.get("source"))


def _own(source: KubeSource, name: str, key: str = "") -> list[MountEntry]:
    where = key or f"services.{name}.volumes"
    return [
        MountEntry(
            key=f"{where}.{raw.get('target')}",
            kind=str(raw.get("type")),
            source=str(raw.get("source") or ""),
            target=str(raw.get("target") or "").rstrip("/") or "/",
            raw=raw,
            read_only=bool(raw.get("read_only")),
            taken=bool(key),
        )
        for raw in unescaped(list(source.raw(name).get("volumes") or ()))
    ]


def _from_others(source: KubeSource, name: str, seen: tuple[str, ...]) -> list[MountEntry]:
    found: list[MountEntry] = []
    for said in source.raw(name).get("volumes_from") or ():
        other, _, mode = str(said).partition(":")
        if other == "container" or other in seen or other not in source.stack.services:
            continue
        theirs = [
            *_from_others(source, other, (*seen, name)),
            *_own(source, other, f"services.{name}.volumes_from.{other}"),
        ]
        found += [_read_only(entry) if mode == "ro" else entry for entry in theirs]
    return found


def _read_only(entry: MountEntry) -> MountEntry:
    return MountEntry(entry.key, entry.kind, entry.source, entry.target, entry.raw, True, entry.taken)
