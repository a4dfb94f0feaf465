"""The fixed addresses and the mounts of a service in the Compose model."""

from collections.abc import Mapping
from typing import Any

from ..record import Record
from .extension import mapping


class FixedAddress(Record):
    """An address that the Compose file gives to a service; ``kind`` is the key that sets it."""

    kind: str
    address: str
    network: str = ""


class MountPoint(Record):
    """A mount of a service at ``target``; ``kind`` is ``bind``, ``volume`` or ``tmpfs``.

    ``created``: Docker creates a directory when the path does not exist.
    """

    kind: str
    target: str
    source: str = ""
    read_only: bool = False
    created: bool = False


def parse_addresses(raw: Mapping[str, Any], declared: object) -> tuple[FixedAddress, ...]:
    """Return the fixed addresses of a service; ``declared`` are the networks of the model."""
    known = mapping(declared, "networks")
    addresses = [FixedAddress("mac_address", str(raw["mac_address"]))] if raw.get("mac_address") else []
    networks = raw.get("networks")
    for name, endpoint in networks.items() if isinstance(networks, dict) else ():
        network = str((known.get(name) or {}).get("name") or name)
        for kind in ("ipv4_address", "ipv6_address", "mac_address"):
            if endpoint and endpoint.get(kind):
                addresses.append(FixedAddress(kind, str(endpoint[kind]), network))
    return tuple(addresses)


def parse_mounts(raw: Mapping[str, Any]) -> tuple[MountPoint, ...]:
    """Return the mounts of a service, without secrets and configs."""
    mounts = [
        MountPoint(
            kind=str(volume["type"]),
            target=str(volume.get("target", "")),
            source=str(volume.get("source") or ""),
            read_only=bool(volume.get("read_only")),
            created=bool((volume.get("bind") or {}).get("create_host_path")),
        )
        for volume in raw.get("volumes") or []
    ]
    tmpfs = raw.get("tmpfs") or []
    names = [tmpfs] if isinstance(tmpfs, str) else tmpfs
    return (*mounts, *(MountPoint("tmpfs", str(path).partition(":")[0]) for path in names))
