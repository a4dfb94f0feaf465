"""Throw-away stacks: copies of a project under names of their own, always removed after use."""

import contextlib
import functools
import stat
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ..host import processes, readiness
from ..host.forwarding import signals_postponed
from ..host.output import note
from ..host.project import Project, model
from ..host.runner import capture
from ..model.command import Command
from ..model.compose import build_files, compose, docker_env
from ..model.engine.facts import PROJECT_LABEL, Container
from ..model.errors import CommandError, InputError, RefusedError
from ..model.profile.profile import Value, with_value
from ..model.quoting import quoted
from ..model.stack import reasons as reasons_model
from ..model.stack.readiness import longest_health_timeout
from ..model.stack.stack import Stack, unescaped
from ..model.stack.verdict import verdict
from ..model.units import show_duration
from .plan import shared
from .plan import stack as stack_plan
from .plan.stack import Copy, StackError, ThrowawayStack

_LINES = 60  # of each log that explains why a stack did not come up
_TRIES = 20  # attempts to remove a stack: the engine may be removing a part of it already, and refuse
_PAUSE = 0.25  # seconds between two attempts
_SNIFFED = 8000  # bytes of a file that are searched for a zero byte, as in git


class Throwaway:
    """A copy of a project's stack on the engine."""

    def __init__(self, base: Project, project: Project, copy: Copy) -> None:
        self._base, self.project, self.copy = base, project, copy
        self.profile = with_value(project.profile, Value("COMPOSE_PROJECT_NAME", copy.name, "throw-away stack"))
        names = stack_plan.with_dependencies(project.stack, copy.services)
        left_out = {job.name for job in stack_plan.prepared(project.stack)} if copy.template else set()
        services = {name: project.stack.services[name] for name in names if name not in left_out}
        self.stack: Stack = replace(project.stack, project=copy.name, services=services)

    @functools.cached_property
    def own(self) -> Project:
        """The copy as a project, for suites that test a running environment."""
        project = self._base.other(COMPOSE_PROJECT_NAME=self.copy.name)
        # `self.stack` has no jobs whose work is in the template: they have no container.
        services, left_out = stack_plan.only_container_checks(self.stack.services)
        for line in left_out:
            note(line)
        project.stack = replace(self.stack, services=services)
        return project

    def compose(self, *words: str, reason: str = "") -> Command:
        """Return a ``docker compose`` command for the copy; it ends when this process is killed."""
        return self.on_copy(compose(self.profile, *words, cwd=self.project.cwd, reason=reason))

    def on_copy(self, command: Command) -> Command:
        """Return a ``docker compose`` command changed to work on the copy; it ends when this process is killed.

        A dry run shows the Compose files and the override. A real run passes the resolved model as one text, so that
        a Compose file that changes in the meantime cannot bring anything unchecked into the copy.
        """
        files, text = (*build_files(self.profile), "-"), self._override
        if not self.project.runner.dry:
            files, text = ("-",), self._model
        separator = self.profile.text("COMPOSE_PATH_SEPARATOR") or ":"
        env = {**command.env, "COMPOSE_FILE": separator.join(files)}
        return replace(command, env=env, stdin=text, tied=True)

    @functools.cached_property
    def _override(self) -> str:
        return stack_plan.override(unescaped(self.project.model), self.project.stack, self.copy)

    @functools.cached_property
    def _model(self) -> str:
        """The copy as Compose resolves it; raises RefusedError when it would share something with other stacks."""
        files = (*build_files(self.profile), "-")
        command = compose(self.profile, "config", cwd=self.project.cwd, files=files)
        done = capture(replace(command, stdin=self._override))
        if done.exit_code:
            lines = [line for line in done.stderr.splitlines() if "level=warning" not in line] or ["no message"]
            raise InputError(
                f"Compose does not accept the copy of {self.copy.owner}: {self.profile.masked(lines[-1].strip())}",
                "nothing was started; `inv --dry test.integration` shows the override for the Compose files",
            )
        resolved = unescaped(model(done.stdout))
        if left := shared.still_shared(resolved, self.copy.name):
            raise RefusedError(
                "\n".join(["a copy of the stack would share with running containers:", *left]),
                "nothing was started; this Compose does not understand `!override`: install 2.24.4 or later",
            )
        shared.refuse(resolved, self.stack.services, self.copy.kinds)
        return done.stdout

    def docker(self, *words: str) -> Command:
        """Return a ``docker`` command for the stack's engine."""
        return docker(self.project, words)

    def containers(self) -> tuple[Container, ...]:
        """Return the stack's containers with all details (a listing does not have them)."""
        return readiness.inspected(self.project, self.copy.name)

    def up(self) -> None:
        """Start the stack and wait until it is ready; raises StackError with the logs of its services."""
        project = self.project
        timeout = longest_health_timeout(self.stack.services.values(), project.profile)
        words = ("up", "--detach", "--no-build", "--quiet-pull", *self.stack.services)
        command = self.compose(*words, reason=f"a stack of its own: {self.copy.name}")
        late = f"not ready within HEALTH_TIMEOUT={show_duration(timeout)}"
        started = time.monotonic()
        # The time limit is for starting, not for pulling images over a slow network.
        local = all(
            project.engine.image(service.image) for service in self.stack.services.values() if not service.build
        )
        messages: list[str] = []
        try:
            project.runner.run(
                replace(command, timeout=timeout if local else None),
                lambda _, output: messages.append(reasons_model.explain(output).message),
            )
        except CommandError as error:
            raise self._error(late if error.exit_code == 124 else "", messages) from None
        if project.runner.dry:
            return
        left = max(timeout - (time.monotonic() - started), 1.0)
        state = self.await_ready(left)
        if state != "ready" or readiness.wait_until_settled(project, self.stack) != "ready":
            raise self._error(late if state == "timeout" else "")

    def await_ready(self, seconds: float) -> str:
        """Wait until all services are ready; return ``ready``, ``timeout``, or what is wrong with a container."""
        watch = self.project.engine.watch
        return watch.wait(self.copy.name, lambda containers: verdict(self.stack, containers), seconds)

    def _error(self, reason: str, compose_messages: Sequence[str] = ()) -> StackError:
        """Return the error for a stack that did not come up, with the logs of the containers at fault.

        ``compose_messages`` explain the output of Compose: the reason when a container was not even started.
        """
        containers = self.containers()
        at_fault = stack_plan.blocking_containers(containers, self.stack)
        idle = [container.service for container in containers if container.state == "created"]
        output = "\n".join(
            f"---- {container.service}:\n{readiness.last_log_lines(self.project, container.id, _LINES).rstrip()}"
            for container in at_fault
        )
        reasons = [*([reason] if reason else []), *map(stack_plan.describe_container, at_fault)]
        if not at_fault and idle:
            reasons += [*filter(None, compose_messages), f"not started: {', '.join(idle)}"]
        return StackError(
            f"the stack did not come up: {'; '.join(reasons) or 'docker compose up failed'}",
            "correct the service; its log is above",
            output,
        )


