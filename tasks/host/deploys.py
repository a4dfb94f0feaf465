"""Carries deploys and roll backs out: the plan, the lock, and the truth about how it ended."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from ..plan import deploy as planner
from ..plan import operation as kinds
from ..plan.deploy import Deploy
from ..plan.errors import CommandError, DeployError, RefusedError
from ..plan.lock import waiting
from ..plan.operation import BUILD, NAME, PULL
from ..plan.release import Basis, restored
from ..plan.rollout import Source
from . import (
    builds,
    dry,
    gates,
    hooks,
    locks,
    outcomes,
    prepare,
    promotions,
    publishing,
    reasons,
    redactions,
    releases,
    secret_key,
)
from .output import confirm, note
from .pending import prepared, to_do
from .pending import unrecorded as unrecorded_yet
from .plans import nothing_to_do, show_changes
from .prepare import Prepared, Wish
from .project import Project
from .releases import Deployment
from .verification import held


def carry_out(
    project: Project, found: Prepared, yes: bool, build: bool, json: bool, patience: float, interrupt: bool, take: bool
) -> None:
    """Carry a deploy out that has something to do, after what the gates and people say to it."""
    if project.runner.dry:
        gates.tell(project, found.deploy)
        if found.deploy.promotion:
            promotions.bring(project, found.deploy.promotion)
        dry.show(project, found)
        return
    if said := planner.refuse_other_directory(found.observed, found.deploy.plan, project.cwd, take):
        note(said)
    _allowed(project, found, interrupt)
    gates.check(project, found.deploy)
    _confirm(project, found.deploy, yes)
    with outcomes.reported(project, json) as report, locks.held(project, "deploy", patience) as lock:
        found = _still(project, found, Wish(build=build, bring=True), yes)
        if to_do(found):
            # Again: while others held the lock, the checkout and what runs may have become other ones.
            evidence = gates.check(project, found.deploy)
            with _hooked(project, report, lock):
                _work(project, found, lock, report, evidence, interrupt)
        else:
            _finish(project, found, lock, report)
    _tell(project, found, report)
    report.refuse_unpublished(project)


def _tell(project: Project, found: Prepared, report: outcomes.Report) -> None:
    if report.outcome == "unchanged":
        nothing_to_do(project, found.deploy, json=False)
        return
    name = f" as release {report.release.id}" if report.release else ""
    changed = ", ".join(one.service for one in found.deploy.changed) or "nothing"
    note(f"deployed {project.stack.project}{name}: {changed}")


def _allowed(project: Project, found: Prepared, interrupt: bool) -> None:
    """Refuse what would interrupt services; what a build comes to is known when it is done."""
    if BUILD not in {one.kind for one in found.deploy.plan.operations}:
        planner.refuse_interruption(project.profile, found.deploy.plan, interrupt)


def _finish(project: Project, found: Prepared, lock: locks.Handle, report: outcomes.Report) -> None:
    """Note, record and push what runs, where an earlier deploy did not come to that, or somebody else brought it."""
    report.outcome = "unchanged"
    kept = bool(project.profile.integer("KEEP_RELEASES"))
    unrecorded = kept and unrecorded_yet(project, found)
    if found.unnoted or unrecorded:
        deployment = Deployment(project, lock.verify, locks.who(), report.steps)
        report.release = deployment.deploy(found, Basis(), lambda one: one)
        if report.release and unrecorded:
            note(f"recorded as release {report.release.id} what an earlier deploy brought and did not record")
    elif kept and (due := publishing.due(project)):
        report.release = due
    _publish(project, lock, report)


def _publish(project: Project, lock: locks.Handle, report: outcomes.Report) -> None:
    report.unpublished = publishing.publish(project, report.release, lock.verify, report.steps)


def _work(
    project: Project,
    found: Prepared,
    lock: locks.Handle,
    report: outcomes.Report,
    evidence: Mapping[str, str],
    interrupt: bool,
) -> None:
    """Carry a deploy out under the lock."""
    verify = held(project, found.deploy, lock.verify)
    deployment = Deployment(project, verify, locks.who(), report.steps)

    def ready(before: Prepared) -> Prepared:
        """Build, promote and pull; then it is known what that changes."""
        kinds_there = {one.kind for one in before.deploy.plan.operations}
        if not kinds_there & {BUILD, PULL, NAME}:
            return before
        if before.deploy.build.command:
            _step(report, BUILD, lambda: builds.carry_out(project, before.deploy.build))
        for one in before.deploy.plan.operations:
            if one.kind == PULL:
                _step(report, PULL, lambda one=one: _pull(project, one))  # type: ignore[misc]
        if before.deploy.promoted:
            _step(report, "promote", lambda: _promote(project, before.deploy.promoted))
        made = prepare.today(project, Wish(ready=True))
        planner.refuse(made.deploy.plan)
        planner.refuse_interruption(project.profile, made.deploy.plan, interrupt)
        return made

    basis = Basis(evidence, found.deploy.promotion)
    report.release = deployment.deploy(found, basis, ready)


def _pull(project: Project, one: kinds.Operation) -> None:
    reasons.run(project, Source(project.profile, project.cwd).compose("pull", *one.services, reason="pull_policy"))


def _promote(project: Project, images: Mapping[str, str]) -> None:
    for reference, image in images.items():
        project.runner.run(Source(project.profile, project.cwd).docker("tag", image, reference))


def _step(report: outcomes.Report, name: str, work: Callable[[], None]) -> None:
    try:
        with outcomes.step(report.steps, name):
            work()
    except CommandError as error:
        raise DeployError(error.message, error.hint) from None


@contextmanager
def _hooked(project: Project, report: outcomes.Report, lock: locks.Handle) -> Iterator[None]:
    """Run the project's hooks around a deploy, and push its release before the last one, which may promote it."""
    hooks.before(project)
    try:
        yield
    except BaseException as error:
        hooks.failed(project, outcomes.of(error, report.steps), outcomes.reason(error))
        raise
    _publish(project, lock, report)
    hooks.after(project, str(report.release.id) if report.release else "")


