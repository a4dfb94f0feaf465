"""The stacks that go through a week of releases, each with its steps: the sample, and three others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.life.stack import Stack
from tests.life.week import Step

from . import plain, proxied, queue, sample


@dataclass(frozen=True)
class Life:
    """How a stack is made, and its steps: those of the whole week, and a short selection."""

    make: Callable[[Path], Stack]
    week: Sequence[Step]
    short: Sequence[Step]


LIVES = {
    "sample": Life(sample.make, sample.WEEK, sample.SHORT),
    "plain": Life(plain.make, plain.WEEK, plain.SHORT),
    "queue": Life(queue.make, queue.WEEK, queue.SHORT),
    "proxied": Life(proxied.make, proxied.WEEK, proxied.SHORT),
}
