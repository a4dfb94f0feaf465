"""Takes a stack through steps under load, and reports for each step what it did and what was wrong with it."""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tests.e2e.starting import Started
from tests.e2e.support import DOCKER

from .load import Load, Mark, load
from .stack import Stack

RATE = 60.0  # requests a second
_LIMIT = 300.0  # seconds that a task may take
_SETTLE = 1.0  # seconds after a step that still count as its own
ENVIRONMENT = "staging"
DEPLOY = (f"deploy.{ENVIRONMENT}", "--yes", "--wait", "90s", "--json")


@dataclass(frozen=True)
class Done:
    """How a task ended: its exit code, its JSON document and the last line of its stderr."""

    code: int
    document: dict[str, Any]
    last_line: str


Act = Callable[[Stack], Done]


@dataclass(frozen=True)
class Step:
    """A step in the life of a stack, and what is expected of it.

    ``change`` is committed or set before it; ``act`` is the task, a deploy by default. ``may_interrupt``: requests may
    be lost if the plan said so beforehand. ``kept`` are services whose containers stay. ``check`` returns what is wrong
    afterwards, or "". ``serves``: the version that must serve: "new", "old" (as before), or either ("").
    """

    name: str
    change: Callable[[Stack], None] | None = None
    act: Act | None = None
    code: tuple[int, ...] = (0,)
    may_interrupt: bool = False
    kept: tuple[str, ...] = ()
    outcome: str = ""
    serves: str = ""
    check: Callable[[Stack], str] | None = None


@dataclass(frozen=True)
class Row:
    """The result of a step; ``faults`` is empty when all was as expected."""

    stack: str
    step: str
    code: int
    expected: str
    requests: int
    lost: int
    foreseen: tuple[str, ...]
    writes: int
    missing: int
    seconds: float
    recreated: tuple[str, ...]
    faults: tuple[str, ...]
    losses: tuple[str, ...] = ()
    p99: float = 0.0  # seconds

    def line(self) -> tuple[Any, ...]:
        """Return the line of the table."""
        return (
            self.stack, self.step, self.code, self.expected, self.requests, self.lost, " ".join(self.foreseen) or "-",
            self.writes, self.missing, f"{self.p99 * 1000:.0f} ms", f"{self.seconds:.1f}",
            " ".join(self.recreated) or "-", "; ".join(self.faults) or "ok",
        )  # fmt: skip


ALL, CLEAN = "all of it", "removed by its own task"
HEADERS = (
    "STACK", "STEP", "EXIT", "WANTED", "REQUESTS", "LOST", "FORESEEN", "WRITES", "MISSING", "P99", "SECONDS",
    "RECREATED", "VERDICT",
)  # fmt: skip


def task(stack: Stack, *words: str) -> Done:
    """Run a task to its end; kill it after 300 s."""
    running = started(stack, words)
    try:
        out, err = running.communicate(timeout=_LIMIT)
    except subprocess.TimeoutExpired:
        os.killpg(running.pid, signal.SIGKILL)
        out, err = running.communicate()
        err += f"\nnot done after {_LIMIT:.0f} s"
    return as_done(running.returncode, out, err)


