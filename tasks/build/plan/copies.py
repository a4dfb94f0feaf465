"""Which files of its build context a Dockerfile takes: a file that no stage copies changes no image.

Where that cannot be read off it (variables, quotes, ``ONBUILD``), all files count as taken. Rules:
https://docs.docker.com/reference/dockerfile/#copy and https://pkg.go.dev/path/filepath#Match
"""

import itertools
import json
import posixpath
import re
from collections.abc import Iterable

from ...model.lazy_pattern import lazy_pattern
from ...model.record import Record

EVERYTHING = "."
_ALL = (EVERYTHING,)
_REMOTE = lazy_pattern(r"(?:https?|ftp|git|ssh)://|git@", re.IGNORECASE)
_DIRECTIVE = lazy_pattern(r"#\s*(?P<name>[A-Za-z]+)\s*=\s*(?P<value>\S+)\s*")
_FRONTEND = lazy_pattern(r"(?:docker\.io/)?docker/dockerfile(?:-upstream)?(?::\S+|@\S+)?")
_UNPLAIN = lazy_pattern(r"[\"'\\`]")
_WILD = lazy_pattern(r"[*?\[]")


def plain(text: str) -> bool:
    """Whether the directives at the head of a Dockerfile leave the meaning of its instructions as usual."""
    for line in text.removeprefix("\ufeff").splitlines():
        match = _DIRECTIVE.fullmatch(line.strip())
        if match is None:
            return True
        name, value = match["name"].lower(), match["value"]
        if (name == "escape" and value != "\\") or (name == "syntax" and not _FRONTEND.fullmatch(value)):
            return False
    return True


def taken_paths(line: str) -> tuple[str, ...]:
    """Return the paths and patterns that an instruction takes of the build context; ``.`` is all of it."""
    instruction, *words = line.split()
    flags = list(itertools.takewhile(lambda word: word.startswith("--"), words))
    kind = instruction.upper()
    if kind == "ONBUILD" or (kind in ("COPY", "ADD", "RUN") and any(map(_UNPLAIN.search, flags))):
        return _ALL
    if kind == "RUN":
        return tuple(path for flag in flags if flag.startswith("--mount=") for path in _mounted(flag[8:]))
    if kind not in ("COPY", "ADD") or any(flag.startswith("--from=") for flag in flags):
        return ()
    if any(flag.startswith("--parents") for flag in flags):
        return _ALL
    return _copied(" ".join(words[len(flags) :]))


def _mounted(spec: str) -> tuple[str, ...]:
    # https://docs.docker.com/reference/dockerfile/#run---mounttypebind: without a type it is a bind, of everything.
    options = dict(part.partition("=")[::2] for part in spec.split(","))
    if options.get("type", "bind") != "bind" or "from" in options:
        return ()
    return (_clean(options.get("source") or options.get("src") or EVERYTHING),)


def _copied(text: str) -> tuple[str, ...]:
    if text.startswith("["):
        try:
            words = [str(word) for word in json.loads(text)]
        except ValueError:
            return _ALL
    else:
        words = text.split()
    sources = [word for word in words[:-1] if not word.startswith("<<") and not _REMOTE.match(word)]
    if any(map(_UNPLAIN.search, sources if text.startswith("[") else [text])):
        return _ALL
    return tuple(map(_clean, sources))


def _clean(path: str) -> str:
    """Return a path as BuildKit resolves it: always inside the context, also with a leading ``/`` or ``..``."""
    return EVERYTHING if "$" in path else posixpath.normpath(f"/{path}").lstrip("/") or EVERYTHING


class ContextSelection(Record):
    """Which files of a context are taken: those that match a pattern, and all below them."""

    patterns: tuple[tuple[re.Pattern[str], ...], ...]

    def takes(self, name: str) -> bool:
        """Whether a file or directory of the context is taken."""
        parts = name.split("/")
        return any(len(parts) >= len(pattern) and _agree(pattern, parts) for pattern in self.patterns)

    def leads(self, name: str) -> bool:
        """Whether a pattern matches a path or passes through it: a symbolic link there leads to other files."""
        parts = name.split("/")
        return any(len(parts) <= len(pattern) and _agree(pattern, parts) for pattern in self.patterns)


def _agree(pattern: tuple[re.Pattern[str], ...], parts: list[str]) -> bool:
    return all(component.fullmatch(part) for component, part in zip(pattern, parts, strict=False))


def selection(patterns: Iterable[str]) -> ContextSelection:
    """Return the selection of files that patterns take."""
    return ContextSelection(tuple(tuple(map(_component, pattern.split("/"))) for pattern in sorted(set(patterns))))


def _component(text: str) -> re.Pattern[str]:
    if "[" in text:  # a class of characters: treated as ``*``, which takes more
        return re.compile(".*", re.DOTALL)
    signs = {"*": ".*", "?": "."}
    pattern = "".join(signs.get(sign) or re.escape(sign) for sign in text) if _WILD.search(text) else re.escape(text)
    return re.compile(pattern, re.DOTALL)
