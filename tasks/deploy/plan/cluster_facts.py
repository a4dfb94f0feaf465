"""What a plan for a cluster depends on, by name: what runs there, its releases, images, secrets and mounted files."""

import hashlib
import posixpath
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ...kube.plan.live.autoscalers import KIND as AUTOSCALER
from ...kube.plan.live.difference import JOB, PODS, Raw, unready
from ...kube.plan.live.fields import clean
from ...kube.plan.live.revisions import RECORD_LABEL, Revision, serving
from ...kube.plan.source import HostFile, ImageFacts

Named = tuple[str, Any, str]  # a name, a value, and in words what of it is no secret


def of_objects(live: Iterable[Raw]) -> Iterator[Named]:
    """Yield the objects of a project that are on the cluster; a workload with whether its Pods are ready.

    Left out are Jobs, which go by themselves some time after they have ended (whether one runs is an operation), the
    records of releases, and numbers of Pods that an autoscaler chooses.
    """
    listed = tuple(live)
    scaled = {_target(raw) for raw in listed if raw["kind"] == AUTOSCALER}
    for raw in listed:
        about = raw["metadata"]
        if raw["kind"] == JOB or RECORD_LABEL in (about.get("labels") or {}):
            continue
        value = clean(raw)
        if (raw["kind"], about["name"]) in scaled:
            value = {**value, "spec": {key: found for key, found in value["spec"].items() if key != "replicas"}}
        yield f"{raw['kind']} {about['name']}", [about.get("uid"), value], _readiness(raw)


def _target(raw: Raw) -> tuple[str, str]:
    target = raw["spec"]["scaleTargetRef"]
    return str(target["kind"]), str(target["name"])


def _readiness(raw: Raw) -> str:
    if raw["kind"] not in PODS:
        return ""
    waiting = unready(raw)
    return f"not ready ({waiting})" if waiting else "ready"


def of_releases(revisions: Iterable[Revision], applied: Mapping[str, Mapping[str, str]]) -> Iterator[Named]:
    """Yield the releases as helm lists them, and which migrations their jobs ``applied``."""
    known = tuple(revisions)
    now, newest = serving(known), max(known, key=lambda one: one.number, default=None)
    yield "the release that serves", now.number if now else 0, str(now.number) if now else "none"
    # Another one than that which serves: a deploy failed, or was stopped, or works at the moment.
    words = f"{newest.number} ({newest.status})" if newest else "none"
    yield "the newest release", [newest.number, newest.status] if newest else [], words
    yield "what earlier deploys noted", applied, ""


def of_images(images: Mapping[str, ImageFacts], wanted: Mapping[str, str]) -> Iterator[Named]:
    """Yield the image of each service, pinned where its digest is known; ``wanted`` are their names."""
    for service, name in wanted.items():
        found = images.get(service)
        reference = found.reference if found and found.reference else name
        yield f"the image of {service}", reference, reference


def of_files(files: Mapping[str, HostFile], directory: str) -> Iterator[tuple[str, str]]:
    """Yield the files that services mount, with their digests; ``directory`` is that of the project."""
    for path, found in files.items():
        shown = posixpath.relpath(path, directory) if path.startswith(f"{directory}/") else path
        yield f"mounted {shown}", f"{found.kind} {found.tracked} {found.withheld}"
        for name, content in found.files.items():
            yield f"mounted file {posixpath.join(shown, name).rstrip('/')}", hashlib.sha256(content).hexdigest()
