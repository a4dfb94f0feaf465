"""A throw-away stack: what is laid over the Compose files to make a copy of a project that disturbs nobody."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from . import shared
from .errors import CheckError, InputError
from .extension import JOBS
from .facts import PROJECT_LABEL, SERVICE_LABEL, Container, Owned
from .smoke import CONTAINER
from .stack import Service, Stack
from .unit import HOLDER_LABEL

# Whose copy a stack is, and that it stays although its process has ended.
OWNER_LABEL, KEPT_LABEL = "slipway.throwaway", "slipway.throwaway.kept"
TEMPLATE_LABEL = "slipway.template"
TEMPLATES_KEPT = 3  # as many branches as people go back and forth between
COVERAGE = "/coverage"  # where a stage with coverage writes it
_DATA = "slipway-data"


class StackError(CheckError):
    """A throw-away stack did not come up; ``output`` is what its services said."""

    def __init__(self, message: str, hint: str, output: str) -> None:
        super().__init__(message, hint)
        self.output = output


@dataclass(frozen=True)
class Tagged:
    """A value that replaces what the Compose files say, instead of being merged with it.

    https://docs.docker.com/reference/compose-file/merge/#replace-value
    """

    tag: str
    value: Any


RESET = Tagged("!reset", None)


@dataclass(frozen=True)
class Copy:
    """A throw-away stack: its own name, its services, the images that they run, and who holds it.

    ``kinds`` are the sources of its bind mounts (``shared``).
    ``covered`` are the services whose image writes coverage; ``template`` is the image that holds the database's
    files, "" to start with an empty database; ``fresh`` puts the database's files into a volume of their own.
    """

    name: str
    owner: str
    holder: str
    services: tuple[str, ...]
    images: Mapping[str, str] = field(default_factory=dict)
    covered: tuple[str, ...] = ()
    template: str = ""
    fresh: bool = False
    keep: bool = False
    kinds: shared.Kinds = field(default_factory=dict)

    def labels(self) -> dict[str, str]:
        """Return the labels of everything that the stack consists of."""
        kept = {KEPT_LABEL: "true"} if self.keep else {}
        return {OWNER_LABEL: self.owner, HOLDER_LABEL: self.holder, **kept}


def coverage_volume(service: str) -> str:
    """Return what the volume is called that a service writes its coverage to."""
    return f"slipway-coverage-{service}"


def override(model: Mapping[str, Any], stack: Stack, copy: Copy) -> str:
    """Return what is laid over the Compose files: pinned images, labels, and nothing that others may have or use."""
    labels = copy.labels()
    own = shared.own_volumes(model, copy.kinds)
    services = {
        name: _service(raw or {}, name, stack, copy, own) for name, raw in (model.get("services") or {}).items()
    }
    # Also one that says the name which it would get anyway: that name is the stack's that runs.
    networks = {
        key: Tagged("!override", {"name": f"{copy.name}_{key}", "labels": labels, **shared.network(raw or {})})
        for key, raw in {"default": {}, **(model.get("networks") or {})}.items()
    }
    volumes: dict[str, Any] = {
        key: Tagged("!override", {"name": f"{copy.name}_{key}", "labels": labels, **shared.volume(raw or {})})
        for key, raw in (model.get("volumes") or {}).items()
    }
    volumes.update({key: {"labels": labels} for key in (*own.values(), *map(coverage_volume, copy.covered))})
    if copy.template or copy.fresh:
        volumes[_DATA] = {"labels": labels}
    return _text({"services": services, "networks": networks, "volumes": volumes})


def _service(raw: Mapping[str, Any], name: str, stack: Stack, copy: Copy, own: Mapping[str, str]) -> dict[str, Any]:
    # Not merged: a proxy or a scheduler on this machine may act on what it reads in the labels of any container.
    entry: dict[str, Any] = {"labels": Tagged("!override", copy.labels())}
    if name in copy.images:
        entry["image"] = copy.images[name]
    entry.update({key: RESET for key in shared.resets(raw)})
    if (attached := shared.attached(raw)) is not None:
        entry["networks"] = Tagged("!override", attached)
    mounts: list[Any] = shared.mounts(raw, own)
    if name in copy.covered:
        mounts.append({"type": "volume", "source": coverage_volume(name), "target": COVERAGE})
    data = stack.services[name].slipway.data
    if data and (copy.template or copy.fresh):
        mounts = [one for one in mounts if one["target"] != data]
        mounts.append({"type": "volume", "source": _DATA, "target": data})
        entry["tmpfs"] = Tagged("!override", [one for one in _words(raw.get("tmpfs")) if one.split(":")[0] != data])
        if copy.template:
            entry["image"] = copy.template
    if mounts != list(raw.get("volumes") or ()):
        entry["volumes"] = Tagged("!override", mounts)
    jobs = {one.name for one in prepared(stack)}
    waits = raw.get("depends_on") or {}
    if copy.template and jobs & set(waits):
        entry["depends_on"] = Tagged("!override", _waits(stack, waits, jobs))
    return entry


def _waits(stack: Stack, waits: Mapping[str, Any], jobs: set[str]) -> dict[str, Any]:
    """Return what a service waits for when the work of the jobs is in the template: what they wait for themselves."""
    kept: dict[str, Any] = {}
    for name, how in waits.items():
        if name not in jobs:
            kept[name] = how
            continue
        inner = {one: {"condition": condition} for one, condition in stack.services[name].depends_on.items()}
        kept = {**_waits(stack, inner, jobs), **kept}
    return kept


def _words(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or [])


def _text(value: Any) -> str:
    """Return data as YAML: JSON, and Compose's tags. A dollar is doubled: Compose would take it for a variable."""
    if isinstance(value, Tagged):
        return f"{value.tag} {_text(value.value)}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(key)}: {_text(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_text, value)) + "]"
    return json.dumps(value.replace("$", "$$") if isinstance(value, str) else value)


