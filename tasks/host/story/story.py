"""Tells the story of a task: steps begin, wait and end, in any thread; a renderer shows it to people, a log keeps it.

Without a story every step is silent, and commands print as they do by themselves.
"""

import collections
import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Protocol

from ...model.errors import StoppedError
from ...model.story.events import (
    DONE,
    FAILED,
    STOPPED,
    BytesMoved,
    ContainerFailed,
    Event,
    LinePrinted,
    LockAwaited,
    Noted,
    StepAdvanced,
    StepFinished,
    StepsPlanned,
    StepStarted,
    StepWaiting,
)
from ...model.story.plain import last_words
from ..engine.watch import WaitEndedError
from ..forwarding import signals_blocked
from ..output import WARNING, current_stage, mask_secrets, note, printable

_FRAME = 0.125  # seconds between two frames
_UNFOLDED = 30  # lines of a failed step that are shown
_ENDED = (KeyboardInterrupt, StoppedError, WaitEndedError)


class Renderer(Protocol):
    """Shows events; it is used by one thread at a time."""

    def take(self, event: Event, now: float, time: str) -> None:
        """Show an event that came at ``now`` (seconds of a clock) and ``time`` (RFC 3339 UTC)."""


class Drawing(Renderer, Protocol):
    """A renderer that keeps lines up to date."""

    def tick(self, now: float) -> None:
        """Draw the next frame."""

    def clear(self) -> None:
        """Take what is drawn away."""

    def hold(self) -> None:
        """Draw nothing from now on."""

    def release(self) -> None:
        """Draw again."""

    def close(self) -> None:
        """Draw nothing any more."""


class Step:
    """A step of a story, or a silent one without a story."""

    def __init__(self, story: "Story | None" = None, number: int = 0, name: str = "") -> None:
        self._story, self.number, self.name = story, number, name
        self._tail: collections.deque[str] = collections.deque(maxlen=_UNFOLDED)
        self._unfolded: tuple[str, ...] = ()
        self._seen: Event | None = None
        self.result = ""  # shown when the step is done
        self.outcome = ""  # when it is another than the end of the block says

    def wait(self, limit: float, answer: str = "") -> None:
        """Tell that the step waits, at most ``limit`` seconds since its start, and what it saw last."""
        self._tell(StepWaiting(self.number, limit, answer))

    def advance(self, text: str, part: int = 0, parts: int = 0) -> None:
        """Tell what the step does now."""
        self._tell(StepAdvanced(self.number, text, part, parts))

    def move(self, moved: int, total: int = 0) -> None:
        """Tell how many bytes the step has moved, of how many (0: unknown)."""
        self._tell(BytesMoved(self.number, moved, total))

    def queue(self, project: str, holder: str, since: str, reason: str, position: int, limit: float) -> None:
        """Tell that the step waits for a lock, and who has it."""
        self._tell(LockAwaited(self.number, project, holder, since, reason, position, limit))

    def hear(self, line: str) -> None:
        """Take a line that a command of the step printed."""
        if line.strip():
            self._tail.append(line)
        if self._story:
            self._story.tell(LinePrinted(self.number, line))

    def unfold(self, lines: Sequence[str]) -> None:
        """Show these lines, and not the last ones that were printed, if the step fails."""
        self._unfolded = tuple(lines)

    def finish(self, outcome: str, seconds: float) -> None:
        """Tell that the step has ended after some seconds; for one that ``begin_step`` began."""
        if self._story:
            self._story.finish(self, outcome, seconds)

    def output(self) -> tuple[str, ...]:
        """Return the lines to show when the step has failed, without those that only tell of progress."""
        from ...model.stack.reasons import is_progress

        return self._unfolded or tuple(line for line in self._tail if not is_progress(line))

    def _tell(self, event: Event) -> None:
        if self._story and (event != self._seen or type(event) is not type(self._seen)):
            self._seen = event
            self._story.tell(event)


