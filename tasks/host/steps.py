"""The steps of a report: how long each took, and whether it was completed."""

import contextlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .story import story


@contextmanager
def step(steps: list[dict[str, Any]], name: str, told: bool = True) -> Iterator[None]:
    """Add a step to a report: its duration in seconds, and its outcome, "done" or "failed".

    ``told``: it is a step of the story as well.
    """
    started = time.monotonic()
    entry: dict[str, Any] = {"name": name, "seconds": 0.0, "outcome": "failed"}
    steps.append(entry)
    try:
        with story.step(name) if told else contextlib.nullcontext():
            yield
        entry["outcome"] = "done"
    finally:
        entry["seconds"] = round(time.monotonic() - started, 3)
