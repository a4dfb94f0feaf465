"""Helm's own record of a revision: a Secret with a compressed document, whose ``manifest`` are the revision's objects.

Helm notes a revision first, and only then makes, changes and removes objects. A helm that is killed in between leaves a
record that lacks what it had not removed yet, and `helm rollback` refuses an object that is there and not in the newest
record: "original object … not found".
https://github.com/helm/helm/blob/main/pkg/storage/driver/util.go (the encoding)
https://github.com/helm/helm/blob/main/pkg/kube/client.go (the comparison)
"""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from gzip import compress, decompress
from typing import Any

from .difference import Raw, key
from .revisions import PENDING

SELECTED = f"status in ({','.join(PENDING)})"  # by the labels of the Secrets


def manifest(stored: Raw) -> str:
    """Return the objects of a revision as YAML documents; ``stored`` is the Secret in which helm keeps it."""
    return str(_document(stored)["manifest"])


def lacking(known: Iterable[Raw], objects: Iterable[Raw]) -> list[Raw]:
    """Return those of ``objects`` that are not among the ``known`` ones of a revision."""
    names = {key(raw) for raw in known}
    return [raw for raw in objects if key(raw) not in names]


def with_objects(stored: Raw, objects: Sequence[Raw]) -> dict[str, Any]:
    """Return the Secret of a revision with further objects, which are added to its manifest."""
    document = dict(_document(stored))
    texts = [json.dumps(raw, default=dict) for raw in objects]  # JSON is YAML
    document["manifest"] = "\n---\n".join([str(document["manifest"]).rstrip("\n"), *texts]) + "\n"
    packed = base64.b64encode(compress(json.dumps(document).encode(), mtime=0))
    return {**stored, "data": {**stored["data"], "release": base64.b64encode(packed).decode()}}


def _document(stored: Raw) -> Mapping[str, Any]:
    packed = base64.b64decode(base64.b64decode(stored["data"]["release"]))
    read: Mapping[str, Any] = json.loads(decompress(packed))
    return read