class Story:
    """Takes events from any thread and passes them on, with secrets masked, in the order in which they came."""

    def __init__(self, renderers: Sequence[Renderer], drawing: Drawing | None = None) -> None:
        self._renderers, self._drawing = (*renderers, *((drawing,) if drawing else ())), drawing
        self._lock, self._telling = threading.RLock(), False
        self._waiting: collections.deque[Event] = collections.deque()
        self._here = _Here()
        self._count, self._numbers = 0, threading.Lock()
        self._words: dict[str, tuple[str, ...]] = {}
        self._ended = threading.Event()
        self._ticker: threading.Thread | None = None

    # Events

    def tell(self, event: Event) -> None:
        """Pass an event on."""
        with self._lock:
            self._waiting.append(_clean(event))
            if self._telling:
                return  # a signal handler, in the midst of another event: that comes first
            self._telling = True
            try:
                while self._waiting:
                    event, now = self._waiting.popleft(), time.monotonic()
                    written = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
                    for renderer in self._renderers:
                        renderer.take(event, now, written)
            finally:
                self._telling = False

    def plan(self, names: Sequence[str]) -> list[int]:
        """Tell the names of the steps that are to come; returns the number of each."""
        with self._numbers:
            numbers = list(range(self._count + 1, self._count + 1 + len(names)))
            self._count += len(names)
        self.tell(StepsPlanned(tuple(zip(numbers, names, strict=True))))
        return numbers

    @contextmanager
    def step(self, name: str, number: int = 0) -> Iterator[Step]:
        """Tell that a step begins and ends with a block; ``number`` is that of a planned step."""
        step, started = self.begin(name, number), time.monotonic()
        self._here.steps.append(step)
        outcome = FAILED
        try:
            with self.listening(step.hear):
                yield step
            outcome = step.outcome or DONE
        except _ENDED:
            outcome = STOPPED
            raise
        finally:
            self._here.steps.remove(step)
            self.finish(step, outcome, time.monotonic() - started)

    def begin(self, name: str, number: int = 0) -> Step:
        """Tell that a step begins that is no block; ``finish`` ends it."""
        if not number:
            with self._numbers:
                self._count += 1
                number = self._count
        self.tell(StepStarted(number, name))
        return Step(self, number, name)

    def finish(self, step: Step, outcome: str, seconds: float) -> None:
        """Tell that a step has ended after some seconds."""
        output = step.output() if outcome == FAILED else ()
        self.tell(StepFinished(step.number, step.name, outcome, seconds, step.result, output))

    def current(self) -> Step | None:
        """Return the step that this thread is in."""
        return self._here.steps[-1] if self._here.steps else None

    def last_words(self, event: ContainerFailed) -> None:
        """Tell what a container wrote last, unless just that has been told already."""
        if self._words.get(event.container) != event.lines:
            self._words[event.container] = event.lines
            self.tell(event)

    # The stage that others speak on

    def note(self, text: str, level: str) -> None:
        """Show a line."""
        self.tell(Noted(text, level))

    def clear(self) -> None:
        """Take what is drawn away until the next frame."""
        if self._drawing:
            with self._lock:
                self._drawing.clear()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Draw nothing in a block."""
        if not self._drawing:
            yield
            return
        with self._lock:
            self._drawing.hold()
        try:
            yield
        finally:
            with self._lock:
                self._drawing.release()

    @contextmanager
    def hearing(self, title: str) -> Iterator[Callable[[str], None]]:
        """Yield what takes the lines of a command: the step of this thread, else a step called ``title``."""
        if self._here.ears:
            yield self._here.ears[-1]
            return
        with self.step(title) as step:
            yield step.hear

    @contextmanager
    def listening(self, hear: Callable[[str], None]) -> Iterator[None]:
        """Let ``hear`` take the lines of the commands that this thread runs in a block."""
        self._here.ears.append(hear)
        try:
            yield
        finally:
            self._here.ears.pop()

    # Drawing

    def start(self) -> None:
        """Draw frames in a thread of its own from now on."""
        if self._drawing:
            self._ticker = threading.Thread(target=self._draw, name="story", daemon=True)
            with signals_blocked():
                self._ticker.start()

    def _draw(self) -> None:
        while not self._ended.wait(_FRAME):
            with self._lock:
                if self._drawing and not self._telling:
                    self._drawing.tick(time.monotonic())

    def end(self) -> None:
        """Stop drawing, and leave the terminal to others."""
        self._ended.set()
        if self._ticker:
            self._ticker.join()
        if self._drawing:
            with self._lock:
                self._drawing.close()


class _Here(threading.local):
    """The steps that the current thread is in, and what takes the lines of its commands."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.ears: list[Callable[[str], None]] = []


def _clean(event: Event) -> Event:
    """Return an event without secrets and without characters that could drive a terminal."""
    changed: dict[str, Any] = {}
    for name, value in zip(event._fields, event, strict=True):
        if isinstance(value, str) and value:
            changed[name] = printable(mask_secrets(value))
        elif isinstance(value, tuple) and value and isinstance(value[0], str):
            changed[name] = tuple(printable(mask_secrets(line)) for line in value)
    return event._replace(**changed) if changed else event


def current_story() -> Story | None:
    """Return the story that is told at the moment."""
    stage = current_stage()
    return stage if isinstance(stage, Story) else None


def step(name: str, number: int = 0) -> contextlib.AbstractContextManager[Step]:
    """Return a block that is a step of the story; without a story it is silent."""
    story = current_story()
    return story.step(name, number) if story else contextlib.nullcontext(Step())


def begin_step(name: str) -> Step:
    """Return a step that begins now and is no block: several of them go on in one thread. ``finish`` ends it."""
    story = current_story()
    return story.begin(name) if story else Step()


def current_step() -> Step:
    """Return the step that this thread is in, a silent one when it is in none."""
    story = current_story()
    return (story.current() if story else None) or Step()


def show_last_words(container: str, state: str, lines: Sequence[str]) -> None:
    """Show the lines that a container wrote last."""
    event = ContainerFailed(container, state, tuple(lines))
    if story := current_story():
        story.last_words(event)
        return
    for line in last_words(event):
        note(line, WARNING)
