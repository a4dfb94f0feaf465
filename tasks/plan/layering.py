"""``x-slipway`` of several Compose files, put together key by key, as Compose does with ``environment`` or ``labels``.

Compose itself lets the ``x-slipway`` of a later file take the place of an earlier one. So what all files say is merged
here, from their text, and goes to Compose as one more file.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

WORD = "x-slipway"
# Lists of things that stand beside each other; every other list is a command, which a later file replaces.
_APPENDED = {("smoke",), ("load", "targets"), ("live",), ("rootfs", "include")}
_NOTHING = re.compile(r"\s*(?:#.*)?\Z")


@dataclass(frozen=True)
class Override:
    """A value with Compose's tag ``!override``: what earlier files say of it does not count."""

    value: Any


class Reset:
    """A value with Compose's tag ``!reset``: nobody has said anything of it."""


@dataclass(frozen=True)
class Sections:
    """What a Compose file says to Slipway and which services extend others, as YAML text by service.

    "" stands for the top level.
    """

    settings: Mapping[str, str] = field(default_factory=dict)
    extends: Mapping[str, str] = field(default_factory=dict)


def sections(text: str) -> Sections | None:
    """Return the sections of a Compose file without parsing the rest of it; None when only a parser can tell.

    A parser takes ten milliseconds and more for a file; that is every deploy's time.
    """
    found = Sections({}, {})
    lines = text.split("\n")
    for number, owner, key in _headers(lines):
        if owner is None:
            return None
        into = found.settings if key == WORD else found.extends
        if owner in into:
            return None
        into[owner] = _block(lines, number)  # type: ignore[index]
    said = sum(1 for line in lines if WORD in line.partition(" #")[0] and not line.lstrip().startswith("#"))
    return found if said == len(found.settings) else None


def _headers(lines: Sequence[str]) -> Iterator[tuple[int, str | None, str]]:
    """Yield the line, the service and the key of each section that counts; no service where it is in no plain place."""
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
        elif name == WORD and len(path) == 1:
            yield number, "", name
        elif name in (WORD, "extends"):
            yield number, path[1][1] if inside and len(path) == 3 else None, name


def _block(lines: Sequence[str], number: int) -> str:
    """Return a key with its value as text that stands for itself."""
    indent = len(lines[number]) - len(lines[number].lstrip(" "))
    found = [lines[number]]
    for line in lines[number + 1 :]:
        depth = len(line) - len(line.lstrip(" "))
        if line[depth:] and depth <= indent:
            if line[depth] == "#":
                continue
            break
        found.append(line)
    return "\n".join(line[indent:] for line in found)


def merge(earlier: Any, later: Any, path: tuple[str, ...] = ()) -> Any:
    """Return what two files say together: mappings key by key, lists of checks one after the other, else the later."""
    if isinstance(later, Override):
        return plain(later.value)
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
        return [*earlier, *(plain(one) for one in later if one not in earlier)]
    return plain(later)


def plain(value: Any) -> Any:
    """Return a value without Compose's tags."""
    if isinstance(value, Override):
        return plain(value.value)
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items() if not isinstance(one, Reset)}
    if isinstance(value, list):
        return [plain(one) for one in value if not isinstance(one, Reset)]
    return None if isinstance(value, Reset) else value


def override(merged: Mapping[str, Any]) -> str:
    """Return the Compose file that says what all say together; "" for nothing. "" is the name of the top level."""
    lines = []
    services = {name: value for name, value in merged.items() if name}
    if services:
        lines.append("services:")
    for name, value in services.items():
        lines += [f"  {_json(name)}:", f"    {WORD}: !override {_json(value)}"]
    if "" in merged:
        lines.append(f"{WORD}: !override {_json(merged[''])}")
    return "\n".join(lines) + "\n" if lines else ""


def _json(value: Any) -> str:
    # JSON is YAML, but for the escapes of what is beyond 16 bits.
    return json.dumps(value, ensure_ascii=False, default=str)
