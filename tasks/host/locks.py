"""Holding the deploy lock: taken in turn, renewed while it is held, and proved before what must not be done twice."""

import contextlib
import os
import pwd
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..plan.errors import LockLostError, RefusedError, SlipwayError
from ..plan.lock import BACKUP, DEPLOY, Held, Lock, container_name, stale, ticket_ttl, time_to_live
from ..plan.units import show_duration
from .forwarding import GRACE, blocked, postponed
from .output import confirm, note
from .processes import identity
from .project import Project

if TYPE_CHECKING:
    from .engine_locks import Locks

_POLL = 0.5  # seconds between two looks at a lock that somebody else holds
_MARK = "SLIPWAY_LOCK"  # what the commands that a holder runs carry in their environment
_SETTLE = 2.0  # seconds that one who found us late may take to remove our lock


class Handle:
    """The lock that we hold; of a dry run, one that is never lost."""

    def __init__(self, locks: "Locks | None" = None, held: Held | None = None) -> None:
        self._locks = locks
        self._held = held
        self._renewed = _clock()

    @property
    def token(self) -> str:
        """What tells this lock from every other one, before and after it; "" in a dry run."""
        return self._held.token if self._held else ""

    def verify(self) -> None:
        """Make sure that the lock is ours and renewed, right before a step that two must not do.

        Raises LockLostError when it was broken, or taken over because we were silent for too long.
        """
        if self._locks is None or self._held is None:
            return
        late = _clock() - self._renewed > self._held.lock.ttl
        self.renew(self._locks)
        if late:  # somebody may have seen it expired just before, and be about to remove it
            time.sleep(_SETTLE)
            self.renew(self._locks)

    def renew(self, locks: "Locks") -> None:
        """Renew the lock over a connection of the caller's; raises LockLostError."""
        if self._held is None:
            return
        asked = _clock()
        if not locks.renew(self._held):
            raise LockLostError(
                f"the lock of {self._held.lock.project} ({self._held.lock.reason}) is no longer ours: it was broken, "
                f"or it expired while the engine did not hear from us",
                "nothing more was done; look what runs now (`inv deploy.status`), then start again",
            )
        self._renewed = max(self._renewed, asked)


