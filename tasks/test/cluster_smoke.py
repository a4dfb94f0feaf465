"""The smoke checks of an environment on a cluster: the same requests, through the API server where that is the way."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager

from ..host.project import Project
from ..host.reports import new_run
from ..kube.live.cluster import Cluster
from ..kube.plan import labels
from ..kube.plan.live import difference, pods, takeover
from ..kube.plan.live.difference import Raw
from ..kube.plan.names import by_label
from ..model.errors import DeployError
from ..model.lazy_pattern import lazy_pattern
from ..model.stack import smoke as smoke_model
from ..model.stack.readiness import longest_health_timeout
from ..model.stack.smoke import Check
from ..model.stack.stack import Stack
from ..model.suite import FAILED, PASSED
from .http_probe import ask
from .plan import smoke as smoke_plan
from .plan.smoke import Answer, SmokeRow
from .smoke import judged, show, trusted_files

_FORWARDED = lazy_pattern(r"Forwarding from 127\.0\.0\.1:(?P<port>\d+)")
_PATIENCE, _AGAIN = 10.0, 0.5  # seconds in which checks that do not pass are made again
_HEALTH = "health"  # the check that all Pods of a service are ready
_KINDS = "pods,services,deployments.apps,statefulsets.apps,daemonsets.apps"


def run(project: Project, json: bool) -> None:
    """Check an environment on a cluster and report each check; raises CheckError when a check does not pass."""
    cluster, stack = Cluster(project), project.stack
    names = by_label(stack.services)
    if project.runner.dry:
        project.runner.show(
            f"smoke: ask the cluster for the health of {cluster.name}, run the checks in x-slipway.smoke"
        )
        return
    started, made = time.monotonic(), new_run(project.settings)
    found = rows(cluster, stack, names)
    show(made, judged(made, found, time.monotonic() - started), found, json)


def assert_smoke(cluster: Cluster, stack: Stack, names: Mapping[str, str]) -> None:
    """Raise DeployError when a check of what runs does not pass within some seconds; ``names`` as in the plan.

    A Pod that is only being started, since its node is drained for example, has as long as any to get ready.
    """
    begun = time.monotonic()
    patience = longest_health_timeout(stack.services.values(), cluster.project.profile)
    while True:
        listed = _listed(cluster)
        bad = [row for row in _rows(cluster, stack, names, listed) if row.outcome == FAILED]
        if not bad:
            return
        found = [raw for raw in listed if raw["kind"] == "Pod"]
        waits = all(row.check == _HEALTH and pods.coming(found, row.service, names) for row in bad)
        if time.monotonic() - begun > (max(patience, _PATIENCE) if waits else _PATIENCE):
            raise DeployError(f"smoke: {bad[0].service}: {bad[0].check}: {bad[0].reason}")
        time.sleep(_AGAIN)


def rows(cluster: Cluster, stack: Stack, names: Mapping[str, str]) -> tuple[SmokeRow, ...]:
    """Return the result of each check once: health of each service, then its requests."""
    return _rows(cluster, stack, names, _listed(cluster))


def _listed(cluster: Cluster) -> tuple[Raw, ...]:
    return takeover.led(cluster.read("get", _KINDS, "--selector", f"{labels.PROJECT}={cluster.name}")["items"])


def _rows(cluster: Cluster, stack: Stack, names: Mapping[str, str], listed: Sequence[Raw]) -> tuple[SmokeRow, ...]:
    result = [
        SmokeRow(name, _HEALTH, FAILED if words else PASSED, 0.0, words)
        for raw in listed
        if raw["kind"] in difference.PODS and (name := difference.service_of(raw, names))
        for words in (difference.unready(raw),)
    ]
    trusted = trusted_files(cluster.project)
    found = [raw for raw in listed if raw["kind"] == "Pod"]
    for service in stack.services.values():
        for check in service.slipway.smoke:
            own = pods.of_service(found, service.name, names)
            answer = _answer(cluster, stack, service.name, check, names, own, trusted)
            result += smoke_plan.judge(check, service.name, answer, _deployed(check, found, names))
    return tuple(result)


def _deployed(check: Check, found: Sequence[Raw], names: Mapping[str, str]) -> tuple[str, str]:
    """Return the version of the image that a check asks for, or why it is not known."""
    if not check.version:
        return "", ""
    own = pods.of_service(found, check.service, names)
    tag = pods.image(own[0]).partition("@")[0].rpartition(":")[2] if own else ""
    return (tag, "") if tag and "/" not in tag else ("", f"the image of {check.service} has no tag")


def _answer(
    cluster: Cluster,
    stack: Stack,
    owner: str,
    check: Check,
    names: Mapping[str, str],
    own: Sequence[Raw],
    trusted: Sequence[str],
) -> Answer:
    if check.origin == smoke_model.CONTAINER:
        return _inside(cluster, owner, check, own)
    if not check.address.loopback:
        return ask(check, "", trusted)
    publisher = next(
        (one.name for one in stack.services.values() for port in one.ports if port.published == check.address.port), ""
    )
    if not publisher:
        return Answer(error=f"no service publishes port {check.address.port}")
    target = next(port.target for port in stack.services[publisher].ports if port.published == check.address.port)
    short = next(short for short, name in names.items() if name == publisher)
    with forwarded(cluster, f"service/{short}", target) as port:
        if not port:
            return Answer(error=f"kubectl port-forward to {publisher} did not begin")
        return ask(check, "127.0.0.1", trusted, port=port)


def _inside(cluster: Cluster, owner: str, check: Check, own: Sequence[Raw]) -> Answer:
    """Return the answer to a check from inside a Pod of the service."""
    ready = [pod for pod in own if pods.state(pod) == "running"]
    if not ready:
        return Answer(error=f"service {owner} does not run")
    words = smoke_plan.curl(check, "")
    command = cluster.kubectl("exec", ready[-1]["metadata"]["name"], "--", *words, seconds=check.timeout + 30)
    started = time.monotonic()
    result = cluster.tried(command)
    taken = min(time.monotonic() - started, check.timeout)
    return smoke_plan.from_curl(check, result.exit_code, result.stdout, result.stderr, taken)


@contextmanager
def forwarded(cluster: Cluster, target: str, port: int) -> Iterator[int]:
    """Yield a port of this machine that leads to a port of a Service, 0 where that does not begin."""
    command = cluster.kubectl("port-forward", "--address=127.0.0.1", target, f":{port}", seconds=None)
    with closing(cluster.project.runner.lines(command)) as lines:
        yield next((int(found["port"]) for line in lines if (found := _FORWARDED.search(line))), 0)
