"""Files in containers and volumes, through the engine's SDK: nothing is run in a container for it."""

import io
import tarfile
import time
from collections.abc import Mapping

from docker.errors import NotFound

from .engine import Engine

_OFF = "off"  # what a link that leads nowhere points to
_WORK = "/files"


class ContainerFiles:
    """Files in the containers of one engine, running or not. On a read-only root only those in volumes change."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._api = engine._api

    def is_file(self, container_id: str, path: str) -> bool:
        """Whether a regular file is there; False also for a container that is gone."""
        with self._engine._answering():
            try:
                stream, stat = self._api.get_archive(container_id, path)
            except NotFound:
                return False
        stream.close()
        return not stat.get("linkTarget")

    def put(self, container_id: str, path: str, content: bytes) -> None:
        """Put a file in place, readable for everybody."""
        self._put(container_id, path, tarfile.REGTYPE, content)

    def take_away(self, container_id: str, path: str) -> None:
        """See to it that no file is there.

        The engine can put files and not remove them, and a proxy's image need not have `rm`: what is left is a link
        to nowhere, which no program takes for a file.
        """
        if self.is_file(container_id, path):
            self._put(container_id, path, tarfile.SYMTYPE, b"")

    def _put(self, container_id: str, path: str, kind: bytes, content: bytes) -> None:
        directory, _, name = path.rpartition("/")
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            entry = tarfile.TarInfo(name)
            entry.type, entry.size, entry.mode, entry.mtime = kind, len(content), 0o644, int(time.time())
            entry.linkname = _OFF if kind == tarfile.SYMTYPE else ""
            tar.addfile(entry, io.BytesIO(content))
        with self._engine._answering():
            self._api.put_archive(container_id, directory, archive.getvalue())


def put_into_volume(engine: Engine, volume: str, labels: Mapping[str, str], image: str, archive: bytes) -> None:
    """Put a tar archive into a volume, which is made with labels where there is none.

    The engine writes into a container's mounts only: one is created from an image, never started, and removed.
    """
    api = engine._api
    with engine._answering():
        try:
            api.inspect_volume(volume)
        except NotFound:
            api.create_volume(volume, labels=dict(labels))
        host = api.create_host_config(binds={volume: {"bind": _WORK, "mode": "rw"}})
        made = api.create_container(image, command=["none"], volumes=[_WORK], host_config=host)
        try:
            api.put_archive(made["Id"], _WORK, archive)
        finally:
            api.remove_container(made["Id"], force=True)
