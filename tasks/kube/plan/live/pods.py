"""The Pods of a project: their state in the words of a container engine, and why they do not get ready."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ....model.lazy_pattern import lazy_pattern
from ....model.record import Record
from ....model.stack.stack import Service, Stack
from .. import labels
from .difference import JOB, PODS, Raw, service_of

_PULL = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable")
_SETUP = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")
_NODES = "`kubectl get nodes` shows what the cluster has"
_DIGEST = lazy_pattern(r"sha256:[0-9a-f]{64}")


class PodProblem(Record):
    """Why a service does not get ready, in one line, and what to do; ``final``: waiting does not help."""

    service: str
    text: str
    hint: str
    final: bool = False

    def __str__(self) -> str:
        return f"{self.service}: {self.text}" if self.service else self.text


def of_service(pods: Iterable[Raw], service: str, names: Mapping[str, str]) -> tuple[Raw, ...]:
    """Return the Pods of a service, those that are being removed left out."""
    return tuple(
        pod for pod in pods if service_of(pod, names) == service and not pod["metadata"].get("deletionTimestamp")
    )


def lost(pod: Raw) -> bool:
    """Whether the node of a Pod does not answer any more, so that nobody knows whether the Pod still runs.

    The node controller takes the readiness from the Pod then; what the node said of its containers last stays.
    https://kubernetes.io/docs/concepts/architecture/nodes/#node-controller
    """
    said = {one.get("type"): one.get("status") for one in (pod.get("status") or {}).get("conditions") or ()}
    taken = said.get("Ready") == "False" and said.get("ContainersReady") == "True"
    return taken and not pod["spec"].get("readinessGates")


def node(pod: Raw) -> str:
    """Return the node that a Pod was given to, "" where it waits for one."""
    return str(pod["spec"].get("nodeName", ""))


def state(pod: Raw) -> str:
    """Return the state of a Pod as a container engine calls it; ``unknown`` where its node does not answer."""
    status = pod.get("status") or {}
    phase = status.get("phase", "Unknown")
    if lost(pod):
        return "unknown"
    if phase == "Running":
        waits = any("waiting" in (one.get("state") or {}) for one in _main(pod))
        return "restarting" if waits else "running"
    return {"Succeeded": "exited", "Failed": "exited", "Pending": "created"}.get(str(phase), str(phase).lower())


def health(pod: Raw, checked: bool) -> str:
    """Return ``healthy``, ``starting`` or ``unhealthy`` as the Pod's probes say, "" without any."""
    if not checked or state(pod) in ("exited", "created", "unknown"):
        return ""
    statuses = _main(pod)
    if statuses and all(one.get("ready") for one in statuses):
        return "healthy"
    started = all(one.get("started", True) for one in statuses)
    return "unhealthy" if started and state(pod) == "running" else "starting"


def checked(pod: Raw) -> bool:
    """Whether a Pod has a probe that says whether it is ready."""
    return any("readinessProbe" in one for one in pod["spec"].get("containers") or ())


def exit_code(pod: Raw) -> int | None:
    """Return the exit code of a Pod that has ended, None while it runs."""
    ended = ((one.get("state") or {}).get("terminated") or {} for one in _main(pod))
    return next((int(one["exitCode"]) for one in ended if "exitCode" in one), None)


def last_exit_code(pod: Raw) -> int | None:
    """Return the exit code with which a container of a Pod ended before it was started again, None where none did."""
    ended = ((one.get("lastState") or {}).get("terminated") or {} for one in _main(pod))
    return next((int(one["exitCode"]) for one in ended if "exitCode" in one), None)


def ready(pod: Raw) -> bool:
    """Whether all containers of a Pod run and are ready."""
    statuses = _main(pod)
    return state(pod) == "running" and bool(statuses) and all(one.get("ready") for one in statuses)


def starting(pod: Raw) -> bool:
    """Whether a container of a Pod has not started yet, by its startup check, or the Pod has not been ready yet."""
    return state(pod) == "created" or any(not one.get("started", True) for one in _main(pod)) or _never_ready(pod)


def _never_ready(pod: Raw) -> bool:
    """Whether a Pod is not ready since before its container was started: its readiness check has yet to pass.

    https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-conditions
    """
    conditions = (pod.get("status") or {}).get("conditions") or ()
    since = next((one.get("lastTransitionTime") or "" for one in conditions if one.get("type") == "Ready"), "")
    return bool(since) and not ready(pod) and since <= started(pod)


