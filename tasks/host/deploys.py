"""Carries deploys out: facts, plan, lock, steps, and the truth about how it ended."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from ..plan import build as build_planner
from ..plan import deploy as planner
from ..plan import release as release_planner
from ..plan.command import Command
from ..plan.compose import compose
from ..plan.errors import CommandError, DeployError, PendingChanges, RefusedError, SlipwayError
from ..plan.facts import Container
from ..plan.lock import waiting
from ..plan.stack import Stack
from ..plan.status import rows
from ..plan.units import show_duration
from . import builds, gates, hooks, locks, machine, maintenance, outcomes, promotions, publishing, releases, repairs
from .output import confirm, emit_json, emit_table, note
from .project import Project
from .readiness import blame, settled
from .records import history as known_releases
from .verification import Check, held


def plan(project: Project, build: bool = False, bring: bool = False) -> planner.Plan:
    """Gather every fact that a deploy is decided on, and return its plan.

    With ``build`` all images are handed to BuildKit, whether or not their sources changed; with ``bring`` those of a
    promotion are pulled where they are missing.
    """
    project.start_hashes()
    stack = project.stack
    found = promotions.find(project)
    promoted = promotions.bring(project, found) if found and bring else found
    if promoted:
        images = build_planner.BuildPlan((), None, {})
    else:
        images = builds.plan(project, build_planner.Options(), only_changed=not build)
    facts = project.engine.facts(stack.project, {one.image for one in stack.services.values()})
    if promoted:
        facts = replace(facts, images={**facts.images, **promoted.images})
    made = planner.plan(
        stack,
        project.profile,
        images,
        planner.Facts(
            engine=facts,
            hashes=project.hashes(facts.containers),
            missing_secrets=project.missing_secrets(stack),
            taken_ports=_taken_ports(project, stack, facts.containers),
            replaced=project.mounted_files(stack),
        ),
        project.cwd,
    )
    return replace(made, promotion=promoted)


def _taken_ports(project: Project, stack: Stack, containers: tuple[Container, ...]) -> tuple[int, ...]:
    """Return the ports that a service wants and a stranger has; the project's own containers do not count."""
    if not project.engine.local():
        return ()
    own = {text.partition("->")[0].rpartition(":")[2] for one in containers for text in one.ports}
    wanted = [port for service in stack.services.values() for port in service.ports if str(port.published) not in own]
    return machine.taken_ports(wanted)


def run(project: Project, yes: bool, build: bool, json: bool, wait: str = "") -> None:
    """Deploy an environment; raises DeployError (exit code 4) when it began and failed."""
    patience = waiting(wait)
    deploy = plan(project, build)
    _orphans_note(deploy)
    if not deploy.steps and not _unfinished(project):
        _nothing_to_do(project, deploy, json)
        return
    if project.runner.dry:
        gates.tell(project, deploy)
    else:
        gates.check(project, deploy)
        _confirm(project, deploy, yes)
    with outcomes.reported(project, json) as report, locks.held(project, "deploy", patience) as lock:
        if project.profile.integer("KEEP_RELEASES"):
            repairs.recover(project)
        deploy = _still(project, deploy, build, yes)
        if deploy.steps:
            # Again: while others held the lock, the checkout and what runs may have become other ones.
            evidence = {} if project.runner.dry else gates.check(project, deploy)
            with _hooked(project, report, lock):
                _work(project, deploy, held(project, deploy, lock.verify), report, evidence)
        else:
            _finish(project, lock, report)
    if report.outcome == "unchanged":
        _nothing_to_do(project, deploy, json=False)
    elif not project.runner.dry:
        name = f" as release {report.release.id}" if report.release else ""
        note(f"deployed {project.stack.project}{name}: {', '.join(one.service for one in deploy.changed)}")
    report.refuse_unpublished(project)


def _unfinished(project: Project) -> bool:
    """Whether an earlier deploy left something to be done: a release to be recorded, or to be pushed."""
    kept = bool(project.profile.integer("KEEP_RELEASES"))
    return kept and (releases.unrecorded(project) or publishing.due(project) is not None)


def _finish(project: Project, lock: locks.Handle, report: outcomes.Report) -> None:
    """Record and push what an earlier deploy brought, where it did not come to that."""
    report.outcome = "unchanged"
    if project.runner.dry or not project.profile.integer("KEEP_RELEASES"):
        return
    if releases.unrecorded(project):
        report.release = releases.adopt(project, lock.verify, locks.who(), report.steps)
        note(f"recorded as release {report.release.id} what an earlier deploy brought and did not record")
    elif found := publishing.due(project):
        report.release = found
    _publish(project, lock, report)


