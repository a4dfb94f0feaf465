"""Which files of a build context BuildKit sees: `.dockerignore`, read as github.com/moby/patternmatcher reads it."""

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass

_NEVER = re.compile(r"(?!)")


@dataclass(frozen=True)
class Rule:
    """One pattern; ``readmits`` is the ``!`` in front of it."""

    pattern: re.Pattern[str]
    readmits: bool


def rules(text: str) -> tuple[Rule, ...]:
    """Return the rules of a `.dockerignore`, in order."""
    found = []
    for raw in text.removeprefix("\ufeff").splitlines():
        line = "" if raw.startswith("#") else raw.strip()
        readmits = line.startswith("!")
        name = line[1:].strip() if readmits else line
        if name:
            clean = posixpath.normpath(name)
            found.append(Rule(_compiled("/" + clean.lstrip("/") if clean == "/" else clean.lstrip("/")), readmits))
    return tuple(found)


def _compiled(name: str) -> re.Pattern[str]:
    out, index, leading = [], 0, name.startswith("**")
    if leading and not re.search(r"[*?\\\[\]]", name[2:]):
        # `**/a` and `**a`: whatever ends so.
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
    """Return whether a path is left out, and which rules match it; ``parent`` is the latter of its directory."""
    out, each = False, []
    for index, rule in enumerate(patterns):
        # A rule that could not change the outcome is not looked at, and so does not count for what is below either.
        hit = bool(parent and parent[index]) or (rule.readmits == out and rule.pattern.fullmatch(path) is not None)
        each.append(hit)
        if hit:
            out = not rule.readmits
    return out, tuple(each)
