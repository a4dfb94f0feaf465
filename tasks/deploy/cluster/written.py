"""Writes the plan of a deploy to a cluster to a file, and finds out what has moved since."""

from collections.abc import Iterator
from typing import Any

from ...host import lock
from ...host.project import Project
from ...kube.live import leases, seal_key
from ...kube.live.cluster import Cluster
from ...kube.live.inventory import namespace
from ...model.errors import RefusedError
from .. import written_plan
from ..plan import agreed, cluster_facts
from ..plan.agreed import AgreedPlan
from ..plan.deploy import refuse
from ..plan.shown import ShownPlan
from ..written_plan import PlannedFrom
from .prepare import ClusterDeploy, prepare


def require_key(project: Project) -> None:
    """Make the key that seals plans where there is none yet, under the deploy lock, and the namespace that has it."""
    cluster = Cluster(project)
    there = namespace(cluster)
    if project.runner.dry or seal_key.find(cluster):
        return
    if not there:
        cluster.require_namespace()
    leases.use(project)
    with lock.project_lock(project, "plan", 0.0):
        if not seal_key.find(cluster):  # another plan made it meanwhile
            seal_key.make(cluster)


def write(project: Project, prepared: ClusterDeploy, shown: ShownPlan, name: str) -> None:
    """Write a plan to a file; raises RefusedError for a plan that a deploy would not carry out."""
    refuse(prepared.deploy.plan)
    if prepared.unfinished:
        raise RefusedError(
            "an earlier deploy was stopped before it ended: the next one goes back first, and what it does then is "
            "not known yet",
            f"inv deploy.{project.profile.environment}, without --plan; or wait for the deploy that works now",
        )
    written_plan.write(
        project, shown, name, _planned_from(prepared),
        lambda: _planned_from(prepare(project, looking=True, promotion=prepared.deploy.promotion)),
    )  # fmt: skip


def refuse_moved(project: Project, prepared: ClusterDeploy, plan: AgreedPlan) -> None:
    """Raise RefusedError that says what has moved since a plan was made, or that another would be carried out."""
    written_plan.refuse_otherwise(project, _planned_from(prepared), plan)
    agreed.refuse_other_plan(plan, prepared.deploy.plan)


def _planned_from(prepared: ClusterDeploy) -> PlannedFrom:
    project, source, deploy = prepared.cluster.project, prepared.source, prepared.deploy
    files = cluster_facts.of_files(source.files, project.cwd)
    return PlannedFrom(
        seal_key.find(prepared.cluster),
        tuple(_facts(prepared)),
        (*files, *written_plan.ingredients(project, deploy)),
        (*source.files, *written_plan.contexts(deploy)),
    )


def _facts(prepared: ClusterDeploy) -> Iterator[tuple[str, Any, str]]:
    """Yield the cluster and what is there: name, value, and in words what of it is no secret."""
    place, stack = prepared.cluster.place, prepared.stack
    there = namespace(prepared.cluster)
    uid = str(there["metadata"]["uid"]) if there else "not there"
    # The namespace's own id: another cluster may have the same names.
    yield agreed.CLUSTER, uid, f"{place.context}, namespace {place.namespace} ({uid.partition('-')[0]})"
    yield "what is applied", prepared.content, ""
    yield from cluster_facts.of_releases(prepared.history.revisions, prepared.history.applied)
    yield from cluster_facts.of_objects(prepared.state.live)
    names = {name: service.image for name, service in stack.services.items()}
    yield from cluster_facts.of_images(prepared.source.images, names)
    for name, value in prepared.secret.after.data.items():
        yield f"secret {name}", value, ""
