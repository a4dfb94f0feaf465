"""What mesh.check does: tells how far the services of an environment are in the mesh of its cluster."""

from ..host.output import emit_json, emit_table, note
from ..host.project import Project
from ..kube.live.cluster import Cluster
from ..kube.plan.names import by_label
from ..kube.translated import rendered
from ..model.errors import CheckError, InputError
from .plan import istio, linkerd
from .plan.membership import Membership

_HEADERS = ("SERVICE", "SIDECARS", "MTLS", "WRONG")
_CHECKS = {"istio": istio.CHECK, "linkerd": linkerd.CHECK}


def run(project: Project, json: bool) -> None:
    """Report how far each service is in the mesh; raises CheckError when one is not as its networks want it.

    Raises InputError without a mesh, a context or a namespace, RefusedError for a cluster that does not answer.
    """
    environment = project.profile.environment
    mesh = project.profile.text("MESH")
    if not mesh:
        raise InputError(f"{environment}: its profile names no mesh", "set MESH to that of the cluster, and deploy")
    cluster = Cluster(project)
    live = cluster.read("get", ",".join(_CHECKS[mesh].kinds))["items"]
    found = _CHECKS[mesh].memberships(rendered(project).objects, live, by_label(project.stack.services))
    if json:
        services = [one.document() for one in found]
        emit_json({"schema": "slipway/mesh.check/v1", "environment": environment, "services": services})
    else:
        emit_table(_HEADERS, [one.row() for one in found])
    _judge(found, environment)


def _judge(found: tuple[Membership, ...], environment: str) -> None:
    wrong = [one for one in found if one.faults]
    if wrong:
        names = ", ".join(f"{one.service} ({one.faults[0]})" for one in wrong)
        raise CheckError(f"not in the mesh as it should be: {names}", f"inv deploy.{environment} brings what is ours")
    note(f"{len(found)} services: each Pod has its sidecar, and only who shares a network is let in")
