"""What the autoscalers of a project do: how many Pods there may be, how many there are, and what they are judged by.

A HorizontalPodAutoscaler says in conditions whether it works. Without a metrics API it never learns how much CPU is
used; that is told as such, because no number is another thing than 0 %.
https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/#conditions
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ....model.record import Record
from ....model.stack.cluster.scale import Scale
from ....model.stack.stack import Service, Stack
from .. import labels
from .difference import Raw, service_of

# The words for what an autoscaler does.
WORKS, AT_MOST, WAITING, PAUSED, NO_METRICS, FAILS, ABSENT = (
    *("works", "at most", "waiting", "paused", "no metrics", "fails", "absent"),
)
FAULTS = (NO_METRICS, FAILS, ABSENT)
STATES = (WORKS, AT_MOST, WAITING, PAUSED, *FAULTS)
KIND = "HorizontalPodAutoscaler"
_SERVER = "metrics-server (https://github.com/kubernetes-sigs/metrics-server)"
# What the controller says when it gets no numbers, in the words of client-go and of the metrics client.
_WHY_NOT = (
    (
        "could not find the requested resource (get pods.metrics.k8s.io)",
        f"the cluster has no metrics API: install {_SERVER}",
    ),
    (
        "unable to handle the request (get pods.metrics.k8s.io)",
        "the metrics API does not answer: `kubectl get apiservice v1beta1.metrics.k8s.io` says why",
    ),
    ("pods.metrics.k8s.io is forbidden", "the controller manager may not read pods.metrics.k8s.io"),
    ("missing request for cpu", "a container of its Pods asks for no CPU that a share can be taken of"),
    ("no metrics returned from resource metrics API", "the metrics API knows nothing of its Pods yet"),
    ("did not receive metrics for targeted pods", "no Pod of it that is ready was measured"),
)


class Autoscaler(Record):
    """An autoscaler as it is on the cluster; ``None`` for what is not known.

    ``name`` is that of the object, "" where there is none. ``least`` and ``most`` are numbers of Pods, ``pods`` how
    many there are, ``wanted`` how many it wants; ``target`` and ``cpu`` are percentages of the CPU that a Pod asks for.
    ``asked`` is what the Compose file says, None where it says nothing; ``changed`` is when it last changed the number,
    RFC 3339.
    """

    service: str
    name: str = ""
    least: int | None = None
    most: int | None = None
    target: int | None = None
    pods: int | None = None
    wanted: int | None = None
    cpu: int | None = None
    state: str = ABSENT
    reason: str = ""
    asked: Scale | None = None
    changed: str | None = None

    @property
    def measured(self) -> bool:
        """Whether numbers arrive."""
        return self.cpu is not None

    @property
    def differs(self) -> bool:
        """Whether it is there and has other bounds than the Compose file says, or is not asked for."""
        if not self.name:
            return False
        asked = self.asked
        return asked is None or (asked.least, asked.most, asked.cpu) != (self.least, self.most, self.target)

    def document(self) -> dict[str, Any]:
        """Return it as JSON data."""
        asked = self.asked
        return {
            "service": self.service,
            "autoscaler": self.name or None,
            "state": self.state,
            "reason": self.reason or None,
            "min": self.least,
            "max": self.most,
            "target": self.target,
            "pods": self.pods,
            "wanted": self.wanted,
            "cpu": self.cpu,
            "metrics": self.measured,
            "changed": self.changed,
            "asked": {"min": asked.least, "max": asked.most, "target": asked.cpu} if asked else None,
        }

    def row(self) -> tuple[str, ...]:
        """Return it as a line of a table; what is not known is a dash."""
        numbers = (self.least, self.most, self.pods, self.wanted)
        shares = (self.target, self.cpu)
        least, most, pods, wanted = ("-" if number is None else str(number) for number in numbers)
        target, cpu = ("-" if share is None else f"{share} %" for share in shares)
        return (self.service, self.state, least, most, pods, wanted, target, cpu, self.reason or "-")


def autoscalers(
    stack: Stack, objects: Iterable[Raw], names: Mapping[str, str], only: Iterable[str] = ()
) -> tuple[Autoscaler, ...]:
    """Return the autoscalers of a project, in the order of the Compose file; then those of services that it has not.

    ``objects`` are those of the cluster, ``names`` the service of each name there, ``only`` the services that are
    asked for, all without any. A service that should scale and has no autoscaler is one, too.
    """
    found: dict[str, list[Raw]] = {}
    for raw in objects:
        if raw["kind"] == KIND:
            short = str((raw["metadata"].get("labels") or {}).get(labels.SERVICE, raw["metadata"]["name"]))
            found.setdefault(service_of(raw, names) or short, []).append(raw)
    chosen = set(only)
    return tuple(
        one
        for service in [*stack.services, *sorted(set(found) - set(stack.services))]
        if not chosen or service in chosen
        for one in _of_service(service, stack.services.get(service), found.get(service, ()))
    )


def handed_over(live: Iterable[Raw], wanted: Iterable[Raw]) -> tuple[dict[str, Any], ...]:
    """Return what keeps the number of Pods of workloads that scale by themselves from now on, as objects to apply.

    A number that only Helm has set goes with Helm's next objects, which say none, and the API server makes it 1 until
    the autoscaler looks. Another manager of the field keeps it:
    https://kubernetes.io/docs/reference/using-api/server-side-apply/#transferring-ownership
    """
    there = {(raw["kind"], raw["metadata"]["name"]): raw for raw in live}
    targets = [raw["spec"]["scaleTargetRef"] for raw in wanted if raw["kind"] == KIND]
    found = [there.get((target["kind"], target["name"])) for target in targets]
    return tuple(
        {
            "apiVersion": raw["apiVersion"],
            "kind": raw["kind"],
            "metadata": {"name": raw["metadata"]["name"]},
            "spec": {"replicas": raw["spec"]["replicas"]},
        }
        for raw in found
        if raw and raw["spec"].get("replicas") and (KIND, raw["metadata"]["name"]) not in there
    )


def keeping_numbers(live: Iterable[Raw], wanted: Iterable[Raw]) -> tuple[Raw, ...]:
    """Return the wanted objects with the numbers of Pods that a deploy hands over; a dry run says 1 for them."""
    objects = tuple(wanted)
    kept = {(raw["kind"], raw["metadata"]["name"]): raw["spec"] for raw in handed_over(live, objects)}
    return tuple(
        {**raw, "spec": {**raw["spec"], **kept[key]}}
        if (key := (raw["kind"], raw["metadata"]["name"])) in kept
        else raw
        for raw in objects
    )


def _of_service(name: str, service: Service | None, there: Iterable[Raw]) -> Iterator[Autoscaler]:
    asked = service.slipway.scale if service else None
    raws = sorted(there, key=lambda raw: str(raw["metadata"]["name"]))
    if not raws and asked:
        yield Autoscaler(name, reason="the cluster has no autoscaler of this service", asked=asked)
    for raw in raws:
        yield _autoscaler(name, asked, raw)


def _autoscaler(service: str, asked: Scale | None, raw: Raw) -> Autoscaler:
    spec, status = raw["spec"], raw.get("status") or {}
    state, reason = _state(status)
    cpu = _cpu((one.get("resource") or {}).get("current") for one in _of_cpu(status.get("currentMetrics")))
    # The last number stays in the status when no new one comes.
    current = None if state in (NO_METRICS, WAITING) else cpu
    return Autoscaler(
        service,
        str(raw["metadata"]["name"]),
        int(spec.get("minReplicas", 1)),
        int(spec["maxReplicas"]),
        _cpu((one.get("resource") or {}).get("target") for one in _of_cpu(spec.get("metrics"))),
        status.get("currentReplicas"),
        status.get("desiredReplicas") if status.get("conditions") else None,
        current,
        state,
        reason,
        asked,
        status.get("lastScaleTime"),
    )


def _of_cpu(metrics: Iterable[Mapping[str, Any]] | None) -> Iterator[Mapping[str, Any]]:
    return (one for one in metrics or () if (one.get("resource") or {}).get("name") == "cpu")


def _cpu(values: Iterable[Mapping[str, Any] | None]) -> int | None:
    found = ((value or {}).get("averageUtilization") for value in values)
    return next((int(number) for number in found if number is not None), None)


def _state(status: Mapping[str, Any]) -> tuple[str, str]:
    """Return what an autoscaler does, and why it does not do what it should."""
    said = {str(one.get("type")): one for one in status.get("conditions") or ()}
    if not said:
        return WAITING, "the cluster has not looked at it yet"
    able, active, limited = (said.get(kind, {}) for kind in ("AbleToScale", "ScalingActive", "ScalingLimited"))
    if able.get("status") == "False" and able.get("reason") != "BackoffBoth":
        return FAILS, _words(able)
    if not active:
        return WAITING, "the cluster has not asked for its metrics yet"
    if active.get("reason") == "ScalingDisabled":
        return PAUSED, "the service has no Pods: it begins again when there is one"
    if active.get("status") == "False":
        text = _words(active)
        known = next((why for phrase, why in _WHY_NOT if phrase in text), "")
        measured = str(active.get("reason", "")).startswith("FailedGet")
        return (NO_METRICS if measured else FAILS), known or text
    if limited.get("status") == "True" and limited.get("reason") == "TooManyReplicas":
        return AT_MOST, "it would have more Pods, were that not the most there may be"
    return WORKS, ""


def _words(condition: Mapping[str, Any]) -> str:
    return " ".join(str(condition.get("message") or condition.get("reason") or "no reason is given").split())
