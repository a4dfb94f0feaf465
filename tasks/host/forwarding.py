"""Passes signals on to child processes."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from types import FrameType
from typing import NoReturn, Protocol, TypeVar

from ..model.errors import StoppedError
from ..model.record import Record
from .output import WARNING, at_terminal, note

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
GRACE = 20.0  # seconds between a signal that was passed on to a child and its SIGKILL
_DOUBT = 3.0  # seconds after which a child that may have missed a Ctrl-C is sent it


class Child(Protocol):
    """A process that was started here."""

    def kill(self) -> None:
        """Kill it."""

    def send_signal(self, sig: int) -> None:
        """Send it a signal."""


_Started = TypeVar("_Started", bound=Child)


class Children:
    """The child processes of several threads: a signal, which the main thread receives, goes to all of them.

    The handler of a signal waits until a child that is being started is registered; after a signal no child is started.
    """

    def __init__(self) -> None:
        self.received: list[int] = []
        self._running: list[Child] = []
        self._lock = threading.RLock()

    def __iter__(self) -> Iterator[Child]:
        with self._lock:
            return iter(tuple(self._running))

    def look(self) -> None:
        """Raise StoppedError when a signal has been received."""
        raise_if_received(self.received)

    @contextlib.contextmanager
    def child(self, start: Callable[[], _Started]) -> Iterator[_Started]:
        """Start a child and register it for the time of the block; raises StoppedError after a signal."""
        with self._lock:
            self.look()
            child = start()
            self._running.append(child)
        try:
            yield child
        finally:
            with self._lock:
                self._running.remove(child)

    def terminate(self) -> None:
        """Ask all children to end; no child is started from now on."""
        self.received.append(signal.SIGTERM)
        for child in self:
            child.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill all children."""
        for child in self:
            child.kill()


def raise_if_received(received: Sequence[int]) -> None:
    """Raise StoppedError when a signal has been received."""
    if received:
        raise StoppedError(received[0], f"stopped by {signal.Signals(received[0]).name}")


class SignalRelay(Record):
    """How signals reach a child that is waited for; ``received`` collects their numbers.

    ``apart``: the child has a session of its own. ``others``: the children of all threads, when several threads work.
    ``grace``: the seconds that the child gets to end after a signal, 0 for the usual time.
    """

    received: list[int]
    apart: bool = False
    others: Children | None = None
    grace: float = 0.0

    @contextlib.contextmanager
    def child(self, start: Callable[[], _Started], started: list[_Started]) -> Iterator[_Started]:
        """Start a child, append it to ``started`` at once, and pass signals on to it until the end of the block."""
        if self.others:
            with self.others.child(start) as child:
                started.append(child)
                yield child
            self.received.extend(self.others.received)
            return
        with forwarding_unless_kept_back(started, self.received, self.apart, self.grace) as catch_up:
            started.append(start())
            catch_up()
            yield started[0]


@contextlib.contextmanager
def signals_postponed() -> Iterator[None]:
    """Postpone signals until the end of a block, so that an action and our record of it are not torn apart.

    Works in the main thread only; commands in the block do not get the signals either.
    """
    received: list[int] = []
    try:
        with _kept_back(received.append):
            yield
    finally:
        if received:
            signal.raise_signal(received[0])


@contextlib.contextmanager
def signals_ignored(message: str) -> Iterator[None]:
    """Ignore signals in a block, also for the commands in it; each signal prints ``message``."""
    with _kept_back(lambda _: note(message, WARNING)):
        yield


class _KeepBack:
    """A signal handler; while it is installed, signals do not reach commands."""

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


def signals_kept_back() -> bool:
    """Whether signals are kept from commands at the moment."""
    return isinstance(signal.getsignal(signal.SIGTERM), _KeepBack)


@contextlib.contextmanager
def signals_blocked() -> Iterator[None]:
    """Block signals for threads that are started in a block: they inherit it, so the main thread gets all signals."""
    earlier = signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, earlier)


class _Forwarder:
    """A signal handler that passes signals on to the children that are running."""

    def __init__(self, started: Iterable[Child], received: list[int], shared: bool, grace: float) -> None:
        self._started, self._grace = started, grace or GRACE
        self._received = received
        self._shared = shared  # a terminal sends its Ctrl-C to the children as well
        self._missed: list[int] = []
        self._timers: list[threading.Timer] = []

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        first = not self._received
        self._received.append(number)
        if not self._started:
            self._missed.append(number)
        for process in self._started:
            if first:
                self._schedule(self._grace, process.kill)
            if not (number == signal.SIGINT and self._shared and first):  # the terminal has sent it already
                self._send(process, number)

    def catch_up(self) -> None:
        """Pass on the signals that came before the child was started."""
        for process in self._started if self._missed else ():
            self._schedule(self._grace, process.kill)
            for number in self._missed:
                # Whether the child existed when the terminal sent its Ctrl-C cannot be known. If it did, it ends by
                # itself, and a second Ctrl-C would make Compose drop what it is doing.
                if number == signal.SIGINT and self._shared:
                    self._schedule(_DOUBT, partial(self._send, process, number))
                else:
                    self._send(process, number)

    def done(self) -> None:
        """Cancel what is scheduled."""
        for timer in self._timers:
            timer.cancel()

    def _schedule(self, seconds: float, action: Callable[[], None]) -> None:
        timer = threading.Timer(seconds, action)
        timer.daemon = True
        timer.start()
        self._timers.append(timer)

    @staticmethod
    def _send(process: Child, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)


def forwarding_unless_kept_back(
    started: Iterable[Child], received: list[int], apart: bool = False, grace: float = 0.0
) -> contextlib.AbstractContextManager[Callable[[], None]]:
    """Pass signals on to the child, as ``forwarding`` does, unless signals are kept from commands at the moment."""
    return contextlib.nullcontext(lambda: None) if signals_kept_back() else forwarding(started, received, apart, grace)


@contextlib.contextmanager
def forwarding(
    started: Iterable[Child], received: list[int], apart: bool = False, grace: float = 0.0
) -> Iterator[Callable[[], None]]:
    """Pass signals on to the child while waiting for it, so that the child itself ends its work.

    Starts before the child, so that no signal is lost: the caller appends the child to ``started`` and then calls the
    yielded function, which passes on what came before. A child that goes on after ``grace`` seconds (0: the usual time)
    is killed. Children ``apart`` (in sessions of their own) get a terminal's Ctrl-C only through this process.
    """
    forward = _Forwarder(started, received, not apart and at_terminal(), grace)
    earlier = {number: signal.signal(number, forward) for number in FORWARDED}
    try:
        yield forward.catch_up
    finally:
        forward.done()
        for number, handler in earlier.items():
            signal.signal(number, handler)


def _stop(number: int, _frame: FrameType | None) -> NoReturn:
    """Handle a signal: raise StoppedError in the code that waits, which cleans up."""
    raise StoppedError(number, f"stopped by {signal.Signals(number).name}")


def stop_on_signals() -> None:
    """Let signals raise StoppedError in the code that waits."""
    for number in FORWARDED:
        signal.signal(number, _stop)
