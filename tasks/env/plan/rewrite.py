"""Rewrites the lines of a profile that python-dotenv, Compose and ``sh`` would read differently."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ...model.lazy_pattern import lazy_pattern
from ...model.profile.grammar import assignment_line, parse

# The key of a line that only some of the three readers accept.
_KEY = lazy_pattern(r"[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*[=:]")
_COMMENT = lazy_pattern(r"[ \t](#[^\r\n]*)\Z")


@dataclass(frozen=True)
class Rewriting:
    """The new text of a profile, and the lines that changed: the number in the old text, what was done to it."""

    text: str
    changes: tuple[tuple[int, str], ...]


def faulty_keys(text: str) -> dict[int, str]:
    """Return the keys of the lines that the grammar refuses, by line: these can be rewritten if Compose reads them."""
    lines = _lines(text)
    parsed = parse("", _clean(text).encode())
    numbers = sorted({int(fault.where.rpartition(":")[2]) for fault in parsed.faults})
    faulty = {number: match[1] for number in numbers if (match := _KEY.match(lines[number - 1]))}
    # A valid line whose key another line sets again has to go.
    return faulty | {entry.line: entry.key for entry in parsed.entries if entry.key in faulty.values()}


def rewriting(text: str, values: Mapping[str, str]) -> Rewriting:
    """Return a profile with the lines rewritten that are refused and whose values are known, as Compose reads them.

    Of several lines with one key the last is kept, as in Compose. A line whose value the grammar cannot express, and
    one that Compose does not understand either, stays as it is.
    """
    lines, keys = _lines(text), faulty_keys(text)
    kept, changes = [], list(_whole(text))
    last = {key: number for number, key in sorted(keys.items())}
    for number, line in enumerate(lines, 1):
        key = keys.get(number, "")
        new = assignment_line(key, values[key]) if key in values else ""
        if not new:
            kept.append(line)
        elif last[key] != number:
            changes.append((number, f"{key}: removed, line {last[key]} sets it again"))
        else:
            kept.append(new + _comment(line, values[key]))
            if kept[-1] != line:
                changes.append((number, f"{key}: rewritten"))
    return Rewriting("\n".join(kept), tuple(sorted(changes)))


def _whole(text: str) -> Iterator[tuple[int, str]]:
    if text.startswith("\ufeff"):
        yield 1, "byte order mark removed"
    if "\r\n" in text:
        yield text[: text.index("\r\n")].count("\n") + 1, "line ends are LF now"


def _clean(text: str) -> str:
    return text.removeprefix("\ufeff").replace("\r\n", "\n")


def _lines(text: str) -> list[str]:
    return _clean(text).split("\n")


def _comment(line: str, value: str) -> str:
    """Return the comment at the end of a line; nothing where it may be a part of the value."""
    assigned = line.partition("=")[2].lstrip()
    match = _COMMENT.search(line, line.rfind(" #") if " #" in line else 0)
    if match is None or match[1] in value or (assigned[:1] in "'\"" and assigned[:1] in match[1]):
        return ""
    return f" {match[1]}"
