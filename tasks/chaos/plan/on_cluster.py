"""What a fault on Kubernetes does to which Pods, and the objects that make it and undo it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ...kube.plan import labels
from ...kube.plan.names import label
from ...model.errors import InputError, RefusedError
from ...model.record import Record
from ...model.units import show_duration
from .active import ACTIVE, LEFT, UNDONE, Active
from .faults import FaultKind
from .injection import FAULT, LONGEST, PROJECT, SECONDS, SERVICE, TARGET, FaultRequest

ON_CLUSTER = ("pod-kill", "drain", "cut")
JOB = "slipway.chaos.job"
KINDS = "jobs,serviceaccounts,roles,rolebindings,networkpolicies"
WIDE_KINDS = "clusterroles,clusterrolebindings"
_USER = 65532  # nobody's, as images without a user of their own have it
_NAME = 63  # characters of a name that is a label too

Raw = Mapping[str, Any]


class ClusterFault(Record):
    """A fault on a cluster: the names of the Pods that it is about, and the node or the network policy."""

    project: str
    namespace: str
    wanted: FaultRequest
    pods: tuple[str, ...]
    target: str = ""

    @property
    def name(self) -> str:
        """The name of its Job: a fault of a service is not made twice."""
        return f"slipway-chaos-{self.wanted.fault.name}-{label(self.wanted.service)}"[:_NAME].rstrip("-")

    @property
    def mark(self) -> str:
        """What stands at the object that the fault has changed."""
        return f"{self.namespace}/{self.name}"


def planned(project: str, namespace: str, wanted: FaultRequest, pods: Sequence[Raw]) -> ClusterFault:
    """Return what a fault would do to the ``pods`` of its service; raises an error for what cannot be a target."""
    refuse_kind(wanted.fault)
    if wanted.source or wanted.path:
        option = "--from" if wanted.source else "--path"
        raise InputError(f"{option}: {wanted.fault.name} on Kubernetes is about all of the service", "leave it out")
    if wanted.seconds > LONGEST:
        raise InputError(f"--for: a fault lasts {show_duration(LONGEST)} at most", "inject it again after that")
    there = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp") and _runs(pod)]
    if not there:
        raise RefusedError(f"no Pod of {wanted.service} of {project} runs", "a fault needs one: inv ps shows what runs")
    names = tuple(sorted(str(pod["metadata"]["name"]) for pod in there))
    target = label(wanted.service)
    if wanted.fault.name == "drain":
        target = _node(there)
    return ClusterFault(project, namespace, wanted, names, target)


def refuse_kind(fault: FaultKind) -> None:
    """Raise InputError for a fault that is not made on Kubernetes."""
    if fault.name not in ON_CLUSTER:
        raise InputError(f"{fault.name} is not made on Kubernetes", f"there are {', '.join(ON_CLUSTER)}")


def _runs(pod: Raw) -> bool:
    return bool(pod["status"].get("phase") == "Running")


def _node(pods: Sequence[Raw]) -> str:
    """Return the node that has most Pods of a service, the first by its name where several have."""
    count = Counter(str(pod["spec"]["nodeName"]) for pod in pods)
    return min(count, key=lambda node: (-count[node], node))


def blast(fault: ClusterFault, others: Sequence[str] = ()) -> tuple[str, ...]:
    """Return in words what a fault does, to what, for how long, and how it is undone.

    ``others`` are Pods of the project that leave the node as well.
    """
    wanted = fault.wanted
    what = f"{wanted.fault.name}: {wanted.fault.does}"
    lines = [what, f"Pods: {', '.join(fault.pods)}"]
    if wanted.fault.name == "drain":
        lines = [what, f"node: {fault.target}", f"Pods that leave it: {', '.join(others)}"]
    if wanted.fault.momentary:
        return (*lines, f"undone at once: {wanted.fault.undone}")
    after = f"after {show_duration(wanted.seconds)}, whatever becomes of this process"
    return (*lines, f"undone {after}: {wanted.fault.undone}")


def _labels(fault: ClusterFault) -> dict[str, str]:
    return {
        PROJECT: label(fault.project), JOB: fault.name, FAULT: fault.wanted.fault.name,
        SERVICE: label(fault.wanted.service), SECONDS: f"{fault.wanted.seconds:g}",
    }  # fmt: skip


def objects(fault: ClusterFault, image: str, program: str) -> list[dict[str, Any]]:
    """Return what makes a fault, keeps its time and undoes it: a Job with rights for nothing but that."""
    own = {"name": fault.name, "labels": _labels(fault), "annotations": {TARGET: fault.target}}
    wide = {**own, "name": f"{fault.namespace}-{fault.name}"}
    rbac = "rbac.authorization.k8s.io"
    account = [{"kind": "ServiceAccount", "name": fault.name, "namespace": fault.namespace}]

    def bound(kind: str, role: str, metadata: dict[str, Any], rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
        version = {"apiVersion": f"{rbac}/v1", "metadata": metadata}
        reference = {"apiGroup": rbac, "kind": role, "name": metadata["name"]}
        return [
            {**version, "kind": role, "rules": rules},
            {**version, "kind": kind, "roleRef": reference, "subjects": account},
        ]

    made: list[dict[str, Any]] = [{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": own}]
    made += bound("RoleBinding", "Role", own, _rules(fault))
    if fault.wanted.fault.name == "drain":
        rules = [
            {"apiGroups": [""], "resources": ["nodes"], "resourceNames": [fault.target], "verbs": ["get", "patch"]}
        ]
        made += bound("ClusterRoleBinding", "ClusterRole", wide, rules)
    # The policies of the namespace may let nothing out.
    policy = {"podSelector": {"matchLabels": {JOB: fault.name}}, "policyTypes": ["Ingress", "Egress"], "egress": [{}]}
    made.append({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": own, "spec": policy})
    made.append({"apiVersion": "batch/v1", "kind": "Job", "metadata": own, "spec": _job(fault, image, program)})
    return made


def _rules(fault: ClusterFault) -> list[dict[str, Any]]:
    read = {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}
    if fault.wanted.fault.name == "drain":
        return [read, {"apiGroups": [""], "resources": ["pods/eviction"], "verbs": ["create"]}]
    about: dict[str, Any] = {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"]}
    return [read, {**about, "verbs": ["list"]}, {**about, "resourceNames": [fault.target], "verbs": ["get", "patch"]}]


def _job(fault: ClusterFault, image: str, program: str) -> dict[str, Any]:
    """Return the specification of the Job; it fits the Pod Security level ``restricted``."""
    of_service = labels.of_service(fault.project, label(fault.wanted.service))
    chosen = labels.of_project(fault.project) if fault.wanted.fault.name == "drain" else of_service
    words = ["python3", "-c", program, fault.wanted.fault.name, f"--seconds={fault.wanted.seconds:g}"]
    words += [f"--mark={fault.mark}", f"--namespace={fault.namespace}", f"--target={fault.target}"]
    words += [f"--selector={','.join(f'{key}={value}' for key, value in chosen.items())}"]
    container = {
        "name": "fault",
        "image": image,
        "command": words,
        "imagePullPolicy": "IfNotPresent",
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        },
    }  # fmt: skip
    spec = {
        "serviceAccountName": fault.name,
        "restartPolicy": "OnFailure",
        "terminationGracePeriodSeconds": 60,
        # Should it have to be started again, a node that takes no new Pods takes it.
        "tolerations": [{"key": "node.kubernetes.io/unschedulable", "operator": "Exists", "effect": "NoSchedule"}],
        "securityContext": {
            "runAsNonRoot": True, "runAsUser": _USER, "runAsGroup": _USER, "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
    }  # fmt: skip
    return {"backoffLimit": 5, "template": {"metadata": {"labels": _labels(fault)}, "spec": spec}}


def active(job: Raw, services: Mapping[str, str]) -> Active:
    """Return the fault of a Job; ``services`` are those of the project by their names on Kubernetes."""
    about, status = job["metadata"], job.get("status") or {}
    known = about.get("labels") or {}
    seconds = str(known.get(SECONDS, ""))
    service = str(known.get(SERVICE, "?"))
    return Active(
        str(about["name"]),
        str(known.get(FAULT, "?")),
        services.get(service, service),
        str((about.get("annotations") or {}).get(TARGET, "?")),
        float(seconds) if seconds.replace(".", "", 1).isdigit() else 0.0,
        _state(status),
        str(status.get("startTime") or about.get("creationTimestamp") or ""),
    )


def _state(status: Raw) -> str:
    conditions = {one.get("type") for one in status.get("conditions") or () if one.get("status") == "True"}
    if "Complete" in conditions:
        return UNDONE
    return LEFT if "Failed" in conditions else ACTIVE


def again(job: Raw) -> dict[str, Any]:
    """Return a Job that only undoes what one has left: its own, with no time."""
    about = job["metadata"]
    template = job["spec"]["template"]
    [container] = template["spec"]["containers"]
    command = ["--seconds=0" if word.startswith("--seconds=") else word for word in container["command"]]
    kept = {key: value for key, value in (template["metadata"].get("labels") or {}).items() if "slipway" in key}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": about["name"],
            "labels": about.get("labels") or {},
            "annotations": {TARGET: (about.get("annotations") or {}).get(TARGET, "")},
        },
        "spec": {
            "backoffLimit": 5,
            "template": {
                "metadata": {"labels": kept},
                "spec": {**template["spec"], "containers": [{**container, "command": command}]},
            },
        },
    }
