"""Passes signals on to children."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from types import FrameType
from typing import Protocol

from .output import at_terminal, note

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
GRACE = 20.0  # seconds that a child has to end after a signal was passed on, before it is killed
_DOUBT = 3.0  # seconds after which a child that may have missed a Ctrl-C is sent it


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


class _Forwarder:
    """Hears signals and passes them on to the children that there are."""

    def __init__(self, started: Sequence[Child], received: list[int], shared: bool) -> None:
        self._started = started
        self._received = received
        self._shared = shared  # a terminal sends its Ctrl-C to the children too
        self._missed: list[int] = []
        self._timers: list[threading.Timer] = []

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        first = not self._received
        self._received.append(number)
        if not self._started:
            self._missed.append(number)
        for process in self._started:
            if first:
                self._later(GRACE, process.kill)
            if not (number == signal.SIGINT and self._shared and first):  # the terminal has sent it already
                self._send(process, number)

    def catch_up(self) -> None:
        """Pass on what came before the child did."""
        for process in self._started if self._missed else ():
            self._later(GRACE, process.kill)
            for number in self._missed:
                # Nobody can tell whether the child was there already when the terminal sent its Ctrl-C. One that was
                # ends by itself; a second one would make Compose drop what it is doing.
                if number == signal.SIGINT and self._shared:
                    self._later(_DOUBT, partial(self._send, process, number))
                else:
                    self._send(process, number)

    def done(self) -> None:
        """Forget what was to be done later."""
        for timer in self._timers:
            timer.cancel()

    def _later(self, seconds: float, deed: Callable[[], None]) -> None:
        timer = threading.Timer(seconds, deed)
        timer.daemon = True
        timer.start()
        self._timers.append(timer)

    @staticmethod
    def _send(process: Child, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)


@contextlib.contextmanager
def forwarding(started: Sequence[Child], received: list[int], apart: bool = False) -> Iterator[Callable[[], None]]:
    """Pass signals on to the child while waiting for it, so that it is the child that ends the work.

    Begins before the child does, so that no signal falls between: ``started`` gets the child, and then the function
    that the block is given is called and passes on what came before. A child that goes on after the grace time is
    killed. Children that stand ``apart`` (sessions of their own) hear a terminal's Ctrl-C through us only.
    """
    forward = _Forwarder(started, received, shared=not apart and at_terminal())
    earlier = {number: signal.signal(number, forward) for number in FORWARDED}
    try:
        yield forward.catch_up
    finally:
        forward.done()
        for number, handler in earlier.items():
            signal.signal(number, handler)
