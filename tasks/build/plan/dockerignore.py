"""Which files of a build context BuildKit sees: `.dockerignore`, read as github.com/moby/patternmatcher reads it."""

import posixpath
import re
from collections.abc import Sequence

from ...model.lazy_pattern import lazy_pattern
from ...model.record import Record

_NEVER = lazy_pattern(r"(?!)")


class Rule(Record):
    """A pattern; ``readmits``: it has a ``!`` in front, and puts back what an earlier rule left out."""

    pattern: re.Pattern[str]
    readmits: bool


def rules(text: str) -> tuple[Rule, ...]:
    """Return the rules of a `.dockerignore`, in order."""
    result = []
    for raw in text.removeprefix("\ufeff").splitlines():
        line = "" if raw.startswith("#") else raw.strip()
        readmits = line.startswith("!")
        name = line[1:].strip() if readmits else line
        if name:
            clean = posixpath.normpath(name)
            result.append(Rule(_compiled("/" + clean.lstrip("/") if clean == "/" else clean.lstrip("/")), readmits))
    return tuple(result)


def _compiled(name: str) -> re.Pattern[str]:
    out, index, leading = [], 0, name.startswith("**")
    if leading and not re.search(r"[*?\\\[\]]", name[2:]):
        # `**/a` and `**a` match every path that ends with the rest.
        rest = name[2:]
        whole = re.escape(rest)
        return re.compile(f"(?:.*{whole}|{re.escape(rest[1:])})" if rest.startswith("/") else f".*{whole}", re.DOTALL)
    while index < len(name):
        sign = name[index]
        index += 1
        if name.startswith("**", index - 1):
            index += 1
            index += name.startswith("/", index)
            out.append(".*" if index >= len(name) else "(?:.*/)?")
        elif sign == "*":
            out.append("[^/]*")
        elif sign == "?":
            out.append("[^/]")
        elif sign == "\\" and index < len(name):
            out.append(re.escape(name[index]))
            index += 1
        else:
            out.append(sign if sign in "[]^-" else re.escape(sign))
    try:
        return re.compile("".join(out), re.DOTALL)
    except re.error:
        return _NEVER  # BuildKit refuses the pattern in its own words


def match(patterns: Sequence[Rule], path: str, parent: tuple[bool, ...]) -> tuple[bool, tuple[bool, ...]]:
    """Return whether a path is left out, and for each rule whether it matches; ``parent`` is that of its directory."""
    excluded, hits = False, []
    for index, rule in enumerate(patterns):
        # As in patternmatcher: a rule that cannot change the outcome is not tried, and so matches nothing below either.
        hit = bool(parent and parent[index]) or (rule.readmits == excluded and rule.pattern.fullmatch(path) is not None)
        hits.append(hit)
        if hit:
            excluded = not rule.readmits
    return excluded, tuple(hits)
