"""Runs each operation as soon as those before it are done: several in threads, a single one in the main thread.

A single operation runs like in any single-threaded program: signals, questions and child processes need no care. When
several can run, each gets a thread and a connection to the engine of its own, and signals reach all children.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ..host.forwarding import GRACE, Children
from ..host.project import Project
from ..model.compose import ANSWER_SECONDS
from .plan.operation import Operation

AT_ONCE = 4
_LOOK = 0.1  # seconds between two checks for signals while threads work
_FINISH = 60.0  # seconds that running operations get to finish after a failure, before they are terminated
_REAP = 5.0  # seconds that a thread gets to notice that its command was killed


@dataclass
class Tools:
    """What operations need in addition to the engine.

    - ``verify`` raises LockLostError when the project's lock is lost.
    - ``probe`` runs the smoke test against the given containers and raises DeployError when it fails, also when it was
      repeated for the given seconds.
    - ``back_up`` saves the data of a database, ``restore`` puts the recorded files of a release on the engine.
    - ``release``: the id of the release that is being deployed.
    - ``answer``: seconds that the engine gets for a command, in addition to stop graces and waits.
    - ``steps``: the steps of the report; ``Steps`` appends to it. ``watched``: what numbers said of new containers.
    """

    verify: Callable[[], None]
    probe: Callable[[Project, Sequence[str], float], None]
    back_up: Callable[[str], None]
    restore: Callable[[], None] = lambda: None
    release: int = 0
    answer: float = ANSWER_SECONDS
    steps: list[dict[str, Any]] = field(default_factory=list)
    watched: list[dict[str, Any]] = field(default_factory=list)


class ThreadProject(threading.local):
    """The project of the current thread, with the thread's own connection to the engine."""

    def __init__(self, project: Project) -> None:
        self.project = project


@dataclass
class _Step:
    """A step of the report; its time counts while at least one of its operations runs."""

    entry: dict[str, Any]
    working: int = 0
    since: float = 0.0
    seconds: float = 0.0
    outcome: str = "done"


class Steps:
    """The steps of the report: consecutive operations of the same group are one step.

    ``halted``: an operation has failed; steps that end with an error from now on count as stopped, not as failed.
    """

    def __init__(self, entries: list[dict[str, Any]], operations: Sequence[Operation]) -> None:
        self._entries, self._lock = entries, threading.Lock()
        self.halted = False
        self._steps: dict[int, _Step] = {}
        last, group = _Step({}), ""
        for operation in operations:
            if operation.group != group:
                last, group = _Step({"name": operation.group, "seconds": 0.0, "outcome": "failed"}), operation.group
            self._steps[operation.number] = last

    @contextmanager
    def of(self, operation: Operation) -> Iterator[None]:
        """Measure an operation as part of its step and record its outcome."""
        step = self._steps[operation.number]
        with self._lock:
            if not any(entry is step.entry for entry in self._entries):
                self._entries.append(step.entry)
            step.entry["outcome"] = "failed"
            step.since = step.since if step.working else time.monotonic()
            step.working += 1
        try:
            yield
        except BaseException:
            step.outcome = "stopped" if self.halted and step.outcome == "done" else "failed"
            raise
        finally:
            with self._lock:
                step.working -= 1
                if not step.working:
                    step.seconds += time.monotonic() - step.since
                    step.entry |= {"seconds": round(step.seconds, 3), "outcome": step.outcome}

    def blame(self, operation: Operation) -> None:
        """Move the step of the operation that failed first to the end of the report, where a reader looks first."""
        with self._lock:
            self.halted = True
            entry = self._steps[operation.number].entry
            self._entries[:] = [*(other for other in self._entries if other is not entry), entry]


class Parallel:
    """Runs the operations of a plan. Raises the error of the operation that failed first."""

    def __init__(
        self,
        project: Project,
        operations: Sequence[Operation],
        work: Callable[[Project, Operation], None],
        steps: Steps,
    ) -> None:
        self._project, self._work, self._steps = project, work, steps
        self._left = {operation.number: operation for operation in operations}
        self._done: set[int] = set()
        self._running: dict[int, Project] = {}
        self._spare: list[Project] = []
        self._ended: queue.SimpleQueue[tuple[Operation, BaseException | None]] = queue.SimpleQueue()

    def carry_out(self) -> None:
        """Run all operations."""
        while ready := self._ready():
            if len(ready) > 1:
                self._together()
                continue
            with self._steps.of(ready[0]):
                self._work(self._project, ready[0])
            self._finished(ready[0])

    def _ready(self) -> list[Operation]:
        waiting = (operation for operation in self._left.values() if operation.number not in self._running)
        return [operation for operation in waiting if self._done.issuperset(operation.after)]

    def _finished(self, operation: Operation) -> None:
        self._done.add(operation.number)
        del self._left[operation.number]

    def _together(self) -> None:
        """Run operations in threads until no two of them can run at once."""
        with self._project.runner.together() as children:
            try:
                self._begin()
                while self._running:
                    self._hear(_LOOK, fails=True)
                    children.look()
                    self._begin()
            except BaseException:
                self._steps.halted = True
                self._halt(children)
                raise

    def _begin(self) -> None:
        ready = self._ready()
        if len(ready) + len(self._running) < 2:
            return
        for operation in ready[: AT_ONCE - len(self._running)]:
            project = self._spare.pop() if self._spare else self._project.apart()
            self._running[operation.number] = project
            threading.Thread(
                target=self._carry_out_one, args=(project, operation), name=operation.kind, daemon=True
            ).start()

    def _carry_out_one(self, project: Project, operation: Operation) -> None:
        try:
            with self._steps.of(operation):
                self._work(project, operation)
        except BaseException as error:
            self._ended.put((operation, error))
        else:
            self._ended.put((operation, None))

    def _hear(self, seconds: float, fails: bool = False) -> None:
        """Wait up to ``seconds`` for an operation to end; with ``fails``, raise its error."""
        try:
            operation, error = self._ended.get(timeout=max(seconds, 0.0))
        except queue.Empty:
            return
        self._spare.append(self._running.pop(operation.number))
        if error is None:
            self._finished(operation)
        elif fails:
            self._steps.blame(operation)
            raise error

    def _halt(self, children: Children) -> None:
        """Start nothing more, cancel waits, and let running operations finish; terminate, then kill them if need be."""
        for project in self._running.values():
            project.engine.watch.give_up()
        for seconds, end in ((_FINISH, children.terminate), (GRACE, children.kill), (_REAP, None)):
            deadline = time.monotonic() + seconds
            while self._running and (left := deadline - time.monotonic()) > 0:
                self._hear(min(left, _LOOK))
            if end and self._running:
                end()
