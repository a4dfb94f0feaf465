"""From a release to Kubernetes objects, aspect by aspect; nothing of the Compose file is dropped silently."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ...model.errors import InputError
from ...model.record import Record
from ...model.stack.stack import Service
from . import images, labels, secrets
from .confinement import limits, security
from .data import configs, environment
from .mesh import meshes
from .mounts import memory, proxy_files, volumes
from .names import of_services
from .network import ingress, policies, renamed, services
from .outcome import KeyOutcome, ignored, order, refused
from .part import Part, merged, together
from .source import KubeSource
from .workload import workload
from .workloads import autoscale, hosts, kinds, lifecycle, notes, ordering, probes, process, replacing, slots


class Aspect(Record):
    """One aspect of a service: ``keys`` are the keys of a Compose service that it accounts for, ``part`` what it adds.

    A key may have a dot (``deploy.resources``). Each key belongs to exactly one aspect.
    """

    name: str
    keys: frozenset[str]
    part: Callable[[KubeSource, Service], Part]


class Translation(Record):
    """The objects of a project in the order of a report, and what became of every key."""

    objects: tuple[Mapping[str, Any], ...]
    outcomes: tuple[KeyOutcome, ...]


def aspects() -> tuple[Aspect, ...]:
    """Return the aspects in the order in which their lists are appended."""
    return (
        Aspect("process", process.KEYS, process.part),
        Aspect("probes", probes.KEYS, probes.part),
        Aspect("ordering", ordering.KEYS, ordering.part),
        Aspect("replacing", replacing.KEYS, replacing.part),
        Aspect("lifecycle", lifecycle.KEYS, lifecycle.part),
        Aspect("autoscale", autoscale.KEYS, autoscale.part),
        Aspect("hosts", hosts.KEYS, hosts.part),
        Aspect("notes", notes.KEYS, notes.part),
        Aspect("environment", environment.KEYS, environment.part),
        Aspect("secrets", secrets.KEYS, secrets.part),
        Aspect("configs", configs.KEYS, configs.part),
        Aspect("volumes", volumes.KEYS, volumes.part),
        Aspect("memory", memory.KEYS, memory.part),
        Aspect("images", images.KEYS, images.part),
        Aspect("security", security.KEYS, security.part),
        Aspect("limits", limits.KEYS, limits.part),
        Aspect("network", services.KEYS, services.part),
        Aspect("policies", policies.KEYS, policies.part),
        Aspect("renamed", renamed.KEYS, renamed.part),
        Aspect("ingress", ingress.KEYS, ingress.part),
        Aspect("mesh", meshes.KEYS, meshes.part),
    )


def translate(source: KubeSource) -> Translation:
    """Return the objects of all services of a release, and what became of every key of theirs.

    Raises InputError where two objects would have one name, and for what an ``x-slipway`` may not say.
    """
    called = of_services(source.stack.services)
    objects: list[tuple[Mapping[str, Any], int]] = []
    outcomes: list[KeyOutcome] = []
    known, backed = aspects(), proxy_files.backed(source)
    for name, service in source.stack.services.items():
        if not kinds.deployed(service):
            outcomes.append(ignored(f"services.{name}", "tests and load generators are not part of what is deployed"))
            continue
        part = together(aspect.part(source, service) for aspect in known)
        wave = ordering.wave(source.stack, name)
        made: tuple[Mapping[str, Any], ...] = (*workload(source, service, called[name], part), *part.objects)
        made = meshes.routed(source, service, made)
        if slot := source.slots.get(name):
            selector = labels.of_service(source.stack.project, called[name])
            made = slots.in_slot(made, selector, slot)
            if name in backed:
                made = slots.with_former(made, selector, slot)
        objects += [(each, wave) for each in made]
        outcomes += [*part.outcomes, *meshes.outcomes(source, service), *_unclaimed(name, source.raw(name), known)]
    _refuse_twins(made for made, _ in objects)
    return Translation(tuple(_labelled(source, ordering.placed(objects))), order(outcomes))


def _refuse_twins(objects: Iterable[Mapping[str, Any]]) -> None:
    """Raise InputError where two objects have one name: a service web-blue, and the slot blue of a service web."""
    owners: dict[tuple[str, str], str] = {}
    for each in objects:
        kind, name = str(each["kind"]), str(each["metadata"]["name"])
        owner = str((each["metadata"].get("labels") or {}).get(labels.SERVICE, ""))
        if (kind, name) in owners:
            names = " and ".join(sorted({owners[kind, name], owner} - {""}))
            raise InputError(f"{kind} {name}: two objects have this name, of {names}", "rename a service or an alias")
        owners[kind, name] = owner


def _labelled(source: KubeSource, objects: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [merged(each, {"metadata": {"labels": labels.of_project(source.stack.project)}}) for each in objects]


def _unclaimed(name: str, raw: Mapping[str, Any], known: Iterable[Aspect]) -> list[KeyOutcome]:
    claimed = {key.partition(".")[0] for aspect in known for key in aspect.keys}
    return [
        refused(f"services.{name}.{key}", "this key is not known", "take it out, or tell us what it should be")
        for key in raw
        if key not in claimed and not key.startswith("x-")
    ]
