"""What one look at the engine has to know beside containers: networks and volumes."""

from collections.abc import Collection, Mapping
from typing import Any

from docker.errors import NotFound

from ..plan.facts import Network, Volume
from .engine import Engine


class Resources:
    """Networks and volumes as the engine has them; nothing is changed."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._api = engine._api

    def network(self, name: str) -> Network | None:
        """Return a network, None when there is none."""
        with self._engine._answering():
            try:
                found = self._api.inspect_network(name)
            except NotFound:
                return None
        return _network(found)

    def networks(self, names: Collection[str]) -> dict[str, Network]:
        """Return networks by name, those that there are; a listing does not tell which containers are in them."""
        if not names:
            return {}
        with self._engine._answering():
            listed = self._api.networks(filters={"name": sorted(names)})  # also those that have it in theirs
        return {one["Name"]: _network(one) for one in reversed(listed) if one["Name"] in names}

    def volumes(self, names: Collection[str]) -> dict[str, Volume]:
        """Return volumes by name, those that there are."""
        if not names:
            return {}
        with self._engine._answering():
            listed = self._api.volumes(filters={"name": sorted(names)})["Volumes"] or ()
        return {
            one["Name"]: Volume(
                one["Name"], str(one.get("Driver", "local")), one.get("Options") or {}, one.get("Labels") or {}
            )
            for one in listed
            if one["Name"] in names
        }


def _network(found: Mapping[str, Any]) -> Network:
    subnets = ((found.get("IPAM") or {}).get("Config")) or ()
    return Network(
        name=str(found["Name"]),
        id=str(found["Id"]),
        driver=str(found.get("Driver", "")),
        internal=bool(found.get("Internal")),
        attachable=bool(found.get("Attachable")),
        ipv6=bool(found.get("EnableIPv6")),
        options=found.get("Options") or {},
        subnets=tuple(str(one["Subnet"]) for one in subnets if one.get("Subnet")),
        labels=found.get("Labels") or {},
        containers=tuple(sorted(str(one["Name"]) for one in (found.get("Containers") or {}).values())),
    )
