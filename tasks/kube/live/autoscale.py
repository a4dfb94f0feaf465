"""What kube.autoscale does: tells what the autoscalers of an environment do."""

from ...host.output import emit_json, emit_table, note
from ...host.project import Project
from ...model.errors import CheckError, InputError
from ..plan import labels
from ..plan.live.autoscalers import FAULTS, Autoscaler, autoscalers
from ..plan.names import by_label
from .cluster import Cluster
from .inventory import refuse_foreign_namespace

_HEADERS = ("SERVICE", "STATE", "MIN", "MAX", "PODS", "WANTED", "TARGET", "CPU", "WHY")
# By its version: kubectl would ask for the newest one that the server has, and another one has other fields.
_KIND = "horizontalpodautoscalers.v2.autoscaling"


def run(project: Project, only: tuple[str, ...], json: bool) -> None:
    """Report the autoscalers of an environment; raises CheckError when one of them does not work.

    Raises InputError without a context or a namespace, or for a service that there is not, RefusedError for a cluster
    that does not answer or does not allow it.
    """
    services = tuple(service.name for service in project.stack.select(only)) if only else ()
    found = _found(project, services)
    if json:
        environment = project.profile.environment
        emit_json(
            {
                "schema": "slipway/kube.autoscale/v1",
                "environment": environment,
                "autoscalers": [one.document() for one in found],
            }
        )
    elif found:
        emit_table(_HEADERS, [one.row() for one in found])
    else:
        note("no service scales by itself: x-slipway: {scale: {min: 2, max: 10, cpu: 70%}} makes one do so")
    _tell(project, found)


def _found(project: Project, services: tuple[str, ...]) -> tuple[Autoscaler, ...]:
    if not project.clustered and not project.profile.text("KUBE_CONTEXT"):
        raise InputError(
            f"{project.profile.environment} is not on a cluster: services scale by themselves on Kubernetes only",
            "set ORCHESTRATOR=kubernetes, KUBE_CONTEXT and KUBE_NAMESPACE in its profile",
        )
    cluster = Cluster(project)
    names = by_label(project.stack.services)
    if namespace := cluster.read("get", "namespace", cluster.namespace, missing="null"):
        refuse_foreign_namespace(cluster, namespace)
    selector = f"{labels.PROJECT}={cluster.name}"
    listed = cluster.read("get", _KIND, "--selector", selector, missing="null") or {}
    return autoscalers(project.stack, listed.get("items") or (), names, services)


def _tell(project: Project, found: tuple[Autoscaler, ...]) -> None:
    environment = project.profile.environment
    for one in found:
        if not one.differs:
            continue
        if one.asked is None:
            note(f"{one.service}: the Compose files say nothing of {one.name}; inv deploy.{environment} removes it")
        else:
            asked = f"{one.asked.least} to {one.asked.most} Pods at {one.asked.cpu} %"
            note(f"{one.service}: the Compose files say {asked}; inv deploy.{environment} brings that")
    if faults := [one for one in found if one.state in FAULTS]:
        raise CheckError(
            f"not scaled: {', '.join(f'{one.service} ({one.state}: {one.reason})' for one in faults)}",
            f"until that is put right their numbers of Pods stay as they are; inv deploy.status --env {environment}",
        )
