"""A throw-away environment that was deployed: for experiments about deploys, which a copy of a stack has none of."""

import contextlib
import shutil
from collections.abc import Iterator

from ..gitops.deploys import program
from ..host import processes
from ..host.forwarding import signals_postponed
from ..host.output import note
from ..host.profile.settings import process_env
from ..host.project import Project
from ..host.reports import Run
from ..host.runner import capture
from ..model.command import Command
from ..model.compose import docker_env
from ..model.engine.facts import FILES_LABEL, PROJECT_LABEL
from ..model.errors import CommandError, RefusedError
from ..model.stack.stack import unescaped
from ..reconcile import placed_files
from ..reconcile.plan.placed import PLACE_LABEL
from ..test.plan.shared import still_shared
from ..test.plan.stack import Copy, StackError
from ..test.stack import removed

_KEPT = "3"  # releases: there has to be one to go back to
_WAY_BACK = 300.0  # seconds that a deploy has to go back after a signal
_MARK = "throwaway"


def name_of(project: Project, run: Run, number: int) -> str:
    """Return the name of the throw-away environment for an experiment of a run."""
    return f"{project.stack.project}-chaos-{run.id}-deploy-{number}"


@contextlib.contextmanager
def deployed(project: Project, name: str) -> Iterator[Project]:
    """Deploy an environment under a name of its own and yield it; all of it is removed afterwards.

    Raises RefusedError when it would share something with running stacks, and StackError when it cannot be deployed.
    """
    own = project.other(COMPOSE_PROJECT_NAME=name)
    if left := still_shared(unescaped(own.model), name):
        raise RefusedError(
            f"deployed under another name it would share {', '.join(left)} with {project.stack.project}",
            f"try it in an environment: inv chaos.run NAME --env {project.profile.environment}",
        )
    copy = Copy(name, project.stack.project, processes.mark(), ())
    try:
        with removed(project.wide, copy):
            _mark(project, copy)
            _deploy(own)
            yield own
    finally:
        with signals_postponed():
            _forget_releases(project, name)
            # Deploys make backups before migrations.
            shutil.rmtree(project.settings.backups_dir / name, ignore_errors=True)


def variables(project: Project) -> dict[str, str]:
    """Return the environment of a process that works on such an environment as a person does."""
    return {
        **process_env(project.settings),
        "COMPOSE_PROJECT_NAME": project.stack.project,
        "KEEP_RELEASES": _KEPT,
    }


def _mark(project: Project, copy: Copy) -> None:
    """Make a volume that says whose environment this is: the next run removes what a killed one has left."""
    labels = {**copy.labels(), PROJECT_LABEL: copy.name}
    words = ("docker", "volume", "create", *(f"--label={key}={value}" for key, value in labels.items()))
    project.runner.run(Command((*words, f"{copy.name}_{_MARK}"), env=docker_env(project.profile), sink="/dev/null"))


def _deploy(own: Project) -> None:
    words = (*program(own), f"deploy.{own.profile.environment}", "--yes")
    note(f"deploying {own.stack.project}")
    said: list[str] = []
    try:
        own.runner.run(
            Command(words, env=variables(own), cwd=str(own.settings.root), tied=True, grace=_WAY_BACK),
            lambda _, text: said.append(text),
        )
    except CommandError:
        raise StackError(
            "it cannot be deployed", f"inv deploy.{own.profile.environment} says why", "".join(said)
        ) from None


def _forget_releases(project: Project, name: str) -> None:
    """Remove what outlives containers: files placed for them, records, and names of images; images stay."""
    engine = project.engine
    placed = [container.name for container in engine.labelled(f"{PLACE_LABEL}={name}")]
    volumes = {*placed_files.filled_volume_names(engine, name)}
    volumes |= {part.name for part in engine.owned(f"{FILES_LABEL}={name}") if part.kind == "volume"}
    tags = [
        tag
        for image in engine.images()
        for tag in image.tags
        if tag.startswith(f"{name}-") or tag.rpartition(":")[2].startswith(f"{name}-release-")
    ]
    for words, found in (
        (("rm", "--force", "--volumes"), placed),
        (("volume", "rm", "--force"), sorted(volumes)),
        (("image", "rm"), tags),
    ):
        if found:
            capture(Command(("docker", *words, *found), env=docker_env(project.profile)))
