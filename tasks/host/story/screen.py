"""Draws a story on a terminal: what has ended scrolls away, what runs is kept up to date at the end.

It changes no mode of the terminal and does not hide the cursor, so that there is nothing to restore: also a task that
is killed leaves the terminal as it was. A frame is written at once, and only when it differs from the last one.
"""

from collections.abc import Callable

from ...model.quoting import without_escapes
from ...model.story.board import Board, finished_lines
from ...model.story.events import ContainerFailed, Event, Noted, StepFinished, StoryBegun, StoryEnded
from ...model.story.look import Look, cells
from ...model.story.plain import begun_lines, last_words, summary_lines

_STOPPED = 3.0  # seconds without a frame after which the process had been stopped: others have written meanwhile
_LINES_AT_MOST = 100  # lines that are kept up to date at most


class Screen:
    """A terminal; ``size`` returns its columns and lines, ``write`` writes to it. One thread at a time uses it."""

    def __init__(self, look: Look, write: Callable[[str], None], size: Callable[[], tuple[int, int]]) -> None:
        self._look, self._write, self._size = look, write, size
        self._board = Board()
        self._drawn: list[str] = []  # the lines at the end of the terminal, without escape sequences
        self._frame: list[str] = []
        self._width = size()[0]
        self._tick, self._last = 0, 0.0
        self._holds = 0

    def take(self, event: Event, now: float, _time: str) -> None:
        """Show an event: lines that stay are written at once, what runs with the next frame."""
        self._board.take(event, now)
        if lines := self._lasting(event):
            self._show(lines, now)

    def tick(self, now: float) -> None:
        """Draw the next frame."""
        if self._holds:
            return
        if self._last and now - self._last > _STOPPED:
            self._drawn, self._frame = [], []
        self._tick += 1
        self._show([], now)

    def clear(self) -> None:
        """Take what is drawn away."""
        if self._drawn:
            self._write(f"{self._up()}\x1b[J")
            self._drawn, self._frame = [], []

    def hold(self) -> None:
        """Draw nothing from now on."""
        self.clear()
        self._holds += 1

    def release(self) -> None:
        """Draw again."""
        self._holds -= 1

    def close(self) -> None:
        """Leave the terminal to others."""
        self.clear()
        self._holds += 1

    def _lasting(self, event: Event) -> list[str]:
        """Return the lines of an event that stay on the terminal."""
        look, width = self._look, self._size()[0]
        if isinstance(event, StepFinished):
            return finished_lines(event, width, look)
        if isinstance(event, Noted):
            return [look.text(event.text)]
        if isinstance(event, ContainerFailed):
            return [look.text(line) for line in last_words(event)]
        if isinstance(event, StoryBegun):
            first, *rest = map(look.text, begun_lines(event))
            return [look.paint(first, "bold"), *rest]
        if isinstance(event, StoryEnded):
            first, *rest = (*map(look.text, summary_lines(event)), "")
            return [look.paint(first, "bold"), *rest][:-1] if first else []
        return []

    def _show(self, lasting: list[str], now: float) -> None:
        if self._holds:
            self._write("".join(f"{line}\n" for line in lasting))
            return
        width, height = self._size()
        frame = self._board.lines(now, self._tick, width, min(height - 1, _LINES_AT_MOST), self._look)
        if not lasting and frame == self._frame and width == self._width:
            self._last = now
            return
        # Lines that stay may be wider than the terminal, which breaks them; those that are drawn again are not.
        text = "".join(f"{line}\x1b[K\n" for line in (*lasting, *frame))
        self._write(f"{self._up()}{text}\x1b[J")
        self._frame, self._width, self._last = frame, width, now
        self._drawn = [without_escapes(line) for line in frame]

    def _up(self) -> str:
        """Return what moves the cursor to the first line that is drawn.

        A terminal that has become narrower has broken its lines, as most do; those that cut them instead (xterm) lose
        a line that stays for each one that would have been broken.
        """
        width = max(self._size()[0], 1)
        rows = (
            sum(max(-(-cells(line) // width), 1) for line in self._drawn) if width < self._width else len(self._drawn)
        )
        return f"\r\x1b[{rows}A" if rows else "\r"
