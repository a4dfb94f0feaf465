"""Rewrites a rendered model the way its containers were created, so that an unchanged service keeps its hash.

The same configuration can be spelled in several ways: `redis` or `redis:latest`, two directories with the same content,
an image name or the tag that a release gave to the image. Compose labels a container with a hash of the spelling that
it was created from, and takes any other spelling for a change.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ...model.engine.facts import Container
from .placed import filled_volumes, with_places

_NAMESPACES = ("network_mode", "ipc", "pid")


def spelled_as_created(
    model: Mapping[str, Any],
    containers: Sequence[Container],
    leave: Collection[str] = (),
    other: Collection[str] = (),
) -> dict[str, Any]:
    """Return the model with its services spelled as their containers were created, except those to ``leave``.

    ``other``: services whose containers run another image than they should; their image name is not taken over.
    """
    result = dict(model)
    for name, raw in (model.get("services") or {}).items():
        service_containers = [
            container for container in containers if container.service == name and not container.oneoff
        ]
        if name not in leave and service_containers:
            result = {
                **result,
                "services": {**result["services"], name: as_made(raw, service_containers[-1], name not in other)},
            }
            result = with_places(result, name, filled_volumes(service_containers[-1]))
    return result


def as_made(raw: Mapping[str, Any], container: Container, image: bool = True) -> dict[str, Any]:
    """Return a service with the bind mount sources and, with ``image``, the image name that a container has."""
    definition = dict(raw)
    if image and "image" in raw and container.image_reference and not container.image_reference.startswith("sha256:"):
        definition["image"] = container.image_reference
    if raw.get("volumes"):
        sources = {**filled_volumes(container), **{target: source for source, target in container.binds}}
        definition["volumes"] = [_bind_as_made(entry, sources) for entry in raw["volumes"]]
    return definition


def _bind_as_made(entry: Any, sources: Mapping[str, str]) -> Any:
    if not isinstance(entry, dict) or entry.get("type") != "bind":
        return entry
    source = sources.get(str(entry.get("target")).rstrip("/") or "/")
    return {**entry, "source": source} if source else entry


def with_namespaces(model: Mapping[str, Any], containers: Sequence[Container]) -> dict[str, Any]:
    """Return the model with `service:NAME` in network_mode, ipc and pid replaced by `container:ID`, as Compose does."""
    first = {container.service: container.id for container in reversed(containers) if not container.oneoff}
    services = {}
    for name, raw in (model.get("services") or {}).items():
        definition = dict(raw)
        for key in _NAMESPACES:
            kind, _, owner = str(raw.get(key) or "").partition(":")
            if kind == "service" and owner in first:
                definition[key] = f"container:{first[owner]}"
        services[name] = definition
    return {**model, "services": services}


def with_counts(model: Mapping[str, Any], containers: Sequence[Container], counts: Mapping[str, int]) -> dict[str, Any]:
    """Return the model with each service's scale set to ``counts``, or to the number of containers it has.

    Compose scales every service that it looks at, dependencies included. Without this a service in the middle of a
    rollout would lose containers that serve, and a finished job would get a new container.
    """
    services = {}
    for name, raw in (model.get("services") or {}).items():
        present = sum(1 for container in containers if container.service == name and not container.oneoff)
        count, definition = counts.get(name, present), dict(raw)
        definition.pop("scale", None)
        deploy = raw.get("deploy")
        if isinstance(deploy, dict):
            definition["deploy"] = {**deploy, "replicas": count}
        elif count != 1 or "scale" in raw:
            definition["scale"] = count
        services[name] = definition
    return {**model, "services": services}


def with_unlisted_services(model: Mapping[str, Any], containers: Sequence[Container]) -> dict[str, Any]:
    """Return the model plus the services that only have containers, so that Compose does not warn of orphans."""
    listed = model.get("services") or {}
    others = {
        container.service: {"image": container.image_reference}
        for container in containers
        if container.service not in listed
    }
    return {**model, "services": {**listed, **others}}
