"""The steps of a story as they stand: takes events, knows no clock, and draws the lines of a terminal."""

from collections.abc import Iterable
from dataclasses import dataclass

from ..units import show_duration, show_size
from .events import (
    DONE,
    FAILED,
    SKIPPED,
    BytesMoved,
    Event,
    LinePrinted,
    LockAwaited,
    StepAdvanced,
    StepFinished,
    StepsPlanned,
    StepStarted,
    StepWaiting,
    StoryBegun,
)
from .look import Look, cells, fit, pad

_NAME, _TIME = 26, 11  # cells of the columns, where the terminal has room
_NARROW = 64  # cells; below, what a step waits for has a line of its own
_COMING = 6  # steps to come that are shown
_Change = StepWaiting | LockAwaited | StepAdvanced | BytesMoved | LinePrinted
SIGNS = {DONE: ("✓", "green"), FAILED: ("✗", "red"), SKIPPED: ("-", "dim")}


@dataclass
class Row:
    """A step: when it started, on the clock of whoever takes the events, and what it does."""

    step: int
    name: str
    started: float | None = None
    text: str = ""
    printed: str = ""
    limit: float = 0.0
    moved: int = 0
    total: int = 0

    def elapsed(self, now: float) -> str:
        """Return how long the step has run, and how long it may take where it waits."""
        seconds = now - (now if self.started is None else self.started)
        if not self.limit:
            return show_duration(seconds)
        if self.limit >= 600:
            return f"{show_duration(seconds)} of {show_duration(self.limit)}"
        return f"{seconds:.0f} of {self.limit:g} s"

    def doing(self) -> str:
        """Return what the step does or waits for."""
        text = self.text or self.printed
        if not self.moved:
            return text
        size = show_size(self.moved)
        if self.total:
            size = f"{size} of {show_size(self.total)}, {min(100 * self.moved // self.total, 100)} %"
        return f"{size}  {text}".rstrip()


class Board:
    """The steps that run and those that are to come."""

    def __init__(self) -> None:
        self._rows: dict[int, Row] = {}
        self._project = ""

    def take(self, event: Event, now: float) -> None:
        """Take an event that came at ``now`` seconds."""
        if isinstance(event, StoryBegun):
            self._project = f"{event.project}-"
        elif isinstance(event, StepsPlanned):
            self._rows = {step: row for step, row in self._rows.items() if row.started is not None}
            self._rows.update({step: Row(step, name) for step, name in event.steps if step not in self._rows})
        elif isinstance(event, StepStarted):
            self._rows[event.step] = Row(event.step, event.name, started=now)
        elif isinstance(event, StepFinished):
            self._rows.pop(event.step, None)
        elif isinstance(event, _Change) and (row := self._rows.get(event.step)):
            _change(row, event)
            if isinstance(event, LinePrinted):  # Compose names containers in full
                row.printed = " ".join(row.printed.replace(self._project, "").split())

    @property
    def running(self) -> list[Row]:
        """The steps that run, in the order in which they started."""
        return sorted((row for row in self._rows.values() if row.started is not None), key=lambda row: row.started or 0)

    def lines(self, now: float, tick: int, width: int, height: int, look: Look) -> list[str]:
        """Return the lines that show what runs and what is to come, at most ``height``, each below ``width`` cells."""
        running = self.running
        lines = [line for row in running for line in _running(row, now, tick, width, look)]
        if len(lines) > height:
            lines = [_running(row, now, tick, width, look)[0] for row in running]
        if len(lines) > height:
            hidden = len(lines) - height + 1
            return [*lines[: height - 1], look.paint(look.text(f"  … {hidden} more run"), "dim")][:height]
        coming = [row for row in self._rows.values() if row.started is None]
        room = min(height - len(lines), _COMING)
        shown = coming if len(coming) <= room else coming[: max(room - 1, 0)]
        lines += [look.paint(look.text("  · ") + fit(row.name, width - 5, look), "dim") for row in shown]
        if len(shown) < len(coming) and room:
            lines.append(look.paint(look.text(f"  … {len(coming) - len(shown)} more"), "dim"))
        return lines


def _change(row: Row, event: _Change) -> None:
    if isinstance(event, LinePrinted):
        row.printed = event.line.strip() or row.printed
    elif isinstance(event, StepWaiting):
        row.limit, row.text = event.limit, event.answer
    elif isinstance(event, LockAwaited):
        row.limit, row.text = event.limit, lock_text(event)
    elif isinstance(event, BytesMoved):
        row.moved, row.total = event.moved, event.total
    else:
        part = f"{event.part}/{event.parts} " if event.parts else ""
        row.text = part + event.text


def lock_text(event: LockAwaited) -> str:
    """Return who has the lock, since when and for what, and our place in the queue."""
    place = f", place {event.position} in the queue" if event.position else ""
    return f"{event.project} is locked by {event.holder} since {event.since} ({event.reason}){place}"


def columns(width: int) -> tuple[int, int]:
    """Return how many cells the name of a step and its time have in a terminal of ``width`` cells."""
    time = min(_TIME, max(width // 4, 7))
    return max(min(max(_NAME, width // 3), width - time - 6), 8), time


def step_line(sign: str, name: str, time: str, rest: str, width: int, look: Look) -> str:
    """Return the line of a step: sign, name, time, and as much of the rest as fits; no cell in the last column."""
    first, second = columns(width)
    line = fit(f"{pad(fit(name, first, look), first)} {time:>{second}}", max(width - 5, 1), look)
    room = width - 5 - cells(line) - 2
    more = fit(rest, room, look) if room >= 8 and rest else ""
    return f"  {sign} {line}{f'  {more}' if more else ''}".rstrip()


def _running(row: Row, now: float, tick: int, width: int, look: Look) -> list[str]:
    sign, rest = look.paint(look.spinner(tick), "cyan"), row.doing()
    line = step_line(sign, row.name, row.elapsed(now), rest if width >= _NARROW else "", width, look)
    if width >= _NARROW or not rest:
        return [line]
    return [line, f"      {fit(rest, width - 7, look)}"]


def finished_lines(event: StepFinished, width: int, look: Look) -> list[str]:
    """Return the line of a step that has ended, and what its commands printed last when it failed."""
    sign, colour = SIGNS.get(event.outcome, ("-", "yellow"))
    result = event.result if event.outcome == DONE else " ".join(filter(None, (event.outcome, event.result)))
    line = step_line(
        look.paint(look.text(sign), colour), event.name, show_duration(event.seconds), result, max(width, 20), look
    )
    return [line, *unfolded(event.output, look)]


def unfolded(output: Iterable[str], look: Look) -> list[str]:
    """Return the output of a step as it is shown when the step failed; the terminal breaks long lines."""
    return [look.text(f"    {line}") for line in output]
