"""Runs checks in containers of their own, in parallel, and removes every container it started."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ..build import build as builds
from ..build import sources
from ..build.plan import build as build_plan
from ..build.plan.inputs import Inputs
from ..host import processes
from ..host.project import Project
from ..host.reports import Run
from ..host.runner import ParallelCommands
from ..model.command import Command
from ..model.engine.facts import PROJECT_LABEL, Image
from ..model.errors import RefusedError
from ..model.stack.stack import Service
from ..model.units import show_duration, show_size
from .plan import container as container_plan
from .plan.container import Box, ContainerResult

LOG = "output.log"
LOG_LIMIT = 64 * 2**20  # bytes that a container may write before it is stopped
_LOG_SHOWN = 256 * 2**10  # bytes of a log that are kept in a result
_CREATING = 1.0  # seconds
POLL_INTERVAL = 0.05  # seconds between two checks of the containers


def remove_stale(project: Project) -> None:
    """Remove the test containers of this project whose process was killed before it could remove them."""
    for container_id, state in _process_states(project).items():
        if state == processes.GONE:
            project.engine.remove_container(container_id)


def containers_in_use(project: Project) -> frozenset[str]:
    """Return the ids of this project's test containers whose process runs, or cannot be seen from here."""
    return frozenset(
        container_id for container_id, state in _process_states(project).items() if state != processes.GONE
    )


def _process_states(project: Project) -> dict[str, str]:
    """Return the state of the process that started each test container of a project, by container id."""
    labels = (container_plan.RUN_LABEL, f"{PROJECT_LABEL}={project.stack.project}")
    containers = project.engine.labelled(*labels)
    return {
        container.id: processes.state(project.engine.label(container.id, container_plan.PROCESS_LABEL))
        for container in containers
    }


def build(project: Project, stages: dict[str, str]) -> dict[str, build_plan.Target]:
    """Build a stage of each service whose inputs have changed; return the targets by service."""
    targets: dict[str, build_plan.Target] = {}
    inputs = sources.of_project(project, tuple(stages))
    for stage in dict.fromkeys(stages.values()):
        names = tuple(name for name, wanted in stages.items() if wanted == stage)
        stage_targets = [
            build_plan.target(project.stack.service(name), project.version, inputs[name], stage) for name in names
        ]
        images = {
            target.reference: image for target in stage_targets if (image := project.engine.image(target.reference))
        }
        options = build_plan.Options(services=names, target=stage)
        planned = _plan(project, inputs, options, images)
        builds.carry_out(project, planned)
        targets.update({target.service: target for target in planned.every})
    return targets


def _plan(
    project: Project, inputs: Mapping[str, Inputs], options: build_plan.Options, images: Mapping[str, Image]
) -> build_plan.BuildPlan:
    stack, profile, version, cwd = project.stack, project.profile, project.version, project.cwd
    return builds.with_aliases(
        project, lambda known: build_plan.plan(stack, profile, version, inputs, options, cwd, images, aliases=known)
    )


def reports(project: Project, run: Run, kind: str, service: Service) -> Path:
    """Make and return the report directory of a service; any container user can write to it."""
    directory = run.path(kind) / service.name
    if project.runner.dry:
        project.runner.run(Command(("install", "--directory", "--mode=0777", str(directory))))
    else:
        run.suite(kind)
        directory.mkdir(exist_ok=True)
        directory.chmod(0o777)
    return directory


def box(project: Project, run: Run, kind: str, service: Service, image: str, **fields: object) -> Box:
    """Make the report directory of a service and return the container that runs a check of the service."""
    directory = reports(project, run, kind, service)
    default = Box(
        name=f"{project.stack.project}-{kind}-{service.name}-{run.id}{f'-{run.attempt}' if run.attempt else ''}",
        image=image,
        service=service.name,
        user=container_plan.container_user((os.getuid(), os.getgid()), project.engine.image_user(image)),
        reports=str(directory),
        memory=container_plan.memory_limit(project.profile),
    )
    return replace(default, **fields)  # type: ignore[arg-type]


def run_all(
    project: Project, run: Run, boxes: Sequence[Box], explain: Callable[[Box], str], limit: str = "TEST_TIMEOUT"
) -> list[ContainerResult]:
    """Run containers in parallel, as many as there are cores, and return the result of each, in their order.

    A container that takes longer than the profile key ``limit`` allows is stopped; ``explain`` returns what to add to
    the reason, "" for nothing. Their output is kept next to their reports.
    """
    name = project.stack.project
    mark = processes.mark()
    commands = [container_plan.command(box, project.profile, name, run.id, mark) for box in boxes]
    if project.runner.dry:
        for command in commands:
            project.runner.run(command)
        return []
    parallel = _ParallelRun(project, explain, limit)
    try:
        with project.runner.in_parallel() as children:
            try:
                return parallel.run(children, list(zip(boxes, commands, strict=True)))
            finally:
                _remove(project, boxes)  # ends the commands that wait for the containers
    except BaseException:
        if parallel.running:  # the engine may still create what a command had asked for before it was ended
            time.sleep(_CREATING)
        raise
    finally:
        _remove(project, boxes)


def _remove(project: Project, boxes: Sequence[Box]) -> None:
    for box in boxes:
        project.engine.remove_container(box.name)


class _ParallelRun:
    """Runs the containers of one test run and collects their results."""

    def __init__(self, project: Project, explain: Callable[[Box], str], limit: str) -> None:
        self._project, self._explain, self._limit = project, explain, limit
        self._timeout = project.profile.duration(limit)
        self._memory = show_size(container_plan.memory_limit(project.profile))
        self.running: dict[int, tuple[Box, float]] = {}  # whose commands have been started and have not ended
        self._results: dict[str, ContainerResult] = {}

    def run(self, children: ParallelCommands, waiting: list[tuple[Box, Command]]) -> list[ContainerResult]:
        """Run all containers and return their results in the same order."""
        order = [box.name for box, _ in waiting]
        cores = len(os.sched_getaffinity(0))
        while waiting or self.running:
            while waiting and len(self.running) < cores:
                box, command = waiting.pop(0)
                number = children.start(command, Path(box.reports, LOG))
                self.running[number] = (box, time.monotonic())
            for number in list(self.running):
                self._check(children, number)
            time.sleep(POLL_INTERVAL)
        return [self._results[name] for name in order]

    def _check(self, children: ParallelCommands, number: int) -> None:
        box, started = self.running[number]
        code = children.ended(number)
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
        if code is not None:
            del self.running[number]
        container = self._project.engine.inspect(box.name)
        self._project.engine.remove_container(box.name)
        if code is None:
            children.stop(number)
            del self.running[number]
        oom = bool(container and container.oom_killed)
        text = tail(log)
        self._results[box.name] = ContainerResult(box.service, code or 0, oom, stopped, seconds, self._memory, text)


def tail(log: Path) -> str:
    """Return the last 256 KiB of a log; bytes that are not UTF-8 are replaced."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _LOG_SHOWN))
        return file.read().decode(errors="replace")


def refuse_remote(project: Project) -> None:
    """Raise RefusedError for an engine on another machine: it cannot mount the report directories of this one."""
    if not project.engine.local():
        raise RefusedError(
            f"the engine at {project.engine.address} cannot mount the report directory of this machine",
            "run tests on an engine of this machine: unset DOCKER_HOST and DOCKER_CONTEXT in the profile",
        )
