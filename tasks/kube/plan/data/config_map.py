"""Files of a project as a ConfigMap whose name changes with their bytes, so that Pods are replaced when they change."""

import base64
import json
import posixpath
import re
from collections.abc import Mapping
from typing import Any

from ....model.record import Record
from ..names import LONGEST, label
from ..outcome import KeyOutcome, inferred
from .naming import digest

LARGEST = 1 << 20  # bytes: https://kubernetes.io/docs/concepts/configuration/configmap/
# Bytes that kubectl may note of an object, as an annotation, when it applies it by itself:
# https://kubernetes.io/docs/reference/using-api/server-side-apply/#comparison-with-client-side-apply
_NOTED = 250_000
READABLE, EXECUTABLE = 0o444, 0o555


class FileMap(Record):
    """A ConfigMap, and the path of each of its keys."""

    name: str
    object: Mapping[str, Any]
    items: tuple[Mapping[str, str], ...]

    def notes(self, key: str) -> list[KeyOutcome]:
        """Return what whoever applies the objects has to know of this one."""
        if len(json.dumps(self.object)) <= _NOTED:
            return []
        reason = "too large for `kubectl apply` without --server-side: it would note all of it in an annotation"
        return [inferred(key, f"ConfigMap {self.name}", reason)]

    def volume(self, name: str, mode: int) -> dict[str, Any]:
        """Return the Pod's volume of this name that has the files, each with the mode."""
        return {
            "name": name,
            "configMap": {"name": self.name, "defaultMode": mode, "items": [dict(item) for item in self.items]},
        }


def size(files: Mapping[str, bytes]) -> int:
    """Return how many bytes the files have together."""
    return sum(len(data) for data in files.values())


def file_map(service: str, target: str, files: Mapping[str, bytes]) -> FileMap:
    """Return the ConfigMap of files by their path, which a service mounts at ``target``.

    Its name tells of both, and has a digest of the files.

    The bytes stay as they are: what is not UTF-8 is base64 in ``binaryData``.
    """
    keys = _keys(sorted(files))
    ending = "-" + digest(service, target, *(part for path in sorted(files) for part in (path, files[path])))
    full = label(f"{service}{target.replace('/', '-')}")[: LONGEST - len(ending)].rstrip("-") + ending
    text, binary = {}, {}
    for path, key in keys.items():
        try:
            text[key] = files[path].decode()
        except UnicodeDecodeError:
            binary[key] = base64.b64encode(files[path]).decode()
    made: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": full}, "immutable": True}
    made |= {"data": text} if text else {}
    made |= {"binaryData": binary} if binary else {}
    return FileMap(full, made, tuple({"key": key, "path": path} for path, key in keys.items()))


def _keys(paths: list[str]) -> dict[str, str]:
    """Return the key of each path: letters, digits, ``-``, ``_`` and ``.``, and no two the same."""
    keys: dict[str, str] = {}
    for path in paths:
        key = re.sub(r"[^A-Za-z0-9._-]", "-", path.replace("/", "."))
        plain = not key.startswith("..") and key != "." and key not in keys.values() and len(key) < 200
        keys[path] = key if plain else f"{key.strip('.')[:200]}-{digest(path)}"
    return keys


def file_name(path: str) -> str:
    """Return what a single file is called in its ConfigMap: as in its directory."""
    return posixpath.basename(path.rstrip("/")) or "file"
