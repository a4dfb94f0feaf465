"""Reads and merges Go coverage profiles (``go test -coverprofile``, ``go tool covdata textfmt``)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ...model.errors import CheckError
from ...model.lazy_pattern import lazy_pattern

_MODES = ("set", "count", "atomic")
# https://go.dev/src/cmd/cover: name.go:line.column,line.column numberOfStatements count
_BLOCK = lazy_pattern(r"(.+:[0-9]+\.[0-9]+,[0-9]+\.[0-9]+) ([0-9]{1,9}) ([0-9]{1,20})")


@dataclass(frozen=True)
class Share:
    """The number of statements, and how many of them ran."""

    statements: int = 0
    covered: int = 0

    @property
    def percent(self) -> float | None:
        """The share of statements that ran, in per cent; None when there are no statements."""
        return 100 * self.covered / self.statements if self.statements else None


@dataclass(frozen=True)
class Coverage:
    """A coverage profile; ``blocks`` maps a block's position to its number of statements and how often it ran."""

    mode: str
    blocks: Mapping[str, tuple[int, int]]

    def share(self) -> Share:
        """Return the coverage of all blocks together."""
        return _share(self.blocks.values())

    def packages(self) -> dict[str, Share]:
        """Return the coverage of each package (the directory of a file), sorted by name."""
        packages: dict[str, list[tuple[int, int]]] = {}
        for block, counts in self.blocks.items():
            file = block.rpartition(":")[0]
            packages.setdefault(file.rpartition("/")[0], []).append(counts)
        return {name: _share(packages[name]) for name in sorted(packages)}

    def text(self) -> str:
        """Return the profile in the text format of Go's tools."""
        lines = (f"{block} {statements} {count}" for block, (statements, count) in sorted(self.blocks.items()))
        return "\n".join([f"mode: {self.mode}", *lines]) + "\n"


def _share(counts: Iterable[tuple[int, int]]) -> Share:
    known = tuple(counts)
    return Share(sum(statements for statements, _ in known), sum(statements for statements, count in known if count))


def parse(text: str, where: str) -> Coverage:
    """Return the profile in a text; raises CheckError when it is not a profile. ``where`` names it in the error.

    With ``-coverpkg`` each test binary reports every block: a block that comes several times is merged.
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
                continue  # the header of a profile that was appended to the first
            raise _fault(where, number, line)
        block, statements, count = match[1], int(match[2]), int(match[3])
        known = blocks.get(block, (statements, 0))
        if known[0] != statements:
            raise _fault(where, number, line)
        blocks[block] = (statements, _add_counts(mode, known[1], count))
    return Coverage(mode, blocks)


def _add_counts(mode: str, first: int, second: int) -> int:
    return max(first, second) if mode == "set" else first + second


def _fault(where: str, number: int, line: str) -> CheckError:
    return CheckError(
        f"{where}:{number}: is not a Go coverage profile: {line[:80]!r}", "write it with `go test -coverprofile`"
    )


def merge(profiles: Iterable[Coverage]) -> Coverage:
    """Return several profiles merged; when their modes differ, only whether a block ran is kept."""
    known = tuple(profiles)
    modes = {profile.mode for profile in known}
    mode = modes.pop() if len(modes) == 1 else "set"
    blocks: dict[str, tuple[int, int]] = {}
    for profile in known:
        for block, (statements, count) in profile.blocks.items():
            counted = min(count, 1) if mode == "set" else count
            blocks[block] = (statements, _add_counts(mode, blocks.get(block, (statements, 0))[1], counted))
    return Coverage(mode, blocks)