def prepared(stack: Stack) -> tuple[Service, ...]:
    """Return the one-off services that fill the database: what a template stands for."""
    return tuple(one for one in stack.services.values() if one.slipway.job in JOBS[:2])


def templated(stack: Stack) -> Service | None:
    """Return the database whose files can be kept as a template, None where the stack does not say enough."""
    try:
        database = stack.role("database")
    except InputError:
        return None
    return database if database.slipway.data and prepared(stack) else None


def template_key(
    model: Mapping[str, Any], services: Iterable[Service], images: Mapping[str, str], files: Mapping[str, str]
) -> str:
    """Return a digest over what a filled database depends on: the images and settings of those who fill it.

    ``files`` are digests of what they mount, secrets included; no content can be told from the result.
    """
    parts: dict[str, Any] = {"files": sorted(files.items())}
    for one in services:
        raw = dict((model.get("services") or {})[one.name])
        for key in ("build", "image", "labels", "container_name", "ports", "networks"):
            raw.pop(key, None)
        parts[one.name] = {"image": images.get(one.name, one.image), "settings": raw}
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def template_labels(project: str, service: str) -> tuple[str, ...]:
    """Return the ``docker build`` words that label a template: one of the project's images, and of its templates."""
    labels = {PROJECT_LABEL: project, SERVICE_LABEL: service, TEMPLATE_LABEL: project}
    return tuple(f"--label={key}={value}" for key, value in labels.items())


def needed(stack: Stack, names: Iterable[str]) -> tuple[str, ...]:
    """Return services with all that they depend on, in the model's order."""
    todo, found = list(names), set()
    while todo:
        name = todo.pop()
        if name not in found and name in stack.services:
            found.add(name)
            todo.extend(stack.services[name].depends_on)
    return tuple(name for name in stack.services if name in found)


def asked_inside(services: Mapping[str, Service]) -> tuple[dict[str, Service], tuple[str, ...]]:
    """Return services with those smoke checks that are asked in their containers, and a line for every other one.

    A copy publishes nothing: what is asked of this machine, or of an address elsewhere, is the stack that runs.
    """
    kept, lines = {}, []
    for name, one in services.items():
        inside = tuple(check for check in one.slipway.smoke if check.origin == CONTAINER)
        others = (check for check in one.slipway.smoke if check.origin != CONTAINER)
        lines += [
            f"{name}: {check} is not asked: a copy publishes nothing; `from: container` asks it" for check in others
        ]
        kept[name] = replace(one, slipway=replace(one.slipway, smoke=inside))
    return kept, tuple(lines)


@dataclass(frozen=True)
class Found:
    """A throw-away stack as its labels tell of it."""

    name: str
    holder: str
    kept: bool
    parts: tuple[Owned, ...]


def found(owned: Iterable[Owned]) -> tuple[Found, ...]:
    """Return the throw-away stacks that things on the engine belong to, by name."""
    stacks: dict[str, list[Owned]] = {}
    for one in owned:
        if name := one.labels.get(PROJECT_LABEL, ""):
            stacks.setdefault(name, []).append(one)
    return tuple(
        Found(name, parts[0].labels.get(HOLDER_LABEL, ""), any(KEPT_LABEL in one.labels for one in parts), tuple(parts))
        for name, parts in sorted(stacks.items())
    )


def stale(stacks: Iterable[Found], gone: Callable[[str], bool], kept: bool = False) -> tuple[Found, ...]:
    """Return the stacks whose process has ended for sure; with ``kept`` also those that were to stay after it."""
    return tuple(one for one in stacks if gone(one.holder) and (kept or not one.kept))


def by_hand(name: str) -> str:
    """Return the line that removes a stack by hand.

    Away from the project: with its Compose file at hand, Compose removes the volumes by the names in there, of which
    one that is written out is the running stack's, and leaves those that only the copy has.
    """
    return f"(cd / && docker compose -p {name} down --volumes --remove-orphans)"


def removals(parts: Iterable[Owned]) -> Iterator[tuple[str, ...]]:
    """Yield the ``docker`` words that remove parts of stacks, in an order in which nothing is in use any more."""
    known = tuple(parts)
    for kind, words in (
        ("container", ("docker", "rm", "--force", "--volumes")),
        ("network", ("docker", "network", "rm")),
        ("volume", ("docker", "volume", "rm", "--force")),
    ):
        if names := [one.id for one in known if one.kind == kind]:
            yield (*words, *names)


def guilty(containers: Sequence[Container], stack: Stack) -> tuple[Container, ...]:
    """Return the containers that a stack did not come up for: those that ended badly, else those not yet healthy."""
    mine = [one for one in containers if not one.oneoff]
    dead = [one for one in mine if one.state in ("exited", "dead", "restarting") and one.exit_code]
    dead += [one for one in mine if one.health == "unhealthy"]
    dead += [
        one
        for one in mine
        if one.state == "exited" and not one.exit_code and not stack.one_off(stack.service(one.service))
    ]
    waiting = [one for one in mine if one.state == "running" and one.health == "starting"]
    jobs = [one for one in mine if one.state == "running" and stack.one_off(stack.service(one.service))]
    return tuple(dict.fromkeys(dead)) or tuple(waiting) or tuple(jobs)


def ending(container: Container) -> str:
    """Return in a few words how it stands with a container."""
    if container.oom_killed:
        return f"{container.service} was killed for memory: it needs more than its limit"
    if container.state in ("exited", "dead", "restarting"):
        return f"{container.service} ended with exit code {container.exit_code}"
    return f"{container.service} is {container.health or container.state}"
