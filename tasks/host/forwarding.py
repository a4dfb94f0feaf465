"""Passes signals on to children."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Protocol

from .output import at_terminal, note

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
GRACE = 20.0  # seconds that a child has to end after a signal was passed on, before it is killed


class Child(Protocol):
    """A process that was started."""

    def kill(self) -> None:
        """End it at once."""

    def send_signal(self, sig: int) -> None:
        """Send it a signal."""


@contextlib.contextmanager
def postponed() -> Iterator[None]:
    """Keep signals waiting until the end of a block: between a deed and our knowing of it, things get lost.

    Of the main thread only; commands in the block do not hear of them either.
    """
    received: list[int] = []
    try:
        with _kept_back(received.append):
            yield
    finally:
        if received:
            signal.raise_signal(received[0])


@contextlib.contextmanager
def undisturbed(message: str) -> Iterator[None]:
    """Let no signal end a block, nor reach the commands in it; whoever sends one is told ``message``."""
    with _kept_back(lambda _: note(message)):
        yield


class _KeepBack:
    """A handler in whose time commands hear of no signal."""

    def __init__(self, handle: Callable[[int], None]) -> None:
        self._handle = handle

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        self._handle(number)


@contextlib.contextmanager
def _kept_back(handle: Callable[[int], None]) -> Iterator[None]:
    earlier = {number: signal.signal(number, _KeepBack(handle)) for number in FORWARDED}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


def kept_back() -> bool:
    """Whether signals are kept from commands now."""
    return isinstance(signal.getsignal(signal.SIGTERM), _KeepBack)


@contextlib.contextmanager
def blocked() -> Iterator[None]:
    """Start threads that no signal interrupts: they keep what they were started with, signals are for the main one."""
    earlier = signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, earlier)


@contextlib.contextmanager
def forwarding(started: Sequence[Child], received: list[int], apart: bool = False) -> Iterator[None]:
    """Pass signals on to the child while waiting for it, so that it is the child that ends the work.

    Begins before the child does, so that no signal falls between; ``started`` gets the child. One that goes on
    after the grace time is killed. Children that stand ``apart`` (sessions of their own) hear a terminal's Ctrl-C
    through us only.
    """
    shared = not apart and at_terminal()
    timers: list[threading.Timer] = []

    def forward(number: int, _frame: FrameType | None) -> None:
        first = not received
        received.append(number)
        for process in started:
            if first:
                timers.append(threading.Timer(GRACE, process.kill))
                timers[-1].daemon = True
                timers[-1].start()
            if number == signal.SIGINT and shared and first:
                return  # the terminal has sent it to the child already
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)

    earlier = {number: signal.signal(number, forward) for number in FORWARDED}
    try:
        yield
    finally:
        for timer in timers:
            timer.cancel()
        for number, handler in earlier.items():
            signal.signal(number, handler)
