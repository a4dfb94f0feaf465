"""Finishes or undoes what a rollout left that was killed half-way."""

from collections.abc import Mapping, Sequence

from ..plan import rollout
from ..plan.extension import RECREATE
from ..plan.facts import Container
from ..plan.release import Pinned, paused, serving
from ..plan.rollout import Aim, Proxy, Source
from ..plan.stack import Service, Stack
from . import records
from .output import note
from .project import Project
from .proxies import drained, front_of, switch, upstreams


def recover(project: Project) -> None:
    """Undo or finish, under the lock, what a deploy left that was killed."""
    known = records.history(project)
    # What a rollout that paused has left to be looked at may have become ready since: that does not make it good.
    last = serving(known) if paused(known) else None
    repair(project, Source(project.profile, project.cwd), project.stack, last.images if last else {})


def _proven(project: Project, front: Proxy, service: Service, found: Sequence[Container]) -> tuple[str, ...]:
    running = {one.name for one in found if one.state == "running"}
    return rollout.proven(upstreams(project, front, service), service.name, running, service.replicas)


def repair(project: Project, source: Source, stack: Stack, images: Mapping[str, Pinned]) -> None:
    """Remove what a rollout left that was killed half-way; what serves goes on serving.

    ``images`` are those that are to serve again, where that is known.
    """
    for service in stack.services.values():
        if service.rollout == RECREATE:
            continue
        front = front_of(project, stack, service)
        found = project.engine.containers(stack.project)
        now = _proven(project, front, service, found) if front else ()
        image = images[service.name].id if service.name in images else ""
        left = [one.name for one in rollout.leftovers(service, found, now, image)]
        if not left:
            continue
        note(f"{service.name}: removing what an earlier deploy left: {', '.join(left)}")
        if front:
            stays = [
                one.name for one in found if one.service == service.name and one.name not in left and not one.oneoff
            ]
            # Killed between the file and the reload, the proxy still leads to what the file does not name.
            drained(project, front, switch(project, source, front, service.name, Aim(stays), again=True))
        for command in rollout.stop(source, left):
            project.runner.run(command)
