"""Shows the history and the state of an environment, and in a few words what a deploy does."""

from functools import partial
from typing import Any

from ..host.output import confirm, emit_json, emit_table, note
from ..host.project import Project
from ..model.units import show_duration
from ..reconcile.plan.operation import Plan
from ..release.plan import release as release_plan
from ..release.store import history as known_releases
from . import prepare
from .plan.deploy import Deploy
from .plan.status import rows
from .prepare import DeployRequest


def nothing_to_do(project: Project, deploy: Deploy, json: bool) -> None:
    """Report that a deploy has nothing to do."""
    for word in deploy.plan.told:
        note(word)
    if json:
        from . import report

        report.document(project, "unchanged", [])
        return
    blind = not any(service.health_check for service in project.stack.services.values())
    word = "running (none has a health check)" if blind else "healthy"
    message = f"{project.stack.project}: nothing to do, {len(deploy.changes)} services unchanged and {word}"
    project.runner.show(message) if project.runner.dry else note(message)


def orphans_note(plan: Plan) -> None:
    """Print which containers belong to no service of the Compose files any more, and stay."""
    if plan.orphans:
        note(f"containers of services that are no longer in the Compose files, which stay: {', '.join(plan.orphans)}")
        note(f"  hint: COMPOSE_REMOVE_ORPHANS=true lets a deploy remove them; by hand: docker rm -f {plan.orphans[0]}")


def show_changes(deploy: Deploy) -> None:
    """Print what a deploy changes, before it asks for a confirmation."""
    from .plan.summary import change_lines

    if deploy.promotion:
        note(f"  brings {deploy.origin} ({deploy.promotion.release.version})")
    for line in change_lines(deploy.changed):
        note(f"  {line}")


def confirm_changes(project: Project, deploy: Deploy, yes: bool) -> None:
    """Show what a deploy changes and ask whether to go on, where the profile wants that (CONFIRM_DEPLOY)."""
    if deploy.plan.operations and project.profile.flag("CONFIRM_DEPLOY"):
        show_changes(deploy)
        confirm(f"deploy {project.profile.environment} ({project.stack.project})", yes)


def history(project: Project, json: bool) -> None:
    """Report the releases of an environment, newest first."""
    show_history(project, release_plan.rows(known_releases(project)), json)


def show_history(project: Project, rows: list[dict[str, Any]], json: bool) -> None:
    """Print the releases of an environment."""
    if json:
        environment = project.profile.environment
        emit_json({"schema": "slipway/deploy.history/v1", "environment": environment, "releases": rows})
        return
    emit_table(
        ("RELEASE", "VERSION", "CREATED", "BY", "OUTCOME", "TIME", "", ""),
        [
            (
                row["id"],
                row["version"],
                row["created"],
                row["operator"],
                row["outcome"],
                show_duration(row["seconds"]),
                "serves" if row["current"] else "",
                row["reason"],
            )
            for row in rows
        ],
    )


def status(project: Project, json: bool, tell: bool = False) -> None:
    """Report the services of an environment as they run on the engine; ``tell``: monitoring is told of drift."""
    from . import maintenance

    project.reach()  # while Compose works
    _ = project.stack  # what Compose does not accept is said first, then that no engine answers
    engine = project.engine
    with engine.asking([partial(known_releases, project)]):
        prepared = prepare.today(project, DeployRequest(ready=True))
        listed = prepared.observed.containers
        inspections = [partial(engine.inspect, container.id) for container in listed]
        with engine.asking([*inspections, partial(maintenance.is_on, project, listed)]):
            full = tuple(found for inspect in inspections if (found := inspect()) is not None)
            maintained = maintenance.is_on(project, listed)
        release = release_plan.serving(known_releases(project))
    services = rows(prepared.desired, prepared.observed, prepared.deploy.plan, full, release)
    show_status(project, services, release, maintained, json, tell)
    if json:
        return
    if maintained:
        note("the maintenance page is on: clients get 503")
        note(f"  hint: inv deploy.maintenance off --env {project.profile.environment}")


def show_status(
    project: Project,
    services: list[dict[str, Any]],
    release: release_plan.Release | None,
    maintained: bool | None,
    json: bool,
    tell: bool,
) -> None:
    """Report what runs, and tell monitoring of drift with ``tell``; ``maintained`` None: there is no such page."""
    if tell:
        from .signals.metrics import tell_drift

        tell_drift(project, {row["service"]: len(row["drift"]) for row in services})
    if json:
        emit_json(
            {
                "schema": "slipway/deploy.status/v1",
                "environment": project.profile.environment,
                "release": release.id if release else None,
                "maintenance": maintained,
                "services": services,
            }
        )
        return
    if release:
        note(f"release {release.id} ({release.version}), deployed {release.created} by {release.operator}")
    _show_services(services)


def _show_services(services: list[dict[str, Any]]) -> None:
    """Print the services of an environment as a table."""
    emit_table(
        ("SERVICE", "STATE", "HEALTH", "IMAGE", "REPLICAS", "PORTS", "STARTED", "DRIFT"),
        [
            (
                row["service"],
                row["state"],
                row["health"] or "-",
                row["image"],
                row["replicas"],
                " ".join(row["ports"]) or "-",
                row["started"] or "-",
                "; ".join(row["drift"]) or "-",
            )
            for row in services
        ],
    )
