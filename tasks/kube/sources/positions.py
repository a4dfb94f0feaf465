"""Where the keys of a model were written: file and line in the Compose files of an environment."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ...host.profile.compose_files import ComposeText, read_compose_files
from ...host.profile.settings import Settings
from ...host.profile.yaml_text import FAULTS, MappingNode, ScalarNode, SequenceNode, nodes
from ...model.lazy_pattern import lazy_pattern
from ..plan.source import Position

_NAMED = lazy_pattern(r"[\w.-]+(?:=|\Z)")
_DEEPEST = 12  # levels of keys; an alias inside of what it stands for would have no end


def positions(names: Sequence[str], where: Settings) -> dict[str, Position]:
    """Return where each key was written, by its dotted path in the model: ``services.web.environment.LOG_LEVEL``.

    ``names`` are the Compose files, those later ones are laid over earlier ones, and so are files over what they
    include and services over what they extend: of several places it is the last. An item of a list goes by its number
    and, as in ``- LOG_LEVEL=info``, by its name. A file that Compose can read and we cannot has no positions.
    """
    files = {text.path: _PositionedFile(text) for text in read_compose_files([(name, "") for name in names], where, [])}
    found: dict[str, Position] = {}
    for name in names:
        for file in _order(files, _path(where.project_dir / name), []):
            found.update(file.positions(files))
    return found


def _path(path: Path) -> Path:
    return Path(os.path.normpath(path))


def _order(files: "dict[Path, _PositionedFile]", path: Path, seen: list[Path]) -> "Iterator[_PositionedFile]":
    """Yield a file after those that it includes."""
    if path not in files or path in seen:
        return
    seen.append(path)
    for target, kind in files[path].text.brings:
        if kind == "include":
            yield from _order(files, target, seen)
    yield files[path]


class _PositionedFile:
    """A Compose file as nodes, which know their lines."""

    def __init__(self, text: ComposeText) -> None:
        self.text = text
        try:
            root = nodes(text.text)
        except FAULTS:
            root = None
        self._top = dict(_pairs(root))

    def positions(self, files: "dict[Path, _PositionedFile]") -> dict[str, Position]:
        """Return the positions of all keys of this file, and of the services of other files that its own extend."""
        found: dict[str, Position] = {}
        for name, (key, value) in self._top.items():
            found[name] = self._at(key)
            if name != "services":
                found.update(self._below(value, name, 0))
                continue
            for service, (line, _) in dict(_pairs(value)).items():
                found.update(self.service(service, files, ()))
                found[f"services.{service}"] = self._at(line)
        return found

    def service(
        self, name: str, files: "dict[Path, _PositionedFile]", seen: tuple[tuple[Path, str], ...]
    ) -> dict[str, Position]:
        """Return the positions of the keys of a service, after those of what it extends."""
        service = dict(_pairs(self._top.get("services", (None, None))[1])).get(name)
        if service is None or (self.text.path, name) in seen:
            return {}
        found: dict[str, Position] = {}
        if extends := dict(_pairs(service[1])).get("extends"):
            target = _extended(extends[1])
            other = files.get(_path(self.text.path.parent / target.get("file", self.text.path.name)))
            base = target.get("service", "")
            of_base = other.service(base, files, (*seen, (self.text.path, name))) if other else {}
            found = {f"services.{name}{path.removeprefix(f'services.{base}')}": at for path, at in of_base.items()}
        return found | dict(self._below(service[1], f"services.{name}", 0))

    def _at(self, node: Any) -> Position:
        return Position(self.text.shown, node.start_mark.line + 1)

    def _below(self, node: Any, path: str, depth: int) -> Iterator[tuple[str, Position]]:
        if depth > _DEEPEST:
            return
        for name, (key, value) in _pairs(node):
            yield f"{path}.{name}", self._at(key)
            yield from self._below(value, f"{path}.{name}", depth + 1)
        for number, item in enumerate(node.value if isinstance(node, SequenceNode) else ()):
            yield f"{path}.{number}", self._at(item)
            if isinstance(item, ScalarNode) and _NAMED.match(item.value):
                yield f"{path}.{item.value.partition('=')[0]}", self._at(item)
            yield from self._below(item, f"{path}.{number}", depth + 1)


def _pairs(node: Any) -> Iterator[tuple[str, tuple[Any, Any]]]:
    """Yield the keys of a mapping, each with the nodes of key and value; what it merges (``<<``) comes first."""
    if not isinstance(node, MappingNode):
        return
    own = []
    for key, value in node.value:
        if isinstance(key, ScalarNode) and key.value == "<<" and not key.style:
            merged = value.value if isinstance(value, SequenceNode) else [value]
            for other in reversed(merged):  # of several mappings the first wins
                yield from _pairs(other)
        elif isinstance(key, ScalarNode):
            own.append((str(key.value), (key, value)))
    yield from own


def _extended(node: Any) -> dict[str, str]:
    if isinstance(node, ScalarNode):
        return {"service": str(node.value)}
    return {name: str(value.value) for name, (_, value) in _pairs(node) if isinstance(value, ScalarNode)}
