"""Images as files, for programs that look into them: several at once, nothing left behind."""

import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from os import cpu_count
from pathlib import Path
from typing import TypeVar

from ..plan.command import Command
from .project import Project
from .runner import Beside

_LOOK = 0.02  # seconds between two looks at what runs
_AT_ONCE = max(2, min(cpu_count() or 2, 4))  # images; each lies on the disk meanwhile
_SHOWN = 1 << 16  # bytes of error output that are looked at

T = TypeVar("T")


@dataclass(frozen=True)
class Job:
    """What happens to one image: the commands, one after the other, for a directory that is theirs."""

    name: str
    commands: Callable[[str], tuple[Command, ...]]


@dataclass(frozen=True)
class Ended:
    """How a job ended: the exit code of its last command (124 past the time limit) and what that complained of."""

    code: int
    text: str


@dataclass
class _Running:
    job: Job
    directory: Path
    commands: tuple[Command, ...]
    step: int = 0
    number: int = 0
    deadline: float = 0.0
    log: Path = field(default_factory=Path)

    def start(self, children: Beside, limit: float) -> None:
        self.log = self.directory / f"{self.step}.err"
        self.number = children.start(self.commands[self.step], self.directory / f"{self.step}.out", self.log)
        self.deadline = time.monotonic() + limit

    def ended(self, children: Beside) -> int | None:
        code = children.ended(self.number)
        if code is None and time.monotonic() > self.deadline:
            children.stop(self.number)
            return 124
        return code


def run_all(
    project: Project, jobs: Sequence[Job], limit: float, collect: Callable[[Job, Path, Ended], T]
) -> dict[str, T]:
    """Run jobs beside each other; returns by name what ``collect`` makes of the directory that each leaves.

    A job ends with its first command that fails. ``limit`` is in seconds, for each command. The directories are gone
    afterwards, also when a signal ends it all. In a dry run the commands are shown.
    """
    if project.runner.dry:
        for command in (one for job in jobs for one in job.commands(".")):
            project.runner.run(command)
        return {}
    found: dict[str, T] = {}
    waiting, running = list(jobs), list[_Running]()
    with tempfile.TemporaryDirectory(prefix="slipway-") as base, project.runner.beside() as children:
        while (waiting or running) and not children.received:
            while waiting and len(running) < _AT_ONCE:
                running.append(_begun(waiting.pop(0), Path(base), children, limit))
            for one in tuple(running):
                ended = _advance(one, children, limit)
                if ended:
                    running.remove(one)
                    found[one.job.name] = collect(one.job, one.directory, ended)
                    shutil.rmtree(one.directory)
            time.sleep(_LOOK)
    return found


def _begun(job: Job, base: Path, children: Beside, limit: float) -> _Running:
    directory = Path(tempfile.mkdtemp(dir=base))
    made = _Running(job, directory, job.commands(str(directory)))
    made.start(children, limit)
    return made


def _advance(one: _Running, children: Beside, limit: float) -> Ended | None:
    """Look at a job and go on to its next command; returns how it ended when it did."""
    code = one.ended(children)
    if code is None:
        return None
    one.step += 1
    if code == 0 and one.step < len(one.commands):
        one.start(children, limit)
        return None
    with one.log.open("rb") as file:
        return Ended(code, file.read(_SHOWN).decode(errors="replace"))
