"""Images as files, for programs that look into them: several at once, nothing left behind."""

import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from os import cpu_count
from pathlib import Path
from typing import TypeVar

from ..plan import trivy as planner
from ..plan.command import Command
from ..plan.registry import environment
from ..plan.trivy import Subject
from .project import Project
from .runner import Beside

_LOOK = 0.02  # seconds between two looks at what runs
_AT_ONCE = max(2, min(cpu_count() or 2, 4))  # images; each lies on the disk meanwhile
_SHOWN = 1 << 16  # bytes of error output that are looked at

T = TypeVar("T")


@dataclass(frozen=True)
class Ended:
    """How the work on an image ended: its last exit code (124 past the time limit), and what was complained of."""

    code: int
    text: str


@dataclass
class _Running:
    subject: Subject
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
    project: Project,
    subjects: Sequence[Subject],
    work: Callable[[str], tuple[Command, ...]],
    collect: Callable[[Subject, Path, Ended], T],
) -> dict[Subject, T]:
    """Look into images beside each other; returns what ``collect`` makes of the directory that is left of each.

    ``work`` are the commands for a directory with the image's archive in it, one after the other; the first that fails
    is the last. Each has SCAN_TIMEOUT. The directories are gone afterwards, also when a signal ends it all. In a dry
    run the commands are shown.
    """
    limit, env = project.profile.duration("SCAN_TIMEOUT"), environment(project.profile)

    def commands(one: Subject, directory: str) -> tuple[Command, ...]:
        return planner.save(one.id, directory, env, project.cwd), *work(directory)

    if project.runner.dry:
        for command in (each for one in subjects for each in commands(one, ".")):
            project.runner.run(command)
        return {}
    found: dict[Subject, T] = {}
    waiting, running = list(subjects), list[_Running]()
    with tempfile.TemporaryDirectory(prefix="slipway-") as base, project.runner.beside() as children:
        while (waiting or running) and not children.received:
            while waiting and len(running) < _AT_ONCE:
                directory = Path(tempfile.mkdtemp(dir=base))
                running.append(_Running(waiting[0], directory, commands(waiting.pop(0), str(directory))))
                running[-1].start(children, limit)
            for one in tuple(running):
                ended = _advance(one, children, limit)
                if ended:
                    running.remove(one)
                    found[one.subject] = collect(one.subject, one.directory, ended)
                    shutil.rmtree(one.directory)
            time.sleep(_LOOK)
    return found


def _advance(one: _Running, children: Beside, limit: float) -> Ended | None:
    """Look at an image and go on to its next command; returns how it ended when it did."""
    code = one.ended(children)
    if code is None:
        return None
    one.step += 1
    if code == 0 and one.step < len(one.commands):
        one.start(children, limit)
        return None
    with one.log.open("rb") as file:
        return Ended(code, file.read(_SHOWN).decode(errors="replace"))
