"""Runs checks in containers of their own, beside each other, and leaves none behind."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ..plan import build as builder
from ..plan import unit as planner
from ..plan.build import Inputs
from ..plan.command import Command
from ..plan.facts import PROJECT_LABEL, Image
from ..plan.stack import Service
from ..plan.unit import Box, Facts
from ..plan.units import show_duration, show_size
from . import builds, processes
from .project import Project
from .reports import Run
from .runner import Beside

LOG = "output.log"
LOG_LIMIT = 64 * 2**20  # bytes that a container may write before it is stopped
_LOG_SHOWN = 256 * 2**10
LOOK = 0.05  # seconds between two looks at the containers


def remove_stale(project: Project) -> None:
    """Remove the test containers of this project whose process was killed before it could."""
    for one, state in _held(project).items():
        if state == processes.GONE:
            project.engine.remove_container(one)


def busy(project: Project) -> frozenset[str]:
    """Return the ids of this project's test containers that somebody may be working with."""
    return frozenset(one for one, state in _held(project).items() if state != processes.GONE)


def _held(project: Project) -> dict[str, str]:
    """Return the test containers of a project by id, and how it stands with the process of each."""
    labels = (planner.RUN_LABEL, f"{PROJECT_LABEL}={project.stack.project}")
    found = project.engine.labelled(*labels)
    return {one.id: processes.state(project.engine.label(one.id, planner.HOLDER_LABEL)) for one in found}


def build(project: Project, stages: dict[str, str]) -> dict[str, builder.Target]:
    """Build a stage of each service where its inputs have changed; returns the targets by service."""
    targets: dict[str, builder.Target] = {}
    inputs = project.build_inputs(tuple(stages))
    for stage in dict.fromkeys(stages.values()):
        names = tuple(name for name, one in stages.items() if one == stage)
        wanted = [builder.target(project.stack.service(one), project.version, inputs[one], stage) for one in names]
        images = {one.reference: image for one in wanted if (image := project.engine.image(one.reference))}
        options = builder.Options(services=names, target=stage)
        planned = _plan(project, inputs, options, images)
        builds.carry_out(project, planned)
        targets.update({one.service: one for one in planned.every})
    return targets


def _plan(
    project: Project, inputs: Mapping[str, Inputs], options: builder.Options, images: Mapping[str, Image]
) -> builder.BuildPlan:
    stack, profile, version, cwd = project.stack, project.profile, project.version, project.cwd
    return builds.with_aliases(
        project, lambda known: builder.plan(stack, profile, version, inputs, options, cwd, images, aliases=known)
    )


def reports(project: Project, run: Run, kind: str, service: Service) -> Path:
    """Make the report directory of a service; any container user can write to it."""
    directory = run.path(kind) / service.name
    if project.runner.dry:
        project.runner.run(Command(("install", "--directory", "--mode=0777", str(directory))))
    else:
        run.suite(kind)
        directory.mkdir(exist_ok=True)
        directory.chmod(0o777)
    return directory


def box(project: Project, run: Run, kind: str, service: Service, image: str, **fields: object) -> Box:
    """Return the container that runs a check of a service, its report directory made."""
    directory = reports(project, run, kind, service)
    made = Box(
        name=f"{project.stack.project}-{kind}-{service.name}-{run.id}{f'-{run.attempt}' if run.attempt else ''}",
        image=image,
        service=service.name,
        user=planner.container_user((os.getuid(), os.getgid()), project.engine.image_user(image)),
        reports=str(directory),
        memory=planner.memory_limit(project.profile),
    )
    return replace(made, **fields)  # type: ignore[arg-type]


def run_all(
    project: Project, run: Run, boxes: Sequence[Box], explain: Callable[[Box], str], limit: str = "TEST_TIMEOUT"
) -> list[Facts]:
    """Run containers beside each other, as many as there are cores, and return how each ended.

    One that takes longer than the profile's ``limit`` is stopped; ``explain`` says more about it. What they
    print is kept beside their reports.
    """
    name = project.stack.project
    mark = processes.mark()
    commands = [planner.command(one, project.profile, name, run.id, mark) for one in boxes]
    if project.runner.dry:
        for command in commands:
            project.runner.run(command)
        return []
    try:
        with project.runner.beside() as children:
            try:
                return _Race(project, children, explain, limit).run(list(zip(boxes, commands, strict=True)))
            finally:
                _remove(project, boxes)  # which ends the commands that wait for them
    finally:
        _remove(project, boxes)  # what was being created meanwhile


def _remove(project: Project, boxes: Sequence[Box]) -> None:
    for one in boxes:
        project.engine.remove_container(one.name)


class _Race:
    """The containers of one run: those that wait, run and have ended."""

    def __init__(self, project: Project, children: Beside, explain: Callable[[Box], str], limit: str) -> None:
        self._project, self._children, self._explain, self._limit = project, children, explain, limit
        self._timeout = project.profile.duration(limit)
        self._memory = show_size(planner.memory_limit(project.profile))
        self._running: dict[int, tuple[Box, float]] = {}
        self._facts: dict[str, Facts] = {}

    def run(self, waiting: list[tuple[Box, Command]]) -> list[Facts]:
        """Run them all; the result has their order."""
        order = [box.name for box, _ in waiting]
        cores = len(os.sched_getaffinity(0))
        while waiting or self._running:
            while waiting and len(self._running) < cores:
                box, command = waiting.pop(0)
                number = self._children.start(command, Path(box.reports, LOG))
                self._running[number] = (box, time.monotonic())
            for number in list(self._running):
                self._look(number)
            time.sleep(LOOK)
        return [self._facts[name] for name in order]

    def _look(self, number: int) -> None:
        box, started = self._running[number]
        code = self._children.ended(number)
        seconds = time.monotonic() - started
        log = Path(box.reports, LOG)
        stopped = ""
        if code is None and seconds > self._timeout:
            hint = self._explain(box)
            stopped = f"not done within {self._limit}={show_duration(self._timeout)}{f': {hint}' if hint else ''}"
        elif code is None and log.stat().st_size > LOG_LIMIT:
            stopped = f"stopped: it wrote more than {show_size(LOG_LIMIT)}"
        if code is None and not stopped:
            return
        container = self._project.engine.inspect(box.name)
        self._project.engine.remove_container(box.name)
        self._children.stop(number)
        oom = bool(container and container.oom_killed)
        text = tail(log)
        self._facts[box.name] = Facts(box.service, code or 0, oom, stopped, seconds, self._memory, text)
        del self._running[number]


def tail(log: Path) -> str:
    """Return the end of a log; containers may write what is no text."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _LOG_SHOWN))
        return file.read().decode(errors="replace")
