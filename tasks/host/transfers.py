"""Carries images to and from a registry: several at once, each step tried again while a fault is a passing one."""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..plan import registry as planner
from ..plan.command import Command
from ..plan.registry import Fault
from .output import note
from .project import Project
from .runner import Beside, Result, capture

_AT_ONCE = 4  # images; the engine itself sends five layers at once
_LOOK = 0.05  # seconds between two looks at what runs


@dataclass(frozen=True)
class Job:
    """What happens to one image: commands, one after the other. ``name`` is the reference that errors speak of."""

    name: str
    commands: tuple[Command, ...]


@dataclass(frozen=True)
class Done:
    """What a job came to: what its commands printed, and how long it took, in seconds."""

    output: str
    seconds: float


@dataclass
class _Running:
    job: Job
    limit: float
    number: int = -1
    step: int = 0
    attempt: int = 0
    not_before: float = 0.0
    begun: float = field(default_factory=time.monotonic)
    deadline: float = 0.0
    log: Path = Path()
    output: str = ""

    def start(self, children: Beside, directory: Path) -> None:
        """Start the next command when its time has come."""
        if self.number < 0 and time.monotonic() >= self.not_before:
            self.attempt += 1
            self.log = Path(tempfile.mkstemp(dir=directory)[1])
            self.number = children.start(self.job.commands[self.step], self.log)
            self.deadline = time.monotonic() + self.limit

    def ended(self, children: Beside) -> int | None:
        """Return the exit code of the command, None while it runs; one past its time limit is ended."""
        if self.number < 0:
            return None
        code = children.ended(self.number)
        if code is None and time.monotonic() > self.deadline:
            children.stop(self.number)
            with self.log.open("a", encoding="utf-8") as log:
                log.write(f"\nno answer within {self.limit:g} s")
            return 124
        return code


def retried(fault: Fault, attempt: int, retries: int) -> float:
    """Return how long to wait before trying again, and say so; raises the fault's error when that has no use."""
    if not fault.passing or attempt > retries:
        raise fault.error()
    seconds = planner.wait(attempt)
    note(f"{fault.message}: trying again in {seconds:g} s ({attempt} of {retries})")
    return seconds


def answered(project: Project, command: Command, judge: Callable[[Result], Fault | None]) -> Result:
    """Return what a command answers, once ``judge`` finds no fault in it; tried again like a transfer."""
    attempt = 1
    while (fault := judge(answer := capture(command))) is not None:
        time.sleep(retried(fault, attempt, project.profile.integer("PUSH_RETRIES")))
        attempt += 1
    return answer


def carry_out(project: Project, jobs: Sequence[Job], finished: Callable[[Job, Done], None]) -> dict[str, Done]:
    """Run jobs beside each other; returns what each came to, by name.

    A fault that may pass (no connection, a time-out, the registry's own failure) is tried again PUSH_RETRIES times,
    with a pause that doubles. Any other ends all of it: what was sent stays, and the next run goes on from there.
    """
    if project.runner.dry:
        for command in (one for job in jobs for one in job.commands):
            project.runner.run(command)
        return {}
    done: dict[str, Done] = {}
    limit = project.profile.duration("PUSH_TIMEOUT")
    waiting = [job for job in jobs if job.commands]
    running: list[_Running] = []
    with tempfile.TemporaryDirectory(prefix="slipway-") as directory, project.runner.beside() as children:
        while (waiting or running) and not children.received:
            while waiting and len(running) < _AT_ONCE:
                running.append(_Running(waiting.pop(0), limit))
            for one in tuple(running):
                one.start(children, Path(directory))
                if _advance(one, children, project.profile.integer("PUSH_RETRIES")):
                    running.remove(one)
                    done[one.job.name] = Done(one.output, time.monotonic() - one.begun)
                    finished(one.job, done[one.job.name])
            time.sleep(_LOOK)
    return done


def _advance(one: _Running, children: Beside, retries: int) -> bool:
    """Look at a job and go on to its next command or attempt; True when all of it is done."""
    code = one.ended(children)
    if code is None:
        return False
    text = one.log.read_text(encoding="utf-8", errors="replace")
    one.number = -1
    if code != 0:
        fault = planner.explain(text, _subject(one))
        one.not_before = time.monotonic() + retried(fault, one.attempt, retries)
        return False
    one.output += text
    one.step, one.attempt = one.step + 1, 0
    return one.step == len(one.job.commands)


def _subject(one: _Running) -> str:
    """Return the image that the current command is about: what it names last."""
    return one.job.commands[one.step].argv[-1]
