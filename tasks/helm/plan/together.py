"""The objects of several environments as one set of templates, and the values that each environment has for them.

What is a slot is a value anyway. What else differs between environments becomes a value as well, under ``fields`` by
object and place; an object that not all environments have is under ``objects``.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...kube.manifests.plan.kustomize import file_name
from ...kube.manifests.plan.overlays import identity
from ...kube.manifests.plan.yaml_text import Expression, Given
from ...model.record import Record
from .slots import IMAGE, Slot, Slotted, filled

FIELDS, OBJECTS, PROJECT, SECRET = "fields", "objects", "project", "secret"
_END = "{{- end }}"
_ABSENT = object()


class Templates(Record):
    """Templates by the name of their file, and the values of each environment."""

    trees: Mapping[str, Any]
    values: Mapping[str, Mapping[str, Any]]


class EnvironmentNames(Record):
    """What an environment calls things that are called otherwise in another: its project, and the Secret of that."""

    project: str
    secret: str


def together(environments: Mapping[str, Slotted], names: Mapping[str, EnvironmentNames], chart: str) -> Templates:
    """Return the templates of all environments and their values; ``chart`` is the chart's name."""
    merging = _Merging(environments, names, chart)
    known = {name: {identity(one): one for one in slotted.objects} for name, slotted in environments.items()}
    trees = {}
    for key in dict.fromkeys(key for objects in known.values() for key in objects):
        there = {name: objects[key] for name, objects in known.items() if key in objects}
        trees[file_name(next(iter(there.values())))] = merging.object(there)
    return Templates(dict(sorted(trees.items())), merging.values)


def value_path(path: Sequence[str]) -> str:
    """Return the expression of a value, such as ``.Values.services.web.replicas``, as Go templates spell it."""
    if all(part.isidentifier() and part.isascii() for part in path):
        return f".Values.{'.'.join(path)}"
    return f"(index .Values {' '.join(json.dumps(part) for part in path)})"


