"""What a deploy would change on a cluster, service by service, and what it interrupts.

Compared are the objects that run with what the API server says they would be afterwards (a server-side dry run): values
that it fills in by itself are in both. https://kubernetes.io/docs/reference/using-api/server-side-apply/
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Any

from ....model.record import Record
from ....reconcile.plan.operation import (
    CREATE,
    RECREATE,
    RELOAD,
    REMOVE_SERVICE,
    RUN,
    SCALE,
    UNCHANGED,
    WAIT,
    Change,
)
from .. import labels
from ..workloads.kinds import DEPLOYMENT
from ..workloads.slots import SLOT
from . import words
from .fields import Path, clean, differing, set_by_hand, within

Raw = Mapping[str, Any]
Key = tuple[str, str]  # the kind and the name of an object
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "ReplicaSet")
PODS = ("Deployment", "StatefulSet", "DaemonSet")
HOOK = "helm.sh/hook"
JOB = "Job"
RELEASE_NAME = "meta.helm.sh/release-name"
ROLL = RECREATE  # a plan calls it a rollout where no operation makes the containers anew in their place


class ClusterState(Record):
    """What is on the cluster, and what would be there after a deploy.

    - ``live``: the objects of the project; ``wanted``: the same objects as the API server would have them.
    - ``hooks``: the jobs that the chart runs around a deploy, ``ran`` those of the release that serves.
    - ``names``: the service of each name on Kubernetes. ``release``: the name of the Helm release.
    - ``jobs``: services that are jobs and are run by nobody but their own task.
    """

    live: tuple[Raw, ...]
    wanted: tuple[Raw, ...]
    hooks: tuple[Raw, ...] = ()
    ran: tuple[Raw, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    release: str = ""


class ServiceDifference(Record):
    """How a service differs: causes that need new Pods, causes that do not, and whether it is away meanwhile."""

    change: Change
    new_pods: bool = False
    in_place: bool = False


def key(raw: Raw) -> Key:
    """Return the kind and the name of an object."""
    return str(raw["kind"]), str(raw["metadata"]["name"])


def is_hook(raw: Raw) -> bool:
    """Whether helm runs an object around a deploy, and does not keep it as part of the release."""
    return HOOK in (raw["metadata"].get("annotations") or {})


def service_of(raw: Raw, names: Mapping[str, str]) -> str:
    """Return the service that an object belongs to, "" where it belongs to the project as a whole."""
    about = raw["metadata"]
    return names.get((about.get("labels") or {}).get(labels.SERVICE, ""), "")


def as_released(objects: Iterable[Raw], release: str, namespace: str) -> tuple[dict[str, Any], ...]:
    """Return objects with what helm adds to them, so that a dry run as helm does not take that away."""
    notes = {RELEASE_NAME: release, "meta.helm.sh/release-namespace": namespace}
    return tuple(
        {
            **raw,
            "metadata": {
                **raw["metadata"],
                "labels": {**(raw["metadata"].get("labels") or {}), labels.MANAGER: "Helm"},
                "annotations": {**(raw["metadata"].get("annotations") or {}), **notes},
            },
        }
        for raw in objects
    )


def foreign(state: ClusterState) -> tuple[str, ...]:
    """Return the objects that a deploy would take from somebody else, as ``Service web``.

    They exist, since a dry run gives no version to what it would create, and are not labelled as the project's.
    """
    ours = {key(raw) for raw in state.live}
    there = (raw for raw in state.wanted if raw["metadata"].get("resourceVersion"))
    return tuple(" ".join(key(raw)) for raw in there if key(raw) not in ours)


def differences(state: ClusterState, services: Iterable[str]) -> tuple[ServiceDifference, ...]:
    """Return how each service differs, in the order of the Compose file, then those that are removed."""
    live = {key(raw): raw for raw in state.live}
    found = [_service(name, state, live) for name in services]
    wanted = {key(raw) for raw in state.wanted}
    known = set(services)
    gone = [
        raw
        for raw in state.live
        if raw["kind"] in WORKLOADS and key(raw) not in wanted and is_released(raw, state.release)
    ]
    for raw in gone:
        name = service_of(raw, state.names) or (raw["metadata"].get("labels") or {}).get(labels.SERVICE, "")
        if name and name not in known:
            known.add(name)
            away = (name,) if raw["kind"] in PODS else ()
            found.append(ServiceDifference(Change(name, REMOVE_SERVICE, ("in no Compose file any more",), away)))
    return tuple(found)


def is_released(raw: Raw, release: str) -> bool:
    """Whether an object is part of a Helm release."""
    return bool((raw["metadata"].get("annotations") or {}).get(RELEASE_NAME) == release)


def _service(name: str, state: ClusterState, live: Mapping[Key, Raw]) -> ServiceDifference:
    hooks = [raw for raw in state.hooks if raw["kind"] == JOB and service_of(raw, state.names) == name]
    if hooks:
        return ServiceDifference(_job(name, hooks[-1], state))
    own = [raw for raw in state.wanted if service_of(raw, state.names) == name]
    workload = next((raw for raw in own if raw["kind"] in WORKLOADS), None)
    pods, beside = _causes(own, live)
    beside = (*beside, *_left_over(name, state))
    if workload is None:
        return ServiceDifference(Change(name, RELOAD if beside else UNCHANGED, beside))
    before = live.get(key(workload))
    if before is None:
        other = next((raw for raw in live.values() if _is_of(raw, name, state)), None)
        if workload["kind"] == JOB:
            return ServiceDifference(Change(name, RUN, ("it has not run yet",)))
        causes = (f"it was a {other['kind']}",) if other else ("no container",)
        return ServiceDifference(Change(name, CREATE, causes, (name,) if other else ()))
    if pods:
        away = interrupts(workload, before)
        return ServiceDifference(Change(name, ROLL, (*pods, *beside), (name,) if away else ()), True, away)
    if scaled := _scaled(workload, before):
        return ServiceDifference(Change(name, SCALE, (scaled, *(word for word in beside if word != "deploy replicas"))))
    if beside:
        return ServiceDifference(Change(name, RELOAD, beside))
    waiting = unready(before)
    return ServiceDifference(Change(name, WAIT if waiting else UNCHANGED, (waiting,) if waiting else ()))


def _is_of(raw: Raw, name: str, state: ClusterState) -> bool:
    return raw["kind"] in PODS and service_of(raw, state.names) == name and is_released(raw, state.release)


def _left_over(name: str, state: ClusterState) -> tuple[str, ...]:
    """Return the Deployments of a service in another slot, which helm removes with the next release."""
    wanted = {key(raw) for raw in state.wanted}
    found = (raw for raw in state.live if raw["kind"] == DEPLOYMENT and SLOT in (raw["metadata"].get("labels") or {}))
    return tuple(
        f"Deployment {raw['metadata']['name']} is left over"
        for raw in found
        if _is_of(raw, name, state) and key(raw) not in wanted
    )


def _causes(own: Iterable[Raw], live: Mapping[Key, Raw]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the causes for new Pods, and the causes that change nothing but objects beside them."""
    pods: list[str] = []
    beside: list[str] = []
    for raw in own:
        before = live.get(key(raw))
        if before is None:
            if raw["kind"] not in WORKLOADS:
                beside.append(_new(raw))
            continue
        paths = changed_fields(before, raw)
        hands = set_by_hand(before)
        inner = [path for path in paths if raw["kind"] in WORKLOADS and words.touches_pods(path)]
        pods += words.causes(raw, inner, hands)
        beside += words.causes(raw, [path for path in paths if path not in inner], hands)
    return tuple(dict.fromkeys(pods)), tuple(dict.fromkeys(beside))


