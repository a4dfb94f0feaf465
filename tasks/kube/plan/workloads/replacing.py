"""What becomes of what a Compose file says about restarts, numbers and updates of containers."""

from collections.abc import Iterator

from ....model.stack.extension import BLUE_GREEN, CANARY, CONTINUE, RECREATE, START_FIRST
from ....model.stack.stack import Service
from ..mesh.meshes import mesh_of, shared
from ..mounts.claims import of_its_own
from ..outcome import KeyOutcome, ignored, inferred, refused, translated
from ..part import Part
from ..source import KubeSource
from . import rollout
from .jobs import AGAIN, Restart, restart
from .kinds import DEPLOYMENT, ENDING, JOB, NOTHING, STATEFUL_SET, deploy_mode, kind
from .ordering import waits

KEYS = frozenset(
    {
        *("restart", "scale", "deploy.mode", "deploy.replicas", "deploy.restart_policy"),
        *("deploy.update_config", "deploy.rollback_config", "deploy.placement"),
    }
)
_UPDATE = "the update strategy"


def part(source: KubeSource, service: Service) -> Part:
    """Return what became of the keys; the fields themselves depend on the kind of the workload."""
    made = _kept_by(source, service)
    if made == NOTHING:
        return Part()
    found = [*_restart(source, service, made), *_numbers(source, service, made)]
    if made in ENDING:
        found += _never_updated(source, service)
    else:
        found += [*_update(source, service), *_rollout(source, service, made)]
    if (source.raw(service.name).get("deploy") or {}).get("placement"):
        reason = "docker compose takes no notice of it, and its labels are of other nodes"
        found.append(ignored(f"services.{service.name}.deploy.placement", reason))
    return Part(outcomes=tuple(found))


def _kept_by(source: KubeSource, service: Service) -> str:
    made = kind(source, service)
    return STATEFUL_SET if made == DEPLOYMENT and of_its_own(source, service) else made


def _restart(source: KubeSource, service: Service, made: str) -> Iterator[KeyOutcome]:
    said = restart(source, service)
    if made in ENDING:
        yield from _again(said, service.name, waits(source, service))
    elif not said.key:
        return
    elif said.condition in ("always", "unless-stopped"):
        yield translated(said.key, "restartPolicy: Always")
    elif said.condition == "no":
        yield ignored(said.key, "a container that ends is always started again, unless the service is a job")
    else:
        yield ignored(said.key, "a container is always started again, also when it ended with 0")


def _again(said: Restart, name: str, early: bool) -> Iterator[KeyOutcome]:
    if said.condition == "no" and early:
        reason = f"what it needs may come at the same time: it is tried again {AGAIN} times, twice before an upgrade"
        yield inferred(said.key or f"services.{name}.restart", "backoffLimit", reason)
    elif not said.key:
        return
    elif said.condition in ("always", "unless-stopped"):
        yield inferred(said.key, "restartPolicy: OnFailure", "a job that ended with 0 is done")
    elif said.condition == "on-failure" and not said.most:
        yield inferred(said.key, "backoffLimit", "a Job has to have an end: it is tried again for some hours")
    else:
        yield translated(said.key, "restartPolicy, backoffLimit")


def _numbers(source: KubeSource, service: Service, made: str) -> Iterator[KeyOutcome]:
    raw, where = source.raw(service.name), f"services.{service.name}"
    deploy, mode = raw.get("deploy") or {}, deploy_mode(source, service)
    if mode == "global-job":
        yield refused(
            f"{where}.deploy.mode", "Kubernetes has no job that runs on each node", "make it a service, or one job"
        )
    elif mode:
        yield translated(f"{where}.deploy.mode", made)
    for key, value in (("deploy.replicas", deploy.get("replicas")), ("scale", raw.get("scale"))):
        if value is None:
            continue
        if made in ENDING and mode != "replicated-job" and value != 1:
            yield ignored(f"{where}.{key}", "a job runs once")
        elif mode == "global":
            yield ignored(f"{where}.{key}", "there is one Pod on each node")
        elif service.slipway.scale is None or made in ENDING:
            yield translated(f"{where}.{key}", "completions" if made == JOB else "replicas")
        elif service.slipway.scale.least <= service.replicas <= service.slipway.scale.most:
            reason = f"it begins with {service.slipway.scale.least}, and decides how many there are"
            yield inferred(f"{where}.{key}", "HorizontalPodAutoscaler", reason)  # else autoscale.py tells of it


