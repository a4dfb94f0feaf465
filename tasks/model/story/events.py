"""Events of a task's story, as plain data; ``document`` is their JSON form (docs/schemas/event-v1.json).

They are named tuples: making a dozen frozen dataclasses would take 11 ms of each task that tells a story, these take 1.
"""

from typing import Any, NamedTuple

from ..lazy_pattern import lazy_pattern

SCHEMA = "slipway/event/v1"
INFO, WARNING, ERROR = "info", "warning", "error"
DONE, FAILED, STOPPED, SKIPPED = "done", "failed", "stopped", "skipped"

# Names that JSON gives to the classes below where they are not the class's own.
_CAPITAL = lazy_pattern(r"(?<!^)(?=[A-Z])")


class StoryBegun(NamedTuple):
    """A task has begun to change something; ``changes`` are lines for people, ``log`` the path of the whole log."""

    task: str
    project: str
    environment: str
    version: str = ""
    release: int = 0
    changes: tuple[str, ...] = ()
    log: str = ""


class StepsPlanned(NamedTuple):
    """The names of the steps that are to come, by their numbers; those planned before and not begun are dropped."""

    steps: tuple[tuple[int, str], ...]


class StepStarted(NamedTuple):
    """A step has begun."""

    step: int
    name: str


class StepWaiting(NamedTuple):
    """A step waits, at most ``limit`` seconds since its start (0: without limit); ``answer``: what it saw last."""

    step: int
    limit: float
    answer: str = ""


class StepAdvanced(NamedTuple):
    """What a step does now: part ``part`` of ``parts`` (0: unknown)."""

    step: int
    text: str
    part: int = 0
    parts: int = 0


class BytesMoved(NamedTuple):
    """How many bytes a step has moved, of how many (0: unknown)."""

    step: int
    moved: int
    total: int = 0


class LinePrinted(NamedTuple):
    """A line that a command of a step printed."""

    step: int
    line: str


class StepFinished(NamedTuple):
    """A step has ended. ``output`` are the last lines of its commands, when it failed."""

    step: int
    name: str
    outcome: str
    seconds: float
    result: str = ""
    output: tuple[str, ...] = ()


class LockAwaited(NamedTuple):
    """Another process has the lock: who, since when (RFC 3339), for what; our ``position`` in the queue, from 1."""

    step: int
    project: str
    holder: str
    since: str
    reason: str
    position: int
    limit: float


class ContainerFailed(NamedTuple):
    """A container has ended or is unhealthy; ``lines`` are its last words."""

    container: str
    state: str
    lines: tuple[str, ...]


class Noted(NamedTuple):
    """A line for people."""

    text: str
    level: str = INFO


class StoryEnded(NamedTuple):
    """A task has ended; ``summary`` are a heading and lines of two words or more: what, and its value."""

    outcome: str
    seconds: float
    heading: str = ""
    summary: tuple[tuple[str, str], ...] = ()


Event = (
    StoryBegun
    | StepsPlanned
    | StepStarted
    | StepWaiting
    | StepAdvanced
    | BytesMoved
    | LinePrinted
    | StepFinished
    | LockAwaited
    | ContainerFailed
    | Noted
    | StoryEnded
)


def event_name(kind: type) -> str:
    """Return the name of a kind of event in JSON: ``step-started``."""
    return _CAPITAL.sub("-", kind.__name__).lower()


def document(event: Event, time: str) -> dict[str, Any]:
    """Return an event as JSON data; ``time`` is RFC 3339 UTC."""
    members = event._asdict()
    if isinstance(event, StepsPlanned):
        members["steps"] = [{"step": number, "name": name} for number, name in event.steps]
    if isinstance(event, StoryEnded):
        members["summary"] = [{"name": name, "value": value} for name, value in event.summary]
    if "seconds" in members:
        members["seconds"] = round(members["seconds"], 3)
    return {"schema": SCHEMA, "time": time, "event": event_name(type(event)), **members}