def changed_fields(before: Raw, after: Raw) -> tuple[Path, ...]:
    """Return the fields in which an object would be another one."""
    return tuple(differing(clean(before), clean(after)))


def _new(raw: Raw) -> str:
    word, name = words.word(raw, ())
    return f"{word}{f' {name}' if name else ''}"


def _scaled(workload: Raw, before: Raw) -> str:
    now, then = (((raw.get("spec") or {}).get("replicas")) for raw in (workload, before))
    return f"{then} of {now} containers" if now is not None and now != then else ""


def unready(raw: Raw) -> str:
    """Return why a workload is not ready, "" when all of its Pods are."""
    status, spec = raw.get("status") or {}, raw.get("spec") or {}
    if raw["kind"] not in PODS:
        return ""
    wanted = status.get("desiredNumberScheduled", 0) if raw["kind"] == "DaemonSet" else spec.get("replicas", 1)
    ready = status.get("numberReady" if raw["kind"] == "DaemonSet" else "readyReplicas", 0)
    return f"{ready} of {wanted} containers are ready" if ready < wanted else ""


def unfinished(raw: Raw) -> str:
    """Return how far a rollout is, as ``1 of 2 new``, "" when all Pods are the new ones and ready."""
    status, spec = raw.get("status") or {}, raw.get("spec") or {}
    daemon = raw["kind"] == "DaemonSet"
    wanted = status.get("desiredNumberScheduled", 0) if daemon else spec.get("replicas", 1)
    new = status.get("updatedNumberScheduled" if daemon else "updatedReplicas", 0)
    ready = status.get("numberReady" if daemon else "readyReplicas", 0)
    if new < wanted:
        return f"{new} of {wanted} new"
    return f"{ready} of {wanted} ready" if ready < wanted else ""


