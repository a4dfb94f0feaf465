"""A story as lines without cursor movements: for pipes, logs, and terminals that cannot move a cursor."""

from collections.abc import Iterator
from typing import Any

from ..units import show_duration, show_size
from .board import SIGNS, lock_text, unfolded
from .events import (
    DONE,
    INFO,
    BytesMoved,
    ContainerFailed,
    Event,
    LinePrinted,
    LockAwaited,
    Noted,
    StepAdvanced,
    StepFinished,
    StepStarted,
    StepWaiting,
    StoryBegun,
    StoryEnded,
)
from .look import Look

_HEADING = 10  # characters of the first column of a summary


def begun_lines(event: StoryBegun) -> list[str]:
    """Return the first lines of a story: what is done to what, and what it changes."""
    release = f"release {event.release}" if event.release else ""
    title = " · ".join(filter(None, (f"{event.task} {event.project}", event.environment, release, event.version)))
    return [title, *(f"  {change}" for change in event.changes)]


def last_words(event: ContainerFailed) -> list[str]:
    """Return the lines that a container wrote last, under its name."""
    return [f"--- last lines of {event.container} ({event.state}):", *(f"    {line}" for line in event.lines)]


def summary_lines(event: StoryEnded) -> list[str]:
    """Return the lines at the end of a story."""
    heading = [f"{event.heading} ({show_duration(event.seconds)})"] if event.heading else []
    return [*heading, *(f"  {name:<{_HEADING}}{value}" for name, value in event.summary)]


def is_bad(event: Event) -> bool:
    """Whether an event tells of trouble: these are shown also where nothing else is."""
    return isinstance(event, ContainerFailed) or (isinstance(event, Noted) and event.level != INFO)


class PlainLines:
    """Turns events into lines: a step has one when it begins to wait, and one when it has ended.

    ``everything``: the lines of commands as well, for a log; it has what steps do in the words of the commands.
    """

    def __init__(self, look: Look, everything: bool = False) -> None:
        self._look, self._everything = look, everything
        self._names: dict[int, str] = {}
        self._told: set[int] = set()

    def lines(self, event: Event, time: str) -> list[str]:
        """Return the lines of an event; ``time`` is what lines of steps begin with."""
        return [self._look.text(line) for line in self._lines(event, time)]

    def _lines(self, event: Event, time: str) -> Iterator[str]:
        if isinstance(event, StoryBegun):
            first, *rest = begun_lines(event)
            yield from (f"{time} {first}", *rest)
        elif isinstance(event, StepFinished):
            yield from self._finished(event, time)
        elif isinstance(event, ContainerFailed):
            yield from last_words(event)
        elif isinstance(event, Noted):
            yield f"{time} {event.text}" if self._everything else event.text
        elif isinstance(event, StoryEnded):
            yield from summary_lines(event)
        else:
            yield from self._goes_on(event, time)

    def _goes_on(self, event: Event, time: str) -> Iterator[str]:
        if isinstance(event, StepStarted):
            self._names[event.step] = event.name
            if self._everything:
                yield f"{time} … {event.name}"
        elif isinstance(event, LinePrinted):
            if self._everything:
                yield f"{time} {self._names.get(event.step, '')} | {event.line}"
        elif not (self._everything and isinstance(event, StepAdvanced)) and (doing := doing_text(event)):
            yield from self._begins(event, doing, time)

    def _begins(self, event: Any, doing: str, time: str) -> Iterator[str]:
        if self._everything or event.step not in self._told:
            self._told.add(event.step)
            yield f"{time} … {self._names.get(event.step, '')}: {doing}"

    def _finished(self, event: StepFinished, time: str) -> Iterator[str]:
        sign = SIGNS.get(event.outcome, ("-", ""))[0]
        outcome = "" if event.outcome == DONE else f" {event.outcome}"
        result = f"  {event.result}" if event.result else ""
        yield f"{time} {sign} {event.name}{outcome} in {show_duration(event.seconds)}{result}"
        if not self._everything:
            yield from unfolded(event.output, self._look)


def doing_text(event: Event) -> str:
    """Return what a step begins to do or wait for, "" when the event tells neither."""
    if isinstance(event, LockAwaited):
        return f"waiting up to {show_duration(event.limit)}: {lock_text(event)}"
    if isinstance(event, StepWaiting):
        limit = f"waits up to {show_duration(event.limit)}" if event.limit else "waits"
        return f"{limit}, {event.answer}" if event.answer else limit
    if isinstance(event, BytesMoved):
        return f"{show_size(event.moved)}{f' of {show_size(event.total)}' if event.total else ''}"
    if isinstance(event, StepAdvanced):
        return event.text
    return ""
