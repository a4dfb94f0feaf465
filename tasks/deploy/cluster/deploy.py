"""Deploys an environment to a cluster: the plan, the gates, the lock, and the report of how it ended."""

from collections.abc import Iterator
from contextlib import contextmanager

from ...host import lock as host_lock
from ...host.machine import give_way
from ...host.output import note
from ...host.project import Project
from ...host.story.telling import Ending, story
from ...kube.live import leases
from ...model.lock import wait_seconds
from ...model.story.events import StoryBegun
from ...release.plan.release import Basis
from .. import hooks
from ..gate import conditions
from ..plan import deploy as deploy_plan
from ..plan import summary
from ..plan.agreed import AgreedPlan
from ..report import DeployReport, outcome_of, reason, reported
from ..signals.signals import signalled
from ..status import confirm_changes, nothing_to_do
from .carry_out import ClusterDeployment
from .dry import show_commands
from .prepare import ClusterDeploy, prepare
from .promotion import promoted


def run(
    project: Project,
    yes: bool,
    build: bool,
    json: bool,
    wait: str = "",
    interrupt: bool = False,
    agreed: AgreedPlan | None = None,
) -> None:
    """Deploy an environment; raises DeployError (exit code 4) when the deploy began and failed.

    ``agreed`` is a plan that has to be carried out, and no other.
    """
    give_way(project.profile.integer("DEPLOY_NICE"))
    patience = wait_seconds(wait)
    prepared = prepare(project, build, promotion=promoted(project))
    _refuse_moved(project, prepared, agreed)
    deploy_plan.refuse(prepared.deploy.plan)
    if not prepared.deploy.plan.operations and not prepared.unfinished:
        nothing_to_do(project, prepared.deploy, json)
        return
    if project.runner.dry:
        conditions.show_unmet(conditions.unmet(project, prepared.deploy, prepared.rolled))
        show_commands(prepared)
        return
    _refuse(project, prepared, interrupt)
    confirm_changes(project, prepared.deploy, yes)
    with locked(project, prepared, "deploy", json, patience) as (ending, report, lock):
        _locked(project, prepared, build, yes, interrupt, lock, report, agreed)
        tell(project, prepared, report, ending)


def _locked(
    project: Project,
    before: ClusterDeploy,
    build: bool,
    yes: bool,
    interrupt: bool,
    lock: host_lock.LockHandle,
    report: DeployReport,
    agreed: AgreedPlan | None,
) -> None:
    """Deploy under the lock, planned again: meanwhile another deploy may have run."""
    deployment = ClusterDeployment(project, lock, report)
    if not agreed:  # it says of an earlier deploy that was stopped that something has moved
        deployment.take_back_stopped()
    prepared = prepare(project, build, promotion=promoted(project, bring=True))
    _refuse_moved(project, prepared, agreed)
    deploy_plan.refuse(prepared.deploy.plan)
    if not prepared.deploy.plan.operations:
        report.outcome = "unchanged"
        return
    if (prepared.deploy.changes, prepared.deploy.origin) != (before.deploy.changes, before.deploy.origin):
        note("the plan has changed since this deploy began")
        confirm_changes(project, prepared.deploy, yes)
    _refuse(project, prepared, interrupt)
    evidence = conditions.check(project, prepared.deploy, prepared.rolled)
    hooks.before(project)
    try:
        basis = Basis(evidence, prepared.deploy.promotion)
        report.release = deployment.deploy(prepared, basis, interrupt, agreed)
    except BaseException as error:
        hooks.failed(project, outcome_of(error, report.steps), reason(error))
        raise
    hooks.after(project, str(report.release.id))


def _refuse_moved(project: Project, prepared: ClusterDeploy, agreed: AgreedPlan | None) -> None:
    if agreed:
        from .written import refuse_moved  # only for a plan that was written

        refuse_moved(project, prepared, agreed)


def _refuse(project: Project, prepared: ClusterDeploy, interrupt: bool) -> None:
    deploy_plan.refuse_interruption(project.profile, prepared.deploy.plan, interrupt)
    conditions.check(project, prepared.deploy, prepared.rolled)


@contextmanager
def locked(
    project: Project, prepared: ClusterDeploy, task: str, json: bool, patience: float
) -> Iterator[tuple[Ending, DeployReport, host_lock.LockHandle]]:
    """Hold the lock, a Lease, in a block that is told as a story, reported at its end, and made known to monitoring."""
    leases.use(project)
    profile = project.profile
    lines = () if profile.flag("CONFIRM_DEPLOY") else summary.change_lines(prepared.deploy.changed)
    begun = StoryBegun(task, prepared.cluster.name, profile.environment, project.version.text, changes=lines)
    if not prepared.there:
        prepared.cluster.require_namespace()
    with (
        signalled(project, task) as signals,
        story(project, begun, also=signals.renderers) as ending,
        reported(project, json) as report,
        host_lock.project_lock(project, task, patience) as lock,
    ):
        report.known = prepared.history.releases
        signals.under_lock(report)
        yield ending, report, lock


def tell(project: Project, prepared: ClusterDeploy, report: DeployReport, ending: Ending) -> None:
    """Say at the end what was deployed."""
    if report.outcome == "unchanged":
        nothing_to_do(project, prepared.deploy, json=False)
        return
    name = f" as release {report.release.id}" if report.release else ""
    changed = ", ".join(change.service for change in prepared.deploy.changed) or "nothing"
    ending.heading = ending.heading or f"deployed {project.stack.project}{name}: {changed}"
    known = report.known
    changes = prepared.deploy.changed
    ending.summary = summary.summary(project.profile.environment, report.release, changes, report.steps, known)
