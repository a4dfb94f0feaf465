"""Day-to-day work on an environment on a cluster: its Pods, and a shell in one."""

from ..host.output import emit_json, emit_table, interactive, note
from ..host.project import Project
from ..kube.live import inside
from ..kube.live.cluster import Cluster
from ..kube.plan import labels
from ..kube.plan.live import pods
from ..kube.plan.names import by_label
from ..model.errors import InputError, RefusedError
from .plan import shell as shell_plan


def ps(project: Project, json: bool) -> None:
    """Report the Pods of the project, ended ones included."""
    cluster = Cluster(project)
    names = by_label(project.stack.services)
    listed = cluster.read("get", "pods", "--selector", f"{labels.PROJECT}={cluster.name}", missing='{"items": []}')
    rows = [pods.container_row(pod, names) for pod in listed["items"]]
    if json:
        emit_json({"schema": "slipway/ps/v1", "environment": project.profile.environment, "containers": rows})
        return
    emit_table(
        ("CONTAINER", "SERVICE", "STATE", "HEALTH", "IMAGE", "PORTS"),
        [
            (
                row["name"],
                row["service"],
                row["state"],
                row["health"] or "-",
                row["image"],
                " ".join(row["ports"]) or "-",
            )
            for row in rows
        ],
    )
    for problem in dict.fromkeys(problem for pod in listed["items"] for problem in pods.unanswered(pod, names)):
        note(str(problem))


def shell(project: Project, name: str, command: str) -> None:
    """Open a shell in a Pod of a service; raises RefusedError when its image has none."""
    service = name or _only(project)
    if service not in project.stack.services:
        raise InputError(f"no service {service}", f"there are: {', '.join(project.stack.services)}")
    words = ("-c", command) if command else ()
    tty = interactive()
    cluster = Cluster(project)
    for path in shell_plan.SHELLS:
        tried = inside.command(project, service, (path, "-c", "exit 0"))
        if project.runner.dry or cluster.tried(tried).exit_code == 0:
            project.runner.stream(inside.command(project, service, (path, *words), tty, f"shell in {service}"))
            return
    pod = inside.running(cluster, service)["metadata"]["name"]
    raise RefusedError(
        f"the image of {service} has no shell",
        f"kubectl --context {cluster.place.context} --namespace {cluster.namespace} debug --stdin --tty {pod} "
        "--image=IMAGE starts one next to it",
    )


def _only(project: Project) -> str:
    """Return the only long-running service that is built; raises InputError when there are several."""
    built = [service.name for service in project.stack.built() if not project.stack.one_off(service)]
    if len(built) == 1:
        return built[0]
    raise InputError(
        "which service? there are several",
        f"inv shell --env {project.profile.environment} --service NAME; there are: {', '.join(project.stack.services)}",
    )
