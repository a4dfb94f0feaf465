"""Shows what a deploy would change, why, and what it interrupts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ..host.foresight import refuse_foreseen, warn_of_doubts
from ..host.output import emit_json, emit_table, note
from ..host.project import Project
from ..model.errors import PendingChanges
from ..model.stack.extension import JOBS
from ..reconcile.plan.operation import CREATE_NETWORK, PULL, REMOVE_NETWORK, RUN, UP, Plan
from . import prepare
from .plan.deploy import Deploy, refuse
from .plan.shown import SCHEMA, NeededImage, PendingMigrations, ShownPlan, interruptions, needed_images
from .prepare import DeployRequest, Prepared
from .status import orphans_note

if TYPE_CHECKING:
    from .written_plan import PlannedFrom


def run(project: Project, exit_code: bool, json: bool, out: str | None = None) -> None:
    """Report what a deploy would change; with ``exit_code`` raises PendingChanges (exit code 6) for any change.

    ``out`` is a file to write the plan to, for ``deploy.ENVIRONMENT --plan``.
    """
    prepare.reach(project)
    refuse_foreseen(project)
    if out is not None:
        from . import written_plan

        written_plan.require_file("--out", out)
        written_plan.require_key(project)
    prepared = prepare.today(project, DeployRequest())
    deploy, plan = prepared.deploy, prepared.deploy.plan
    unmet = [*_unmet(project, deploy), *plan.refusals]
    shown = describe(project, prepared)
    document = {
        "schema": SCHEMA,
        "environment": project.profile.environment,
        "project": project.stack.project,
        **shown.document(),
        "gates": [{"unmet": reason, "hint": hint} for reason, hint in unmet],
    }
    if json:
        emit_json(document)
    else:
        _show(shown, plan)
    for word in plan.told:
        note(word)
    if unmet:
        from .gate.conditions import show_unmet

        show_unmet(unmet)
    warn_of_doubts(project)
    orphans_note(plan)
    if out is not None:
        refuse(plan)
        planned = written_plan.of_engine(project, prepared)
        written_plan.write(project, shown, out, planned, lambda: _planned_again(project))
    if exit_code:
        _tell_changes(plan)


def _planned_again(project: Project) -> "PlannedFrom":
    from .written_plan import of_engine

    return of_engine(project, prepare.today(project, DeployRequest()))


def _tell_changes(plan: Plan) -> None:
    """Raise PendingChanges when a plan has any."""
    if plan.changed or plan.operations:
        count, first = len(plan.changed), plan.operations[:1]
        words = [f"a deploy would {operation.kind} {operation.subject}" for operation in first]
        raise PendingChanges(f"{count} {'service' if count == 1 else 'services'} would change" if count else words[0])


def _unmet(project: Project, deploy: Deploy) -> list[tuple[str, str]]:
    """Return the gates that are not met; none where there is nothing to do."""
    if not deploy.plan.operations:
        return []
    from .gate import conditions

    return conditions.unmet(project, deploy)


def _show(shown: ShownPlan, plan: Plan) -> None:
    emit_table(("SERVICE", "ACTION", "WHY"), shown.rows())
    if promotion := shown.deploy.promotion:
        note(f"brings {promotion.origin} ({promotion.release.version}): nothing is built")
    for line in (*_networks(plan), *shown.lines()):
        note(line)


def _networks(plan: Plan) -> list[str]:
    """Return a line for each network that is made or removed, and why."""
    return [
        f"{operation.kind} {operation.subject} ({'; '.join(operation.cause)})"
        for operation in plan.operations
        if operation.kind in (CREATE_NETWORK, REMOVE_NETWORK)
    ]


def describe(project: Project, prepared: Prepared) -> ShownPlan:
    """Return a plan with what is interrupted, and with the images and migrations that it needs."""
    deploy, stack, images = prepared.deploy, prepared.desired.stack, prepared.observed.images
    sizes = {name: image.size for name, image in images.items()}
    return ShownPlan(
        deploy,
        stack,
        tuple(interruptions(deploy, stack, prepared.desired.model, prepared.state.seconds)),
        tuple(_with_downloads(project, needed_images(deploy, stack, sizes))),
        tuple(_migrations(project, prepared)),
    )


def _migrations(project: Project, prepared: Prepared) -> Iterable[PendingMigrations]:
    """Yield the pending migrations of each job that runs; those of a promoted image are not in the checkout."""
    ran = {
        name
        for operation in prepared.deploy.plan.operations
        if operation.kind in (RUN, UP)
        for name in operation.services
    }
    jobs = [service for service in prepared.desired.stack.services.values() if service.slipway.job == JOBS[0]]
    for service in jobs:
        if service.name not in ran:
            continue
        from ..reconcile import migrations  # only where a job applies migrations
        from ..release.plan.migrations import pending

        now = {} if prepared.deploy.promotion and service.build else migrations.of(service, project.model)
        noted = prepared.state.jobs.get(service.name)
        fresh = noted is None and not prepared.observed.containers and not _has_data(prepared)
        applied: Mapping[str, str] | None = noted.migrations if noted else ({} if fresh else None)
        if not now or applied is None:
            yield PendingMigrations(service.name, None)
        else:
            yield PendingMigrations(service.name, *pending(now, applied))


def _has_data(prepared: Prepared) -> bool:
    return any(
        name in prepared.observed.volumes
        for service in prepared.desired.stack.services.values()
        for name in service.volumes
    )


def _with_downloads(project: Project, images: Sequence[NeededImage]) -> list[NeededImage]:
    """Return the images with the sizes of what has to be pulled, where the registry tells within a few seconds."""
    pulls = [image.reference for image in images if image.action == PULL]
    if not pulls:
        return list(images)
    from ..image.downloads import sizes

    known = sizes(project, pulls)
    return [replace(image, size=known.get(image.reference)) if image.action == PULL else image for image in images]
