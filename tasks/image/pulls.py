"""Tells how much Compose pulls, in bytes, while it pulls."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from ..host.story.story import current_step, current_story
from ..host.story.telling import tells_progress
from ..model.units import show_size
from .plan.progress import MovedBytes

_TELL = 0.5  # seconds between two words on how far it is


@contextmanager
def pulls_told() -> Iterator[None]:
    """Tell in a block how many bytes the commands of this thread pull, in the step that it is in, which ends with all.

    Compose prints the bytes of each layer where it has no terminal, and its output is read.
    """
    story, step = current_story(), current_step()
    if story is None:
        yield
        return
    moving, drawn, next_word = MovedBytes(), tells_progress(), 0.0

    def hear(line: str) -> None:
        nonlocal next_word
        step.hear(line)
        if moving.take(line) and drawn and (moving.complete or time.monotonic() > next_word):
            next_word = time.monotonic() + _TELL
            step.move(moving.moved, moving.total)

    with story.listening(hear):
        yield
    if moving.total:
        step.result = show_size(moving.total)
