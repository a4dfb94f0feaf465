"""``x-slipway`` of several Compose files, merged key by key, as Compose merges ``environment`` or ``labels``.

Compose itself replaces the ``x-slipway`` of an earlier file by that of a later one. So the values of all files are
merged here, from their text, and passed to Compose as an additional file.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any

from ..lazy_pattern import lazy_pattern
from ..record import Record

EXTENSION_KEY = "x-slipway"
# Lists that a later file adds to; every other list is a command, which a later file replaces.
_APPENDED = {("smoke",), ("load", "targets"), ("live",), ("rootfs", "include")}
_NOTHING = lazy_pattern(r"\s*(?:#.*)?\Z")


class Override(Record):
    """A value with Compose's tag ``!override``: it replaces the value of earlier files."""

    value: Any


class Reset:
    """A value with Compose's tag ``!reset``: the key is as if it had never been set."""


class Sections(Record):
    """The ``x-slipway`` (``settings``) and ``extends`` sections of a Compose file, as YAML text by service.

    The top level has the name "".
    """

    settings: Mapping[str, str] = field(default_factory=dict)
    extends: Mapping[str, str] = field(default_factory=dict)


def sections(text: str) -> Sections | None:
    """Return the sections of a Compose file without parsing the rest; None when a YAML parser is needed.

    A parser takes ten milliseconds or more for a file, in every deploy.
    """
    result = Sections({}, {})
    lines = text.split("\n")
    for number, owner, key in _headers(lines):
        if owner is None:
            return None
        into = result.settings if key == EXTENSION_KEY else result.extends
        if owner in into:
            return None
        into[owner] = _block(lines, number)  # type: ignore[index]
    lines_with_word = sum(
        1 for line in lines if EXTENSION_KEY in line.partition(" #")[0] and not line.lstrip().startswith("#")
    )
    return result if lines_with_word == len(result.settings) else None


def _headers(lines: Sequence[str]) -> Iterator[tuple[int, str | None, str]]:
    """Yield the line, the service and the key of each section; None as the service where a YAML parser is needed."""
    path: list[tuple[int, str]] = []
    for number, line in enumerate(lines):
        head, colon, rest = line.partition(":")
        text = head.lstrip(" ")
        if not colon or text[:1] in "#-":
            continue
        indent, name = len(head) - len(text), text.strip("\"' ")
        while path and path[-1][0] >= indent:
            path.pop()
        path.append((indent, name))
        inside = path[0][1] == "services"
        if len(path) <= 1 + inside and inside and not _NOTHING.match(rest):
            yield number, None, name  # in flow style, with a tag, or to be merged into others
        elif name == EXTENSION_KEY and len(path) == 1:
            yield number, "", name
        elif name in (EXTENSION_KEY, "extends"):
            yield number, path[1][1] if inside and len(path) == 3 else None, name


def _block(lines: Sequence[str], number: int) -> str:
    """Return a key with its value as YAML text without the surrounding indentation."""
    indent = len(lines[number]) - len(lines[number].lstrip(" "))
    block = [lines[number]]
    for line in lines[number + 1 :]:
        depth = len(line) - len(line.lstrip(" "))
        if line[depth:] and depth <= indent:
            if line[depth] == "#":
                continue
            break
        block.append(line)
    return "\n".join(line[indent:] for line in block)


def merge(earlier: Any, later: Any, path: tuple[str, ...] = ()) -> Any:
    """Return the merged value of two files: mappings key by key, lists in _APPENDED joined, else the later value."""
    if isinstance(later, Override):
        return without_tags(later.value)
    if isinstance(later, Reset):
        return None
    if later is None:
        return earlier
    if isinstance(earlier, dict) and isinstance(later, dict):
        both = dict(earlier)
        for key, value in later.items():
            both[key] = merge(earlier.get(key), value, (*path, str(key)))
        return both
    if isinstance(earlier, list) and isinstance(later, list) and path in _APPENDED:
        return [*earlier, *(without_tags(item) for item in later if item not in earlier)]
    return without_tags(later)


def without_tags(value: Any) -> Any:
    """Return a value without Compose's tags."""
    if isinstance(value, Override):
        return without_tags(value.value)
    if isinstance(value, dict):
        return {key: without_tags(item) for key, item in value.items() if not isinstance(item, Reset)}
    if isinstance(value, list):
        return [without_tags(item) for item in value if not isinstance(item, Reset)]
    return None if isinstance(value, Reset) else value


def override(merged: Mapping[str, Any]) -> str:
    """Return a Compose file with the merged ``x-slipway`` by service ("" is the top level); "" when there is none."""
    lines = []
    services = {name: value for name, value in merged.items() if name}
    if services:
        lines.append("services:")
    for name, value in services.items():
        lines += [f"  {_json(name)}:", f"    {EXTENSION_KEY}: !override {_json(value)}"]
    if "" in merged:
        lines.append(f"{EXTENSION_KEY}: !override {_json(merged[''])}")
    return "\n".join(lines) + "\n" if lines else ""


def _json(value: Any) -> str:
    # JSON is YAML, except for escapes of characters beyond 16 bits: they are written as they are.
    return json.dumps(value, ensure_ascii=False, default=str)
