"""Holds the deploy lock: takes it in turn, renews it, and verifies it before steps that must not be done twice."""

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

from ..model.errors import LockLostError, RefusedError, SlipwayError
from ..model.lock import BACKUP, DEPLOY, HeldLock, Lock, LockStore, container_name, stale, ticket_ttl, time_to_live
from ..model.story.events import StoryBegun
from ..model.units import show_duration
from .forwarding import GRACE, signals_blocked, signals_postponed
from .output import WARNING, confirm, note
from .processes import identity
from .project import Project
from .story.story import Step, step

_POLL = 0.5  # seconds between two looks at a lock that another process holds
_MARK = "SLIPWAY_LOCK"  # the variable in the environment of the commands that a lock holder runs
_AGENT = "SLIPWAY_AGENT"  # the variable by which a deploy knows that an agent started it: its name
_SETTLE = 2.0  # seconds that a process which saw our lock expired may take to remove it


class LockHandle:
    """A lock that this process holds; in a dry run there is none, and it is never lost."""

    def __init__(self, locks: LockStore | None = None, held: HeldLock | None = None) -> None:
        self._locks = locks
        self._held = held
        self._renewed = _clock()

    @property
    def token(self) -> str:
        """The id of this very lock, unlike that of any earlier or later lock of its name; "" in a dry run."""
        return self._held.token if self._held else ""

    def verify(self) -> None:
        """Make sure that the lock is still ours and renewed, right before a step that two processes must not both do.

        Raises LockLostError when it was broken, or taken over because we were silent for too long.
        """
        if self._locks is None or self._held is None:
            return
        late = _clock() - self._renewed > self._held.lock.ttl
        self.renew(self._locks)
        if late:  # another process may have seen it expired, and be about to remove it
            time.sleep(_SETTLE)
            self.renew(self._locks)

    def renew(self, locks: LockStore) -> None:
        """Renew the lock over the caller's connection; raises LockLostError when it is lost."""
        if self._held is None:
            return
        asked = _clock()
        if not locks.renew(self._held):
            raise LockLostError(
                f"the lock of {self._held.lock.project} ({self._held.lock.reason}) is no longer ours: it was broken, "
                f"or it expired while the engine did not hear from us",
                "nothing more was done; see what runs now (`inv deploy.status`), then start again",
            )
        self._renewed = max(self._renewed, asked)