def interrupts(workload: Raw, before: Raw) -> bool:
    """Whether a service cannot be reached for a while when its Pods are made anew.

    So it is where the old Pod goes before the new one comes and there is no other: with the strategy Recreate, in a
    StatefulSet of one, and on each node of a DaemonSet without surge.
    """
    spec, replicas = workload["spec"], (before.get("spec") or {}).get("replicas", 1)
    if not replicas:
        return False
    if workload["kind"] == "Deployment":
        strategy = spec.get("strategy") or {}
        rolling = strategy.get("rollingUpdate") or {}
        return strategy.get("type") == "Recreate" or _all_away(rolling.get("maxUnavailable", 0), replicas)
    if workload["kind"] == "StatefulSet":
        return bool(replicas == 1)
    if workload["kind"] == "DaemonSet":
        surge = ((spec.get("updateStrategy") or {}).get("rollingUpdate") or {}).get("maxSurge", 0)
        return surge in (0, "0", "0%")
    return False


def away_when_made_anew(state: ClusterState, service: str) -> bool:
    """Whether a service cannot be reached for a while when its Pods are made anew; one that does not run can not."""
    there = {key(raw): raw for raw in state.live}
    own = (raw for raw in state.wanted if raw["kind"] in PODS and service_of(raw, state.names) == service)
    return any(interrupts(raw, there[key(raw)]) for raw in own if key(raw) in there)


def _all_away(unavailable: int | str, replicas: int) -> bool:
    """Whether ``maxUnavailable`` lets all Pods go at once; a percentage is rounded down, as the API server does."""
    text = str(unavailable)
    number = int(float(text.rstrip("%")) * replicas / 100) if text.endswith("%") else int(text)
    return number >= replicas


def _job(name: str, hook: Raw, state: ClusterState) -> Change:
    """Return whether a job runs: it does unless the release that serves, or an object that is there, ran the same."""
    ran = _ran(name, state)
    if not ran:
        return Change(name, RUN, ("it has not run yet",))
    if any(_identity(raw) == _identity(hook) for raw in ran):
        return Change(name, UNCHANGED)
    after = _plain(hook)
    changed = changed_fields(within(_plain(ran[-1]), after), after)
    causes = words.causes(hook, [path for path in changed if path[0] == "spec"])
    return Change(name, RUN, causes or ("configuration changed",))


def _ran(name: str, state: ClusterState) -> list[Raw]:
    return [
        raw
        for raw in (*(one for one in state.live if ended(one)), *state.ran)
        if raw["kind"] == JOB and service_of(raw, state.names) == name and is_of_release(raw, state)
    ]


def jobs_ran(state: ClusterState) -> bool:
    """Whether the state says of each job that it ran as it is: then nobody has to be asked what the release ran."""
    jobs = [raw for raw in state.hooks if raw["kind"] == JOB]
    return all(
        any(_identity(raw) == _identity(job) for raw in _ran(service_of(job, state.names), state)) for job in jobs
    )


def ended(raw: Raw) -> bool | None:
    """Return whether a Job ended well; None while it has not ended."""
    said = {one["type"]: one.get("status") == "True" for one in (raw.get("status") or {}).get("conditions") or ()}
    if said.get("Complete"):
        return True
    return False if said.get("Failed") else None


def is_of_release(raw: Raw, state: ClusterState) -> bool:
    """Whether an object is part of the release, or one of its hooks."""
    return is_hook(raw) or is_released(raw, state.release)


def _identity(job: Raw) -> tuple[str, str]:
    """Return what tells runs of a job apart: the digest in its name, and which state of the secrets it has."""
    notes = (job["spec"]["template"].get("metadata") or {}).get("annotations") or {}
    return str(job["metadata"]["name"]).rpartition("-")[2], str(notes.get(words.SECRETS, ""))


def _plain(job: Raw) -> dict[str, Any]:
    """Return the Pods of a job, as a hook or not: a hook has copies of its ConfigMaps."""
    pod = json.loads(json.dumps(job["spec"]["template"]["spec"]).replace('-hook"', '"'))
    return {"kind": JOB, "metadata": {}, "spec": {"template": {"spec": pod}}}


def drift(state: ClusterState, service: str) -> list[str]:
    """Return how a service is not as its Compose file says: changed, missing, and what was added by hand."""
    live = {key(raw): raw for raw in state.live}
    own = [raw for raw in state.wanted if service_of(raw, state.names) == service]
    missing = [
        f"{raw['kind']} {raw['metadata']['name']} is missing"
        for raw in own
        if key(raw) not in live and not is_hook(raw)
    ]
    pods, beside = _causes([raw for raw in own if key(raw) in live], live)
    return list(dict.fromkeys([*missing, *pods, *beside, *_left_over(service, state), *_extra(own, live)]))


def _extra(own: Iterable[Raw], live: Mapping[Key, Raw]) -> Iterable[str]:
    """Yield what somebody added by hand to objects, and what a deploy would leave there."""
    for raw in own:
        before = live.get(key(raw))
        if before is None:
            continue
        changed = set(changed_fields(before, raw))
        for path, manager in set_by_hand(before).items():
            if path in changed or path[:1] not in (("spec",), ("data",)) or path == ("spec", "replicas"):
                continue
            key_word, name = words.word(raw, path)
            yield f"{key_word}{f' {name}' if name else ''} (added with {manager})"
