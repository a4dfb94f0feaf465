"""The engine: takes a stack through steps under load, and says of each what it did and what was wrong with it."""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

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
    """How a task ended: its exit code, its document and its last words."""

    code: int
    document: dict[str, Any]
    words: str


Act = Callable[[Stack], Done]


@dataclass(frozen=True)
class Step:
    """One thing that happens in the life of a stack, and what is expected of it.

    ``change`` is what somebody commits or sets before; ``act`` is the task, a deploy unless said. ``may_interrupt``:
    requests may be lost if the plan said so beforehand. ``kept`` are services whose containers stay. ``check`` returns
    what is wrong afterwards, or "". ``serves``: the new version must serve ("new"), the one from before ("old"), or
    either ("").
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
    """What became of a step; ``faults`` is empty when all was as expected."""

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

    def line(self) -> tuple[Any, ...]:
        """Return it as a line of the table."""
        return (
            self.stack, self.step, self.code, self.expected, self.requests, self.lost, " ".join(self.foreseen) or "-",
            self.writes, self.missing, f"{self.seconds:.1f}", " ".join(self.recreated) or "-",
            "; ".join(self.faults) or "ok",
        )  # fmt: skip


ALL, CLEAN = "all of it", "removed by its own task"
HEADERS = (
    "STACK", "STEP", "EXIT", "WANTED", "REQUESTS", "LOST", "FORESEEN", "WRITES", "MISSING", "SECONDS", "RECREATED",
    "VERDICT",
)  # fmt: skip


def task(stack: Stack, *words: str) -> Done:
    """Run a task to its end, or until it has taken far too long."""
    running = _started(stack, words)
    try:
        out, err = running.communicate(timeout=_LIMIT)
    except subprocess.TimeoutExpired:
        os.killpg(running.pid, signal.SIGKILL)
        out, err = running.communicate()
        err += f"\nnot done after {_LIMIT:.0f} s"
    return _done(running.returncode, out, err)


def _started(stack: Stack, words: Sequence[str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        stack.command(*words), env=stack.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def _done(code: int, out: str, err: str) -> Done:
    try:
        document = json.loads(out) if out.strip() else {}
    except ValueError:
        document = {}
    lines = [line for line in err.splitlines() if line.strip()]
    said = [line for line in lines if not line.lstrip().startswith("hint:")]
    words = "traceback" if "Traceback" in err else (said[-1].strip() if said else "")
    return Done(code, document, words)


def deploy(stack: Stack) -> Done:
    """Deploy what is checked out."""
    return task(stack, *DEPLOY)


@dataclass(frozen=True)
class RollBack:
    """Goes back so many releases."""

    releases: int

    def __call__(self, stack: Stack) -> Done:
        """Roll back; by its number where it is not the release before."""
        if len(stack.released) <= self.releases:
            return Done(-1, {}, f"only {len(stack.released)} releases were made")
        target, _ = stack.released[-1 - self.releases]
        words = ("--to", str(target)) if self.releases > 1 else ()
        return task(stack, "deploy.rollback", "--env", ENVIRONMENT, "--yes", "--json", "--wait", "90s", *words)


def killed(skip: int = 0) -> Act:
    """Kill a deploy, without a chance to clean up, at one of the moments at which containers come and go."""

    def act(stack: Stack) -> Done:
        filters = [word for event in ("create", "start", "die") for word in ("--filter", f"event={event}")]
        label = f"label=com.docker.compose.project={stack.project}"
        events = subprocess.Popen(
            [DOCKER, "events", "--filter", "type=container", "--filter", label, *filters, "--format", "{{.Action}}"],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        running = _started(stack, DEPLOY)

        def strike() -> None:
            for number, _ in enumerate(events.stdout or ()):
                if number == skip:
                    os.killpg(running.pid, signal.SIGKILL)
                    return

        thread = threading.Thread(target=strike, daemon=True)
        thread.start()
        try:
            out, err = running.communicate(timeout=_LIMIT)
        finally:
            if running.poll() is None:
                os.killpg(running.pid, signal.SIGKILL)
            events.kill()
            thread.join()
            events.communicate()
        return _done(running.returncode, out, err)

    return act


@dataclass
class Week:
    """A stack and what became of its steps so far."""

    stack: Stack
    load: Load | None = None
    rows: list[Row] = field(default_factory=list)
    foreseen: set[str] = field(default_factory=set)
    begun: Mark = field(default_factory=lambda: Mark(0, 0, 0))

    def step(self, step: Step) -> None:
        """Take one step, under load if there is one; what is lost until the next one begins is its own."""
        before, said = self.stack.running(), self.stack.says()
        if step.change:
            step.change(self.stack)
        # Of a roll back no plan tells; what was foreseen on the way forward is on the way back, too.
        foreseen = tuple(sorted(self.foreseen)) if isinstance(step.act, RollBack) else self._plan()
        began = time.monotonic()
        done = (step.act or deploy)(self.stack)
        seconds = time.monotonic() - began
        time.sleep(_SETTLE if self.load else 0.0)
        after, says = self.stack.running(), self.stack.says()
        faults = [
            *_ended(step, done),
            *_containers(step, before, after, self.stack.replicas),
            *_served(step, said, says),
            *([found] if step.check and (found := step.check(self.stack)) else []),
        ]
        self._remember(step, done, says)
        start, keys = self.begun, self._written()
        # Half-way the database may be down; what was written is looked for at the end, too.
        missing = 0 if step.code == KILLED else self.stack.missing(keys)
        end = self.load.mark() if self.load else start
        self.begun, lost = replace(end, written=start.written + len(keys)), end.lost - start.lost
        if lost and not (step.may_interrupt and foreseen):
            faults.append(f"{lost} lost" + (", not foreseen" if step.may_interrupt else ""))
        if missing:
            faults.append(f"{missing} rows missing")
        row = Row(
            self.stack.kind, step.name, done.code, "/".join(str(one) for one in step.code),
            end.answered - start.answered + lost, lost, foreseen, len(keys), missing, seconds,
            _changes(before, after), tuple(faults),
            tuple(self.load.failures[start.lost : end.lost]) if self.load else (),
        )  # fmt: skip
        self.rows.append(row)

    def _written(self) -> list[str]:
        return self.load.written[self.begun.written :] if self.load else []

    def _plan(self) -> tuple[str, ...]:
        """Return the services that the plan says are interrupted."""
        done = task(self.stack, "deploy.plan", "--env", ENVIRONMENT, "--json")
        found = {str(one["service"]) for one in done.document.get("changes", ()) if one.get("interrupts")}
        self.foreseen |= found
        return tuple(sorted(found))

    def _remember(self, step: Step, done: Done, says: str) -> None:
        release = done.document.get("release")
        forward = not isinstance(step.act, RollBack)
        if forward and done.code == 0 and done.document.get("outcome") == "deployed" and isinstance(release, int):
            self.stack.released.append((release, says))


def _ended(step: Step, done: Done) -> list[str]:
    faults = []
    if done.code not in step.code:
        faults.append(f"exit {done.code}: {done.words[:160]}")
    elif step.outcome and done.document.get("outcome") != step.outcome:
        faults.append(f"outcome {done.document.get('outcome')} instead of {step.outcome}")
    if done.words == "traceback":
        faults.append("a traceback")
    return faults


def _containers(
    step: Step, before: dict[str, frozenset[str]], after: dict[str, frozenset[str]], replicas: dict[str, int]
) -> list[str]:
    kept = tuple(before) if step.outcome == "unchanged" else step.kept
    anew = [name for name in kept if before.get(name) != after.get(name)]
    counts = {name: len(ids) for name, ids in after.items() if len(ids) != replicas.get(name, 1)}
    twice = [f"{count} containers of {name}" for name, count in counts.items()]
    # Half-way is where a killed one may be; the step after that may not.
    return [*([f"not kept: {' '.join(sorted(anew))}"] if anew else []), *(twice if step.code != KILLED else [])]


def _served(step: Step, before: str, after: str) -> list[str]:
    if not after and before:
        # Half-way, a stack without rollouts may be down.
        return [] if step.code == KILLED and step.may_interrupt else ["nothing is served"]
    if step.serves == "old" and before != after:
        return ["another version serves than before"]
    return ["the version from before serves"] if step.serves == "new" and before == after else []


def _changes(before: dict[str, frozenset[str]], after: dict[str, frozenset[str]]) -> tuple[str, ...]:
    found = []
    for name in sorted({*before, *after}):
        sign = "+" if name not in before else "-" if name not in after else ""
        if before.get(name) != after.get(name):
            found.append(f"{sign}{name}")
    return tuple(found)


KILLED = (-signal.SIGKILL,)
FIRST = Step("the first deploy", serves="")


def back_to(releases: int) -> Callable[[Stack], str]:
    """Return a check: the version that served so many releases ago serves again."""

    def check(stack: Stack) -> str:
        if len(stack.released) <= releases:
            return "no such release"
        wanted = stack.released[-1 - releases][1]
        return "" if stack.says() == wanted else f"serves {stack.says().strip()[:60]}, not {wanted.strip()[:60]}"

    return check


def live(stack: Stack, steps: Sequence[Step], rate: float = RATE, told: Callable[[Row], None] | None = None) -> Week:
    """Take a stack through its steps under one load; at its end all rows are looked for once more."""
    week = Week(stack)
    week.step(FIRST)
    if told:
        told(week.rows[-1])
    if week.rows[0].code != 0 or not _answers(stack):
        return week
    with load(stack.api, rate) as week.load:
        for step in steps:
            week.step(step)
            if told:
                told(week.rows[-1])
    for last in (_end(week), _clean(week)):
        week.rows.append(last)
        if told:
            told(last)
    return week


def _answers(stack: Stack) -> bool:
    """Wait until the front door answers: without health checks the first deploy may be done before."""
    deadline = time.monotonic() + 30.0
    while not (said := stack.says()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return bool(said)


def _end(week: Week) -> Row:
    """Return the last row: what is missing of everything that was ever answered 201."""
    assert week.load
    missing = week.stack.missing(week.load.written, 30.0)
    mark = week.load.mark()
    between = mark.lost - week.begun.lost
    wrong = sum(1 for row in week.rows if row.faults)
    found = ((missing, "rows missing"), (between, "lost at the end"), (wrong, "steps not as wanted"))
    faults = tuple(f"{number} {what}" for number, what in found if number)
    return Row(
        week.stack.kind, ALL, 0, "0", mark.answered + mark.lost, mark.lost, (), mark.written, missing,
        sum(row.seconds for row in week.rows), (), faults,
        tuple(week.load.failures[mark.lost - between :]),
    )  # fmt: skip


def _clean(week: Week) -> Row:
    """Return the row of the task that removes a stack, and what it left behind."""
    stack, began = week.stack, time.monotonic()
    done = task(stack, "clean", "--env", ENVIRONMENT, "--images", "--volumes", "--yes", "--wait", "90s")
    seconds, left = time.monotonic() - began, stack.left()
    faults = [
        *_ended(Step(CLEAN), done),
        *([f"left behind: {' '.join(left[:3])}{' …' * (len(left) > 3)}"] if left else []),
    ]
    return Row(stack.kind, CLEAN, done.code, "0", 0, 0, (), 0, 0, seconds, (), tuple(faults))