class _Merging:
    """Merges the trees of environments, and collects the values with which they differ."""

    def __init__(self, environments: Mapping[str, Slotted], names: Mapping[str, EnvironmentNames], chart: str) -> None:
        self._chart, self._names = chart, names
        self.values: dict[str, dict[str, Any]] = {name: {**slotted.values} for name, slotted in environments.items()}

    def object(self, there: Mapping[str, Any]) -> Any:
        """Return the template of an object, from the environments that have it."""
        name = file_name(next(iter(there.values()))).removesuffix(".yaml")
        tree = self._node(there, name, "")
        if len(there) == len(self.values):
            return tree
        for environment in there:
            self.values[environment].setdefault(OBJECTS, {})[name] = True
        return Given(f"{{{{- if index (.Values.{OBJECTS} | default dict) {json.dumps(name)} }}}}", _END, tree)

    def _node(self, there: Mapping[str, Any], name: str, path: str) -> Any:
        """Return the template of a node that all of some environments have."""
        first, *others = there.values()
        if all(type(other) is type(first) and other == first for other in others):
            return self._spelled(first)
        if all(isinstance(value, Mapping) for value in there.values()):
            keys = dict.fromkeys(key for value in there.values() for key in value)
            entries = {key: {env: value[key] for env, value in there.items() if key in value} for key in keys}
            return self._entries(there, entries, name, path)
        if all(isinstance(value, list) for value in there.values()):
            return self._list(there, name, path)
        return self._differing(there, name, path)

    def _entries(self, there: Mapping[str, Any], entries: Mapping[str, Any], name: str, path: str) -> Any:
        if all(len(having) < len(there) for having in entries.values()):
            return self._or_empty(there, name, path)
        return {key: self._perhaps(there, having, name, f"{path}.{key}".lstrip(".")) for key, having in entries.items()}

    def _list(self, there: Mapping[str, Any], name: str, path: str) -> Any:
        lengths = {len(value) for value in there.values()}
        keyed = {env: _by_name(value) for env, value in there.items()}
        order = _order([list(items) for items in keyed.values() if items is not None])
        if order and all(items is not None for items in keyed.values()):
            items = {key: {env: found[key] for env, found in keyed.items() if found and key in found} for key in order}
            if all(len(having) < len(there) for having in items.values()):
                return self._or_empty(there, name, path)
            return [self._perhaps(there, having, name, f"{path}[{key}]") for key, having in items.items()]
        if len(lengths) == 1:
            number = lengths.pop()
            return [
                self._node({env: value[at] for env, value in there.items()}, name, f"{path}[{at}]")
                for at in range(number)
            ]
        return self._differing(there, name, path)

    def _or_empty(self, there: Mapping[str, Any], name: str, path: str) -> Any:
        """Return the template of a mapping or a list of which no entry is everywhere: nothing is not an empty one."""
        having = {environment: value for environment, value in there.items() if value}
        if len(having) == len(there):
            return self._differing(there, name, path)
        empty: Any = [] if isinstance(next(iter(there.values())), list) else {}
        given: Given = replace(self._given(having, name, f"{path}*"), between="{{- else }}", otherwise=empty)
        return replace(given, value=self._node(having, name, path))

    def _given(self, having: Mapping[str, Any], name: str, path: str) -> Given:
        for environment in having:
            self._field(environment, name)[path] = True
        return Given(f"{{{{- if index {_fields(name)} {json.dumps(path)} }}}}", _END, None)

    def _perhaps(self, there: Mapping[str, Any], having: Mapping[str, Any], name: str, path: str) -> Any:
        node = self._node(having, name, path)
        if len(having) == len(there):
            return node
        return replace(self._given(having, name, path), value=node)

    def _differing(self, there: Mapping[str, Any], name: str, path: str) -> Expression:
        """Return the expression of a value that environments have differently."""
        plain = {env: filled(value, self.values[env]) for env, value in there.items()}
        for kind in (PROJECT, SECRET):
            if all(value == getattr(self._names[env], kind) for env, value in plain.items()):
                for environment, value in plain.items():
                    self.values[environment][kind] = value
                return Expression(f"{{{{ toJson .Values.{kind} }}}}")
        for environment, value in plain.items():
            self._field(environment, name)[path] = value
        return Expression(f"{{{{ toJson (index {_fields(name)} {json.dumps(path)}) }}}}")

    def _field(self, environment: str, name: str) -> dict[str, Any]:
        fields: dict[str, Any] = self.values[environment].setdefault(FIELDS, {}).setdefault(name, {})
        return fields

    def _spelled(self, node: Any) -> Any:
        """Return a node with expressions in place of its slots."""
        if isinstance(node, Slot):
            return self._expression(node)
        if isinstance(node, Mapping):
            return {key: self._spelled(value) for key, value in node.items()}
        return [self._spelled(value) for value in node] if isinstance(node, list) else node

    def _expression(self, slot: Slot) -> Any:
        place = value_path(slot.path)
        if slot.kind == IMAGE:
            return Expression(f'{{{{ include "{self._chart}.image" {place} | toJson }}}}')
        if slot.optional:
            return Given(f"{{{{- with {place} }}}}", _END, Expression("{{ toJson . }}"))
        return Expression(f"{{{{ toJson {place} }}}}")


def _fields(name: str) -> str:
    return f"(index (.Values.{FIELDS} | default dict) {json.dumps(name)} | default dict)"


def _by_name(items: Sequence[Any]) -> dict[str, Any] | None:
    """Return items by their ``name``; None where one has none, or where two have the same."""
    found = {item["name"]: item for item in items if isinstance(item, Mapping) and isinstance(item.get("name"), str)}
    return found if len(found) == len(items) else None


def _order(several: Sequence[list[str]]) -> list[str]:
    """Return all of some names in an order that agrees with the order of each list; empty where there is none."""
    left, result = [list(names) for names in several], list[str]()
    while any(left):
        free = next(_free(left), None)
        if free is None:
            return []
        result.append(free)
        left = [[name for name in names if name != free] for names in left]
    return result


def _free(left: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the names that come first in each list that has them."""
    for names in left:
        if names and not any(names[0] in other[1:] for other in left):
            yield names[0]
