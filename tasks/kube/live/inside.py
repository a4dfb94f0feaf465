"""Commands inside the Pods of a service."""

from collections.abc import Mapping, Sequence
from typing import Any

from ...host.project import Project
from ...model.command import Command
from ...model.errors import RefusedError
from ..plan import labels
from ..plan.live import pods
from ..plan.names import of_services
from .cluster import Cluster

Raw = Mapping[str, Any]


def command(project: Project, service: str, words: Sequence[str], tty: bool = False, reason: str = "") -> Command:
    """Return the command that runs words in a Pod of a service, with our stdin; raises RefusedError without one."""
    cluster = Cluster(project)
    short = of_services(project.stack.services)[service]
    target = f"service/{short}" if project.runner.dry else str(running(cluster, service)["metadata"]["name"])
    flags = ("--stdin", *(("--tty",) if tty else ()), f"--container={short}")
    return cluster.kubectl("exec", *flags, target, "--", *words, reason=reason, seconds=None)


def running(cluster: Cluster, service: str) -> Raw:
    """Return the newest ready Pod of a service, else the newest that runs; raises RefusedError without one."""
    short = of_services(cluster.project.stack.services)[service]
    selector = ",".join(f"{key}={value}" for key, value in labels.of_service(cluster.name, short).items())
    found = cluster.read("get", "pods", "--selector", selector, missing='{"items": []}')["items"]
    alive = [pod for pod in found if pods.state(pod) == "running" and not pod["metadata"].get("deletionTimestamp")]
    alive.sort(key=lambda pod: (pods.health(pod, pods.checked(pod)) in ("healthy", ""), pods.started(pod)))
    if not alive:
        raise RefusedError(
            f"service {service} of {cluster.name} is not running", f"start it: inv deploy.{cluster.place.environment}"
        )
    newest: Raw = alive[-1]
    return newest
