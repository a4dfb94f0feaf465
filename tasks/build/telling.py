"""Tells a build: a step for each image, with what BuildKit does for it now."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from ..host.story.story import Step, Story, current_story
from ..model.story.events import DONE, FAILED, STOPPED
from .plan.progress import BuildLog


class BuildStory:
    """Takes the lines of a build, in any thread, and tells them as steps of a story."""

    def __init__(self, story: Story, services: Mapping[str, str]) -> None:
        self._story, self._log, self._lock = story, BuildLog(services), threading.Lock()
        self._started: dict[str, float] = {}
        names = list(services.values())
        numbers = story.plan([f"build {name}" for name in names])
        self._planned = dict(zip(names, numbers, strict=True))
        self._steps: dict[str, Step] = {}

    def hear(self, line: str) -> None:
        """Take a line of the build."""
        with self._lock:
            news = self._log.take(line)
            image = news.image or next(iter(self._steps or self._planned), "")
            if image not in self._started and (news.image or not self._steps):
                self._started[image] = time.monotonic()
                self._steps[image] = self._story.begin(f"build {image}", self._planned.get(image, 0))
            step = self._steps.get(image)
            if step is None:  # its image is exported already
                return
            if line.strip():
                step.hear(line)
            if news.image and news.text:
                step.advance(news.text)
            if news.done:
                self._finish(image, DONE)

    def _finish(self, image: str, outcome: str) -> None:
        step = self._steps.pop(image)
        if outcome == DONE:
            step.result = self._log.result(image)
        self._story.finish(step, outcome, time.monotonic() - self._started[image])

    def end(self, outcome: str) -> None:
        """End the steps of images that are not exported; those that are not the cause of a failure were stopped."""
        guilty = self._log.failed.image if self._log.failed else ""
        for image, step in list(self._steps.items()):
            failed = outcome == FAILED and guilty in ("", image)
            if failed and (lines := self._log.unfolded()):
                step.unfold(lines)
            self._finish(image, STOPPED if outcome == FAILED and not failed else outcome)


@contextmanager
def told(services: Mapping[str, str]) -> Iterator[None]:
    """Tell what a build in the block does; ``services`` by their bake targets."""
    story = current_story()
    if story is None or not services:
        yield
        return
    build, outcome = BuildStory(story, services), FAILED
    try:
        with story.listening(build.hear):
            yield
        outcome = DONE
    except KeyboardInterrupt:
        outcome = STOPPED
        raise
    finally:
        build.end(outcome)
