"""Finishes or undoes what a rollout left that was killed half-way."""

from ..plan import rollout
from ..plan.extension import BLUE_GREEN, RECREATE
from ..plan.rollout import Source
from ..plan.stack import Stack
from .output import note
from .project import Project
from .rollouts import drained, proxy, switch


def recover(project: Project) -> None:
    """Undo or finish, under the lock, what a deploy left that was killed."""
    repair(project, Source(project.profile, project.cwd), project.stack)


def repair(project: Project, source: Source, stack: Stack) -> None:
    """Remove what a rollout left that was killed half-way; what serves goes on serving."""
    front = proxy(project, stack)
    for service in stack.services.values():
        if service.rollout == RECREATE:
            continue
        found = project.engine.containers(stack.project)
        named: tuple[str, ...] = ()
        if front and service.rollout == BLUE_GREEN:
            named = rollout.serving(
                project.engine.file(front.containers[0], front.file(service.name)).decode(), service.name
            )
        left = [one.name for one in rollout.leftovers(service, found, named)]
        if not left:
            continue
        note(f"{service.name}: removing what an earlier deploy left: {', '.join(left)}")
        if front and service.rollout == BLUE_GREEN:
            stays = [
                one.name for one in found if one.service == service.name and one.name not in left and not one.oneoff
            ]
            # Killed between the file and the reload, the proxy still leads to what the file does not name.
            drained(project, front, switch(project, source, front, service.name, stays, again=True))
        for command in rollout.stop(source, left):
            project.runner.run(command)