def _update(source: KubeSource, service: Service) -> Iterator[KeyOutcome]:
    where, said = f"services.{service.name}.deploy", rollout.update_config(source, service)
    meanings = {
        "order": translated(f"{where}.update_config.order", _UPDATE),
        "parallelism": translated(f"{where}.update_config.parallelism", _UPDATE),
        "monitor": translated(f"{where}.update_config.monitor", "minReadySeconds"),
        "delay": translated(f"{where}.update_config.delay", "minReadySeconds"),
        "failure_action": translated(f"{where}.update_config.failure_action", "progressDeadlineSeconds"),
        "max_failure_ratio": ignored(
            f"{where}.update_config.max_failure_ratio", "a rollout goes on only while its new Pods get ready"
        ),
    }
    if said.get("failure_action") == CONTINUE:
        reason = "a rollout goes on only while its new Pods get ready"
        meanings["failure_action"] = ignored(f"{where}.update_config.failure_action", reason)
    if kind(source, service) == STATEFUL_SET and service.rollout == START_FIRST and not service.slipway.rollout:
        meanings["order"] = _twice(f"{where}.update_config.order")
    yield from (outcome for key, outcome in meanings.items() if said.get(key) is not None)
    if (source.raw(service.name).get("deploy") or {}).get("rollback_config"):
        yield ignored(f"{where}.rollback_config", "the way back is an update to what was there before")


def _never_updated(source: KubeSource, service: Service) -> list[KeyOutcome]:
    deploy = source.raw(service.name).get("deploy") or {}
    reason = "a job runs to its end; another one takes its place"
    return [
        ignored(f"services.{service.name}.deploy.{key}", reason)
        for key in ("update_config", "rollback_config")
        if deploy.get(key)
    ]


def _twice(key: str) -> KeyOutcome:
    hint = "take it out, or say x-slipway: {rollout: recreate}"
    return refused(key, "two Pods would have the data of a database at the same time", hint)


def _reloaded(key: str, made: str) -> KeyOutcome:
    """Return what becomes of reading configuration again in place: it is part of a Pod."""
    order = "the old one goes before it comes" if made == STATEFUL_SET else "it comes first: nothing is interrupted"
    return inferred(key, _UPDATE, f"changed configuration makes a new Pod, and {order}")


def _canary(source: KubeSource, service: Service) -> KeyOutcome:
    said = "rollout" if "rollout" in source.raw(service.name)["x-slipway"] else "canary"
    key = f"services.{service.name}.x-slipway.{said}"
    if (mesh := mesh_of(source)) and shared(source, service):
        return translated(key, f"a Deployment in each slot, and the weights of the {mesh.weights}")
    return inferred(key, _UPDATE, "new Pods come one by one: their share of the requests is their share of the Pods")


def _rollout(source: KubeSource, service: Service, made: str) -> Iterator[KeyOutcome]:
    key, own = f"services.{service.name}.x-slipway.rollout", service.slipway
    if own.settle is not None:
        yield translated(f"services.{service.name}.x-slipway.settle", "minReadySeconds")
    if made == STATEFUL_SET and own.rollout not in ("", RECREATE):
        yield _twice(key)
    elif service.rollout == BLUE_GREEN and source.slots.get(service.name):
        yield translated(key, "a Deployment in each slot, and the selector of the Service")
    elif service.rollout == BLUE_GREEN:
        yield inferred(key, _UPDATE, "all new Pods come first, and get requests as soon as they are ready")
    elif service.rollout == CANARY:
        yield _canary(source, service)
    elif own.rollout:
        yield translated(key, _UPDATE)
    elif own.reload is not None and not rollout.is_said(source, service):
        yield _reloaded(f"services.{service.name}.x-slipway.reload", made)
    elif not rollout.is_said(source, service) and made != STATEFUL_SET:
        reason = "old Pods go before new ones come; where both may run at a time, say x-slipway: {rollout: start-first}"
        yield inferred(f"services.{service.name}", _UPDATE, reason)
    if own.watch is not None:
        yield ignored(f"services.{service.name}.x-slipway.watch", "new Pods are judged by their checks")
