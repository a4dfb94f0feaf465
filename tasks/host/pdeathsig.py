"""Child processes that end when we are killed, or when their time is up."""

import contextlib
import os
import select
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
    import ctypes  # few tasks need it

    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def prepare() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # the parent was killed before the call
            os.kill(os.getpid(), signal.SIGTERM)

    return prepare


def wait_for_child(pid: int, seconds: float | None) -> float | None:
    """Wait for a child, at most ``seconds``; return the timeout for Popen's own wait, None when it has ended.

    Popen's own wait with a timeout polls every 50 ms, and a deploy runs many short commands; a process descriptor
    reports the end at once. Without such a descriptor (no Linux, reaped already) all seconds are left.
    """
    if seconds is None:
        return None
    with contextlib.suppress(AttributeError, OSError):
        descriptor = os.pidfd_open(pid)
        try:
            watch = select.poll()
            watch.register(descriptor, select.POLLIN)
            return None if watch.poll(seconds * 1000) else 0.0
        finally:
            os.close(descriptor)
    return seconds
