"""Transfers images to and from registries, several at once; a step that fails with a passing fault is retried."""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..host.output import note
from ..host.project import Project
from ..host.runner import ParallelCommands, Result, capture
from ..host.story.story import Step, begin_step
from ..host.story.telling import story, tells_progress
from ..model.command import Command
from ..model.story.events import DONE, FAILED, STOPPED, StoryBegun
from .plan import registry
from .plan.progress import moved_bytes
from .plan.registry import RegistryFault

_AT_ONCE = 4  # images; the engine itself sends five layers at once
_LOOK = 0.05  # seconds between two checks of the running commands
_TELL = 0.5  # seconds between two looks at how far a command is
_SETTLED = 1.0  # seconds that the end of a command's output may take from a terminal to the log


@dataclass(frozen=True)
class Job:
    """The commands for an image, run in sequence; ``name`` is its reference, for messages."""

    name: str
    commands: tuple[Command, ...]


@dataclass(frozen=True)
class TransferResult:
    """The result of a job: what its commands printed, and how long it took, in seconds."""

    output: str
    seconds: float


@dataclass
class _Transfer:
    job: Job
    limit: float
    told: Step
    number: int = -1
    step: int = 0
    attempt: int = 0
    not_before: float = 0.0
    begun: float = field(default_factory=time.monotonic)
    deadline: float = 0.0
    log: Path = Path()
    output: str = ""
    outcome: str = STOPPED  # when it is not done
    drawn: bool = field(default_factory=tells_progress)  # somebody sees how far it is
    next_look: float = 0.0

    def finish(self, outcome: str) -> float:
        """Tell that the job has ended; returns how many seconds it took."""
        seconds = time.monotonic() - self.begun
        self.told.finish(outcome, seconds)
        return seconds

    def tell(self) -> None:
        """Tell how far the command is."""
        if self.number < 0 or not self.drawn or time.monotonic() < self.next_look:
            return
        self.next_look = time.monotonic() + _TELL
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        moved, total = moved_bytes(lines)
        if moved:
            self.told.move(moved, total)
        elif lines:
            self.told.advance(lines[-1])

    def text(self) -> str:
        """Return what the command printed; what came by a terminal may take a moment more to be in the log."""
        deadline, text = time.monotonic() + _SETTLED, ""
        while (now := self.log.read_text(encoding="utf-8", errors="replace")) != text or not now:
            if not self.drawn or time.monotonic() > deadline:
                return now
            text = now
            time.sleep(_LOOK)
        return text

    def start(self, children: ParallelCommands, directory: Path) -> None:
        """Start the next command when its time has come."""
        if self.number < 0 and time.monotonic() >= self.not_before:
            self.attempt += 1
            self.log = Path(tempfile.mkstemp(dir=directory)[1])
            self.number = children.start(self.job.commands[self.step], self.log, terminal=self.drawn)
            self.deadline = time.monotonic() + self.limit

    def ended(self, children: ParallelCommands) -> int | None:
        """Return the exit code of the command, None while it runs; past its time limit it is stopped (124)."""
        if self.number < 0:
            return None
        code = children.ended(self.number)
        if code is None and time.monotonic() > self.deadline:
            children.stop(self.number)
            with self.log.open("a", encoding="utf-8") as log:
                log.write(f"\nno answer within {self.limit:g} s")
            return 124
        return code


def retry_delay(fault: RegistryFault, attempt: int, retries: int) -> float:
    """Announce and return the seconds to wait before trying again; raises the fault's error if that is pointless."""
    if not fault.passing or attempt > retries:
        raise fault.error()
    seconds = registry.wait(attempt)
    note(f"{fault.message}: trying again in {seconds:g} s ({attempt} of {retries})")
    return seconds


def run_retried(project: Project, command: Command, judge: Callable[[Result], RegistryFault | None]) -> Result:
    """Return the result of a command in which ``judge`` finds no fault; retried like a transfer."""
    attempt = 1
    while (fault := judge(answer := capture(command))) is not None:
        time.sleep(retry_delay(fault, attempt, project.profile.integer("PUSH_RETRIES")))
        attempt += 1
    return answer


def carry_out(project: Project, jobs: Sequence[Job], verb: str) -> dict[str, TransferResult]:
    """Run jobs in parallel; returns their results by name. ``verb`` says what they do, such as "push".

    A step with a passing fault (no connection, a time-out, the registry's own failure) is tried again PUSH_RETRIES
    times, with a pause that doubles. Any other fault ends the run: what was sent stays, and the next run continues.
    """
    if project.runner.dry:
        for command in (command for job in jobs for command in job.commands):
            project.runner.run(command)
        return {}
    begun = StoryBegun(verb, project.stack.project, project.profile.environment)
    with story(project, begun, log=False), tempfile.TemporaryDirectory(prefix="slipway-") as directory:
        return _run(project, [job for job in jobs if job.commands], verb, Path(directory))


def _run(project: Project, waiting: list[Job], verb: str, directory: Path) -> dict[str, TransferResult]:
    done: dict[str, TransferResult] = {}
    limit, retries = project.profile.duration("PUSH_TIMEOUT"), project.profile.integer("PUSH_RETRIES")
    running: list[_Transfer] = []
    try:
        with project.runner.in_parallel() as children:
            while (waiting or running) and not children.received:
                while waiting and len(running) < _AT_ONCE:
                    job = waiting.pop(0)
                    running.append(_Transfer(job, limit, begin_step(f"{verb} {job.name.rpartition('/')[2]}")))
                for transfer in tuple(running):
                    transfer.start(children, directory)
                    if _advance(transfer, children, retries):
                        running.remove(transfer)
                        done[transfer.job.name] = TransferResult(transfer.output, transfer.finish(DONE))
                time.sleep(_LOOK)
    finally:
        for transfer in running:
            transfer.finish(transfer.outcome)
    return done


def _advance(transfer: _Transfer, children: ParallelCommands, retries: int) -> bool:
    """Check a job and go on to its next command or attempt; returns whether the job is done."""
    code = transfer.ended(children)
    if code is None:
        transfer.tell()
        return False
    text = transfer.text()
    transfer.number = -1
    if code != 0:
        fault = registry.explain(text, _subject(transfer))
        transfer.outcome = FAILED
        transfer.not_before = time.monotonic() + retry_delay(fault, transfer.attempt, retries)
        transfer.outcome = STOPPED
        return False
    transfer.output += text
    transfer.step, transfer.attempt = transfer.step + 1, 0
    return transfer.step == len(transfer.job.commands)


def _subject(transfer: _Transfer) -> str:
    """Return the image that the current command is about: its last argument."""
    return transfer.job.commands[transfer.step].argv[-1]
