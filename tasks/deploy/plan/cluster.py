"""The plan of a deploy to a cluster: the operations in their order, from how each service differs."""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import field, replace

from ...kube.plan.live.difference import PODS, ClusterState, Raw, ServiceDifference, away_when_made_anew, service_of
from ...model.record import Record
from ...model.stack.extension import JOBS
from ...model.stack.stack import Service, Stack
from ...reconcile.plan.operation import (
    AWAIT,
    BACKUP,
    CREATE,
    RECREATE,
    RELOAD,
    REMOVE,
    REMOVE_SERVICE,
    RUN,
    SCALE,
    SETTLE,
    SMOKE,
    START,
    SWITCH,
    TO_BUILD,
    UNCHANGED,
    UP,
    WAIT,
    WATCH,
    Change,
    Operation,
    Plan,
)
from .deploy import Deploy

SECRETS, NAMESPACE, ROLL = "write secrets", "create namespace", "roll"
_BY_ACTION = {CREATE: CREATE, RELOAD: RELOAD, REMOVE_SERVICE: REMOVE, SCALE: UP, WAIT: AWAIT}


class ClusterPolicy(Record):
    """What shapes the plan: whether to back up before a migration, whether there are smoke checks, times in seconds.

    ``moved`` are the Deployments that serve and those that take over in another slot, ``watched`` how long new Pods are
    watched, in seconds, both by service. ``namespace`` is the namespace to create, "" when it exists. ``databases`` are
    the services that run and can be backed up, ``secrets`` the keys of the Secret whose values change.
    """

    backup: bool = True
    smoke: bool = False
    timeouts: Mapping[str, float] = field(default_factory=dict)
    namespace: str = ""
    databases: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    moved: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    watched: Mapping[str, float] = field(default_factory=dict)


def plan(
    stack: Stack,
    found: Sequence[ServiceDifference],
    policy: ClusterPolicy,
    refusals: Iterable[tuple[str, str]] = (),
    told: Iterable[str] = (),
) -> Plan:
    """Return the plan of a deploy; no operations where everything is as it should be."""
    changes = tuple(one.change for one in found)
    operations = [*_before(stack, changes, policy), *_rollout(found, policy)]
    if operations and policy.smoke:
        operations.append(Operation(SMOKE, stack.project, cause=("after a deploy",)))
    causes = {one.change.service: one.change.causes for one in found}
    for name, (before, _) in policy.moved.items():
        operations.append(Operation(REMOVE, name, (name,), names=(before,), cause=causes.get(name, ())))
    return Plan(changes, _numbered(operations), tuple(told), (), tuple(refusals))


def rebuilt(
    found: Sequence[ServiceDifference], causes: Mapping[str, str], stack: Stack, state: ClusterState
) -> list[ServiceDifference]:
    """Return differences with what is built first: which Pods it changes is known only with the image."""
    return [_rebuilt(one, causes.get(one.change.service, ""), stack, state) for one in found]


def _rebuilt(one: ServiceDifference, cause: str, stack: Stack, state: ClusterState) -> ServiceDifference:
    change = one.change
    if not cause or change.service not in stack.services:
        return one
    words = (f"{TO_BUILD}: {cause}", *(word for word in change.causes if not word.startswith("image ")))
    if change.action in (CREATE, RUN, RECREATE):
        return replace(one, change=replace(change, causes=words))
    if stack.one_off(stack.services[change.service]):
        return replace(one, change=replace(change, action=RUN, causes=words), new_pods=True)
    away = away_when_made_anew(state, change.service)
    made = Change(change.service, RECREATE, words, (change.service,) if away else ())
    return ServiceDifference(made, new_pods=True, in_place=away)


def unwatched(deploy: Deploy, state: ClusterState) -> tuple[str, ...]:
    """Return the services that are rolled out and whose Pods nothing would show to be well.

    Without those whose image is built first: it may have the check.
    """
    probed = {service_of(raw, state.names) for raw in state.wanted if raw["kind"] in PODS and is_probed(raw)}
    to_come = set(deploy.build.causes if deploy.build else ())
    return tuple(name for name in deploy.plan.rolled if name not in probed | to_come)


