"""What one look at the engine has to know beside containers: networks and volumes."""

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

    def volume(self, name: str) -> Volume | None:
        """Return a volume, None when there is none."""
        with self._engine._answering():
            try:
                found = self._api.inspect_volume(name)
            except NotFound:
                return None
        return Volume(name, str(found.get("Driver", "local")), found.get("Options") or {}, found.get("Labels") or {})
