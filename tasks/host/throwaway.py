"""Throw-away stacks: copies of a project under names of their own, removed however their use ends."""

import contextlib
import fcntl
import functools
import os
import stat
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..plan import reasons as reason_planner
from ..plan import shared
from ..plan import throwaway as planner
from ..plan.command import Command
from ..plan.compose import build_files, compose
from ..plan.errors import CommandError, InputError, RefusedError
from ..plan.facts import PROJECT_LABEL, Container
from ..plan.profile import Value, with_value
from ..plan.quoting import quoted
from ..plan.readiness import longest
from ..plan.stack import Stack, plain
from ..plan.throwaway import Copy, Found, StackError
from ..plan.units import show_duration
from ..plan.verdict import refuse_missing_secrets, verdict
from . import boxes, processes, readiness
from .forwarding import postponed
from .output import note
from .project import Project, model
from .reports import Run
from .runner import capture

_LINES = 60  # of each log that explains why a stack did not come up
_TRIES = 20  # looks until nothing of a removed stack is left: the engine may be about to remove it already
_LOOKED_AT = 8000  # bytes of a file, as git does
_PAUSE = 0.25  # seconds between them


@dataclass(frozen=True)
class Images:
    """What a copy runs: image ids by service, the services whose image writes coverage, the database's template."""

    ids: dict[str, str]
    covered: tuple[str, ...] = ()
    template: str = ""


class Throwaway:
    """A copy of a project's stack on the engine."""

    def __init__(self, base: Project, project: Project, copy: Copy) -> None:
        self._base, self.project, self.copy = base, project, copy
        self.profile = with_value(project.profile, Value("COMPOSE_PROJECT_NAME", copy.name, "throw-away stack"))
        names = planner.needed(project.stack, copy.services)
        left_out = {one.name for one in planner.prepared(project.stack)} if copy.template else set()
        services = {name: project.stack.services[name] for name in names if name not in left_out}
        self.stack: Stack = replace(project.stack, project=copy.name, services=services)

    @functools.cached_property
    def own(self) -> Project:
        """The stack as a project, for what works on a running environment."""
        made = self._base.other(COMPOSE_PROJECT_NAME=self.copy.name)
        # Without the jobs that a template stands for: they have no container.
        services, left_out = planner.asked_inside(self.stack.services)
        for line in left_out:
            note(line)
        made.stack = replace(self.stack, services=services)
        return made

    def compose(self, *words: str, reason: str = "") -> Command:
        """Return a ``docker compose`` command on the stack; it ends when we are killed."""
        return self.on_copy(compose(self.profile, *words, cwd=self.project.cwd, reason=reason))

    def on_copy(self, command: Command) -> Command:
        """Return a ``docker compose`` command as one on the stack, whatever files it read; it ends when we are killed.

        A dry run shows the files and what is laid over them. What runs is one text: a file that changes meanwhile
        brings nothing into the copy that nobody has looked at.
        """
        files, text = (*build_files(self.profile), "-"), self._override
        if not self.project.runner.dry:
            files, text = ("-",), self._model
        separator = self.profile.text("COMPOSE_PATH_SEPARATOR") or ":"
        env = {**command.env, "COMPOSE_FILE": separator.join(files)}
        return replace(command, env=env, stdin=text, tied=True)

    @functools.cached_property
    def _override(self) -> str:
        return planner.override(plain(self.project.model), self.project.stack, self.copy)

    @functools.cached_property
    def _model(self) -> str:
        """The copy as Compose understands it; raises RefusedError when that has anything in common with what runs."""
        files = (*build_files(self.profile), "-")
        command = compose(self.profile, "config", cwd=self.project.cwd, files=files)
        done = capture(replace(command, stdin=self._override))
        if done.exit_code:
            lines = [line for line in done.stderr.splitlines() if "level=warning" not in line] or ["no message"]
            raise InputError(
                f"Compose does not accept the copy of {self.copy.owner}: {self.profile.masked(lines[-1].strip())}",
                "nothing was started; `inv --dry test.integration` shows what is laid over the Compose files",
            )
        found = plain(model(done.stdout))
        if left := shared.remaining(found, self.copy.name):
            raise RefusedError(
                "\n".join(["a copy of the stack would share with what runs:", *left]),
                "nothing was started; this Compose does not understand `!override`: it takes 2.24.4 or later",
            )
        shared.refuse(found, self.stack.services, self.copy.kinds)
        return done.stdout

    def docker(self, *words: str) -> Command:
        """Return a ``docker`` command on the stack's engine."""
        return docker(self.project, words)

    def containers(self) -> tuple[Container, ...]:
        """Return the stack's containers in full."""
        engine = self.project.engine
        listed = engine.containers(self.copy.name)
        return tuple(one for found in listed if (one := engine.inspect(found.id)) is not None)

    def up(self) -> None:
        """Start the stack and wait until it is ready; raises StackError with what its services said."""
        project = self.project
        timeout = longest(self.stack.services.values(), project.profile)
        words = ("up", "--detach", "--no-build", "--quiet-pull", *self.stack.services)
        command = self.compose(*words, reason=f"a stack of its own: {self.copy.name}")
        late = f"not ready within HEALTH_TIMEOUT={show_duration(timeout)}"
        started = time.monotonic()
        # A pull takes as long as the network wants.
        local = all(project.engine.image(one.image) for one in self.stack.services.values() if not one.build)
        said: list[str] = []
        try:
            project.runner.run(
                replace(command, timeout=timeout if local else None),
                lambda _, output: said.append(reason_planner.explain(output).message),
            )
        except CommandError as error:
            raise self._error(late if error.exit_code == 124 else "", said) from None
        if project.runner.dry:
            return
        left = max(timeout - (time.monotonic() - started), 1.0)
        word = project.engine.wait(self.copy.name, lambda containers: verdict(self.stack, containers), left)
        if word != "ready" or readiness.settled(project, self.stack) != "ready":
            raise self._error(late if word == "timeout" else "")

    def _error(self, reason: str, said: Sequence[str] = ()) -> StackError:
        """Return what is wrong with the stack; ``said`` are Compose's last words, which count where nothing started."""
        containers = self.containers()
        guilty = planner.guilty(containers, self.stack)
        idle = [one.service for one in containers if one.state == "created"]
        output = "\n".join(
            f"---- {one.service}:\n{readiness.said(self.project, one.id, _LINES).rstrip()}" for one in guilty
        )
        reasons = [*([reason] if reason else []), *map(planner.ending, guilty)]
        if not guilty and idle:
            reasons += [*filter(None, said), f"not started: {', '.join(idle)}"]
        return StackError(
            f"the stack did not come up: {'; '.join(reasons) or 'docker compose up failed'}",
            "correct the service; its log is above",
            output,
        )