def _publish(project: Project, lock: locks.Handle, report: outcomes.Report) -> None:
    report.unpublished = publishing.publish(project, report.release, lock.verify, report.steps)


def _work(
    project: Project, deploy: planner.Plan, verify: Check, report: outcomes.Report, evidence: Mapping[str, str]
) -> None:
    """Carry a plan out under the lock."""
    if project.profile.integer("KEEP_RELEASES"):
        basis = release_planner.Basis(evidence, deploy.promotion)
        report.release = releases.deploy(project, deploy, verify, locks.who(), report.steps, basis)
        return
    for step in deploy.steps:
        verify()
        _carry_out(project, step, report.steps)


@contextmanager
def _hooked(project: Project, report: outcomes.Report, lock: locks.Handle) -> Iterator[None]:
    """Run the project's hooks around a deploy, and push its release before the last one, which may promote it."""
    hooks.before(project)
    try:
        yield
    except SlipwayError as error:
        hooks.failed(project, outcomes.of(error, report.steps), error.message)
        raise
    _publish(project, lock, report)
    hooks.after(project, str(report.release.id) if report.release else "")


def _confirm(project: Project, deploy: planner.Plan, yes: bool) -> None:
    if deploy.steps and project.profile.flag("CONFIRM_DEPLOY") and not project.runner.dry:
        _show_changes(deploy)
        confirm(f"deploy {project.profile.environment} ({project.stack.project})", yes)


def _still(project: Project, before: planner.Plan, build: bool, yes: bool) -> planner.Plan:
    """Return the plan made again under the lock: what is true now counts, not what was before somebody else's turn."""
    if project.runner.dry:
        if before.promotion:
            promotions.bring(project, before.promotion)
        return before
    deploy = plan(project, build, bring=True)
    if deploy.steps and (deploy.changes, _origin(deploy)) != (before.changes, _origin(before)):
        note("what there is to change has changed in the meantime")
        _confirm(project, deploy, yes)
    return deploy


def rollback(project: Project, wanted: int, yes: bool, json: bool, wait: str = "") -> None:
    """Bring an earlier release back, without a build or a pull; raises DeployError when that fails."""
    patience = waiting(wait)
    target = releases.target(project, wanted)
    what = f"release {target.id} ({target.version}, {target.created})"
    if project.profile.flag("CONFIRM_DEPLOY") and not project.runner.dry:
        confirm(f"roll {project.stack.project} back to {what}", yes)
    with outcomes.reported(project, json) as report, locks.held(project, "rollback", patience) as lock:
        now = releases.target(project, wanted)
        if now.id != target.id:
            raise RefusedError(
                f"release {now.id} is what a roll back goes to by now, not {target.id}: somebody deployed meanwhile",
                f"inv deploy.history --env {project.profile.environment} shows what serves",
            )
        repairs.recover(project)
        report.release = releases.back_to(project, target, lock.verify, locks.who(), report.steps)
        _publish(project, lock, report)
    if not project.runner.dry:
        note(f"{project.stack.project} is back at {what}")
    report.refuse_unpublished(project)


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


def _nothing_to_do(project: Project, deploy: planner.Plan, json: bool) -> None:
    if json:
        outcomes.document(project, "unchanged", [])
        return
    message = f"{project.stack.project}: nothing to do, {len(deploy.changes)} services unchanged and healthy"
    project.runner.show(message) if project.runner.dry else note(message)


def _carry_out(project: Project, step: planner.Step, done: list[dict[str, Any]]) -> None:
    started = time.monotonic()
    entry: dict[str, Any] = {"name": step.name, "seconds": 0.0, "outcome": "failed"}
    done.append(entry)
    try:
        if step.name == "build":
            _build(project, step.command)
        elif step.name == "wait" and not project.runner.dry:
            _wait(project)
        else:
            _up(project, step.command)
        entry["outcome"] = "done"
    finally:
        entry["seconds"] = round(time.monotonic() - started, 3)


def _build(project: Project, command: Command) -> None:
    try:
        builds.carry_out(project, build_planner.BuildPlan((), command, {}))
    except CommandError as error:
        raise DeployError(error.message, f"{error.hint}; what ran before still runs") from None


