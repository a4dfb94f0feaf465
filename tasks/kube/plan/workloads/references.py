"""What Pods refer to by name: the ConfigMaps and claims that have to be there when they start."""

from collections.abc import Mapping
from typing import Any

CONFIG_MAP, CLAIM = "ConfigMap", "PersistentVolumeClaim"
_REFERENCES = {  # a field of a Pod, the kind that it refers to, and where the name is
    "configMap": (CONFIG_MAP, "name"),
    "configMapRef": (CONFIG_MAP, "name"),
    "configMapKeyRef": (CONFIG_MAP, "name"),
    "persistentVolumeClaim": (CLAIM, "claimName"),
}


def mentioned(value: Any) -> tuple[tuple[str, str], ...]:
    """Return kind and name of what a part of a Pod mounts or reads, each once, in the order in which it is there."""
    return tuple(dict.fromkeys(_mentioned(value)))


def _mentioned(value: Any) -> list[tuple[str, str]]:
    if isinstance(value, list | tuple):
        return [found for item in value for found in _mentioned(item)]
    if not isinstance(value, Mapping):
        return []
    own = [
        (kind, str(value[key][name]))
        for key, (kind, name) in _REFERENCES.items()
        if isinstance(value.get(key), Mapping) and value[key].get(name)
    ]
    return [*own, *(found for item in value.values() for found in _mentioned(item))]


def renamed(value: Any, names: Mapping[tuple[str, str], str]) -> Any:
    """Return a part of a Pod that refers to other names."""
    if isinstance(value, list | tuple):
        return [renamed(item, names) for item in value]
    if not isinstance(value, Mapping):
        return value
    result = {key: renamed(item, names) for key, item in value.items()}
    for key, (kind, name) in _REFERENCES.items():
        there = result.get(key)
        if isinstance(there, dict) and (kind, there.get(name)) in names:
            result[key] = {**there, name: names[(kind, there[name])]}
    return result
