"""Carries deploys and roll backs out: the plan, the lock, the gates, and the report of how it ended."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from ..build import build as builds
from ..host import lock as host_lock
from ..host import reasons
from ..host.machine import give_way
from ..host.output import confirm, note
from ..host.project import Project
from ..host.steps import step
from ..host.story.telling import Ending, story
from ..image.pulls import pulls_told
from ..model.compose import Source
from ..model.errors import CommandError, DeployError, RefusedError
from ..model.lock import wait_seconds
from ..model.story.events import StoryBegun
from ..reconcile.plan.operation import BUILD, PULL, Operation
from ..release import promote, publish, redactions, secret_key, store
from ..release.plan.release import Basis, restored
from . import dry, hooks, maintenance, prepare, release, traffic
from . import report as deploy_report
from .gate import conditions
from .gate.signatures import signature_guard
from .pending import has_operations, prepare_deploy
from .pending import unrecorded as unrecorded_yet
from .plan import deploy as deploy_plan
from .plan import summary
from .plan.agreed import AgreedPlan, refuse_more
from .plan.deploy import Deploy
from .prepare import DeployRequest, Prepared
from .release import Deployment
from .signals.signals import signalled
from .status import confirm_changes, nothing_to_do, show_changes


def carry_out(
    project: Project,
    prepared: Prepared,
    yes: bool,
    build: bool,
    json: bool,
    patience: float,
    interrupt: bool,
    take: bool,
    agreed: AgreedPlan | None = None,
) -> None:
    """Carry out a deploy that has something to do, after the gates and the confirmation; see ``deploy.run``."""
    if project.runner.dry:
        conditions.warn_unmet(project, prepared.deploy)
        if prepared.deploy.promotion:
            promote.pull_missing(project, prepared.deploy.promotion)
        dry.show_commands(project, prepared)
        return
    if notice := _refuse(project, prepared, interrupt, take):
        note(notice)
    conditions.check(project, prepared.deploy)
    confirm_changes(project, prepared.deploy, yes)
    with _told(project, "deploy", prepared.deploy, json, patience) as (ending, report, lock):
        prepared = _still(project, prepared, DeployRequest(build=build, bring=True), yes, agreed)
        _refuse(project, prepared, interrupt, take)
        if has_operations(prepared):
            # Checked again: while another process had the lock, the checkout and what runs may have changed.
            evidence = conditions.check(project, prepared.deploy)
            with _hooked(project, report, lock):
                _work(project, prepared, lock, report, evidence, interrupt, agreed)
        else:
            _finish(project, prepared, lock, report)
        _tell(project, prepared, report, ending)
    report.refuse_unpublished(project)


@contextmanager
def _told(
    project: Project, task: str, deploy: Deploy, json: bool, patience: float
) -> Iterator[tuple[Ending, deploy_report.DeployReport, host_lock.LockHandle]]:
    """Hold the lock in a block that is told as a story, reported at its end, and made known to monitoring."""
    with (
        signalled(project, task) as signals,
        story(project, _begun(project, task, deploy), also=signals.renderers) as ending,
        deploy_report.reported(project, json) as report,
        host_lock.project_lock(project, task, patience) as lock,
    ):
        signals.under_lock(report)
        yield ending, report, lock


def _begun(project: Project, task: str, deploy: Deploy) -> StoryBegun:
    # What was confirmed has been shown already.
    lines = () if project.profile.flag("CONFIRM_DEPLOY") else summary.change_lines(deploy.changed)
    return StoryBegun(task, project.stack.project, project.profile.environment, project.version.text, changes=lines)


def _tell(project: Project, prepared: Prepared, report: deploy_report.DeployReport, ending: Ending) -> None:
    if report.outcome == "unchanged":
        nothing_to_do(project, prepared.deploy, json=False)
        return
    name = f" as release {report.release.id}" if report.release else ""
    changed = ", ".join(change.service for change in prepared.deploy.changed) or "nothing"
    ending.heading = f"deployed {project.stack.project}{name}: {changed}"
    _sum_up(project, prepared.deploy, report, ending)


def _sum_up(project: Project, deploy: Deploy, report: deploy_report.DeployReport, ending: Ending) -> None:
    environment, known = project.profile.environment, store.history(project)
    requests = traffic.requests_since(project, report.began)
    ending.summary = summary.summary(environment, report.release, deploy.changed, report.steps, known, requests)


def _refuse(project: Project, prepared: Prepared, interrupt: bool, take: bool) -> str:
    """Raise RefusedError for what the command line does not allow; return a notice, "" for none.

    Before the lock and again under it. Where an image is built, interruptions are known only afterwards.
    """
    plan = prepared.deploy.plan
    notice = deploy_plan.refuse_other_directory(prepared.observed, plan, project.cwd, take)
    if BUILD not in {operation.kind for operation in plan.operations}:
        deploy_plan.refuse_interruption(project.profile, plan, interrupt)
    return notice


def _finish(
    project: Project, prepared: Prepared, lock: host_lock.LockHandle, report: deploy_report.DeployReport
) -> None:
    """Note, record and push what runs already: a killed deploy did not, or Slipway did not deploy it."""
    report.outcome = "unchanged"
    unrecorded = unrecorded_yet(project, prepared)
    if prepared.unnoted or unrecorded:
        deployment = Deployment(project, lock.verify, host_lock.user_at_host(), report)
        report.release = deployment.deploy(prepared, Basis(), lambda unchanged: unchanged)
        if unrecorded:
            note(f"recorded release {report.release.id}: an earlier deploy brought it and ended before it was recorded")
    elif due := publish.release_to_publish(project):
        report.release = due
    _publish(project, lock, report)


def _publish(project: Project, lock: host_lock.LockHandle, report: deploy_report.DeployReport) -> None:
    report.unpublished = publish.publish(project, report.release, lock.verify, report.steps)


def _work(
    project: Project,
    prepared: Prepared,
    lock: host_lock.LockHandle,
    report: deploy_report.DeployReport,
    evidence: Mapping[str, str],
    interrupt: bool,
    agreed: AgreedPlan | None,
) -> None:
    """Carry a deploy out under the lock."""
    verify = signature_guard(project, prepared.deploy, lock.verify)
    deployment = Deployment(project, verify, host_lock.user_at_host(), report)

    def ready(before: Prepared) -> Prepared:
        """Build and pull the images, and return the deploy planned again with them."""
        kinds_there = {operation.kind for operation in before.deploy.plan.operations}
        if not kinds_there & {BUILD, PULL}:
            return before
        build = before.deploy.build
        if build and build.command:
            _step(report, BUILD, lambda: builds.carry_out(project, build), told=False)
        for operation in before.deploy.plan.operations:
            if operation.kind == PULL:
                _step(report, PULL, lambda pull=operation: _pull(project, pull))  # type: ignore[misc]
        made = prepare.today(project, DeployRequest(ready=True, promotion=before.deploy.promotion))
        deploy_plan.refuse(made.deploy.plan)
        deploy_plan.refuse_interruption(project.profile, made.deploy.plan, interrupt)
        if agreed:
            refuse_more(agreed, made.deploy.plan)
        return made

    basis = Basis(evidence, prepared.deploy.promotion)
    report.release = deployment.deploy(prepared, basis, ready)


def _pull(project: Project, operation: Operation) -> None:
    command = Source(project.profile, project.cwd).compose("pull", *operation.services, reason="pull_policy")
    with pulls_told():
        reasons.run(project, command)


def _step(report: deploy_report.DeployReport, name: str, work: Callable[[], None], told: bool = True) -> None:
    try:
        with step(report.steps, name, told):
            work()
    except CommandError as error:
        raise DeployError(error.message, error.hint) from None


@contextmanager
def _hooked(project: Project, report: deploy_report.DeployReport, lock: host_lock.LockHandle) -> Iterator[None]:
    """Run the project's hooks around a deploy; its release is pushed before ``post-deploy``, which may promote it."""
    hooks.before(project)
    try:
        yield
    except BaseException as error:
        hooks.failed(project, deploy_report.outcome_of(error, report.steps), deploy_report.reason(error))
        raise
    _publish(project, lock, report)
    hooks.after(project, str(report.release.id) if report.release else "")


