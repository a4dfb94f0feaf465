"""Tells what files say while commands write them: their last lines, and how much there is."""

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...model.quoting import cut, without_escapes
from .looking import looking
from .story import Step, current_step, current_story

_LOOK = 0.5  # seconds between two looks at a file
_END = 4096  # bytes at the end of a log in which the last line is looked for


def last_line(path: Path) -> str:
    """Return the last line of a log that is being written, "" when there is none yet."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        file.seek(max(os.fstat(file.fileno()).st_size - _END, 0))
        lines = file.read(_END).decode(errors="replace").splitlines()
        return next((cut(line.strip()) for line in map(without_escapes, reversed(lines)) if line.strip()), "")
    return ""


def tell_last_line(step: Step, path: Path) -> None:
    """Tell the last line of a log as what a step does now."""
    if current_story() and (line := last_line(path)):
        step.advance(line)


@contextmanager
def growing(path: Path) -> Iterator[None]:
    """Tell how many bytes a file has that is written in the block."""
    if current_story() is None:
        yield
        return
    step = current_step()

    def look() -> None:
        with contextlib.suppress(OSError):
            step.move(path.stat().st_size)

    with looking(look, _LOOK):
        yield