def coming(found: Iterable[Raw], service: str, names: Mapping[str, str]) -> bool:
    """Whether all Pods of a service that are not ready are being started, as after one was taken from its node."""
    return all(ready(pod) or (starting(pod) and not restarts(pod)) for pod in of_service(found, service, names))


def digest(pod: Raw) -> str:
    """Return the digest of the image that a Pod runs, "" while it is not known."""
    found = (_DIGEST.search(str(one.get("imageID", ""))) for one in _main(pod))
    return next((one[0] for one in found if one), "")


def image(pod: Raw) -> str:
    """Return the image that a Pod names."""
    return str(next((one.get("image", "") for one in pod["spec"].get("containers") or ()), ""))


def restarts(pod: Raw) -> int:
    """Return how often containers of a Pod were started again."""
    return sum(int(one.get("restartCount", 0)) for one in _main(pod))


def started(pod: Raw) -> str:
    """Return when the container of a Pod was started, RFC 3339, "" when it was not."""
    running = ((one.get("state") or {}).get("running") or {} for one in _main(pod))
    return max((str(one["startedAt"]) for one in running if "startedAt" in one), default="")


def _main(pod: Raw) -> Sequence[Mapping[str, Any]]:
    found: Sequence[Mapping[str, Any]] = (pod.get("status") or {}).get("containerStatuses") or ()
    return found


def ports(objects: Iterable[Raw], service: str, names: Mapping[str, str]) -> list[str]:
    """Return the ports of the Services of a service, as ``80/tcp``, and of a node or a balancer before ``->``."""
    found = []
    for raw in objects:
        if raw["kind"] != "Service" or service_of(raw, names) != service:
            continue
        for one in raw["spec"].get("ports") or ():
            inner = f"{one['port']}/{str(one.get('protocol', 'TCP')).lower()}"
            found.append(f"{one['nodePort']}->{inner}" if one.get("nodePort") else inner)
    return sorted(dict.fromkeys(found))


def row(
    stack: Stack, service: Service, pods: Sequence[Raw], objects: Sequence[Raw], names: Mapping[str, str]
) -> dict[str, Any]:
    """Return a service as ``deploy.status`` shows it, without drift."""
    own = of_service(pods, service.name, names)
    workload = next((raw for raw in objects if raw["kind"] in PODS and service_of(raw, names) == service.name), None)
    running = [pod for pod in own if state(pod) == "running"]
    order = ("unhealthy", "starting", "healthy")
    words = {health(pod, checked(pod)) for pod in own}
    return {
        "service": service.name,
        "state": _state(stack, service, own, workload),
        "health": next((word for word in order if word in words), ""),
        "image": service.image,
        "digest": next((found for pod in own if (found := digest(pod))), ""),
        "replicas": "-" if stack.one_off(service) else f"{len(running)}/{_wanted(service, workload)}",
        "ports": ports(objects, service.name, names),
        "started": max((started(pod) for pod in own), default=""),
        "restarts": sum(restarts(pod) for pod in own),
    }


def _wanted(service: Service, workload: Raw | None) -> int:
    if workload is None:
        return service.replicas
    if workload["kind"] == "DaemonSet":
        return int((workload.get("status") or {}).get("desiredNumberScheduled", 0))
    return int(workload["spec"].get("replicas", 1))


def _state(stack: Stack, service: Service, own: Sequence[Raw], workload: Raw | None) -> str:
    if not own:
        return "stopped" if workload is not None and not _wanted(service, workload) else "absent"
    if stack.one_off(service):
        code = exit_code(own[-1])
        if code is not None:
            return "completed" if code == 0 else f"failed ({code})"
    return "/".join(sorted({state(pod) for pod in own}))


def container_row(pod: Raw, names: Mapping[str, str]) -> dict[str, Any]:
    """Return a Pod as ``ps`` lists a container."""
    listed = [one for container in pod["spec"].get("containers") or () for one in container.get("ports") or ()]
    return {
        "name": pod["metadata"]["name"],
        "service": service_of(pod, names) or (pod["metadata"].get("labels") or {}).get(labels.SERVICE, ""),
        "state": state(pod),
        "health": health(pod, checked(pod)),
        "exit_code": exit_code(pod),
        "image": image(pod),
        "ports": [f"{one['containerPort']}/{str(one.get('protocol', 'TCP')).lower()}" for one in listed],
    }


# Why something does not get ready


