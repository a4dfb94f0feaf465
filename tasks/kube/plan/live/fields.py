"""Fields of Kubernetes objects: where two objects differ, and who set a field."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Path = tuple[str, ...]

# Set by the API server, by controllers or by helm itself: no difference that anybody made.
_ABOUT = ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink", "ownerReferences")
_NOTES = (
    "deployment.kubernetes.io/revision",
    "kubectl.kubernetes.io/last-applied-configuration",
    "kubectl.kubernetes.io/restartedAt",  # `kubectl rollout restart` changes nothing but the time of the start
    "meta.helm.sh/release-name",
    "meta.helm.sh/release-namespace",
    "pv.kubernetes.io/bind-completed",
    "pv.kubernetes.io/bound-by-controller",
    "volume.kubernetes.io/storage-provisioner",
    "volume.beta.kubernetes.io/storage-provisioner",
    "volume.kubernetes.io/selected-node",
)
_MARKS = ("helm.sh/chart", "app.kubernetes.io/managed-by", "app.kubernetes.io/version")
# By what the elements of a list are told apart: as the API's own merge keys.
_KEYS = ("name", "mountPath", "containerPort", "port", "ip", "host")
# Programs with which people change objects; what anything else sets belongs to a controller.
_HANDS = ("kubectl", "k9s", "lens", "openlens", "freelens", "headlamp", "dashboard", "curl", "octant", "rancher")


def clean(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object without what the API server, controllers and helm say of it."""
    about = {key: value for key, value in (raw.get("metadata") or {}).items() if key not in _ABOUT}
    kept: dict[str, Any] = {key: value for key, value in raw.items() if key != "status"}
    kept["metadata"] = _without_notes(about)
    spec = kept.get("spec")
    if isinstance(spec, Mapping) and isinstance(spec.get("template"), Mapping):
        template = dict(spec["template"])
        inner = {key: value for key, value in (template.get("metadata") or {}).items() if key not in _ABOUT}
        template["metadata"] = _without_notes(inner)
        kept["spec"] = {**spec, "template": template}
    return kept


def _without_notes(about: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(about)
    for key, names in (("annotations", _NOTES), ("labels", _MARKS)):
        result[key] = {name: value for name, value in (about.get(key) or {}).items() if name not in names}
    return result


def differing(one: Any, other: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the paths of the fields that differ; ``name[key]`` is an element of a list."""
    if one == other:
        return
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in dict.fromkeys((*other, *one)):
            mine, yours = one.get(key), other.get(key)
            elements = _elements(mine, yours)
            if elements is None:
                yield from differing(*_as_mappings(mine, yours), (*path, str(key)))
                continue
            for name, (first, second) in elements.items():
                yield from differing(first, second, (*path, f"{key}[{name}]"))
        return
    if (one or None) != (other or None):  # an empty list and none at all are the same
        yield path


def _as_mappings(one: Any, other: Any) -> tuple[Any, Any]:
    """Return two values, with an empty mapping for none at all: then each field below counts."""
    if isinstance(one, Mapping) or isinstance(other, Mapping):
        return ({} if one is None else one), ({} if other is None else other)
    return one, other


def _elements(one: Any, other: Any) -> dict[str, tuple[Any, Any]] | None:
    """Return the elements of two lists by what names them; None where they are no lists of named things."""
    lists = [value or [] for value in (one, other)]
    if not all(isinstance(value, list) for value in lists) or not any(lists):
        return None
    for key in _KEYS:
        if all(isinstance(item, Mapping) and key in item for value in lists for item in value):
            first, second = ({str(item[key]): item for item in value} for value in lists)
            if len(first) == len(lists[0]) and len(second) == len(lists[1]):
                return {name: (first.get(name), second.get(name)) for name in dict.fromkeys((*second, *first))}
    return None


def within(one: Any, pattern: Any) -> Any:
    """Return of a value what another one says as well: without what the API server filled in."""
    if isinstance(one, Mapping) and isinstance(pattern, Mapping):
        return {key: within(value, pattern[key]) for key, value in one.items() if key in pattern}
    if isinstance(one, list) and isinstance(pattern, list) and len(one) == len(pattern):
        return [within(*pair) for pair in zip(one, pattern, strict=True)]
    return one


def set_by_hand(raw: Mapping[str, Any]) -> dict[Path, str]:
    """Return the fields that people set with a program of theirs, and its name.

    https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
    """
    found: dict[Path, str] = {}
    ours: set[Path] = set()
    for entry in (raw.get("metadata") or {}).get("managedFields") or ():
        manager, paths = str(entry.get("manager", "")), _leaves(entry.get("fieldsV1") or {}, ())
        if manager == "helm":
            ours.update(paths)
        elif not entry.get("subresource") and manager.lower().startswith(_HANDS):
            found.update(dict.fromkeys(paths, manager))
    kept = {path: manager for path, manager in found.items() if path not in ours}
    return {path: manager for path, manager in kept.items() if path and path[-1] not in (*_NOTES, *_ABOUT)}


def _leaves(fields: Mapping[str, Any], path: Path) -> Iterable[Path]:
    """Yield the paths of a ``fieldsV1`` tree: ``f:NAME`` is a field, ``k:{…}`` an element of a list by its key."""
    below = {key: value for key, value in fields.items() if key != "."}
    if not below:
        yield path
    for key, value in below.items():
        kind, _, name = key.partition(":")
        if kind == "f":
            yield from _leaves(value, (*path, name))
        elif kind == "k" and path:
            yield from _leaves(value, (*path[:-1], f"{path[-1]}[{_first_value(name)}]"))
        else:
            yield path


def _first_value(text: str) -> str:
    """Return the value of the first key of ``{"name":"web"}``."""
    values = list(json.loads(text).values())
    return str(values[0]) if values else ""