def started(stack: Stack, words: Sequence[str]) -> "subprocess.Popen[str]":
    """Start a task in a session of its own."""
    return Started(
        stack.command(*words), env=stack.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def as_done(code: int, out: str, err: str) -> Done:
    """Return how a task ended, from its exit code and what it wrote."""
    try:
        document = json.loads(out) if out.strip() else {}
    except ValueError:
        document = {}
    lines = [line for line in err.splitlines() if line.strip()]
    messages = [line for line in lines if not line.lstrip().startswith("hint:")]
    last_line = "traceback" if "Traceback" in err else (messages[-1].strip() if messages else "")
    return Done(code, document, last_line)


def deploy(stack: Stack) -> Done:
    """Deploy what is checked out."""
    return task(stack, *DEPLOY)


@dataclass(frozen=True)
class RollBack:
    """Rolls back by a number of releases."""

    releases: int

    def __call__(self, stack: Stack) -> Done:
        """Roll back; names the release where it is not the previous one."""
        if len(stack.released) <= self.releases:
            return Done(-1, {}, f"only {len(stack.released)} releases were made")
        target, _ = stack.released[-1 - self.releases]
        return task(stack, *roll_back(target if self.releases > 1 else 0))


def roll_back(target: int = 0) -> tuple[str, ...]:
    """Return the words of the task that rolls back to a release, 0: to the one before."""
    to = ("--to", str(target)) if target else ()
    return ("deploy.rollback", "--env", ENVIRONMENT, "--yes", "--json", "--wait", "90s", *to)


def killed(skip: int = 0) -> Act:
    """Return an act: a deploy that gets SIGKILL after ``skip`` further events (create, start, die) of containers."""

    def act(stack: Stack) -> Done:
        filters = [word for event in ("create", "start", "die") for word in ("--filter", f"event={event}")]
        label = f"label=com.docker.compose.project={stack.project}"
        since = ("--since", f"{time.time():.6f}")
        wanted = (*since, "--filter", "type=container", "--filter", label, *filters, "--format", "{{.Action}}")
        events = subprocess.Popen(
            [DOCKER, "events", *wanted],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        running = started(stack, DEPLOY)

        def kill() -> None:
            for number, _ in enumerate(events.stdout or ()):
                if number == skip:
                    os.killpg(running.pid, signal.SIGKILL)
                    return

        thread = threading.Thread(target=kill, daemon=True)
        thread.start()
        try:
            out, err = running.communicate(timeout=_LIMIT)
        finally:
            if running.poll() is None:
                os.killpg(running.pid, signal.SIGKILL)
            events.kill()
            thread.join()
            events.communicate()
        return as_done(running.returncode, out, err)

    return act


@dataclass
class Week:
    """A stack and the results of its steps so far."""

    stack: Stack
    load: Load | None = None
    rows: list[Row] = field(default_factory=list)
    foreseen: set[str] = field(default_factory=set)
    begun: Mark = field(default_factory=lambda: Mark(0, 0, 0))

    def step(self, step: Step) -> None:
        """Take a step, under load if there is any; requests that are lost before the next step count for this step."""
        before, version_before = self.stack.running(), self.stack.reported()
        if step.change:
            step.change(self.stack)
        # A roll back has no plan beforehand: it may interrupt what earlier plans have foreseen.
        foreseen = tuple(sorted(self.foreseen)) if isinstance(step.act, RollBack) else self._plan()
        began = time.monotonic()
        done = (step.act or deploy)(self.stack)
        seconds = time.monotonic() - began
        time.sleep(_SETTLE if self.load else 0.0)
        if step.code != KILLED:
            if version_before:
                _answers(self.stack)
            self.stack.settle()
        after, version_after = self.stack.running(), self.stack.reported()
        faults = [
            *_ended(step, done),
            *_containers(step, before, after, self.stack.replicas),
            *_served(step, version_before, version_after),
            *([fault] if step.check and (fault := step.check(self.stack)) else []),
        ]
        self._remember(step, done, version_after)
        start, keys = self.begun, self._written()
        # After a kill the database may be down; all rows are checked again at the end.
        missing = 0 if step.code == KILLED else self.stack.missing(keys)
        end = self.load.mark() if self.load else start
        self.begun, lost = replace(end, written=start.written + len(keys)), end.lost - start.lost
        # What a kill left down stays so until this step brings it back.
        if lost and not (step.may_interrupt and (foreseen or not version_before)):
            faults.append(f"{lost} lost" + (", not foreseen" if step.may_interrupt else ""))
        if missing:
            faults.append(f"{missing} rows missing")
        row = Row(
            self.stack.kind, step.name, done.code, "/".join(str(code) for code in step.code),
            end.answered - start.answered + lost, lost, foreseen, len(keys), missing, seconds,
            _changes(before, after), tuple(faults),
            tuple(self.load.failures[start.lost : end.lost]) if self.load else (),
            self.load.percentile(0.99, start.answered, end.answered) if self.load else 0.0,
        )  # fmt: skip
        self.rows.append(row)

    def _written(self) -> list[str]:
        return self.load.written[self.begun.written :] if self.load else []

    def _plan(self) -> tuple[str, ...]:
        """Return the services that the plan says are interrupted."""
        done = task(self.stack, "deploy.plan", "--env", ENVIRONMENT, "--json")
        interrupted = {
            str(change["service"]) for change in done.document.get("changes", ()) if change.get("interrupts")
        }
        self.foreseen |= interrupted
        return tuple(sorted(interrupted))

    def _remember(self, step: Step, done: Done, version: str) -> None:
        release = done.document.get("release")
        forward = not isinstance(step.act, RollBack)
        if forward and done.code == 0 and done.document.get("outcome") == "deployed" and isinstance(release, int):
            self.stack.released.append((release, version))


def _ended(step: Step, done: Done) -> list[str]:
    faults = []
    if done.code not in step.code:
        faults.append(f"exit {done.code}: {done.last_line[:160]}")
    elif step.outcome and done.document.get("outcome") != step.outcome:
        faults.append(f"outcome {done.document.get('outcome')} instead of {step.outcome}")
    if done.last_line == "traceback":
        faults.append("a traceback")
    return faults


def _containers(
    step: Step, before: dict[str, frozenset[str]], after: dict[str, frozenset[str]], replicas: dict[str, int]
) -> list[str]:
    kept = tuple(before) if step.outcome == "unchanged" else step.kept
    anew = [name for name in kept if before.get(name) != after.get(name)]
    counts = {name: len(ids) for name, ids in after.items() if len(ids) != replicas.get(name, 1)}
    twice = [f"{count} containers of {name}" for name, count in counts.items()]
    # A killed deploy may leave a second container; the step after it may not.
    return [*([f"not kept: {' '.join(sorted(anew))}"] if anew else []), *(twice if step.code != KILLED else [])]


def _served(step: Step, before: str, after: str) -> list[str]:
    if not after and before:
        # After a kill, a stack without rollouts may be down.
        return [] if step.code == KILLED and step.may_interrupt else ["nothing is served"]
    if step.serves == "old" and before != after:
        return ["another version serves than before"]
    return ["the version from before serves"] if step.serves == "new" and before == after else []


def _changes(before: dict[str, frozenset[str]], after: dict[str, frozenset[str]]) -> tuple[str, ...]:
    changes = []
    for name in sorted({*before, *after}):
        sign = "+" if name not in before else "-" if name not in after else ""
        if before.get(name) != after.get(name):
            changes.append(f"{sign}{name}")
    return tuple(changes)


KILLED = (-signal.SIGKILL,)
FIRST = Step("the first deploy", serves="")


def back_to(releases: int) -> Callable[[Stack], str]:
    """Return a check: the version from a number of releases ago serves again."""

    def check(stack: Stack) -> str:
        if len(stack.released) <= releases:
            return "no such release"
        wanted = stack.released[-1 - releases][1]
        return (
            "" if stack.reported() == wanted else f"serves {stack.reported().strip()[:60]}, not {wanted.strip()[:60]}"
        )

    return check


def live(stack: Stack, steps: Sequence[Step], rate: float = RATE, report: Callable[[Row], None] | None = None) -> Week:
    """Take a stack through its steps under load, then check all rows once more and clean; ``report`` gets each row."""
    week = Week(stack)
    week.step(FIRST)
    if report:
        report(week.rows[-1])
    if week.rows[0].code != 0 or not _answers(stack):
        return week
    with load(stack.api, rate) as week.load:
        for step in steps:
            week.step(step)
            if report:
                report(week.rows[-1])
    for last in (_end(week), _clean(week)):
        week.rows.append(last)
        if report:
            report(last)
    return week


def _answers(stack: Stack) -> bool:
    """Wait until the stack answers, for a minute at most: without health checks a deploy may end before it does."""
    deadline = time.monotonic() + 60.0
    while not (version := stack.reported()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return bool(version)


def _end(week: Week) -> Row:
    """Return the row of the whole week: how many of all rows that were answered with 201 are missing."""
    assert week.load
    missing = week.stack.missing(week.load.written, 30.0)
    mark = week.load.mark()
    between = mark.lost - week.begun.lost
    wrong = sum(1 for row in week.rows if row.faults)
    counts = ((missing, "rows missing"), (between, "lost at the end"), (wrong, "steps not as wanted"))
    faults = tuple(f"{number} {what}" for number, what in counts if number)
    return Row(
        week.stack.kind, ALL, 0, "0", mark.answered + mark.lost, mark.lost, (), mark.written, missing,
        sum(row.seconds for row in week.rows), (), faults,
        tuple(week.load.failures[mark.lost - between :]), week.load.percentile(0.99),
    )  # fmt: skip


def _clean(week: Week) -> Row:
    """Return the row of the task that removes a stack, and what it left behind."""
    stack, began = week.stack, time.monotonic()
    done = task(stack, *stack.cleaning(), "--env", ENVIRONMENT, "--yes", "--wait", "90s")
    seconds, left = time.monotonic() - began, stack.left()
    faults = [
        *_ended(Step(CLEAN), done),
        *([f"left behind: {' '.join(left[:3])}{' …' * (len(left) > 3)}"] if left else []),
    ]
    return Row(stack.kind, CLEAN, done.code, "0", 0, 0, (), 0, 0, seconds, (), tuple(faults))