def problems(pods: Iterable[Raw], objects: Iterable[Raw], names: Mapping[str, str]) -> tuple[PodProblem, ...]:
    """Return why Pods do not get ready, the gravest first; ``objects`` are workloads and claims with their status."""
    found = [problem for pod in pods for problem in _of_pod(pod, names)]
    told = {problem.service for problem in found}
    for raw in objects:
        # That a job failed says less than how its Pod ended.
        new = [] if raw["kind"] == JOB and service_of(raw, names) in told else _of_object(raw, names)
        found += new
    return tuple(sorted(dict.fromkeys(found), key=lambda problem: not problem.final))


def unanswered(pod: Raw, names: Mapping[str, str]) -> Iterator[PodProblem]:
    """Yield that the node of a Pod does not answer."""
    if lost(pod):
        name = container_row(pod, names)["service"]
        yield PodProblem(name, f"{node(pod)} does not answer: nobody knows whether its Pod there still runs", _NODES)


def stranded(pods: Iterable[Raw], names: Mapping[str, str]) -> tuple[PodProblem, ...]:
    """Return the Pods that were told to end on a node that does not answer: they may still run."""
    return tuple(
        PodProblem(
            container_row(pod, names)["service"],
            f"{pod['metadata']['name']} was told to end and may still run: {node(pod)} does not answer",
            f"it ends when the node is back; one that is gone for good: kubectl delete node {node(pod)}",
        )
        for pod in pods
        if pod["kind"] == "Pod" and pod["metadata"].get("deletionTimestamp") and lost(pod)
    )


def _of_pod(pod: Raw, names: Mapping[str, str]) -> Iterator[PodProblem]:
    name, status = container_row(pod, names)["service"], pod.get("status") or {}
    yield from unanswered(pod, names)
    for one in (*(status.get("initContainerStatuses") or ()), *_main(pod)):
        yield from _of_container(name, pod, one)
    for condition in status.get("conditions") or ():
        if condition.get("reason") == "Unschedulable":
            text = f"no node takes it: {condition.get('message', '')}"
            yield PodProblem(name, text, f"{_NODES}; or ask for less")


def _of_container(name: str, pod: Raw, one: Mapping[str, Any]) -> Iterator[PodProblem]:
    waiting = (one.get("state") or {}).get("waiting") or {}
    reason, message = str(waiting.get("reason", "")), " ".join(str(waiting.get("message", "")).split())
    if reason in _PULL:
        secrets = ", ".join(secret["name"] for secret in pod["spec"].get("imagePullSecrets") or ())
        given = (
            f"the Pods use the pull secret {secrets}" if secrets else "the Pods use no pull secret: KUBE_PULL_SECRETS"
        )
        yield PodProblem(
            name, f"the nodes cannot pull {one.get('image', '')}: {_brief(message) or reason}", given, True
        )
    elif reason in _SETUP:
        yield PodProblem(name, f"its container cannot be made: {message or reason}", "inv logs shows more", True)
    elif reason == "CrashLoopBackOff":
        last = (one.get("lastState") or {}).get("terminated") or {}
        killed = " (killed for memory)" if last.get("reason") == "OOMKilled" else ""
        text = f"it ends again and again with exit code {last.get('exitCode', '?')}{killed}"
        yield PodProblem(name, text, f"inv logs --service {name}")
    elif (ended := (one.get("state") or {}).get("terminated") or {}) and ended.get("exitCode"):
        yield PodProblem(name, f"it ended with exit code {ended['exitCode']}", f"inv logs --service {name}")
    elif (one.get("state") or {}).get("running") and not one.get("ready") and one.get("started"):
        yield PodProblem(name, "it runs and its health check does not pass", f"inv logs --service {name}")


def _brief(message: str) -> str:
    """Return the last cause in a message of the kubelet, which wraps it several times."""
    for end in ("no such host", "connection refused", "not found", "unauthorized", "denied"):
        if end in message:
            return end
    return message[:200]


def _of_object(raw: Raw, names: Mapping[str, str]) -> Iterator[PodProblem]:
    name, status = service_of(raw, names), raw.get("status") or {}
    for condition in status.get("conditions") or ():
        if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
            yield PodProblem(name, " ".join(str(condition.get("message", "")).split()), "", True)
        if condition.get("type") == "Failed" and raw["kind"] == "Job" and condition.get("status") == "True":
            yield PodProblem(
                name, f"the job failed: {condition.get('message', '')}", f"inv logs --service {name}", True
            )
    if raw["kind"] == "PersistentVolumeClaim" and status.get("phase") == "Pending":
        kind = raw["spec"].get("storageClassName") or "no storage class: the cluster has no default one"
        text = f"the claim {raw['metadata']['name']} has no volume ({kind})"
        yield PodProblem(name, text, "set KUBE_STORAGE_CLASS to a class of `kubectl get storageclass`")