def _before(stack: Stack, changes: Sequence[Change], policy: ClusterPolicy) -> Iterable[Operation]:
    jobs = [change for change in changes if change.action == RUN]
    if policy.namespace:
        yield Operation(NAMESPACE, policy.namespace, cause=("it does not exist",))
    if policy.secrets:
        yield Operation(SECRETS, ", ".join(policy.secrets), cause=("their values changed",))
    migrates = any(stack.services[change.service].slipway.job == JOBS[0] for change in jobs)
    for name in policy.databases if migrates and policy.backup else ():
        yield Operation(BACKUP, name, (name,), cause=("a migration runs",))
    for change in jobs:
        yield Operation(RUN, change.service, (change.service,), cause=change.causes)


def _rollout(found: Sequence[ServiceDifference], policy: ClusterPolicy) -> Iterable[Operation]:
    for one in found:
        change, name = one.change, one.change.service
        if change.action in (UNCHANGED, RUN):
            continue
        if name in policy.moved:
            yield from _switch(change, policy)
            continue
        kind = _BY_ACTION.get(change.action) or (RECREATE if one.in_place else ROLL)
        seconds = policy.timeouts.get(name, 0.0)
        waits = seconds if kind == AWAIT else 0.0
        yield Operation(kind, name, (name,), cause=change.causes, interrupts=change.interrupts, seconds=waits)
        if kind in (CREATE, RECREATE, ROLL, UP):
            yield Operation(AWAIT, name, (name,), cause=change.causes, seconds=seconds)
        watched = policy.watched.get(name, 0.0)
        if kind == ROLL or (kind in (CREATE, RECREATE) and watched):
            kind = WATCH if kind == ROLL else SETTLE
            yield Operation(kind, name, (name,), cause=change.causes, seconds=watched)


def _switch(change: Change, policy: ClusterPolicy) -> Iterable[Operation]:
    """Yield how the Pods of a service take over from those in another slot, which are removed in the end."""
    name, causes = change.service, change.causes
    new, seconds = (policy.moved[name][1],), policy.timeouts.get(name, 0.0)
    yield Operation(START, name, (name,), names=new, cause=causes, undo=new)
    yield Operation(AWAIT, name, (name,), names=new, cause=causes, seconds=seconds)
    yield Operation(SWITCH, name, (name,), names=new, cause=causes)
    yield Operation(WATCH, name, (name,), names=new, cause=causes, seconds=policy.watched.get(name, 0.0))


def watched_seconds(service: Service, state: ClusterState, settle: float, moved: Container[str]) -> float:
    """Return for how many seconds the Pods of a service are watched when all of them are new.

    That is ``monitor``, or ``settle``, which without a check is SETTLE of the profile. How long a Pod has to be ready
    until it counts is part of it, except where it begins to serve only afterwards.
    """
    workload = next((raw for raw in state.wanted if raw["kind"] in PODS and _is_of(raw, service.name, state)), None)
    if workload is None:
        return 0.0
    least = service.settle or 0.0
    if not is_probed(workload) and service.settle is None:
        least = settle
    counted = 0 if service.name in moved else workload["spec"].get("minReadySeconds") or 0
    return max(max(service.update.monitor, least) - counted, 0.0)


def _is_of(raw: Raw, name: str, state: ClusterState) -> bool:
    return service_of(raw, state.names) == name


def is_probed(workload: Raw) -> bool:
    """Whether anything shows that the Pods of a workload are well."""
    containers = workload["spec"]["template"]["spec"].get("containers") or ()
    return any("readinessProbe" in one for one in containers)


def _numbered(operations: Sequence[Operation]) -> tuple[Operation, ...]:
    """Return operations with their places; each comes after the one before: helm does them in this order."""
    return tuple(
        replace(one, number=number, after=(number - 1,) if number > 1 else ())
        for number, one in enumerate(operations, 1)
    )
