"""What the engine keeps for us in images that hold data only, and what can be read out of containers."""

import contextlib
import io
import json
import tarfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any


class Records:
    """The part of the engine that keeps records and reads files; nothing in here starts a container."""

    _api: Any
    _answering: Callable[[], AbstractContextManager[None]]

    def keep(self, repository: str, tag: str, files: Mapping[str, bytes], labels: Mapping[str, str]) -> None:
        """Keep files as an image of their own, with labels."""
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for name, data in files.items():
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = len(data), 0o644
                tar.addfile(entry, io.BytesIO(data))
        changes = [f"LABEL {_quoted(key)}={_quoted(value)}" for key, value in labels.items()]
        with self._answering():
            self._api.import_image_from_data(archive.getvalue(), repository=repository, tag=tag, changes=changes)

    def kept_file(self, reference: str, path: str) -> bytes:
        """Return a file out of an image that holds records."""
        with self._answering():
            # As `docker save` gives it, and not out of a container: one that is killed here leaves nothing behind.
            saved = io.BytesIO(b"".join(self._api.get_image(reference)))
        with tarfile.open(fileobj=saved) as tar:
            layers = json.loads(_read(tar, "manifest.json"))[0]["Layers"]
            with tarfile.open(fileobj=io.BytesIO(_read(tar, layers[0]))) as layer:
                return _read(layer, path.lstrip("/"))

    def kept_files(self, reference: str) -> dict[str, bytes]:
        """Return all files of an image that holds records, by name."""
        with self._answering():
            saved = io.BytesIO(b"".join(self._api.get_image(reference)))
        with tarfile.open(fileobj=saved) as tar:
            layers = json.loads(_read(tar, "manifest.json"))[0]["Layers"]
            with tarfile.open(fileobj=io.BytesIO(_read(tar, layers[0]))) as layer:
                return {one.name: _read(layer, one.name) for one in layer if one.isfile()}

    def file(self, container: str, path: str) -> bytes:
        """Return a file out of a container."""
        with self._answering():
            return self._file(container, path)

    def _file(self, container: str, path: str) -> bytes:
        stream, _ = self._api.get_archive(container, path)
        with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as tar:
            found = tar.extractfile(tar.next() or "")
            return found.read() if found else b""

    def processes(self, container: str) -> tuple[dict[str, str], ...]:
        """Return the process table of a container, one mapping of titles for each process."""
        with self._answering():
            table = self._api.top(container)
        return tuple(dict(zip(table["Titles"], row, strict=False)) for row in table["Processes"] or ())

    def environment(self, container: str) -> dict[str, str]:
        """Return the environment of a container, without what has no value; none of one that is gone."""
        from docker.errors import NotFound

        with self._answering():
            try:
                words = self._api.inspect_container(container)["Config"].get("Env") or ()
            except NotFound:
                return {}
        return dict(word.split("=", 1) for word in words if "=" in word)

    def tag(self, image: str, reference: str) -> None:
        """Give a local image one more name; who has that name loses it."""
        repository, _, tag = reference.rpartition(":")
        with self._answering():
            self._api.tag(image, repository, tag, force=True)

    def remove_image(self, reference: str) -> None:
        """Remove a name of an image, and the image with its last name; one that is gone already is fine."""
        from docker.errors import NotFound

        with self._answering(), contextlib.suppress(NotFound):
            self._api.remove_image(reference)


def _read(tar: tarfile.TarFile, name: str) -> bytes:
    found = tar.extractfile(name)
    return found.read() if found else b""


def _quoted(text: str) -> str:
    """Return text as a word of a Dockerfile instruction."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return f'"{escaped}"'
