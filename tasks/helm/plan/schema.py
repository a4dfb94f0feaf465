"""The JSON schema of a chart's values: a mistyped key is an error at the install, no setting that does nothing."""

from collections.abc import Mapping, Sequence
from typing import Any

_TEXT = {"type": "string"}
_IMAGE = {
    "type": "object",
    "required": ["repository"],
    "additionalProperties": False,
    "properties": {
        "repository": {**_TEXT, "minLength": 1},
        "tag": _TEXT,
        "digest": {**_TEXT, "pattern": "^$|^sha256:[0-9a-f]{64}$"},
    },
}
_SERVICE: Mapping[str, Any] = {
    "image": _IMAGE,
    "replicas": {"type": "integer", "minimum": 0},
    "resources": {"type": "object"},
}
_VOLUME = {"class": _TEXT, "size": {**_TEXT, "pattern": "^[0-9.]+([eE][0-9]+|[KMGTP]i?|[km])?$"}}


def of(values: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the schema that all of these values keep to, those of the environments of a chart."""
    services = _keys(values, "services")
    volumes = _keys(values, "volumes")
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "additionalProperties": False,
        "required": [key for key in ("services", "volumes") if all(key in one for one in values)],
        "properties": {
            "services": _object({name: _service([one["services"].get(name) for one in values]) for name in services}),
            "volumes": _object({name: _entry(_VOLUME, values, name) for name in volumes}),
            "imagePullSecrets": {"type": "array", "items": {"type": "object", "required": ["name"]}},
            "test": _object({"image": _IMAGE}),
            "project": _TEXT,
            "secret": _TEXT,
            "fields": {"type": "object"},
            "objects": {"type": "object", "additionalProperties": {"type": ["boolean", "null"]}},
            "global": {"type": "object"},
        },
    }


def _keys(values: Sequence[Mapping[str, Any]], section: str) -> list[str]:
    return sorted({name for one in values for name in one[section]})


def _object(properties: Mapping[str, Any], required: Sequence[str] = ()) -> dict[str, Any]:
    made = {"type": "object", "additionalProperties": False, "properties": dict(properties)}
    return {**made, **({"required": list(required)} if required else {})}


def _entry(known: Mapping[str, Any], values: Sequence[Mapping[str, Any]], name: str) -> dict[str, Any]:
    found = [one["volumes"][name] for one in values if name in one["volumes"]]
    return _object({key: known[key] for key in sorted({key for one in found for key in one})})


def _service(several: Sequence[Mapping[str, Any] | None]) -> dict[str, Any]:
    """Return the schema of a service; required is what every environment that has the service says of it."""
    found = [one for one in several if one is not None]
    keys = sorted({key for one in found for key in one})
    properties = {key: _SERVICE.get(key) or _object(_texts(found, key)) for key in keys}
    always = [key for key in keys if all(key in one for one in found)]
    variables = properties.get("environment")
    if variables is not None:
        always_set = sorted(set.intersection(*(set(one.get("environment") or {}) for one in found)))
        properties["environment"] = {**variables, **({"required": always_set} if always_set else {})}
    return _object(properties, always)


def _texts(found: Sequence[Mapping[str, Any]], key: str) -> dict[str, Any]:
    return dict.fromkeys(sorted({name for one in found for name in one.get(key) or ()}), _TEXT)
