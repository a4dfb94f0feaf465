"""The load generator of a project as a Job that runs once: no part of what is deployed."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..workloads.jobs import NEVER
from ..workloads.kinds import JOB
from .difference import Raw
from .jobs import RUN_LABEL

_KEPT = 600  # seconds after which the cluster removes a run that nobody has removed
# Before it measures, it asks a little: what enforces policies lets a new Pod through only after a moment.
_WARM = {"-rate": "1", "-duration": "3s"}
_FIELDS = ("name", "networks", "secrets", "configs", "volumes")


def alone(model: Mapping[str, Any], service: str, image: str, words: Sequence[str]) -> dict[str, Any]:
    """Return a Compose model of the generator alone, as a job with an image and the words of its command line.

    What it depends on is there already. In a model, ``$$`` is a ``$``.
    """
    raw = dict(model["services"][service])
    for key in ("depends_on", "restart", "build", "profiles"):
        raw.pop(key, None)
    said = raw.pop("x-slipway", None) or {}
    own = {
        **raw,
        "image": image,
        "command": [word.replace("$", "$$") for word in words],
        "deploy": {**(raw.get("deploy") or {}), "mode": "replicated-job", "replicas": 1, "restart_policy": None},
        "x-slipway": {key: value for key, value in said.items() if key == "accept"},
    }
    top = {key: value for key, value in model.items() if key in _FIELDS}
    return {**top, "services": {service: own}}


def job(objects: Iterable[Raw], name: str, seconds: float) -> tuple[dict[str, Any], tuple[Raw, ...]]:
    """Return the Job among translated objects, under a name and with a time limit, and the files that it mounts.

    It runs once. The cluster itself removes it a while after it has ended.
    """
    made = tuple(objects)
    raw = next(each for each in made if each["kind"] == JOB)
    template = raw["spec"]["template"]
    spec = {
        "backoffLimit": 0,
        "activeDeadlineSeconds": max(int(seconds), 1),
        "ttlSecondsAfterFinished": _KEPT,
        "template": {**template, "spec": _warmed(template["spec"])},
    }
    about = {"name": name, "labels": {**raw["metadata"]["labels"], RUN_LABEL: "load"}}
    files = tuple(each for each in made if each["kind"] == "ConfigMap")
    return {"apiVersion": "batch/v1", "kind": JOB, "metadata": about, "spec": spec}, files


def _warmed(pod: Mapping[str, Any]) -> dict[str, Any]:
    """Return a Pod whose container runs after another one that does the same with little load."""
    (container,) = pod["containers"]
    args = list(container["args"])
    for flag, value in _WARM.items():
        args[args.index(flag) + 1] = value
    before = {**container, "name": f"{container['name']}-warm-up"[-63:], "args": args}
    return {**pod, "restartPolicy": NEVER, "initContainers": [*(pod.get("initContainers") or ()), before]}


def owned(files: Iterable[Raw], job_: Raw) -> list[dict[str, Any]]:
    """Return files that the cluster removes together with a Job that exists."""
    about = job_["metadata"]
    owner = {"apiVersion": "batch/v1", "kind": JOB, "name": about["name"], "uid": about["uid"]}
    return [{**raw, "metadata": {**raw["metadata"], "ownerReferences": [owner]}} for raw in files]
