"""A run of a job by itself, outside of a deploy."""

from collections.abc import Iterable, Mapping
from typing import Any

from .difference import Raw, service_of

RUN_LABEL = "slipway.dev/run"  # of a Job that somebody started by itself
_KEPT = 3600  # seconds after which the cluster removes a run that nobody has removed
_CONTROLLERS = ("controller-uid", "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name", "job-name")


def found(raws: Iterable[Raw], service: str, names: Mapping[str, str]) -> Raw | None:
    """Return the last Job or CronJob of a service, None without one."""
    own = [raw for raw in raws if raw["kind"] in ("Job", "CronJob") and service_of(raw, names) == service]
    return own[-1] if own else None


def once(raw: Raw) -> dict[str, Any]:
    """Return a Job that runs the same once, under a name that the API server chooses."""
    about, spec = raw["metadata"], raw["spec"]
    spec = spec["jobTemplate"]["spec"] if raw["kind"] == "CronJob" else spec
    template = dict(spec["template"])
    template["metadata"] = {**(template.get("metadata") or {}), "labels": _own(template.get("metadata") or {})}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"generateName": f"{about['name'][:50]}-run-", "labels": {**_own(about), RUN_LABEL: "job"}},
        "spec": {"backoffLimit": 0, "ttlSecondsAfterFinished": _KEPT, "template": template},
    }


def _own(about: Mapping[str, Any]) -> dict[str, str]:
    return {key: value for key, value in (about.get("labels") or {}).items() if key not in _CONTROLLERS}
