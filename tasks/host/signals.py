"""Children that do not outlive us."""

import os
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1  # https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html


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