def docker(project: Project, words: Sequence[str], reason: str = "") -> Command:
    """Return a ``docker`` command on a project's engine."""
    env = {key: value for key, value in project.profile.compose_env().items() if key.startswith("DOCKER_")}
    return Command(tuple(words), env=env, reason=reason)


@contextlib.contextmanager
def throwaway(
    project: Project, kind: str, run: Run, services: Sequence[str] = (), cover: bool = False, keep: bool = False
) -> Iterator[Throwaway]:
    """Build what a copy of the stack needs and yield the copy, which is not started yet; remove it afterwards.

    The services are those of the profile; those named by ``services`` and the tests are started by nobody but the
    caller. With ``cover`` the stages that write coverage run. With ``keep`` the copy stays. Copies whose process was
    killed are removed first.
    """
    wide = project.wide
    kinds = bind_kinds(wide)
    shared.refuse(plain(wide.model), planner.needed(wide.stack, (*project.stack.services, *services)), kinds)
    refuse_missing_secrets(project.stack, project.profile, project.missing_secrets(project.stack))
    apart = {*services, *(one.name for one in wide.stack.test_services())}
    wanted = planner.needed(wide.stack, (*project.stack.services, *services))
    if not project.runner.dry:
        remove_stale(project)
    images = _images(wide, run, [name for name in wanted if name not in apart or name in services], cover)
    copy = Copy(
        name=f"{project.stack.project}-{kind}-{run.id}",
        owner=project.stack.project,
        holder=processes.mark(),
        services=tuple(name for name in wanted if name not in apart),
        images=images.ids,
        covered=images.covered,
        template=images.template,
        keep=keep,
        kinds=kinds,
    )
    for line in shared.told(plain(wide.model), wanted, kinds):
        note(line)
    with removed(wide, copy):
        yield Throwaway(project, wide, copy)


@contextlib.contextmanager
def removed(project: Project, copy: Copy) -> Iterator[None]:
    """Remove a copy of the stack when the block ends, however it ends."""
    try:
        yield
    finally:
        if project.runner.dry:
            words = ("docker", "compose", "-p", copy.name, "down", "--volumes", "--remove-orphans")
            # Away from the Compose files: see `planner.by_hand`.
            project.runner.run(replace(docker(project, words, f"remove {copy.name}"), cwd="/"))
        elif not copy.keep:
            with postponed():
                _remove(project, copy.name)


