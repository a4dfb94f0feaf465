"""What the objects of several environments have in common, and how each environment differs from that."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Object = Mapping[str, Any]
_ABSENT = object()


def identity(one: Object) -> str:
    """Return what names an object in its namespace: ``apps/v1/Deployment/web``."""
    return f"{one['apiVersion']}/{one['kind']}/{one['metadata']['name']}"


def shared(environments: Iterable[Sequence[Object]]) -> list[dict[str, Any]]:
    """Return the objects that all environments have, each with the fields that are the same in all of them.

    A list is the same, or it is as long in all of them and its items have something in common; else it is left out.
    """
    known = [{identity(one): one for one in objects} for objects in environments]
    names = [name for name in known[0] if all(name in objects for objects in known)] if known else []
    return [_common([objects[name] for objects in known]) for name in names]


def _common(values: Sequence[Any]) -> Any:
    first = values[0]
    if all(_same(value, first) for value in values):
        return first
    if all(isinstance(value, Mapping) for value in values):
        keys = [key for key in first if all(key in value for value in values)]
        fields = {key: _common([value[key] for value in values]) for key in keys}
        fields = {key: value for key, value in fields.items() if value is not _ABSENT}
        return fields or _ABSENT
    if all(isinstance(value, list) and len(value) == len(first) for value in values):
        items = [_common(list(several)) for several in zip(*values, strict=True)]
        return _ABSENT if any(item is _ABSENT for item in items) else items
    return _ABSENT


def _same(one: Any, other: Any) -> bool:
    """Whether two values are written alike: to Python, False is 0 and 1 is 1.0, also deep inside of equal values."""
    if one is other:
        return True
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return type(one) is type(other) and bool(one == other)


def difference(base: Any, wanted: Any, path: str = "") -> list[dict[str, Any]]:
    """Return the operations of a JSON patch (RFC 6902) that make ``wanted`` of what ``shared`` has left of it."""
    if base is wanted:  # as of a single environment
        return []
    if isinstance(wanted, Mapping) and isinstance(base, Mapping):
        operations = []
        for key, value in wanted.items():
            place = f"{path}/{key.replace('~', '~0').replace('/', '~1')}"
            added = [{"op": "add", "path": place, "value": value}]
            operations += difference(base[key], value, place) if key in base else added
        return operations
    if isinstance(wanted, list) and isinstance(base, list):
        pairs = enumerate(zip(base, wanted, strict=True))
        return [one for number, (old, new) in pairs for one in difference(old, new, f"{path}/{number}")]
    return []


def applied(base: Object, operations: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return an object with the operations of ``difference`` carried out; raises ValueError for other ones."""
    result: dict[str, Any] = _copied(base)
    for operation in operations:
        if operation.get("op") != "add":
            raise ValueError(f"no operation of ours: {operation.get('op')}")
        *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
        target: Any = result
        for part in parents:
            target = target[int(part)] if isinstance(target, list) else target[part]
        target[last] = operation["value"]
    return result


def _copied(node: Any) -> Any:
    if isinstance(node, Mapping):
        return {key: _copied(value) for key, value in node.items()}
    return [_copied(value) for value in node] if isinstance(node, list) else node