def _still(project: Project, before: Prepared, wish: DeployRequest, yes: bool, agreed: AgreedPlan | None) -> Prepared:
    """Return the deploy planned again under the lock, confirmed again when it is another than before.

    Where a plan was ``agreed`` on, another is refused.
    """
    secret_key.key(project)  # the key of the secrets' fingerprints has to stay the same from the first deploy on
    prepared = prepare_deploy(project, wish)
    if agreed:
        from . import written_plan

        written_plan.refuse_moved(project, prepared, agreed, pulled=written_plan.missing(before))
        return prepared
    now, then = prepared.deploy, before.deploy
    if now.plan.operations and (now.changes, now.origin) != (then.changes, then.origin):
        note("the plan has changed since this deploy began")
        confirm_changes(project, now, yes)
    return prepared


def rollback(project: Project, wanted: int, yes: bool, json: bool, wait: str = "", interrupt: bool = False) -> None:
    """Go back to an earlier release without a build or a pull; raises DeployError when that fails.

    ``wanted`` is the number of the release, 0 for the release before the one that serves.
    """
    patience = wait_seconds(wait)
    give_way(project.profile.integer("DEPLOY_NICE"))
    target = release.target(project, wanted)
    what = f"release {target.id} ({target.version}, {target.created})"
    kept = release.recorded_model(project, target.id)
    filled = redactions.with_current_secrets(project, kept, target)
    redactions.refuse_unset_secrets(filled.model)
    prepared = prepare.earlier(project, target, filled.model)
    deploy_plan.refuse(prepared.deploy.plan)
    if project.runner.dry:
        names = {name: raw.get("image", "") for name, raw in prepared.desired.model["services"].items()}
        model = restored(redactions.shown(kept), names)
        dry.show_commands(project, replace(prepared, desired=replace(prepared.desired, model=model)))
        return
    deploy_plan.refuse_interruption(project.profile, prepared.deploy.plan, interrupt)
    maintenance.refuse_hidden(project)
    if project.profile.flag("CONFIRM_DEPLOY"):
        show_changes(prepared.deploy)
        confirm(f"roll {project.stack.project} back to {what}", yes)
    with _told(project, "rollback", prepared.deploy, json, patience) as (ending, report, lock):
        now = release.target(project, wanted)
        if now.id != target.id:
            raise RefusedError(
                f"a roll back goes to release {now.id} by now, not to {target.id}: another deploy ran meanwhile",
                f"inv deploy.history --env {project.profile.environment} shows what serves",
            )
        prepared = prepare.earlier(project, target, filled.model)
        deploy_plan.refuse(prepared.deploy.plan)
        deploy_plan.refuse_interruption(project.profile, prepared.deploy.plan, interrupt)
        deployment = Deployment(project, lock.verify, host_lock.user_at_host(), report)
        report.release = deployment.back_to(target, prepared, kept, filled.fingerprints)
        _publish(project, lock, report)
        ending.heading = f"{project.stack.project} is back at {what}"
        _sum_up(project, prepared.deploy, report, ending)
    report.refuse_unpublished(project)
