"""Saves images as archives and runs commands on them, several images in parallel; removes the archives afterwards."""

import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from os import cpu_count
from pathlib import Path
from typing import TypeVar

from ..host.project import Project
from ..host.runner import ParallelCommands
from ..model.command import Command
from ..model.compose import docker_env
from .plan import images
from .plan.images import Subject

_POLL_INTERVAL = 0.02  # seconds between two checks of the running commands
_MAX_PARALLEL = max(2, min(cpu_count() or 2, 4))  # images; the archive of each takes disk space
_MAX_ERROR_OUTPUT = 1 << 16  # bytes of a command's error output that are read

T = TypeVar("T")


@dataclass(frozen=True)
class CommandsEnd:
    """How the commands for an image ended: the last exit code (124: over the time limit), and its error output."""

    code: int
    text: str


@dataclass
class _ImageJob:
    """The commands for an image, of which number ``step`` runs; ``deadline`` is on the monotonic clock."""

    subject: Subject
    directory: Path
    commands: tuple[Command, ...]
    step: int = 0
    number: int = 0
    deadline: float = 0.0
    log: Path = field(default_factory=Path)

    def start(self, children: ParallelCommands, limit: float) -> None:
        self.log = self.directory / f"{self.step}.err"
        self.number = children.start(self.commands[self.step], self.directory / f"{self.step}.out", self.log)
        self.deadline = time.monotonic() + limit

    def ended(self, children: ParallelCommands) -> int | None:
        code = children.ended(self.number)
        if code is None and time.monotonic() > self.deadline:
            children.stop(self.number)
            return 124
        return code


def run_all(
    project: Project,
    subjects: Sequence[Subject],
    work: Callable[[str], tuple[Command, ...]],
    collect: Callable[[Subject, Path, CommandsEnd], T],
) -> dict[Subject, T]:
    """Run commands on images in parallel; returns the result of ``collect`` for each image.

    ``work`` returns the commands for a directory that contains the image's archive; they run in order until a command
    fails, each for at most SCAN_TIMEOUT. ``collect`` gets the image, the directory, and how the commands ended. The
    directories are removed afterwards, also after a signal. A dry run only shows the commands.
    """
    limit, env = project.profile.duration("SCAN_TIMEOUT"), docker_env(project.profile)

    def commands(subject: Subject, directory: str) -> tuple[Command, ...]:
        return images.save(subject.id, directory, env, project.cwd), *work(directory)

    if project.runner.dry:
        for subject in subjects:
            for command in commands(subject, "."):
                project.runner.run(command)
        return {}
    results: dict[Subject, T] = {}
    waiting, running = list(subjects), list[_ImageJob]()
    with tempfile.TemporaryDirectory(prefix="slipway-") as base, project.runner.in_parallel() as children:
        while (waiting or running) and not children.received:
            while waiting and len(running) < _MAX_PARALLEL:
                directory = Path(tempfile.mkdtemp(dir=base))
                running.append(_ImageJob(waiting[0], directory, commands(waiting.pop(0), str(directory))))
                running[-1].start(children, limit)
            for job in tuple(running):
                ended = _advance(job, children, limit)
                if ended:
                    running.remove(job)
                    results[job.subject] = collect(job.subject, job.directory, ended)
                    shutil.rmtree(job.directory)
            time.sleep(_POLL_INTERVAL)
    return results


def _advance(job: _ImageJob, children: ParallelCommands, limit: float) -> CommandsEnd | None:
    """Start a job's next command when the present one has succeeded; returns how the job ended, None while it runs."""
    code = job.ended(children)
    if code is None:
        return None
    job.step += 1
    if code == 0 and job.step < len(job.commands):
        job.start(children, limit)
        return None
    with job.log.open("rb") as file:
        return CommandsEnd(code, file.read(_MAX_ERROR_OUTPUT).decode(errors="replace"))
