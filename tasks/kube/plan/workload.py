"""The workload of a service: the object that keeps its Pods."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from ...model.stack.stack import Service
from . import labels
from .mounts.prepare import complete
from .names import LONGEST
from .part import Part, merged
from .source import KubeSource
from .workloads import kinds, rollout
from .workloads.autoscale import scaled
from .workloads.jobs import ONCE, job, restart

_DIGITS = 8
_LONGEST_CRON_JOB = 52  # https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#writing-a-cronjob-spec
_APIS = {kinds.JOB: "batch/v1", kinds.CRON_JOB: "batch/v1"}
# Kubernetes puts DB_PORT=tcp://… into every container of a namespace with a Service called db, and a token of its API;
# a container of Compose knows neither.
_UNASKED = {"enableServiceLinks": False, "automountServiceAccountToken": False}


def workload(source: KubeSource, service: Service, name: str, part: Part) -> tuple[dict[str, Any], ...]:
    """Return the objects that run a service with what all aspects say of it; ``name`` is its name on Kubernetes.

    None for a service that is never deployed. A service with a claim of its own for each Pod is a StatefulSet.
    """
    kind = _kind(source, service, part)
    if kind == kinds.NOTHING:
        return ()
    selector = labels.of_service(source.stack.project, name)
    template = _template(name, selector, part)
    if kind in kinds.ENDING:
        spec = merged(job(source, service, template), part.workload)
    else:
        own: dict[str, Any] = {"selector": {"matchLabels": selector}, "template": template}
        if kind == kinds.STATEFUL_SET:
            own["serviceName"] = name
        spec = merged(merged(own, rollout.fields(source, service, kind, selector)), part.workload)
    metadata: dict[str, Any] = {"name": _called(name, kind, spec), "labels": selector}
    once = ONCE if kind == kinds.JOB and restart(source, service).condition == "no" else {}
    if part.about or once:
        metadata["annotations"] = {**part.about, **once}
    if kind == kinds.CRON_JOB:
        spec = {**kinds.ASKED_FOR, "jobTemplate": {"spec": spec}}
    made = {"apiVersion": _APIS.get(kind, "apps/v1"), "kind": kind, "metadata": metadata, "spec": spec}
    return (made, *rollout.budget(source, service, kind, name, selector), *scaled(service, name, made))


def _called(name: str, kind: str, spec: Mapping[str, Any]) -> str:
    """Return the name of a workload; a Job's tells what it does, and a CronJob's leaves room for those of its Jobs."""
    if kind == kinds.JOB:
        return f"{name[: LONGEST - _DIGITS - 1]}-{digest(spec)}"
    if kind == kinds.CRON_JOB and len(name) > _LONGEST_CRON_JOB:
        return f"{name[: _LONGEST_CRON_JOB - _DIGITS - 1].rstrip('-')}-{digest({'name': name})}"
    return name


def _kind(source: KubeSource, service: Service, part: Part) -> str:
    kind = kinds.kind(source, service)
    claims = bool(part.workload.get("volumeClaimTemplates"))
    return kinds.STATEFUL_SET if claims and kind == kinds.DEPLOYMENT else kind


def _template(name: str, selector: Mapping[str, str], part: Part) -> dict[str, Any]:
    container = merged({"name": name}, part.container)
    pod = complete(merged({**_UNASKED, "containers": [container]}, part.pod))
    metadata: dict[str, Any] = {"labels": {**part.labels, **selector}}
    if part.annotations:
        metadata["annotations"] = {**part.annotations}
    return {"metadata": metadata, "spec": pod}


def digest(spec: Mapping[str, Any]) -> str:
    """Return eight hexadecimal digits that are others when anything in a specification is."""
    text = json.dumps(spec, sort_keys=True, separators=(",", ":"), default=dict)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
