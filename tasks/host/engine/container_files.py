"""Files in containers and volumes, through the engine's SDK: nothing is run in a container for it."""

import contextlib
import io
import tarfile
import time
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus

from .client import Engine

_OFF = "off"  # what a link that leads nowhere points to
_WORK = "/files"


class ContainerFiles:
    """Files in the containers of an engine, running or not. On a read-only root only those in volumes change."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._api = engine._api

    def put(self, container_id: str, path: str, content: bytes) -> None:
        """Put a file in place, readable for everybody."""
        self._put(container_id, path, tarfile.REGTYPE, content)

    def take_away(self, container_id: str, path: str) -> None:
        """Make sure that no file is there.

        The engine can put files and not remove them, and a proxy's image need not have `rm`: what is left is a link
        to nowhere, which no program takes for a file.
        """
        if self._engine.is_file(container_id, path):
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


class VolumeFiles:
    """The files of volumes of one engine, read and put as tar archives.

    The engine writes into a container's mounts only: one is created from an image, never started, and removed.
    ``labels`` are those of volumes that are made, and of that container.
    """

    def __init__(self, engine: Engine, image: str, labels: Mapping[str, str]) -> None:
        self._engine, self._api, self._image, self._labels = engine, engine._api, image, dict(labels)

    def make(self, volume: str) -> None:
        """Make a volume where there is none."""
        if self._engine._find(f"/volumes/{volume}") is None:
            with self._engine._answering():
                self._api.create_volume(volume, labels=self._labels)

    def put(self, volume: str, archive: bytes) -> None:
        """Put an archive into a volume; what is in it and not in the archive stays."""
        with self._holding(volume) as made:
            self._api.put_archive(made, _WORK, archive)

    def archive(self, volume: str) -> bytes:
        """Return all files of a volume with their modes and owners; the names begin with ``./``."""
        with self._holding(volume) as made:
            return b"".join(self._api.get_archive(made, f"{_WORK}/.")[0])

    def contents(self, volume: str) -> dict[str, bytes]:
        """Return the content of each file of a volume by its name; empty when there is no such volume."""
        if self._engine._find(f"/volumes/{volume}") is None:
            return {}
        with tarfile.open(fileobj=io.BytesIO(self.archive(volume))) as tar:
            files = {entry.name.removeprefix("./"): tar.extractfile(entry) for entry in tar if entry.isfile()}
            return {name: file.read() for name, file in files.items() if file}

    def empty(self, volume: str, names: Iterable[str]) -> None:
        """Take the content of files and directories out of a volume; what is left of each is an empty file.

        The engine removes nothing that lies in a volume, but what it puts there replaces what was.
        """
        from docker.errors import NotFound

        archive = io.BytesIO()
        with self._holding(volume) as made:
            with tarfile.open(fileobj=archive, mode="w") as tar:
                for name in names:
                    try:
                        self._api.get_archive(made, f"{_WORK}/{name}")[0].close()
                    except NotFound:
                        continue
                    tar.addfile(tarfile.TarInfo(name))
            self._api.put_archive(made, _WORK, archive.getvalue())

    @contextlib.contextmanager
    def _holding(self, volume: str) -> Iterator[str]:
        with self._engine._answering():
            host = self._api.create_host_config(binds={volume: {"bind": _WORK, "mode": "rw"}})
            made = self._api.create_container(
                self._image, command=["none"], volumes=[_WORK], host_config=host, labels=self._labels
            )
            try:
                yield made["Id"]
            finally:
                self._api.remove_container(made["Id"], force=True)


def remove_volume(engine: Engine, volume: str) -> None:
    """Remove a volume; one that is gone already is fine, one in use stays."""
    from docker.errors import APIError

    with engine._answering():
        try:
            engine._api.remove_volume(volume)
        except APIError as error:
            if error.status_code not in (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT):
                raise