def _up(project: Project, command: Command) -> None:
    def explain(code: int, _output: str) -> CommandError | None:
        machine.refuse_unfit_tools()
        return None

    try:
        project.runner.run(command, explain)
    except CommandError as error:
        _blame(project, error.message)


def _wait(project: Project) -> None:
    stack = project.stack
    timeout = project.profile.duration("HEALTH_TIMEOUT")
    started = time.monotonic()
    while True:
        left = max(timeout - (time.monotonic() - started), 0.0)
        word = project.engine.wait(stack.project, lambda containers: planner.verdict(stack, containers), left)
        if word != "ready":
            reason = f"not healthy within {show_duration(timeout)} (HEALTH_TIMEOUT)" if word == "timeout" else word
            _blame(project, reason)
        if settled(project, stack) == "ready":
            break
    note(f"every service is healthy, {show_duration(time.monotonic() - started)} after Compose had started them")


def _blame(project: Project, reason: str) -> None:
    """Show the last words of what failed, and raise the DeployError that names it."""
    try:
        blame(project, project.stack, reason)
    except DeployError as error:
        raise DeployError(
            f"deploy of {project.stack.project} failed: {error.message}",
            f"`inv deploy.status --env {project.profile.environment}` shows what serves now; nothing was rolled back "
            "(KEEP_RELEASES=0)",
        ) from None


def _orphans_note(deploy: planner.Plan) -> None:
    if deploy.orphans:
        note(f"containers of services that are no longer in the Compose files: {', '.join(deploy.orphans)}")
        note("  hint: `docker compose up --remove-orphans` or `inv clean` removes them")


def _origin(deploy: planner.Plan) -> str:
    return deploy.promotion.origin if deploy.promotion else ""


def _show_changes(deploy: planner.Plan) -> None:
    if deploy.promotion:
        note(f"  brings {_origin(deploy)} ({deploy.promotion.release.version})")
    for one in deploy.changed:
        note(f"  {one.action} {one.service}: {'; '.join(one.causes)}")


def show_plan(project: Project, exit_code: bool, json: bool) -> None:
    """Report what a deploy would change; with ``exit_code`` ends with 6 when there is something."""
    deploy = plan(project)
    unmet = gates.unmet(project, deploy) if deploy.steps else []
    if json:
        changes = [{"service": one.service, "action": one.action, "causes": list(one.causes)} for one in deploy.changes]
        emit_json(
            {
                "schema": "slipway/deploy.plan/v1",
                "environment": project.profile.environment,
                "changes": changes,
                "promotes": _origin(deploy) or None,
                "gates": [{"unmet": reason, "hint": mend} for reason, mend in unmet],
            }
        )
    else:
        emit_table(
            ("SERVICE", "ACTION", "WHY"), [(one.service, one.action, "; ".join(one.causes)) for one in deploy.changes]
        )
        if deploy.promotion:
            note(f"brings {_origin(deploy)} ({deploy.promotion.release.version}): nothing is built")
    gates.say(unmet)
    _orphans_note(deploy)
    if exit_code and deploy.changed:
        raise PendingChanges(f"{len(deploy.changed)} services would change")


def status(project: Project, json: bool) -> None:
    """Report the services of an environment as the engine has them."""
    project.start_hashes()
    stack = project.stack
    facts = project.engine.facts(stack.project, {one.image for one in stack.services.values()})
    full = tuple(one for listed in facts.containers if (one := project.engine.inspect(listed.id)) is not None)
    release = release_planner.serving(known_releases(project))
    services = rows(
        stack,
        planner.Facts(engine=facts, hashes=project.hashes(facts.containers), replaced=project.mounted_files(stack)),
        full,
        release,
    )
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


def down(project: Project, volumes: bool, yes: bool, wait: str = "") -> None:
    """Remove the containers and networks of an environment; its volumes only when asked and confirmed."""
    patience = waiting(wait)
    words = ("down", "--remove-orphans", *(["--volumes"] if volumes else []))
    command = compose(project.profile, *words, cwd=project.cwd, reason=f"stop {project.stack.project}")
    if project.runner.dry:
        project.runner.run(command)
        return
    names = ", ".join(one.name for one in project.engine.volumes(project.stack.project)) if volumes else ""
    if names:
        confirm(f"remove the volumes {names} of {project.stack.project} and their data", yes)
    with locks.held(project, "down", patience):
        project.runner.run(command)