def _confirm(project: Project, deploy: Deploy, yes: bool) -> None:
    if deploy.plan.operations and project.profile.flag("CONFIRM_DEPLOY"):
        show_changes(deploy)
        confirm(f"deploy {project.profile.environment} ({project.stack.project})", yes)


def _still(project: Project, before: Prepared, wish: Wish, yes: bool) -> Prepared:
    """Return the deploy made again under the lock: what is true now counts, not what was before."""
    if project.profile.integer("KEEP_RELEASES") or any(one.secrets for one in project.stack.services.values()):
        secret_key.key(project)  # what stands for a secret has to be the same from the first deploy on
    found = prepared(project, wish)
    now, then = found.deploy, before.deploy
    if now.plan.operations and (now.changes, now.origin) != (then.changes, then.origin):
        note("what there is to change has changed in the meantime")
        _confirm(project, now, yes)
    return found


def rollback(project: Project, wanted: int, yes: bool, json: bool, wait: str = "", interrupt: bool = False) -> None:
    """Bring an earlier release back, without a build or a pull; raises DeployError when that fails."""
    patience = waiting(wait)
    target = releases.target(project, wanted)
    what = f"release {target.id} ({target.version}, {target.created})"
    kept = releases.recorded_model(project, target.id)
    filled = redactions.filled(project, kept, target)
    redactions.refuse_unfilled(filled.model)
    found = prepare.earlier(project, target, filled.model)
    planner.refuse(found.deploy.plan)
    if project.runner.dry:
        names = {name: raw.get("image", "") for name, raw in found.desired.model["services"].items()}
        model = restored(redactions.shown(kept), names)
        dry.show(project, replace(found, desired=replace(found.desired, model=model)))
        return
    planner.refuse_interruption(project.profile, found.deploy.plan, interrupt)
    if project.profile.flag("CONFIRM_DEPLOY"):
        show_changes(found.deploy)
        confirm(f"roll {project.stack.project} back to {what}", yes)
    with outcomes.reported(project, json) as report, locks.held(project, "rollback", patience) as lock:
        now = releases.target(project, wanted)
        if now.id != target.id:
            raise RefusedError(
                f"release {now.id} is what a roll back goes to by now, not {target.id}: somebody deployed meanwhile",
                f"inv deploy.history --env {project.profile.environment} shows what serves",
            )
        found = prepare.earlier(project, target, filled.model)
        planner.refuse(found.deploy.plan)
        deployment = Deployment(project, lock.verify, locks.who(), report.steps)
        report.release = deployment.back_to(target, found, kept, filled.fingerprints)
        _publish(project, lock, report)
    note(f"{project.stack.project} is back at {what}")
    report.refuse_unpublished(project)
