"""What one look at the engine has to know beside containers: networks, volumes, and what containers see of files."""

import io
import tarfile
from collections.abc import Iterable

from docker.errors import APIError, NotFound

from ..plan.facts import Network, Volume
from .engine import Engine

_MOST = 8 * 2**20  # bytes of a directory that are read out of a container


class Resources:
    """Networks, volumes and files as the engine has them; nothing is changed."""

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

    def seen(self, container_id: str, path: str) -> dict[str, bytes] | None:
        """Return the files that a container has at a path, by name below it ("" for a single file).

        None when nothing is there, or more than is read; links are their targets.
        """
        with self._engine._answering():
            try:
                stream, _ = self._api.get_archive(container_id, path)
                archive = _limited(stream)
            except (NotFound, APIError):
                return None
        if archive is None:
            return None
        return _members(archive, path.rstrip("/").rpartition("/")[2])


def _limited(stream: Iterable[bytes]) -> bytes | None:
    data = io.BytesIO()
    for chunk in stream:
        data.write(chunk)
        if data.tell() > _MOST:
            return None
    return data.getvalue()


def _members(archive: bytes, top: str) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for entry in tar:
            name = entry.name.removeprefix(top).strip("/")
            if entry.isfile():
                member = tar.extractfile(entry)
                found[name] = member.read() if member else b""
            elif entry.issym():
                found[name] = f"-> {entry.linkname}".encode()
    return found
