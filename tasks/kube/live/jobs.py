"""Runs a job of the release that serves by itself, as db.migrate and db.seed do."""

import json
import time
from collections.abc import Mapping

from ...host.forwarding import signals_postponed
from ...model.errors import CommandError, RefusedError, SlipwayError
from ..plan import labels
from ..plan.live import difference, jobs, pods
from ..plan.live.difference import Raw
from ..plan.names import by_label
from .cluster import Cluster
from .inventory import documents

_LOOK = 0.5  # seconds
_START = 120.0  # seconds until the Pod of a job has to run


def run(cluster: Cluster, service: str, reason: str) -> None:
    """Run the job of a service once and show what it prints; raises CommandError with its exit code when it fails."""
    names = by_label(cluster.project.stack.services)
    if cluster.project.runner.dry:
        cluster.project.runner.show(
            f"{reason}: create a Job as that of {service} in release {cluster.release}, and wait"
        )
        return
    body = jobs.once(_of_release(cluster, service, names))
    command = cluster.kubectl("create", "--filename", "-", "--output", "json", stdin=json.dumps(body), reason=reason)
    made = json.loads(cluster.answer(command, cluster.start(command)))
    name = str(made["metadata"]["name"])
    try:
        await_start(cluster, name, names)
        cluster.run(cluster.kubectl("logs", "--follow", f"job/{name}", seconds=None))
        _judge(cluster, name, service)
    finally:
        with signals_postponed():
            cluster.silently(cluster.kubectl("delete", "job", name, "--ignore-not-found", "--wait=false"))


def _of_release(cluster: Cluster, service: str, names: dict[str, str]) -> Raw:
    hooks = cluster.helm("get", "hooks", cluster.release)
    listed = cluster.read(
        "get", "jobs,cronjobs", "--selector", f"{labels.PROJECT}={cluster.name}", missing='{"items": []}'
    )
    known = (*listed["items"], *documents(cluster.answer(hooks, cluster.start(hooks), missing="")))
    if job := jobs.found(known, service, names):
        return job
    raise RefusedError(
        f"the release of {cluster.name} that serves has no job {service}",
        f"deploy it first: inv deploy.{cluster.place.environment}",
    )


def _pods(cluster: Cluster, job: str) -> list[Raw]:
    found = cluster.read("get", "pods", "--selector", f"batch.kubernetes.io/job-name={job}")
    return list(found["items"])


def await_start(cluster: Cluster, job: str, names: Mapping[str, str]) -> None:
    """Wait until the Pod of a job runs or has ended; raises SlipwayError that says why it does not."""
    deadline = time.monotonic() + _START
    while True:
        found = _pods(cluster, job)
        if any(pods.state(pod) in ("running", "exited") for pod in found):
            return
        problems = pods.problems(found, (), names)
        if time.monotonic() > deadline or any(problem.final for problem in problems):
            raise SlipwayError(
                str(problems[0]) if problems else f"job {job} did not start within {_START:g} s",
                problems[0].hint if problems else "",
            )
        time.sleep(_LOOK)


def _judge(cluster: Cluster, job: str, service: str) -> None:
    while (well := difference.ended(cluster.read("get", "job", job))) is None:
        time.sleep(_LOOK)
    if not well:
        codes = [code for pod in _pods(cluster, job) if (code := pods.exit_code(pod))]
        raise CommandError(f"{service} ended with exit code {codes[-1] if codes else 1}", codes[-1] if codes else 1)
