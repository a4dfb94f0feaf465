"""Which state of which secrets a Pod has, without a fingerprint of any value.

The Secret of a project counts for each of its keys how often the value has changed. A Pod that refers to a key has that
number in an annotation, so that it is made anew when the value changes. Numbers tell nothing about values.
"""

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any

from ....model.record import Record
from .. import labels
from ..part import merged
from .difference import Raw
from .words import SECRETS

VERSIONS = "slipway.dev/versions"


class StoredSecret(Record):
    """The Secret of a project as it is on the cluster: values in base64, and how often each has changed.

    ``there`` is whether it exists. A value is never printed, logged or compared elsewhere than here.
    """

    data: Mapping[str, str]
    versions: Mapping[str, int]
    there: bool = True

    def __repr__(self) -> str:
        return f"StoredSecret({', '.join(self.data)})"


def stored(raw: Mapping[str, Any] | None) -> StoredSecret:
    """Return a Secret as ``kubectl get --output json`` shows it; None: there is none."""
    if raw is None:
        return StoredSecret({}, {}, False)
    notes = raw["metadata"].get("annotations") or {}
    try:
        versions = {str(name): int(number) for name, number in json.loads(notes.get(VERSIONS, "{}")).items()}
    except (ValueError, AttributeError):
        versions = {}
    return StoredSecret(dict(raw.get("data") or {}), versions)


def updated(before: StoredSecret, values: Mapping[str, bytes]) -> StoredSecret:
    """Return the Secret with today's values: a value that is another one gets the next number."""
    data = {name: base64.b64encode(value).decode() for name, value in sorted(values.items())}
    versions = {
        name: before.versions.get(name, 0) + (before.data.get(name) != text or name not in before.versions)
        for name, text in data.items()
    }
    return StoredSecret(data, versions)


def changed(before: StoredSecret, after: StoredSecret) -> tuple[str, ...]:
    """Return the keys whose values differ, those that come and those that go."""
    names = dict.fromkeys((*after.data, *before.data))
    return tuple(name for name in names if before.data.get(name) != after.data.get(name))


def manifest(name: str, project: str, secret: StoredSecret) -> dict[str, Any]:
    """Return the Secret to apply. Its text goes through stdin only."""
    notes = {VERSIONS: json.dumps(dict(secret.versions), sort_keys=True, separators=(",", ":"))}
    about = {"name": name, "labels": labels.of_project(project), "annotations": notes}
    return {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": about, "data": dict(secret.data)}


def stamped(objects: Iterable[Raw], name: str, versions: Mapping[str, int]) -> tuple[dict[str, Any], ...]:
    """Return objects whose Pods say which state of the secrets they have; ``name`` is the Secret of the project."""
    return tuple(_stamped(raw, name, versions) for raw in objects)


def _stamped(raw: Raw, name: str, versions: Mapping[str, int]) -> dict[str, Any]:
    template = (raw.get("spec") or {}).get("template")
    used = keys(template, name) if isinstance(template, Mapping) else ()
    if not used:
        return dict(raw)
    text = ",".join(f"{key}={versions.get(key, 0)}" for key in used)
    return merged(raw, {"spec": {"template": {"metadata": {"annotations": {SECRETS: text}}}}})


def keys(value: Any, name: str) -> tuple[str, ...]:
    """Return the keys of a Secret that a Pod refers to, by variables and by files, in alphabetical order."""
    return tuple(sorted(set(_keys(value, name))))


def _keys(value: Any, name: str) -> Iterable[str]:
    if isinstance(value, Mapping):
        reference = value.get("secretKeyRef") or {}
        if reference.get("name") == name:
            yield str(reference["key"])
        secret = value.get("secret") or {}
        if isinstance(secret, Mapping) and name in (secret.get("name"), secret.get("secretName")):
            yield from (str(item["key"]) for item in secret.get("items") or ())
        for inner in value.values():
            yield from _keys(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _keys(inner, name)
