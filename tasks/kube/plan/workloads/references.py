"""What Pods refer to by name, and has to be there when they start: ConfigMaps, claims, their account."""

from collections.abc import Mapping
from typing import Any

CONFIG_MAP, CLAIM, ACCOUNT = "ConfigMap", "PersistentVolumeClaim", "ServiceAccount"
_REFERENCES = {  # a field of a Pod, the kind that it refers to, and where the name is
    "configMap": (CONFIG_MAP, "name"),
    "configMapRef": (CONFIG_MAP, "name"),
    "configMapKeyRef": (CONFIG_MAP, "name"),
    "persistentVolumeClaim": (CLAIM, "claimName"),
}
_ACCOUNT = "serviceAccountName"


def for_hook(name: str) -> str:
    """Return the name of the copy of an object that a hook of Helm has of its own."""
    return f"{name}-hook"


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
    if isinstance(value.get(_ACCOUNT), str):
        own.append((ACCOUNT, value[_ACCOUNT]))
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
    if (ACCOUNT, result.get(_ACCOUNT)) in names:
        result[_ACCOUNT] = names[(ACCOUNT, result[_ACCOUNT])]
    return result
