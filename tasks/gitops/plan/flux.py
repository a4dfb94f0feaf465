"""What Flux is told of an environment: a source, and a Kustomization for each wave of its objects.

https://fluxcd.io/flux/components/source/gitrepositories/
https://fluxcd.io/flux/components/source/ocirepositories/
https://fluxcd.io/flux/components/kustomize/kustomizations/

Flux applies all that a Kustomization has at once. So where objects come in waves (``depends_on`` with a job), each wave
is a Kustomization that depends on the one before: it begins when everything before it is well, and a migration that
fails leaves what comes after it as it was.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from ...kube.plan.workloads.kinds import JOB
from ...kube.plan.workloads.ordering import WAVE
from .exported import Exported, Object, text
from .repository import over_ssh

_NAMESPACE = "flux-system"
_GIT_SOURCE, _OCI_SOURCE = "GitRepository", "OCIRepository"
_LOOK, _AGAIN = "1m", "1m"  # how often Flux asks for a new commit, and tries again what has failed
_COMPARE = "10m"  # how often it compares what is there with what should be
_LEAST, _MORE = 300, 60  # seconds: for what names no limit of its own, and beyond the longest limit
OCI = "oci://"
_SCHEMES = ("https://", "http://", "ssh://", OCI)
# https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/patches/: its own name and kind do not count.
_NOT_HERE = "$patch: delete\napiVersion: v1\nkind: Any\nmetadata:\n  name: any\n"
# A Job that the cluster removes after a day would be made again, and so run again, each day.
_STAYS = "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: any\nspec:\n  ttlSecondsAfterFinished: null\n"


def waves(objects: Iterable[Object]) -> tuple[int, ...]:
    """Return the waves that objects come in, in their order; a single one where nothing is said of waves."""
    labels = ((one["metadata"].get("labels") or {}).get(WAVE) for one in objects)
    return tuple(sorted({int(label or 0) for label in labels}))


def files(about: Exported, objects: Iterable[Object], overlay: str) -> dict[str, str]:
    """Return the files for Flux by path; none for a repository that it cannot read, such as a directory.

    ``overlay`` is the directory with all objects of the environment.
    """
    given = tuple(objects)
    address = over_ssh(about.address)
    if not address.startswith(_SCHEMES):
        return {}
    numbers, place = waves(given), f"flux/{about.environment}"
    result = {f"{place}/source.yaml": text(_source(about, address))}
    before = ""
    for number in numbers:
        alone = len(numbers) == 1
        path = overlay if alone else f"waves/{about.environment}/{number}"
        name = about.name if alone else f"{about.name}-{number}"
        mine = given if alone else tuple(one for one in given if _wave(one) == number)
        result[f"{place}/{name}.yaml"] = text(_kustomization(about, name, path, _seconds(mine), before))
        if not alone:
            jobs = any(one["kind"] == JOB for one in mine)
            result[f"{path}/kustomization.yaml"] = text(_only(number, f"../../../{overlay}", jobs))
        before = name
    return result


def _wave(one: Object) -> int:
    return int((one["metadata"].get("labels") or {}).get(WAVE) or 0)


def _source(about: Exported, address: str) -> dict[str, Any]:
    if address.startswith(OCI):
        return _object("source.toolkit.fluxcd.io/v1", _OCI_SOURCE, about.name, _registered(about, address))
    spec: dict[str, Any] = {"interval": _LOOK, "url": address, "ref": {"branch": about.revision}}
    if address.startswith("ssh://"):
        spec["secretRef"] = {"name": f"{about.name}-git"}
    if about.signed:
        spec["verify"] = {"mode": "HEAD", "secretRef": {"name": signers(about)}}
    return _object("source.toolkit.fluxcd.io/v1", _GIT_SOURCE, about.name, spec)


def _registered(about: Exported, address: str) -> dict[str, Any]:
    spec: dict[str, Any] = {"interval": _LOOK, "url": address, "ref": {"tag": about.revision}}
    if about.plain:
        spec["insecure"] = True
    if about.login:
        spec["secretRef"] = {"name": about.login}
    if about.signed:
        spec["verify"] = {"provider": "cosign", "secretRef": {"name": signers(about)}}
    return spec


def signers(about: Exported) -> str:
    """Return the name of the Secret with the public keys of those who may sign."""
    return f"{about.name}-signers"


def _kustomization(about: Exported, name: str, path: str, seconds: int, before: str) -> dict[str, Any]:
    spec = {
        **({"dependsOn": [{"name": before}]} if before else {}),
        "sourceRef": {"kind": _OCI_SOURCE if about.address.startswith(OCI) else _GIT_SOURCE, "name": about.name},
        "path": f"./{path}",
        "targetNamespace": about.namespace,
        "interval": _COMPARE,
        "retryInterval": _AGAIN,
        "timeout": f"{seconds}s",
        "wait": True,  # the health of every object counts
        "prune": True,
    }
    return _object("kustomize.toolkit.fluxcd.io/v1", "Kustomization", name, spec)


def _seconds(objects: Iterable[Object]) -> int:
    """Return how long objects may take until they are well: what says itself that it has failed may say so."""
    limits = ("progressDeadlineSeconds", "activeDeadlineSeconds")
    said = (int((one.get("spec") or {}).get(limit) or 0) for one in objects for limit in limits)
    return max(_LEAST, *said, 0) + _MORE


def _only(number: int, overlay: str, jobs: bool) -> dict[str, Any]:
    """Return a directory of kustomize that has of an overlay only the objects of one wave."""
    patches = [{"target": {"labelSelector": f"{WAVE}!={number}"}, "patch": _NOT_HERE}]
    if jobs:
        patches.append({"target": {"kind": JOB}, "patch": _STAYS})
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [overlay],
        "patches": patches,
    }


def _object(version: str, kind: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": _NAMESPACE}, "spec": spec}


def kept(one: Object) -> Object:
    """Return an object as Flux is to have it: a claim stays when nothing names it any more, as its data would go."""
    if one["kind"] != "PersistentVolumeClaim":
        return one
    about = one["metadata"]
    notes = {**(about.get("annotations") or {}), "kustomize.toolkit.fluxcd.io/prune": "disabled"}
    return {**one, "metadata": {**about, "annotations": notes}}
