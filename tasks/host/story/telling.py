"""Begins and ends stories: chooses how they are shown, and writes the whole log of each into a file."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from ...model.errors import StoppedError
from ...model.quoting import json_text
from ...model.story.events import (
    DONE,
    FAILED,
    STOPPED,
    ContainerFailed,
    Event,
    Noted,
    StepFinished,
    StoryBegun,
    StoryEnded,
    document,
)
from ...model.story.look import Look
from ...model.story.plain import PlainLines, is_bad
from .. import output, reports
from ..project import Project
from .screen import Screen
from .story import Drawing, Renderer, Story, current_story


class _Plain:
    """Writes lines with time stamps to stderr."""

    def __init__(self, look: Look) -> None:
        self._lines = PlainLines(look)

    def take(self, event: Event, now: float, written: str) -> None:
        output.write_stderr("".join(f"{line}\n" for line in self._lines.lines(event, written)))


class _Quiet:
    """Writes nothing but what went wrong to stderr."""

    def __init__(self, look: Look) -> None:
        self._lines = PlainLines(look)

    def take(self, event: Event, now: float, written: str) -> None:
        lines = self._lines.lines(event, written)
        if is_bad(event) or (isinstance(event, StepFinished) and event.outcome == FAILED):
            output.write_stderr("".join(f"{line}\n" for line in lines))


class _Json:
    """Writes one JSON document a line to stderr."""

    def take(self, event: Event, now: float, written: str) -> None:
        output.write_stderr(f"{json_text(document(event, written))}\n")


class _Log:
    """Writes everything into a file; a disk that is full ends the log, not the task."""

    def __init__(self, file: TextIO) -> None:
        self._file, self._lines = file, PlainLines(Look(), everything=True)

    def take(self, event: Event, now: float, written: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._file.write("".join(f"{line}\n" for line in self._lines.lines(event, written)))
            if isinstance(event, StepFinished | ContainerFailed | Noted | StoryEnded):
                self._file.flush()


@dataclass
class Ending:
    """What is told at the end of a story: a heading, and what and its value; nothing without a heading."""

    heading: str = ""
    summary: list[tuple[str, str]] = field(default_factory=list)


def _renderers() -> tuple[list[Renderer], Drawing | None]:
    """Return what shows a story: on a terminal it is drawn, else it is written."""
    look, manner = Look(unicode=output.has_unicode()), output.manner()
    if manner == output.JSON:
        return [_Json()], None
    if manner == output.QUIET:
        return [_Quiet(look)], None
    if output.drawing_size() is None:
        return [_Plain(look)], None
    look = Look(look.unicode, colour=output.has_colour())
    return [], Screen(look, output.write_stderr, lambda: output.drawing_size() or (80, 24))


def tells_progress() -> bool:
    """Whether it is told how far a step is: on a terminal, and in events."""
    return output.manner() == output.JSON or (not output.manner() and output.drawing_size() is not None)


@contextmanager
def story(
    project: Project, begun: StoryBegun, log: Path | bool = True, also: Sequence[Renderer] = ()
) -> Iterator[Ending]:
    """Tell a story in a block, with a log in the reports of a run; in a dry run, and in another story, tell none.

    ``log``: the file for the log where there is a directory for the run already; False: no log and no beginning.
    ``also``: further renderers, which take what happens for other purposes.
    """
    if project.runner.dry or current_story():
        yield Ending()
        return
    with contextlib.ExitStack() as stack:
        path, file = _open_log(project, begun.task, log) if log else (None, None)
        renderers, drawing = _renderers()
        renderers = [*also, *renderers]
        if file:
            renderers.insert(0, _Log(stack.enter_context(file)))
        told = Story(renderers, drawing)
        stack.callback(told.end)
        stack.enter_context(output.on_stage(told))
        told.start()
        if not log:
            yield Ending()
            return
        with _told(told, begun._replace(log=project.settings.shown(path) if path and file else "")) as ending:
            yield ending


@contextmanager
def _told(told: Story, begun: StoryBegun) -> Iterator[Ending]:
    started, ending, outcome, log = time.monotonic(), Ending(), FAILED, begun.log
    told.tell(begun)
    try:
        yield ending
        outcome = DONE
    except (KeyboardInterrupt, StoppedError):
        outcome = STOPPED
        raise
    finally:
        summary = list(ending.summary)
        if log and (summary or outcome != DONE):
            summary.append(("log", log))
        told.tell(StoryEnded(outcome, time.monotonic() - started, ending.heading, tuple(summary)))


def _open_log(project: Project, task: str, log: Path | bool) -> tuple[Path | None, TextIO | None]:
    """Open the log of a story; where nothing can be written there is none."""
    try:
        name = f"{task.replace(' ', '-')}.log"
        path = log if isinstance(log, Path) else reports.new_run(project.settings, latest=False).directory / name
        return path, path.open("w", encoding="utf-8")
    except OSError:
        return None, None
