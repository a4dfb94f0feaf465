"""Releases for the tests of workloads, and what the aspects of workloads alone make of them."""

from collections.abc import Mapping
from typing import Any

from tasks.kube.plan.names import label
from tasks.kube.plan.outcome import KeyOutcome
from tasks.kube.plan.part import Part, together
from tasks.kube.plan.source import ImageFacts, KubeSettings, KubeSource
from tasks.kube.plan.workload import workload
from tasks.kube.plan.workloads import (
    autoscale,
    hosts,
    lifecycle,
    notes,
    ordering,
    probes,
    process,
    replacing,
)
from tasks.model.stack.stack import parse

ASPECTS = (process, probes, ordering, replacing, lifecycle, autoscale, hosts, notes)
COMPLETED = {"condition": "service_completed_successfully", "required": True}
HEALTHY = {"condition": "service_healthy", "required": True}


def release(images: Mapping[str, ImageFacts] | None = None, **services: Any) -> KubeSource:
    """Return a release of project ``shop`` with services as Compose prints them; names take ``_`` for ``-``."""
    model = {"name": "shop", "services": services}
    return KubeSource(model, parse(model), images=images or {}, settings=KubeSettings(health_timeout=60.0))


def part(source: KubeSource, name: str) -> Part:
    """Return what the aspects of workloads say about a service."""
    return together(aspect.part(source, source.stack.service(name)) for aspect in ASPECTS)


def objects(source: KubeSource, name: str, more: Part | None = None) -> tuple[dict[str, Any], ...]:
    """Return the objects of a service's workload, with what another aspect adds."""
    said = together((part(source, name), more or Part()))
    return workload(source, source.stack.service(name), label(name), said)


def one(source: KubeSource, name: str, kind: str) -> dict[str, Any]:
    """Return the one object of a kind that runs a service."""
    (found,) = [each for each in objects(source, name) if each["kind"] == kind]
    return found


def container(source: KubeSource, name: str = "app") -> dict[str, Any]:
    """Return the container of a service."""
    spec = objects(source, name)[0]["spec"]
    found: dict[str, Any] = spec["template"]["spec"]["containers"][0]
    return found


def outcomes(source: KubeSource, name: str = "app") -> dict[str, KeyOutcome]:
    """Return what became of the keys of a service, by key without ``services.NAME.``."""
    said = part(source, name).outcomes
    assert len({outcome.key for outcome in said}) == len(said), "two outcomes of one key"
    return {outcome.key.removeprefix(f"services.{name}").lstrip("."): outcome for outcome in said}
