"""Reads how many bytes are pulled and pushed, from what ``docker`` prints on a terminal, and Compose without one.

``3f2a5d9c8b7e: Downloading [==>      ]  1.2MB/3.4MB``, by Compose without the colon; ``docker`` prints no sizes without
a terminal. Layers whose download has not begun are not in the total: the engine does not say how large they are.
"""

from collections.abc import Iterable

from ...model.lazy_pattern import lazy_pattern
from ...model.units import parse_size

_LAYER = lazy_pattern(
    r"(?P<layer>[0-9a-f]{12}):? (?P<what>[A-Z][a-z]+(?: [A-Za-z]+)*)"
    r"(?: +(?:\[[=> ]*\] +)?(?P<moved>[\d.]+[kMGT]?B)(?:/(?P<total>[\d.]+[kMGT]?B))?)?"
)
_MOVING = ("Downloading", "Pushing")
_MOVED = ("Verifying Checksum", "Download complete", "Extracting", "Pull complete", "Pushed")


class MovedBytes:
    """Adds up, line by line, how many bytes have been moved, of how many as far as the engine has said."""

    def __init__(self) -> None:
        self._layers: dict[str, tuple[int, int]] = {}

    @property
    def moved(self) -> int:
        """The bytes that have been moved."""
        return sum(moved for moved, _ in self._layers.values())

    @property
    def total(self) -> int:
        """The bytes that there are, 0 when nothing has moved."""
        return sum(total for _, total in self._layers.values())

    @property
    def complete(self) -> bool:
        """Whether all that is known of has been moved."""
        return self.moved == self.total

    def take(self, line: str) -> bool:
        """Take a line; returns whether more has been moved than before."""
        match = _LAYER.match(line.strip())
        before = self._layers.get(match["layer"], (0, 0)) if match else (0, 0)
        if not match:
            return False
        if match["what"] in _MOVING and match["moved"]:
            moved = parse_size(match["moved"])
            self._layers[match["layer"]] = moved, max(parse_size(match["total"]) if match["total"] else 0, moved)
        elif match["what"] in _MOVED and match["layer"] in self._layers:
            self._layers[match["layer"]] = before[1], before[1]
        return self._layers.get(match["layer"], (0, 0)) != before


def moved_bytes(lines: Iterable[str]) -> tuple[int, int]:
    """Return how many bytes lines say have been moved, and how many there are; 0, 0 for nothing."""
    moving = MovedBytes()
    for line in lines:
        moving.take(line)
    return moving.moved, moving.total
