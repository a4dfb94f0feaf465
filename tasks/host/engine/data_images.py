"""Files stored on the engine, in images that contain only data."""

import io
import json
import tarfile
from collections.abc import Mapping

from .connection import Connection


class DataImages:
    """The data images of an engine: they contain files, and no container runs from them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def keep(self, repository: str, tag: str, files: Mapping[str, bytes], labels: Mapping[str, str]) -> None:
        """Store files as an image of their own, with labels."""
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for name, data in files.items():
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = len(data), 0o644
                tar.addfile(entry, io.BytesIO(data))
        changes = [f"LABEL {_quoted(key)}={_quoted(value)}" for key, value in labels.items()]
        with self._connection.answering():
            api = self._connection.api
            api.import_image_from_data(archive.getvalue(), repository=repository, tag=tag, changes=changes)

    def file(self, reference: str, path: str) -> bytes:
        """Return the content of a file in a data image."""
        with self._saved(reference) as tar:
            layers = json.loads(_read(tar, "manifest.json"))[0]["Layers"]
            with tarfile.open(fileobj=io.BytesIO(_read(tar, layers[0]))) as layer:
                return _read(layer, path.lstrip("/"))

    def files(self, reference: str) -> dict[str, bytes]:
        """Return the contents of all files of a data image, by name."""
        with self._saved(reference) as tar:
            layers = json.loads(_read(tar, "manifest.json"))[0]["Layers"]
            with tarfile.open(fileobj=io.BytesIO(_read(tar, layers[0]))) as layer:
                return {member.name: _read(layer, member.name) for member in layer if member.isfile()}

    def _saved(self, reference: str) -> tarfile.TarFile:
        # From `docker save`, not from a container: a process that is killed here leaves no container behind.
        saved = self._connection.reply("GET", f"/images/{reference}/get").body
        return tarfile.open(fileobj=io.BytesIO(saved))


def _read(tar: tarfile.TarFile, name: str) -> bytes:
    member = tar.extractfile(name)
    return member.read() if member else b""


def _quoted(text: str) -> str:
    """Return text as a word of a Dockerfile instruction."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return f'"{escaped}"'
