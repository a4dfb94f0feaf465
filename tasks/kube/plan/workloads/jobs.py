"""A service that is meant to end, as a Job.

``restart`` says whether it is tried again: ``on-failure:3`` in the same Pod, three times. Without it Compose does not,
but it also starts a job when what it needs is healthy, and Kubernetes at once; so a job that needs a service of the
project is tried again a few times, with longer and longer pauses (10 s, 20 s, 40 s, …, five minutes in all). That is
in the same Pod, too: what enforces policies may take longer to hear of a new Pod than a job takes to fail (seen with
kube-router, also before an upgrade). The variant for that, when its database is there, is tried again twice
(``charts.py``).
https://kubernetes.io/docs/concepts/workloads/controllers/job/
"""

from collections.abc import Mapping
from typing import Any

from ....model.record import Record
from ....model.stack.stack import Service
from ..source import KubeSource
from .kinds import deploy_mode
from .ordering import waits

DAY = 86400  # seconds: how long a Job that has ended is kept, with its log
AGAIN = 5
"""How often a job is tried again because what it needs may not be there yet."""
AGAIN_BEFORE_UPGRADE = 2
"""How often before an upgrade: what enforces policies may hear of its Pod after it has failed."""
NEVER, ON_FAILURE = "Never", "OnFailure"
ONCE = {"slipway/restart": "no"}
"""The annotation of a job that Compose would try once."""
_WITHOUT_END = 20  # times that Compose's on-failure without a number means here: hours


class Restart(Record):
    """What a Compose file says about starting again: ``condition`` is no, on-failure, always or unless-stopped.

    ``most`` is how often, 0 for any number; ``key`` is where it stands, "" where nothing is said.
    """

    condition: str = "no"
    most: int = 0
    key: str = ""


def restart(source: KubeSource, service: Service) -> Restart:
    """Return what a service says about starting again: ``deploy.restart_policy``, else ``restart``.

    https://docs.docker.com/reference/compose-file/deploy/#restart_policy
    """
    raw = source.raw(service.name)
    policy = (raw.get("deploy") or {}).get("restart_policy")
    if policy:
        condition = {"none": "no", "any": "always"}.get(str(policy.get("condition") or "any"), "on-failure")
        most = int(policy.get("max_attempts") or 0)
        return Restart(condition, most, f"services.{service.name}.deploy.restart_policy")
    said = str(raw.get("restart") or "")
    if not said:
        return Restart()
    condition, _, number = said.partition(":")
    return Restart(condition, int(number) if number.isdigit() else 0, f"services.{service.name}.restart")


def job(source: KubeSource, service: Service, template: Mapping[str, Any]) -> dict[str, Any]:
    """Return the specification of a Job that runs a template to its end."""
    said = restart(source, service)
    again = said.condition != "no"
    tries = (said.most or _WITHOUT_END) if again else AGAIN if waits(source, service) else 0
    pod = {"restartPolicy": ON_FAILURE if tries else NEVER, **template["spec"]}
    spec: dict[str, Any] = {
        "backoffLimit": tries,
        "ttlSecondsAfterFinished": DAY,
        "template": {**template, "spec": pod},
    }
    if deploy_mode(source, service) == "replicated-job" and service.replicas > 1:
        spec |= {"completions": service.replicas, "parallelism": service.replicas}
    return spec
