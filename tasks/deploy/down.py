"""Takes an environment down."""

import contextlib

from ..host import lock
from ..host.confirmation import confirm_change
from ..host.output import confirm, note
from ..host.project import Project
from ..model.command import Command
from ..model.compose import compose, docker_env
from ..model.errors import SlipwayError
from ..model.lock import wait_seconds
from ..reconcile import placed_files
from ..reconcile.plan.networks import NEXT_LABEL
from . import monitoring


def down(project: Project, volumes: bool, yes: bool, wait: str = "") -> None:
    """Remove the containers and networks of an environment; its volumes only with ``volumes`` and a confirmation.

    CONFIRM_DEPLOY=true asks for a confirmation here as well: clients get no answer afterwards. What monitors the stack
    goes first, since it is in the stack's networks and would only report that all is missing.
    """
    patience = wait_seconds(wait)
    name = project.stack.project
    words = ("down", "--remove-orphans", *(["--volumes"] if volumes else []))
    command = compose(project.profile, *words, cwd=project.cwd, reason=f"stop {name}")
    if project.runner.dry:
        with contextlib.suppress(SlipwayError):  # a plan can be shown without an engine, too
            monitoring.take_down(project, monitoring.parts(project), volumes)
        project.runner.run(command)
        return
    watching = monitoring.parts(project)
    kept = [part.name for part in watching if part.kind == "volume"]
    names = ", ".join([*(one.name for one in project.engine.volumes(name)), *kept]) if volumes else ""
    if names:
        confirm(f"remove the volumes {names} of {name} and their data", yes)
    else:
        confirm_change(project, "take down", yes)
    with lock.project_lock(project, "down", patience):
        if watching:
            note(f"what monitors {name} goes with it{'' if volumes or not kept else '; its history is kept'}")
            monitoring.take_down(project, watching, volumes)
        project.runner.run(command)
        # Compose does not know the stand-in of a network that an interrupted deploy left.
        if left := [network.name for network in project.engine.networks(name, NEXT_LABEL)]:
            project.runner.run(Command(("docker", "network", "rm", *left), env=docker_env(project.profile)))
        placed_files.remove_unused(project.engine, name)
