"""Goes back to an earlier release on a cluster, takes an environment down, and breaks its lock."""

from ...host import lock as host_lock
from ...host.confirmation import confirm_change
from ...host.machine import give_way
from ...host.output import confirm, note
from ...host.project import Project
from ...kube.live import leases
from ...kube.live.cluster import Cluster
from ...kube.live.history import History
from ...kube.plan import labels
from ...model.errors import RefusedError
from ...model.lock import wait_seconds
from ...release.plan.release import target
from ..plan.deploy import refuse, refuse_interruption
from ..status import show_changes
from .carry_out import ClusterDeployment
from .deploy import locked, tell
from .dry import show_way_back
from .prepare import earlier


def rollback(project: Project, wanted: int, yes: bool, json: bool, wait: str = "", interrupt: bool = False) -> None:
    """Go back to the release of a number, 0: to the one before; raises DeployError when that fails.

    ``interrupt`` allows it although services cannot be reached for a while.
    """
    patience = wait_seconds(wait)
    give_way(project.profile.integer("DEPLOY_NICE"))
    cluster = Cluster(project)
    goal = target(History(cluster).releases, wanted)
    what = f"release {goal.id} ({goal.version}, {goal.created})"
    if project.runner.dry:
        show_way_back(earlier(project, goal), goal.id)
        return
    prepared = earlier(project, goal)
    refuse(prepared.deploy.plan)
    if project.profile.flag("CONFIRM_DEPLOY"):
        show_changes(prepared.deploy)
        confirm(f"roll {cluster.name} back to {what}", yes)
    refuse_interruption(project.profile, prepared.deploy.plan, interrupt)
    with locked(project, prepared, "rollback", json, patience) as (ending, report, lock):
        deployment = ClusterDeployment(project, lock, report)
        deployment.take_back_stopped()
        now = target(History(cluster).releases, wanted)
        if now.id != goal.id:
            raise RefusedError(
                f"a roll back goes to release {now.id} by now, not to {goal.id}: another deploy ran meanwhile",
                f"inv deploy.history --env {project.profile.environment} shows what serves",
            )
        report.release = deployment.back_to(earlier(project, goal), goal)
        ending.heading = f"{cluster.name} is back at {what}"
        tell(project, prepared, report, ending)


def down(project: Project, volumes: bool, yes: bool, wait: str = "") -> None:
    """Remove what a project has on a cluster; its claims, and with them its data, only with ``volumes``.

    The history stays, so that release numbers go on.
    """
    patience = wait_seconds(wait)
    cluster = Cluster(project)
    selector = f"{labels.PROJECT}={cluster.name}"
    uninstall = cluster.helm(
        "uninstall", cluster.release, "--keep-history", "--wait", reason=f"stop {cluster.name}", seconds=None
    )
    claims = cluster.kubectl("delete", "persistentvolumeclaims", "--selector", selector, seconds=None)
    secret = cluster.kubectl("delete", "secret", "--selector", selector, "--ignore-not-found")
    if project.runner.dry:
        for command in (uninstall, secret, *((claims,) if volumes else ())):
            project.runner.run(command)
        return
    listed = cluster.read("get", "persistentvolumeclaims", "--selector", selector)["items"] if volumes else []
    names = ", ".join(raw["metadata"]["name"] for raw in listed)
    if names:
        confirm(f"remove the claims {names} of {cluster.name} and their data", yes)
    else:
        confirm_change(project, "take down", yes)
    leases.use(project)
    with host_lock.project_lock(project, "down", patience):
        if History(cluster).serving is None and not History(cluster).revisions:
            note(f"{cluster.name}: nothing was deployed to namespace {cluster.namespace}")
        else:
            cluster.run(uninstall)
        cluster.run(secret)
        if volumes:
            cluster.run(claims)


def unlock(project: Project, yes: bool) -> None:
    """Break the lock of an environment on a cluster."""
    leases.use(project)
    host_lock.unlock(project, yes)