def docker(project: Project, words: Sequence[str], reason: str = "") -> Command:
    """Return a ``docker`` command for a project's engine."""
    env = docker_env(project.profile)
    return Command(tuple(words), env=env, reason=reason)


@contextlib.contextmanager
def removed(project: Project, copy: Copy) -> Iterator[None]:
    """Remove a copy of the stack when the block ends, however it ends."""
    try:
        yield
    finally:
        if project.runner.dry:
            words = ("docker", "compose", "-p", copy.name, "down", "--volumes", "--remove-orphans")
            # Outside of the project's directory, see `by_hand` in `plan/stack.py`.
            project.runner.run(replace(docker(project, words, f"remove {copy.name}"), cwd="/"))
        elif not copy.keep:
            with signals_postponed():
                _remove(project, copy.name)


def _remove(project: Project, name: str) -> None:
    """Remove all containers, networks and volumes of a throw-away stack; note what could not be removed."""
    for _ in range(_TRIES):
        parts = project.engine.owned(f"{PROJECT_LABEL}={name}")
        if not parts:
            return
        # A command fails when a part is gone already; the next attempt shows whether anything is left.
        errors = [capture(docker(project, words)).stderr for words in stack_plan.removals(parts)]
        if any(errors):
            time.sleep(_PAUSE)
    note(f"{name}: could not be removed: {quoted(' '.join(errors).strip())}")
    note(f"  hint: {stack_plan.by_hand(name)}")


def remove(project: Project, stack: ThrowawayStack) -> None:
    """Remove a stack; a dry run shows the commands."""
    if project.runner.dry:
        for words in stack_plan.removals(stack.parts):
            project.runner.run(docker(project, words))
        return
    with signals_postponed():
        _remove(project, stack.name)


def remove_stale(project: Project) -> None:
    """Remove the stacks of this project whose process was killed; note those whose process cannot be seen."""
    stacks = existing(project)
    for stack in stack_plan.stale(stacks, _gone):
        note(f"{stack.name}: left behind by a run that was killed, removed")
        with signals_postponed():
            _remove(project, stack.name)
    tell_unknown(stacks)


def _gone(process: str) -> bool:
    return processes.state(process) == processes.GONE


def tell_unknown(stacks: Sequence[ThrowawayStack], hint: bool = False) -> None:
    """Note the stacks that are not removed since their process cannot be seen; with ``hint`` also what to do."""
    for stack in stacks:
        if processes.state(stack.process) == processes.UNKNOWN:
            note(f"{stack.name}: left alone: {processes.shown(stack.process)} cannot be seen from here")
            if hint:
                note(f"  hint: if it has certainly ended: {stack_plan.by_hand(stack.name)}")


def existing(project: Project) -> tuple[ThrowawayStack, ...]:
    """Return the throw-away stacks of this project."""
    return stack_plan.throwaway_stacks(project.engine.owned(f"{stack_plan.OWNER_LABEL}={project.stack.project}"))


def removable(stacks: Sequence[ThrowawayStack]) -> tuple[ThrowawayStack, ...]:
    """Return the stacks that no process uses: left behind, or kept by ``--keep``."""
    return stack_plan.stale(stacks, _gone, kept=True)


def bind_kinds(project: Project) -> dict[str, str]:
    """Return the kind (see `plan/shared.py`) of each source of a project's bind mounts; only files are opened."""
    return {source: _kind(Path(source)) for source in shared.sources(unescaped(project.model))}


def _kind(path: Path) -> str:
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            with path.open("rb") as file:
                return shared.DATA if b"\0" in file.read(_SNIFFED) else shared.TEXT
        return shared.DIRECTORY if stat.S_ISDIR(mode) else shared.SPECIAL
    except FileNotFoundError:
        return shared.DIRECTORY  # Compose creates a directory
    except OSError:
        return shared.SPECIAL  # a file that cannot be read cannot be copied
