"""A throw-away copy of the stack, brought up for a suite and removed after it."""

import contextlib
import fcntl
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..build import sources
from ..host import processes
from ..host.output import note
from ..host.project import Project
from ..host.reports import Run
from ..model.stack.stack import unescaped
from ..model.stack.verdict import refuse_missing_secrets
from ..sandbox import container
from .plan import shared
from .plan import stack as stack_plan
from .plan.stack import Copy
from .stack import Throwaway, bind_kinds, remove_stale, removed


@dataclass(frozen=True)
class Images:
    """The images of a copy: ids by service, the services whose image writes coverage, the database's template."""

    ids: dict[str, str]
    covered: tuple[str, ...] = ()
    template: str = ""


@contextlib.contextmanager
def throwaway(
    project: Project, kind: str, run: Run, services: Sequence[str] = (), cover: bool = False, keep: bool = False
) -> Iterator[Throwaway]:
    """Build the images of a copy of the stack and yield the copy, not started; remove it afterwards.

    The copy has the services of the profile. Test services and those named by ``services`` are not started with it:
    the caller runs them. With ``cover`` the stages that write coverage are used; with ``keep`` the copy is not
    removed. Copies whose process was killed are removed first.
    """
    wide = project.wide
    kinds = bind_kinds(wide)
    shared.refuse(
        unescaped(wide.model), stack_plan.with_dependencies(wide.stack, (*project.stack.services, *services)), kinds
    )
    refuse_missing_secrets(project.stack, project.profile, project.missing_secrets(project.stack))
    run_by_caller = {*services, *(service.name for service in wide.stack.test_services())}
    wanted = stack_plan.with_dependencies(wide.stack, (*project.stack.services, *services))
    if not project.runner.dry:
        remove_stale(project)
    images = _images(wide, run, [name for name in wanted if name not in run_by_caller or name in services], cover)
    copy = Copy(
        name=f"{project.stack.project}-{kind}-{run.id}",
        owner=project.stack.project,
        process=processes.mark(),
        services=tuple(name for name in wanted if name not in run_by_caller),
        images=images.ids,
        covered=images.covered,
        template=images.template,
        keep=keep,
        kinds=kinds,
    )
    for line in shared.mount_notes(unescaped(wide.model), wanted, kinds):
        note(line)
    with removed(wide, copy):
        yield Throwaway(project, wide, copy)


@contextlib.contextmanager
def _build_lock(project: Project) -> Iterator[None]:
    """Hold the lock on building images of a project; the kernel releases it when its process ends."""
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
    """Build the images that have changed and return all of them; parallel runs wait for each other and build once."""
    stack = project.stack
    with contextlib.nullcontext() if project.runner.dry else _build_lock(project):
        built = [stack.services[name] for name in names if stack.services[name].build]
        inputs = sources.of_project(project, tuple(service.name for service in built)) if built else {}
        # Jobs get no coverage: a job often has the Dockerfile of the service that it prepares.
        serving = [service for service in built if cover and not service.slipway.job]
        covered = tuple(
            service.name for service in serving if inputs[service.name].dockerfile.find(service.slipway.cover_target)
        )
        stages = {service.name: service.slipway.cover_target if service.name in covered else "" for service in built}
        targets = container.build(project, stages) if stages else {}
        references = {name: stack.services[name].image for name in names}
        references.update({name: target.reference for name, target in targets.items()})
        images = {name: project.engine.image(reference) for name, reference in references.items()}
        ids = {name: image.id for name, image in images.items() if image}
        if project.runner.dry:
            ids = references  # an image that is not built yet has no id
        return Images(ids, covered, _template(project, run, ids, names))


def _template(project: Project, run: Run, ids: dict[str, str], names: Sequence[str]) -> str:
    """Return the id of the database's template, made when there is none; "" when the stack cannot have one."""
    database = stack_plan.templated(project.stack)
    if database is None or database.name not in names:
        return ""
    from . import database_template  # only for stacks with a database

    return database_template.template(project, run, database, ids)