def _remove(project: Project, name: str) -> None:
    """Remove everything of one throw-away stack, also what somebody ran in it; says so when something resists."""
    for _ in range(_TRIES):
        parts = project.engine.owned(f"{PROJECT_LABEL}={name}")
        if not parts:
            return
        # One that is gone already makes the command fail and changes nothing.
        errors = [capture(docker(project, words)).stderr for words in planner.removals(parts)]
        if any(errors):
            time.sleep(_PAUSE)
    note(f"{name}: could not be removed: {quoted(' '.join(errors).strip())}")
    note(f"  hint: {planner.by_hand(name)}")


def remove(project: Project, stack: Found) -> None:
    """Remove a stack; in a dry run show what would."""
    if project.runner.dry:
        for words in planner.removals(stack.parts):
            project.runner.run(docker(project, words))
        return
    with postponed():
        _remove(project, stack.name)


def remove_stale(project: Project) -> None:
    """Remove the stacks of this project whose process was killed before it could; say which cannot be judged."""
    stacks = existing(project)
    for one in planner.stale(stacks, _gone):
        note(f"{one.name}: left behind by a run that was killed, removed")
        with postponed():
            _remove(project, one.name)
    tell_unknown(stacks)


def _gone(holder: str) -> bool:
    return processes.state(holder) == processes.GONE


def tell_unknown(stacks: Sequence[Found], hint: bool = False) -> None:
    """Say which stacks are left alone since their process cannot be seen from here; with ``hint`` also what to do."""
    for one in stacks:
        if processes.state(one.holder) == processes.UNKNOWN:
            note(f"{one.name}: left alone: {processes.shown(one.holder)} cannot be seen from here")
            if hint:
                note(f"  hint: if it has ended for sure: {planner.by_hand(one.name)}")


def existing(project: Project) -> tuple[Found, ...]:
    """Return the throw-away stacks of this project."""
    return planner.found(project.engine.owned(f"{planner.OWNER_LABEL}={project.stack.project}"))


def removable(stacks: Sequence[Found]) -> tuple[Found, ...]:
    """Return the stacks that nobody works with: left behind, or kept by ``--keep``."""
    return planner.stale(stacks, _gone, kept=True)


def bind_kinds(project: Project) -> dict[str, str]:
    """Return what the sources of a project's bind mounts are, as `shared` tells them apart; only files are opened."""
    return {source: _kind(Path(source)) for source in shared.sources(plain(project.model))}


def _kind(path: Path) -> str:
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            with path.open("rb") as file:
                return shared.DATA if b"\0" in file.read(_LOOKED_AT) else shared.TEXT
        return shared.DIRECTORY if stat.S_ISDIR(mode) else shared.SPECIAL
    except FileNotFoundError:
        return shared.DIRECTORY  # Compose makes one
    except OSError:
        return shared.SPECIAL  # what must not be read is not copied


@contextlib.contextmanager
def _alone(project: Project) -> Iterator[None]:
    """Let one process at a time prepare images of a project; the kernel ends the lock with its process."""
    descriptor = os.open(project.cwd, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            note("waiting for another run that builds the images of this project")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _images(project: Project, run: Run, names: Sequence[str], cover: bool) -> Images:
    """Build what has changed, once for all runs that want it, and return the images by their ids."""
    stack = project.stack
    with contextlib.nullcontext() if project.runner.dry else _alone(project):
        built = [stack.services[name] for name in names if stack.services[name].build]
        inputs = project.build_inputs(tuple(one.name for one in built)) if built else {}
        # A job often shares a Dockerfile with the service that it is for.
        serving = [one for one in built if cover and not one.slipway.job]
        covered = tuple(one.name for one in serving if inputs[one.name].dockerfile.find(one.slipway.cover_target))
        stages = {one.name: one.slipway.cover_target if one.name in covered else "" for one in built}
        targets = boxes.build(project, stages) if stages else {}
        references = {name: stack.services[name].image for name in names}
        references.update({name: one.reference for name, one in targets.items()})
        found = {name: project.engine.image(reference) for name, reference in references.items()}
        ids = {name: image.id for name, image in found.items() if image}
        if project.runner.dry:
            ids = references  # what is not built yet has no id
        return Images(ids, covered, _template(project, run, ids, names))


def _template(project: Project, run: Run, ids: dict[str, str], names: Sequence[str]) -> str:
    """Return the image with the database's files, made when there is none; "" where the stack has no such thing."""
    database = planner.templated(project.stack)
    if database is None or database.name not in names:
        return ""
    from . import templates  # it brings up a stack itself

    return templates.template(project, run, database, ids)
