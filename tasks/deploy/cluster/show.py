"""Shows an environment on a cluster: what a deploy would change, what runs, and its releases."""

from collections.abc import Iterator

from ...host.output import emit_json, emit_table, note
from ...host.project import Project
from ...kube.live.asked import Asked, ask
from ...kube.live.cluster import Cluster
from ...kube.live.history import History
from ...kube.plan import labels
from ...kube.plan.live import difference
from ...model.errors import PendingChanges
from ...model.stack.extension import JOBS
from ...reconcile.plan.operation import UNCHANGED
from ...release.plan.release import rows
from ..plan.shown import SCHEMA, PendingMigrations, ShownPlan, interruptions, needed_images
from .prepare import ClusterDeploy, prepare
from .promotion import kept, promoted


def plan(project: Project, exit_code: bool, json: bool, out: str | None = None, asked: Asked | None = None) -> None:
    """Report what a deploy would change; with ``exit_code`` raises PendingChanges (exit code 6) for any change.

    ``out`` is a file to write the plan to, for ``deploy.ENVIRONMENT --plan``. ``asked`` is what the cluster was asked
    already.
    """
    if out is not None:
        from ..written_plan import require_file  # only for a plan that is written
        from .written import require_key

        require_file("--out", out)
        require_key(project)
    prepared = prepare(project, looking=out is None, promotion=promoted(project), asked=asked)
    deploy, found = prepared.deploy, prepared.deploy.plan
    refused = [*(_unmet(project, prepared) if found.operations else ()), *found.refusals]
    shown = describe(prepared)
    if json:
        about = {"schema": SCHEMA, "environment": project.profile.environment, "project": project.stack.project}
        emit_json({**about, **shown.document(), "gates": [{"unmet": why, "hint": hint} for why, hint in refused]})
    else:
        emit_table(("SERVICE", "ACTION", "WHY"), shown.rows())
        if promotion := deploy.promotion:
            note(f"brings {promotion.origin} ({promotion.release.version}): nothing is built")
        for line in shown.lines():
            note(line)
    for word in found.told:
        note(word)
    if refused:
        from ..gate.conditions import show_unmet

        show_unmet(refused)
    if out is not None:
        from .written import write

        write(project, prepared, shown, out)
    if exit_code and found.operations:
        count = len(found.changed)
        raise PendingChanges(f"{count} {'service' if count == 1 else 'services'} would change")


def _unmet(project: Project, prepared: ClusterDeploy) -> list[tuple[str, str]]:
    from ..gate.conditions import unmet  # only where there is something to do

    return unmet(project, prepared.deploy, prepared.rolled)


def describe(prepared: ClusterDeploy) -> ShownPlan:
    """Return a plan with what is interrupted, and with what has to be built."""
    deploy, stack = prepared.deploy, prepared.stack
    images = needed_images(deploy, stack, {service.image: 0 for service in stack.services.values()})
    away = interruptions(deploy, stack, prepared.source.model, {})
    return ShownPlan(
        deploy, stack, tuple(away), tuple(one for one in images if one.action == "build"), tuple(_migrations(prepared))
    )


def _migrations(prepared: ClusterDeploy) -> Iterator[PendingMigrations]:
    """Yield the pending migrations of each job that runs; those of a promoted image are not in the checkout."""
    project, applied = prepared.cluster.project, prepared.history.applied
    ran = prepared.deploy.plan.jobs
    for service in prepared.stack.services.values():
        if service.name not in ran or service.slipway.job != JOBS[0]:
            continue
        from ...reconcile import migrations  # only where a job applies migrations
        from ...release.plan.migrations import pending

        now = {} if prepared.deploy.promotion and service.build else migrations.of(service, project.model)
        noted = applied.get(service.name) if prepared.history.revisions else {}
        known = bool(now) and noted is not None
        yield (
            PendingMigrations(service.name, *pending(now, noted or {}))
            if known
            else PendingMigrations(service.name, None)
        )


def status(project: Project, json: bool, tell: bool = False) -> None:
    """Report the services of an environment as they run on the cluster; ``tell``: monitoring is told of drift."""
    from ...kube.plan.live import pods
    from ..status import show_status

    asked = ask(project)
    own = kept(project, asked.history.serving)
    prepared = prepare(project, ready=True, looking=True, promotion=own, asked=asked)
    cluster, stack = prepared.cluster, prepared.stack
    listed = cluster.read("get", "pods", "--selector", f"{labels.PROJECT}={cluster.name}", missing="null") or {}
    found, serving = tuple(listed.get("items") or ()), prepared.history.serving
    actions = {change.service: change.action for change in prepared.deploy.changes}
    services = [
        {
            **pods.row(stack, service, found, prepared.state.live, prepared.names),
            "drift": difference.drift(prepared.state, service.name),
            "ready": actions.get(service.name, UNCHANGED) == UNCHANGED,
        }
        for service in stack.services.values()
    ]
    show_status(project, services, serving, None, json, tell)
    if json:
        return
    for problem in pods.problems(found, prepared.state.live, prepared.names):
        note(str(problem))


def history(project: Project, json: bool) -> None:
    """Report the releases of an environment, newest first."""
    from ..status import show_history

    known = History(Cluster(project))
    now = known.serving
    listed = [{**row, "current": now is not None and row["id"] == now.id} for row in rows(known.releases)]
    show_history(project, listed, json)
