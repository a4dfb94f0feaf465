"""Networks and volumes of an engine, as an observation needs them in addition to its containers."""

from collections.abc import Collection, Mapping
from typing import Any

from ...model.engine.facts import Network, Volume
from .client import Engine


class Resources:
    """Reads networks and volumes of an engine; changes nothing."""

    def __init__(self, engine: Engine) -> None:
        self._read, self._find = engine._read, engine._find

    def network(self, name: str) -> Network | None:
        """Return a network, None when there is none."""
        raw = self._find(f"/networks/{name}")
        return _network(raw) if raw else None

    def networks(self, names: Collection[str]) -> dict[str, Network]:
        """Return those of the named networks that exist, by name; a listing does not tell their containers."""
        if not names:
            return {}
        listed = self._read("/networks", filters={"name": sorted(names)})  # matches parts of names as well
        return {network["Name"]: _network(network) for network in reversed(listed) if network["Name"] in names}

    def subnets(self) -> tuple[str, ...]:
        """Return the subnets of all networks of the engine, such as ``172.18.0.0/16``."""
        return tuple(subnet for network in self._read("/networks") for subnet in _network(network).subnets)

    def volumes(self, names: Collection[str]) -> dict[str, Volume]:
        """Return those of the named volumes that exist, by name."""
        if not names:
            return {}
        listed = self._read("/volumes", filters={"name": sorted(names)})["Volumes"] or ()
        return {
            volume["Name"]: Volume(
                volume["Name"],
                str(volume.get("Driver", "local")),
                volume.get("Options") or {},
                volume.get("Labels") or {},
            )
            for volume in listed
            if volume["Name"] in names
        }


def _network(raw: Mapping[str, Any]) -> Network:
    subnets = ((raw.get("IPAM") or {}).get("Config")) or ()
    return Network(
        name=str(raw["Name"]),
        id=str(raw["Id"]),
        driver=str(raw.get("Driver", "")),
        internal=bool(raw.get("Internal")),
        attachable=bool(raw.get("Attachable")),
        ipv6=bool(raw.get("EnableIPv6")),
        options=raw.get("Options") or {},
        subnets=tuple(str(subnet["Subnet"]) for subnet in subnets if subnet.get("Subnet")),
        labels=raw.get("Labels") or {},
        containers=tuple(sorted(str(container["Name"]) for container in (raw.get("Containers") or {}).values())),
    )