def _clock() -> float:
    """Return the seconds of a clock that goes on while the machine sleeps, where there is such a clock."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class _Renewal(threading.Thread):
    """Renews a lock three times within its time to live, over a connection of its own."""

    def __init__(self, project: Project, handle: LockHandle, ttl: float) -> None:
        super().__init__(name="lock renewal", daemon=True)
        self._project = project
        self._handle = handle
        self._pause = ttl / 3
        self._ended = threading.Event()

    def run(self) -> None:
        locks: LockStore | None = None
        while not self._ended.wait(self._pause):
            try:
                locks = locks or _open(self._project)
                self._handle.renew(locks)
            except LockLostError as error:
                if not self._ended.is_set():
                    note(f"{error.message}; steps that need it will be refused", WARNING)
                return
            except SlipwayError:  # the engine does not answer: try again next time
                locks = None

    def end(self) -> None:
        self._ended.set()


def _open(project: Project, apart: bool = True) -> LockStore:
    """Return the locks of a project; ``apart``: over a connection of its own, as each thread needs it."""
    if project.locks:
        return project.locks()
    from .engine.lock_containers import Locks

    return Locks(project.connect() if apart else project.engine)


@contextmanager
def project_lock(
    project: Project, reason: str, wait: float = 0.0, scope: str = DEPLOY, nested: bool = False
) -> Iterator[LockHandle]:
    """Hold a project's lock during a block; wait up to ``wait`` seconds for it.

    Raises RefusedError that names the lock holder. In a dry run nothing is locked. ``nested``: a task that the holder
    itself started, such as from a hook, works under the holder's lock.
    """
    if project.runner.dry:
        yield LockHandle()
        return
    locks = _open(project, apart=False)
    wanted = _wanted(project, reason, scope)
    if nested and (current := locks.find(wanted.name)) and current.token == os.environ.get(_MARK):
        yield LockHandle()
        return
    taken: HeldLock | None = None
    renewal: _Renewal | None = None
    try:
        taken = _take_in_turn(project, locks, wanted, wait)
        handle = LockHandle(locks, taken)
        renewal = _Renewal(project, handle, wanted.ttl)
        with signals_blocked():
            renewal.start()
        with _marked(taken.token):
            yield handle
    finally:
        if renewal:
            renewal.end()
        with signals_postponed():
            _release(locks, wanted, taken)


@contextmanager
def _marked(token: str) -> Iterator[None]:
    """Put the lock into the environment of the commands of a block, which tells what a killed holder left running."""
    earlier = os.environ.get(_MARK)
    os.environ[_MARK] = token
    try:
        yield
    finally:
        os.environ.pop(_MARK)
        if earlier is not None:
            os.environ[_MARK] = earlier


def _end_orphans(token: str) -> None:
    """End the commands that a lock holder left running: they would change what the next lock holder works on."""
    left = _marked_processes(token)
    if not left:
        return
    note(f"ending what the former lock holder left running: process {', '.join(map(str, left))}")
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
    pids = []
    for entry in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if mark in entry.read_bytes().split(b"\0"):
                pids.append(int(entry.parent.name))
    return pids


def _release(locks: LockStore, wanted: Lock, taken: HeldLock | None) -> None:
    """Remove the lock, also when a signal came in the moment in which it was taken."""
    try:
        mine = taken or _ours(locks, wanted)
        if mine:
            locks.drop(mine)
    except SlipwayError as error:  # how the work itself ended is what counts
        note(f"the lock of {wanted.project} was not removed, it expires by itself: {error.message}", WARNING)


def _ours(locks: LockStore, wanted: Lock) -> HeldLock | None:
    """Return the lock when this very process took it, else None."""
    with contextlib.suppress(SlipwayError):
        current = locks.find(wanted.name)
        if current and current.lock == wanted:
            return current
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


def _take_in_turn(project: Project, locks: LockStore, wanted: Lock, wait: float) -> HeldLock:
    place = _Place(locks, wanted)
    try:
        with contextlib.ExitStack() as until:
            return _take(project, locks, wanted, wait, place, _Queueing(project, wanted, wait, until))
    finally:
        with signals_postponed():
            place.leave()


def _take(
    project: Project, locks: LockStore, wanted: Lock, wait: float, place: "_Place", queueing: "_Queueing"
) -> HeldLock:
    started, takeover = time.monotonic(), ""
    while True:
        ahead = place.ahead()
        with signals_postponed():
            current = locks.find(wanted.name)
            taken = None if current or ahead else locks.take(wanted)
        if taken and takeover:
            note(takeover)
        if taken:
            return taken
        if current and (reason := _stale(locks, current, wanted)):
            # Exactly this lock: of several processes that see it as stale one takes over, the others meet its new lock.
            _end_orphans(current.token)
            locks.drop(current)
            takeover = f"took over the lock of {current}: {reason}"
            continue
        if not current and not ahead:
            continue
        project_name = wanted.project
        what = f"{project_name} is locked by {current}" if current else f"{ahead} waits for the lock of {project_name}"
        if time.monotonic() - started >= wait:
            waited = f"; waited {show_duration(wait)} for it" if wait else ""
            raise RefusedError(
                f"{what}{waited}",
                "try again with --wait 5m; if that holder is gone for sure: "
                f"inv deploy.unlock --env {project.profile.environment}",
            )
        place.keep()
        queueing.tell(current or ahead, place.position)
        time.sleep(min(_POLL, max(wait - (time.monotonic() - started), 0.0)))


class _Queueing:
    """Tells who has the lock that we wait for; the step ends with ``until``."""

    def __init__(self, project: Project, wanted: Lock, limit: float, until: contextlib.ExitStack) -> None:
        self._project, self._wanted, self._limit, self._until = project, wanted, limit, until
        self._step: Step | None = None

    def tell(self, ahead: HeldLock | None, position: int) -> None:
        """Tell who has the lock, or is before us in the queue for it, and our place, from 1."""
        if self._step is None:
            from .story.telling import story

            begun = StoryBegun("wait", self._wanted.project, self._project.profile.environment)
            self._until.enter_context(story(self._project, begun, log=False))
            self._step = self._until.enter_context(step("wait for the lock"))
        if ahead:
            lock = ahead.lock
            self._step.queue(
                lock.project, f"{lock.holder}@{lock.host}", ahead.since, lock.reason, position, self._limit
            )


class _Place:
    """Our place in the queue for a lock: the engine gives the places out, and its clock orders them."""

    def __init__(self, locks: LockStore, wanted: Lock) -> None:
        self._locks, self._wanted = locks, wanted
        self._ticket: HeldLock | None = None
        self._renewed = 0.0
        self.position = 0  # in the queue, from 1; 0 while we have no place

    def ahead(self) -> HeldLock | None:
        """Return the first process in the queue before us, None when it is our turn; drop stale places."""
        queue = self._locks.queue(self._wanted)
        mine = self._ticket.token if self._ticket else ""
        self.position = next((number for number, ticket in enumerate(queue, 1) if ticket.token == mine), 0)
        for ticket in queue:
            if self._ticket and ticket.token == self._ticket.token:
                return None
            if not _stale(self._locks, ticket, self._wanted):
                return ticket
            self._locks.drop(ticket)
        return None

    def keep(self) -> None:
        """Take a place at the end of the queue, or renew ours; a place that was lost is taken again, at the end."""
        due = _clock() - self._renewed > ticket_ttl(self._wanted) / 3
        if self._ticket and due and not self._locks.renew(self._ticket):
            self._ticket = None
        if self._ticket is None:
            with signals_postponed():
                self._ticket = self._locks.queue_up(self._wanted)
            self.position = len(self._locks.queue(self._wanted))
        if due:
            self._renewed = _clock()

    def leave(self) -> None:
        """Give up the place in the queue."""
        if self._ticket:
            with contextlib.suppress(SlipwayError):  # it expires by itself
                self._locks.drop(self._ticket)


def _stale(locks: LockStore, current: HeldLock, wanted: Lock) -> str:
    """Return why a lock is no longer valid, "" while it is."""
    return stale(current, wanted, current.lock.process == identity(current.lock.pid), locks.now())


def operator() -> str:
    """Return the name of the agent or user who runs this, or ``uid NUMBER`` for a user without a name."""
    if agent := os.environ.get(_AGENT):
        return agent
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # such as in a container
        return os.environ.get("USER") or f"uid {os.getuid()}"


def by_agent(name: str) -> dict[str, str]:
    """Return the environment of deploys that an agent starts: they are done by it, not by its user.

    They do not belong to the agent's own lock: a deploy whose agent was killed goes back by itself, under its own lock.
    """
    return {_AGENT: name, _MARK: ""}


def user_at_host() -> str:
    """Return who runs this, as ``user@host``."""
    return f"{operator()}@{socket.gethostname()}"


def left(project: Project, drop: bool = False, scope: str = DEPLOY) -> tuple[HeldLock | None, str]:
    """Return a lock of a project, None when it is free, and why it is no longer valid, "" while it is.

    ``drop`` removes it in that case; a valid one is left alone.
    """
    locks = _open(project)
    held = locks.find(container_name(project.stack.project, scope))
    why = _stale(locks, held, _wanted(project, "doctor", scope)) if held else ""
    if held and why and drop:
        locks.drop(held)
    return held, why


def unlock(project: Project, yes: bool) -> None:
    """Break the locks of a project after a confirmation: that of deploys, and that of backups."""
    locks = _open(project)
    name = project.stack.project
    held = [current for scope in (DEPLOY, BACKUP) if (current := locks.find(container_name(name, scope)))]
    if not held:
        note(f"{name} is not locked")
        return
    for lock in held:
        if project.runner.dry:
            project.runner.show(f"remove the lock of {lock}")
            continue
        confirm(f"break the lock of {lock}", yes)
        locks.drop(lock)
    if not project.runner.dry:
        note(f"{name} is unlocked")
