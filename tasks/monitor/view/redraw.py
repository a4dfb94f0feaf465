"""Draws lines on a terminal over those that were drawn before."""

from collections.abc import Callable, Sequence

from ...model.quoting import without_escapes
from ...model.story.look import cells


class Redrawn:
    """Lines at the end of a terminal; ``size`` returns its columns and lines, ``write`` writes text and a line end.

    It changes no mode of the terminal: whoever is stopped leaves it as it was.
    """

    def __init__(self, write: Callable[[str], None], size: Callable[[], tuple[int, int]]) -> None:
        self._write, self._size = write, size
        self._drawn: list[str] = []

    def show(self, lines: Sequence[str]) -> None:
        """Draw lines in place of the last ones, as many as the terminal has room for."""
        width, height = self._size()
        lines = lines[: max(height - 1, 1)]
        # A terminal that has become narrower has broken the lines that were drawn.
        rows = sum(max(-(-cells(line) // max(width, 1)), 1) for line in self._drawn)
        # All at once, so that nothing flickers.
        self._write((f"\r\x1b[{rows}A\x1b[J" if rows else "") + "\n".join(lines))
        self._drawn = [without_escapes(line) for line in lines]
