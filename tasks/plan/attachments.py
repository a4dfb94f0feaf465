"""What a service of the Compose model is attached to: the addresses that it is given, and what it mounts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .extension import mapping


@dataclass(frozen=True)
class FixedAddress:
    """An address that the Compose file gives to a service; ``kind`` is the key that says so."""

    kind: str
    address: str
    network: str = ""


@dataclass(frozen=True)
class MountPoint:
    """What a service sees at ``target``: a ``bind`` of a path, a ``volume`` or a ``tmpfs``.

    ``created``: Docker makes a directory of a path that is not there.
    """

    kind: str
    target: str
    source: str = ""
    read_only: bool = False
    created: bool = False


def parse_addresses(raw: Mapping[str, Any], declared: object) -> tuple[FixedAddress, ...]:
    """Return the addresses that a service is given; ``declared`` are the networks of the model."""
    known = mapping(declared, "networks")
    found = [FixedAddress("mac_address", str(raw["mac_address"]))] if raw.get("mac_address") else []
    networks = raw.get("networks")
    for name, endpoint in networks.items() if isinstance(networks, dict) else ():
        network = str((known.get(name) or {}).get("name") or name)
        for kind in ("ipv4_address", "ipv6_address", "mac_address"):
            if endpoint and endpoint.get(kind):
                found.append(FixedAddress(kind, str(endpoint[kind]), network))
    return tuple(found)


def parse_mounts(raw: Mapping[str, Any]) -> tuple[MountPoint, ...]:
    """Return what a service mounts, but for secrets and configs."""
    found = [
        MountPoint(
            kind=str(one["type"]),
            target=str(one.get("target", "")),
            source=str(one.get("source") or ""),
            read_only=bool(one.get("read_only")),
            created=bool((one.get("bind") or {}).get("create_host_path")),
        )
        for one in raw.get("volumes") or []
    ]
    tmpfs = raw.get("tmpfs") or []
    names = [tmpfs] if isinstance(tmpfs, str) else tmpfs
    return (*found, *(MountPoint("tmpfs", str(one).partition(":")[0]) for one in names))
