"""Signals beyond what the runner passes on: work that none may interrupt, children that do not outlive us."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from ..plan.errors import StoppedError

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PR_SET_PDEATHSIG = 1  # https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html


@contextmanager
def deferred() -> Iterator[None]:
    """Let no signal interrupt a block; raises StoppedError after it when one came. Of the main thread only."""
    received: list[int] = []

    def remember(number: int, _frame: FrameType | None) -> None:
        received.append(number)

    earlier = {number: signal.signal(number, remember) for number in _STOPPING}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
    if received:
        raise StoppedError(received[0], f"stopped by {signal.Signals(received[0]).name}")


def die_with(parent: int) -> Callable[[], None] | None:
    """Return what a child calls before it starts, so that the kernel asks it to end when its parent is killed.

    None where the kernel does not do that.
    """
    if not sys.platform.startswith("linux"):
        return None
    import ctypes  # few tasks want it

    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def prepare() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it was killed before that
            os.kill(os.getpid(), signal.SIGTERM)

    return prepare
