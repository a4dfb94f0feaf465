"""Shows plans, the history and the state of an environment, and takes one down."""

from typing import Any

from ..plan import release as release_planner
from ..plan.deploy import Deploy
from ..plan.errors import PendingChanges
from ..plan.operation import Operation, Plan
from ..plan.status import rows
from ..plan.units import show_duration
from . import prepare
from .foreseeing import refuse_foreseen, tell_doubts
from .output import emit_json, emit_table, note
from .prepare import Prepared, Wish
from .project import Project
from .records import history as known_releases


def nothing_to_do(project: Project, deploy: Deploy, json: bool) -> None:
    """Say that a deploy has nothing to do."""
    for word in deploy.plan.told:
        note(word)
    if json:
        from . import outcomes

        outcomes.document(project, "unchanged", [])
        return
    blind = not any(one.health_check for one in project.stack.services.values())
    word = "running (none has a health check)" if blind else "healthy"
    message = f"{project.stack.project}: nothing to do, {len(deploy.changes)} services unchanged and {word}"
    project.runner.show(message) if project.runner.dry else note(message)


def orphans_note(plan: Plan) -> None:
    """Say which containers are of no service of the Compose files, and stay."""
    if plan.orphans:
        note(f"containers of services that are no longer in the Compose files, which stay: {', '.join(plan.orphans)}")
        note(f"  hint: COMPOSE_REMOVE_ORPHANS=true lets a deploy remove them; by hand: docker rm -f {plan.orphans[0]}")


def show_changes(deploy: Deploy) -> None:
    """Show what a deploy changes, where somebody is asked to confirm it."""
    if deploy.promotion:
        note(f"  brings {deploy.origin} ({deploy.promotion.release.version})")
    for one in deploy.changed:
        interrupted = f" (interrupts {', '.join(one.interrupts)})" if one.interrupts else ""
        note(f"  {one.action} {one.service}: {'; '.join(one.causes)}{interrupted}")


def _interruptions(found: Prepared) -> list[str]:
    """Return what each operation interrupts, why, and how long that took the last time."""
    return [_interruption(found, one) for one in found.deploy.plan.operations if one.interrupts]


def _interruption(found: Prepared, one: Operation) -> str:
    took = [found.state.seconds[name] for name in one.interrupts if name in found.state.seconds]
    last = f", {show_duration(max(took))} the last time" if took else ""
    why = f" ({'; '.join(one.cause)})" if one.cause else ""
    return f"{one.kind} {one.subject} interrupts {', '.join(one.interrupts)}{last}{why}"


def show_plan(project: Project, exit_code: bool, json: bool) -> None:
    """Report what a deploy would change; with ``exit_code`` ends with 6 when there is something."""
    from . import gates

    project.reach()
    refuse_foreseen(project)
    found = prepare.today(project, Wish())
    deploy, plan = found.deploy, found.deploy.plan
    unmet = gates.unmet(project, deploy) if plan.operations else []
    unmet += list(plan.refusals)
    if json:
        emit_json(_document(project, found, unmet))
    else:
        emit_table(
            ("SERVICE", "ACTION", "WHY"), [(one.service, one.action, "; ".join(one.causes)) for one in plan.changes]
        )
        if deploy.promotion:
            note(f"brings {deploy.origin} ({deploy.promotion.release.version}): nothing is built")
        for line in _interruptions(found):
            note(line)
    for word in plan.told:
        note(word)
    gates.say(unmet)
    tell_doubts(project)
    orphans_note(plan)
    if exit_code and plan.changed:
        raise PendingChanges(f"{len(plan.changed)} services would change")


def _document(project: Project, found: Prepared, unmet: list[tuple[str, str]]) -> dict[str, Any]:
    plan = found.deploy.plan
    return {
        "schema": "slipway/deploy.plan/v1",
        "environment": project.profile.environment,
        "changes": [
            {
                "service": one.service,
                "action": one.action,
                "causes": list(one.causes),
                "interrupts": list(one.interrupts),
            }
            for one in plan.changes
        ],
        "operations": [one.document() for one in plan.operations],
        "interruptions": _interruptions(found),
        "told": list(plan.told),
        "promotes": found.deploy.origin or None,
        "gates": [{"unmet": reason, "hint": hint} for reason, hint in unmet],
    }


def history(project: Project, json: bool) -> None:
    """Report the releases of an environment, newest first."""
    rows = release_planner.rows(known_releases(project))
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


def status(project: Project, json: bool) -> None:
    """Report the services of an environment as the engine has them."""
    from . import maintenance

    found = prepare.today(project, Wish(ready=True))
    full = tuple(one for listed in found.observed.containers if (one := project.engine.inspect(listed.id)) is not None)
    release = release_planner.serving(known_releases(project))
    services = rows(found.desired, found.observed, found.deploy.plan, full, release)
    if json:
        emit_json(
            {
                "schema": "slipway/deploy.status/v1",
                "environment": project.profile.environment,
                "release": release.id if release else None,
                "maintenance": maintenance.is_on(project),
                "services": services,
            }
        )
        return
    if release:
        note(f"release {release.id} ({release.version}), deployed {release.created} by {release.operator}")
    _show_services(services)
    if maintenance.is_on(project):
        note("the maintenance page is on: clients get 503")
        note(f"  hint: inv deploy.maintenance off --env {project.profile.environment}")


def _show_services(services: list[dict[str, Any]]) -> None:
    emit_table(
        ("SERVICE", "STATE", "HEALTH", "IMAGE", "REPLICAS", "PORTS", "STARTED", "DRIFT"),
        [
            (
                one["service"],
                one["state"],
                one["health"] or "-",
                one["image"],
                one["replicas"],
                " ".join(one["ports"]) or "-",
                one["started"] or "-",
                "; ".join(one["drift"]) or "-",
            )
            for one in services
        ],
    )
