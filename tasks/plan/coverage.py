"""Reads and merges Go coverage profiles (``go test -coverprofile``, ``go tool covdata textfmt``)."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .errors import CheckError

_MODES = ("set", "count", "atomic")
# https://go.dev/src/cmd/cover: name.go:line.column,line.column numberOfStatements count
_BLOCK = re.compile(r"(.+:[0-9]+\.[0-9]+,[0-9]+\.[0-9]+) ([0-9]{1,9}) ([0-9]{1,20})")


@dataclass(frozen=True)
class Share:
    """How many statements there are, and how many of them ran."""

    statements: int = 0
    covered: int = 0

    @property
    def percent(self) -> float | None:
        """The share that ran, None without a statement."""
        return 100 * self.covered / self.statements if self.statements else None


@dataclass(frozen=True)
class Coverage:
    """A profile: each block's number of statements and how often it ran, once each."""

    mode: str
    blocks: Mapping[str, tuple[int, int]]

    def share(self) -> Share:
        """Return the coverage of everything."""
        return _share(self.blocks.values())

    def packages(self) -> dict[str, Share]:
        """Return the coverage of each package (the directory of a file), sorted by name."""
        found: dict[str, list[tuple[int, int]]] = {}
        for block, counts in self.blocks.items():
            file = block.rpartition(":")[0]
            found.setdefault(file.rpartition("/")[0], []).append(counts)
        return {name: _share(found[name]) for name in sorted(found)}

    def text(self) -> str:
        """Return the profile as Go's tools read it."""
        lines = (f"{block} {statements} {count}" for block, (statements, count) in sorted(self.blocks.items()))
        return "\n".join([f"mode: {self.mode}", *lines]) + "\n"


def _share(counts: Iterable[tuple[int, int]]) -> Share:
    known = tuple(counts)
    return Share(sum(statements for statements, _ in known), sum(statements for statements, count in known if count))


def parse(text: str, where: str) -> Coverage:
    """Return a profile; raises CheckError when it is none.

    With ``-coverpkg`` each test binary reports every block: the same block comes several times and is merged.
    """
    lines = text.splitlines()
    mode = lines[0].removeprefix("mode: ") if lines else ""
    if mode not in _MODES or not lines[0].startswith("mode: "):
        raise _fault(where, 1, lines[0] if lines else "")
    blocks: dict[str, tuple[int, int]] = {}
    for number, line in enumerate(lines[1:], 2):
        match = _BLOCK.fullmatch(line)
        if match is None:
            if not line or line == lines[0]:
                continue  # profiles joined end to end
            raise _fault(where, number, line)
        block, statements, count = match[1], int(match[2]), int(match[3])
        known = blocks.get(block, (statements, 0))
        if known[0] != statements:
            raise _fault(where, number, line)
        blocks[block] = (statements, _together(mode, known[1], count))
    return Coverage(mode, blocks)


def _together(mode: str, one: int, other: int) -> int:
    return max(one, other) if mode == "set" else one + other


def _fault(where: str, number: int, line: str) -> CheckError:
    return CheckError(f"{where}:{number}: is not a Go coverage profile: {line[:80]!r}", "write it with -coverprofile")


def merge(profiles: Iterable[Coverage]) -> Coverage:
    """Return several profiles as one; when their modes differ, only whether a block ran is kept."""
    known = tuple(profiles)
    modes = {one.mode for one in known}
    mode = modes.pop() if len(modes) == 1 else "set"
    blocks: dict[str, tuple[int, int]] = {}
    for one in known:
        for block, (statements, count) in one.blocks.items():
            counted = min(count, 1) if mode == "set" else count
            blocks[block] = (statements, _together(mode, blocks.get(block, (statements, 0))[1], counted))
    return Coverage(mode, blocks)
