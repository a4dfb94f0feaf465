"""A rendered model spelled as its containers were made: what has not changed then has the configuration hash it had.

The same configuration can be spelled in several ways: `redis` and `redis:latest`, one directory and another with the
same content, a name and the tag that a release gave to its image. Compose marks a container with a hash of the spelling
that it was made from, and takes another one for a change.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from .facts import Container

_NAMESPACES = ("network_mode", "ipc", "pid")


def spelled(
    model: Mapping[str, Any],
    containers: Sequence[Container],
    leave: Collection[str] = (),
    other: Collection[str] = (),
) -> dict[str, Any]:
    """Return the model with each service but those to ``leave`` spelled as its containers were made.

    ``other`` services run another image than they are to: theirs is no spelling of the same.
    """
    services = {}
    for name, raw in (model.get("services") or {}).items():
        mine = [one for one in containers if one.service == name and not one.oneoff]
        services[name] = dict(raw) if name in leave or not mine else _as_made(raw, mine[-1], name not in other)
    return {**model, "services": services}


def _as_made(raw: Mapping[str, Any], container: Container, image: bool) -> dict[str, Any]:
    made = dict(raw)
    if image and "image" in raw and container.image_reference and not container.image_reference.startswith("sha256:"):
        made["image"] = container.image_reference
    if raw.get("volumes"):
        sources = {target: source for source, target in container.binds}
        made["volumes"] = [_bind_as_made(one, sources) for one in raw["volumes"]]
    return made


def _bind_as_made(entry: Any, sources: Mapping[str, str]) -> Any:
    if not isinstance(entry, dict) or entry.get("type") != "bind":
        return entry
    source = sources.get(str(entry.get("target")).rstrip("/") or "/")
    return {**entry, "source": source} if source else entry


def with_namespaces(model: Mapping[str, Any], containers: Sequence[Container]) -> dict[str, Any]:
    """Return the model with `network_mode: service:x` and its like as the container that Compose puts there."""
    first = {one.service: one.id for one in reversed(containers) if not one.oneoff}
    services = {}
    for name, raw in (model.get("services") or {}).items():
        made = dict(raw)
        for key in _NAMESPACES:
            kind, _, owner = str(raw.get(key) or "").partition(":")
            if kind == "service" and owner in first:
                made[key] = f"container:{first[owner]}"
        services[name] = made
    return {**model, "services": services}


def scaled_for(model: Mapping[str, Any], containers: Sequence[Container], counts: Mapping[str, int]) -> dict[str, Any]:
    """Return the model in which every service has the number of containers that are there, but those in ``counts``.

    Compose scales each service that it looks at, dependencies included: one that is being rolled out would lose
    containers that serve, and a job that has done its work would get a container again.
    """
    services = {}
    for name, raw in (model.get("services") or {}).items():
        there = sum(1 for one in containers if one.service == name and not one.oneoff)
        count, made = counts.get(name, there), dict(raw)
        made.pop("scale", None)
        deploy = raw.get("deploy")
        if isinstance(deploy, dict):
            made["deploy"] = {**deploy, "replicas": count}
        elif count != 1 or "scale" in raw:
            made["scale"] = count
        services[name] = made
    return {**model, "services": services}


def with_others(model: Mapping[str, Any], containers: Sequence[Container]) -> dict[str, Any]:
    """Return the model with a service for each that has containers and is in no file: Compose then warns of none."""
    known = model.get("services") or {}
    others = {one.service: {"image": one.image_reference} for one in containers if one.service not in known}
    return {**model, "services": {**known, **others}}