def _clock() -> float:
    """Return a clock that goes on while the machine sleeps, where there is one."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class _Renewal(threading.Thread):
    """Renews a lock three times within its time to live, over a connection of its own."""

    def __init__(self, project: Project, handle: Handle, ttl: float) -> None:
        super().__init__(name="lock renewal", daemon=True)
        self._project = project
        self._handle = handle
        self._pause = ttl / 3
        self._ended = threading.Event()

    def run(self) -> None:
        locks: Locks | None = None
        while not self._ended.wait(self._pause):
            try:
                locks = locks or _open(self._project)
                self._handle.renew(locks)
            except LockLostError as error:
                if not self._ended.is_set():
                    note(f"{error.message}; what needs it will be refused")
                return
            except SlipwayError:  # the engine does not answer: the next time it may
                locks = None

    def end(self) -> None:
        self._ended.set()


def _open(project: Project) -> "Locks":
    from .engine_locks import Locks

    return Locks(project.connect())


@contextmanager
def held(
    project: Project, reason: str, wait: float = 0.0, scope: str = DEPLOY, nested: bool = False
) -> Iterator[Handle]:
    """Hold a project's lock; waits up to ``wait`` seconds for it.

    Raises RefusedError that names its holder. In a dry run nothing is locked. ``nested``: a task that the holder itself
    started, such as from a hook, works under the holder's lock.
    """
    if project.runner.dry:
        yield Handle()
        return
    from .engine_locks import Locks

    locks = Locks(project.engine)
    wanted = _wanted(project, reason, scope)
    if nested and (found := locks.find(wanted.name)) and found.token == os.environ.get(_MARK):
        yield Handle()
        return
    taken: Held | None = None
    renewal: _Renewal | None = None
    try:
        taken = _take_in_turn(project, locks, wanted, wait)
        handle = Handle(locks, taken)
        renewal = _Renewal(project, handle, wanted.ttl)
        with blocked():
            renewal.start()
        with _marked(taken.token):
            yield handle
    finally:
        if renewal:
            renewal.end()
        with postponed():
            _release(locks, wanted, taken)


@contextmanager
def _marked(token: str) -> Iterator[None]:
    """Let every command that is run carry the lock in its environment: what is left of it can be found by that."""
    earlier = os.environ.get(_MARK)
    os.environ[_MARK] = token
    try:
        yield
    finally:
        os.environ.pop(_MARK)
        if earlier is not None:
            os.environ[_MARK] = earlier


def _end_orphans(token: str) -> None:
    """End the commands of a holder that is gone: they would go on changing what the next one works on."""
    left = _marked_processes(token)
    if not left:
        return
    note(f"ending what it left running: process {', '.join(map(str, left))}")
    _send(left, signal.SIGTERM)
    deadline = time.monotonic() + GRACE
    while (left := _marked_processes(token)) and time.monotonic() < deadline:
        time.sleep(0.1)
    _send(left, signal.SIGKILL)


def _send(processes: list[int], number: signal.Signals) -> None:
    for pid in processes:
        with contextlib.suppress(OSError):
            os.kill(pid, number)


def _marked_processes(token: str) -> list[int]:
    mark = f"{_MARK}={token}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if mark in entry.read_bytes().split(b"\0"):
                found.append(int(entry.parent.name))
    return found


def _release(locks: "Locks", wanted: Lock, taken: Held | None) -> None:
    """Remove the lock, also one that was taken in the moment in which a signal came."""
    try:
        mine = taken or _ours(locks, wanted)
        if mine:
            locks.drop(mine)
    except SlipwayError as error:  # how the work itself ended is what counts
        note(f"the lock of {wanted.project} was not removed, it expires by itself: {error.message}")


def _ours(locks: "Locks", wanted: Lock) -> Held | None:
    """Return the lock when it is this very process that made it."""
    with contextlib.suppress(SlipwayError):
        found = locks.find(wanted.name)
        if found and found.lock == wanted:
            return found
    return None


def _wanted(project: Project, reason: str, scope: str) -> Lock:
    return Lock(
        project=project.stack.project,
        holder=operator(),
        host=socket.gethostname(),
        pid=os.getpid(),
        reason=reason,
        process=identity(os.getpid()),
        ttl=time_to_live(project.profile.text("LOCK_TTL")),
        scope=scope,
    )


def _take_in_turn(project: Project, locks: "Locks", wanted: Lock, wait: float) -> Held:
    place = _Place(locks, wanted)
    try:
        return _take(project, locks, wanted, wait, place)
    finally:
        with postponed():
            place.leave()


def _take(project: Project, locks: "Locks", wanted: Lock, wait: float, place: "_Place") -> Held:
    started = time.monotonic()
    said, left = False, ""
    while True:
        ahead = place.ahead()
        with postponed():
            found = locks.find(wanted.name)
            taken = None if found or ahead else locks.take(wanted)
        if taken and left:
            note(left)
        if taken:
            return taken
        if found and (reason := _stale(locks, found, wanted)):
            # Only that very lock, so that of many who find it stale one takes over, and the others meet its lock.
            _end_orphans(found.token)
            locks.drop(found)
            left = f"took over the lock of {found}: {reason}"
            continue
        if not found and not ahead:
            continue
        what = f"{wanted.project} is locked by {found}" if found else f"{ahead} waits for the lock of {wanted.project}"
        if time.monotonic() - started >= wait:
            waited = f"; waited {show_duration(wait)} for it" if wait else ""
            raise RefusedError(
                f"{what}{waited}",
                "try again with --wait 5m; if that holder is gone for sure: "
                f"inv deploy.unlock --env {project.profile.environment}",
            )
        place.keep()
        if not said:
            note(f"waiting up to {show_duration(wait)}: {what}")
            said = True
        time.sleep(min(_POLL, max(wait - (time.monotonic() - started), 0.0)))


class _Place:
    """Our place among those who wait for a lock: the engine gives places out, and its clock orders them."""

    def __init__(self, locks: "Locks", wanted: Lock) -> None:
        self._locks, self._wanted = locks, wanted
        self._ticket: Held | None = None
        self._renewed = 0.0

    def ahead(self) -> Held | None:
        """Return the first of those who came before us, None when it is our turn. Who is gone loses the place."""
        for one in self._locks.queue(self._wanted):
            if self._ticket and one.token == self._ticket.token:
                return None
            if not _stale(self._locks, one, self._wanted):
                return one
            self._locks.drop(one)
        return None

    def keep(self) -> None:
        """Take a place at the end, or say that we still want ours; one that was lost is taken anew."""
        due = _clock() - self._renewed > ticket_ttl(self._wanted) / 3
        if self._ticket and due and not self._locks.renew(self._ticket):
            self._ticket = None
        if self._ticket is None:
            with postponed():
                self._ticket = self._locks.queue_up(self._wanted)
        if due:
            self._renewed = _clock()

    def leave(self) -> None:
        """Give the place up."""
        if self._ticket:
            with contextlib.suppress(SlipwayError):  # it expires by itself
                self._locks.drop(self._ticket)


def _stale(locks: "Locks", found: Held, wanted: Lock) -> str:
    """Return why a lock counts no more, "" while it does."""
    return stale(found, wanted, found.lock.process == identity(found.lock.pid), locks.now())


def operator() -> str:
    """Return the name of the user who runs this, the number of one without a name."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # such as in a container
        return os.environ.get("USER") or f"uid {os.getuid()}"


def who() -> str:
    """Return the name of the user who runs this, and where."""
    return f"{operator()}@{socket.gethostname()}"


def unlock(project: Project, yes: bool) -> None:
    """Break the locks of a project after a confirmation: the one of deploys, and that of backups."""
    locks = _open(project)
    name = project.stack.project
    held = [one for scope in (DEPLOY, BACKUP) if (one := locks.find(container_name(name, scope)))]
    if not held:
        note(f"{name} is not locked")
        return
    for found in held:
        if project.runner.dry:
            project.runner.show(f"remove the lock of {found}")
            continue
        confirm(f"break the lock of {found}", yes)
        locks.drop(found)
    if not project.runner.dry:
        note(f"{name} is unlocked")
