"""A throw-away stack: the override for the Compose files that makes an isolated copy of a project."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ...model.engine.facts import PROJECT_LABEL, SERVICE_LABEL, Container, LabelledResource
from ...model.errors import CheckError
from ...model.stack.extension import JOBS, ROLES
from ...model.stack.smoke import CONTAINER
from ...model.stack.stack import Service, Stack
from ...sandbox.plan.container import PROCESS_LABEL
from . import shared

# The project that a stack is a copy of, and whether the stack stays although its process has ended.
OWNER_LABEL, KEPT_LABEL = "slipway.throwaway", "slipway.throwaway.kept"
TEMPLATE_LABEL = "slipway.template"
TEMPLATES_KEPT = 3  # enough to switch between a few branches
COVERAGE = "/coverage"  # the directory that an image built with coverage writes to
_DATA = "slipway-data"


class StackError(CheckError):
    """A throw-away stack did not come up; ``output`` is the end of the logs of its services."""

    def __init__(self, message: str, hint: str, output: str) -> None:
        super().__init__(message, hint)
        self.output = output


@dataclass(frozen=True)
class Tagged:
    """A value that replaces the value in the Compose files, instead of being merged with it.

    https://docs.docker.com/reference/compose-file/merge/#replace-value
    """

    tag: str
    value: Any


RESET = Tagged("!reset", None)


@dataclass(frozen=True)
class Copy:
    """A throw-away stack: a copy of the project ``owner``, used by ``process`` (``processes.mark``).

    ``images`` are the images to run, by service; ``covered`` are the services whose image writes coverage.
    ``template`` is the image with the database's files, "" to start with an empty database; ``fresh`` puts the
    database's files into a volume of their own. ``kinds`` are the kinds of the bind mounts' sources (``shared``).
    """

    name: str
    owner: str
    process: str
    services: tuple[str, ...]
    images: Mapping[str, str] = field(default_factory=dict)
    covered: tuple[str, ...] = ()
    template: str = ""
    fresh: bool = False
    keep: bool = False
    kinds: shared.Kinds = field(default_factory=dict)

    def labels(self) -> dict[str, str]:
        """Return the labels of every container, network and volume of the stack."""
        kept = {KEPT_LABEL: "true"} if self.keep else {}
        return {OWNER_LABEL: self.owner, PROCESS_LABEL: self.process, **kept}


def coverage_volume(service: str) -> str:
    """Return the name of the volume that a service writes its coverage to."""
    return f"slipway-coverage-{service}"


def override(model: Mapping[str, Any], stack: Stack, copy: Copy) -> str:
    """Return the override for the Compose files as YAML: pinned images, labels, nothing shared with other stacks."""
    labels = copy.labels()
    own = shared.own_volumes(model, copy.kinds)
    services = {
        name: _service(raw or {}, name, stack, copy, own) for name, raw in (model.get("services") or {}).items()
    }
    # Every network is renamed, also where its `name` equals the default: that name is the running stack's.
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
    # Labels are replaced, not merged: a proxy or a scheduler on this machine may act on the labels of any container.
    entry: dict[str, Any] = {"labels": Tagged("!override", copy.labels())}
    if name in copy.images:
        entry["image"] = copy.images[name]
    entry.update({key: RESET for key in shared.reset_keys(raw)})
    if (attached := shared.copy_attachments(raw)) is not None:
        entry["networks"] = Tagged("!override", attached)
    mounts: list[Any] = shared.mounts(raw, own)
    if name in copy.covered:
        mounts.append({"type": "volume", "source": coverage_volume(name), "target": COVERAGE})
    data = stack.services[name].slipway.data
    if data and (copy.template or copy.fresh):
        mounts = [mount for mount in mounts if mount["target"] != data]
        mounts.append({"type": "volume", "source": _DATA, "target": data})
        mounts_in_memory = [mount for mount in _as_list(raw.get("tmpfs")) if mount.split(":")[0] != data]
        entry["tmpfs"] = Tagged("!override", mounts_in_memory)
        if copy.template:
            entry["image"] = copy.template
    if mounts != list(raw.get("volumes") or ()):
        entry["volumes"] = Tagged("!override", mounts)
    jobs = {job.name for job in prepared(stack)}
    dependencies = raw.get("depends_on") or {}
    if copy.template and jobs & set(dependencies):
        entry["depends_on"] = Tagged("!override", _without_jobs(stack, dependencies, jobs))
    return entry


def _without_jobs(stack: Stack, dependencies: Mapping[str, Any], jobs: set[str]) -> dict[str, Any]:
    """Return the dependencies of a service with each job, whose work is in the template, replaced by its own ones."""
    kept: dict[str, Any] = {}
    for name, dependency in dependencies.items():
        if name not in jobs:
            kept[name] = dependency
            continue
        of_job = {other: {"condition": condition} for other, condition in stack.services[name].depends_on.items()}
        kept = {**_without_jobs(stack, of_job, jobs), **kept}
    return kept


def _as_list(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or [])


def _text(value: Any) -> str:
    """Return data as YAML: JSON with Compose's tags. A dollar is doubled, or Compose would read it as a variable."""
    if isinstance(value, Tagged):
        return f"{value.tag} {_text(value.value)}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(key)}: {_text(member)}" for key, member in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_text, value)) + "]"
    return json.dumps(value.replace("$", "$$") if isinstance(value, str) else value)


def prepared(stack: Stack) -> tuple[Service, ...]:
    """Return the jobs that fill the database; with a template they need not run."""
    return tuple(service for service in stack.services.values() if service.slipway.job in JOBS[:2])


def templated(stack: Stack) -> Service | None:
    """Return the database whose files can be kept as a template.

    None when the stack has no database, or several, does not say where its files are, or has no job that fills it.
    """
    databases = [service for service in stack.services.values() if service.slipway.role == ROLES[0]]
    if len(databases) != 1 or not prepared(stack):
        return None  # of several databases, it is unknown which one a job fills
    return databases[0] if databases[0].slipway.data else None


def template_key(
    model: Mapping[str, Any], services: Iterable[Service], images: Mapping[str, str], files: Mapping[str, str]
) -> str:
    """Return a digest of what a filled database depends on: the images, settings and files of ``services``.

    ``files`` are the digests of the files that they mount, secrets included; the result discloses none of them.
    """
    parts: dict[str, Any] = {"files": sorted(files.items())}
    for service in services:
        raw = dict((model.get("services") or {})[service.name])
        for key in ("build", "image", "labels", "container_name", "ports", "networks"):
            raw.pop(key, None)
        parts[service.name] = {"image": images.get(service.name, service.image), "settings": raw}
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def template_labels(project: str, service: str) -> tuple[str, ...]:
    """Return the ``docker build`` options that label an image as a template of the project."""
    labels = {PROJECT_LABEL: project, SERVICE_LABEL: service, TEMPLATE_LABEL: project}
    return tuple(f"--label={key}={value}" for key, value in labels.items())


def with_dependencies(stack: Stack, names: Iterable[str]) -> tuple[str, ...]:
    """Return the named services and all that they depend on, in the order of the Compose model."""
    todo, included = list(names), set()
    while todo:
        name = todo.pop()
        if name not in included and name in stack.services:
            included.add(name)
            todo.extend(stack.services[name].depends_on)
    return tuple(name for name in stack.services if name in included)


def only_container_checks(services: Mapping[str, Service]) -> tuple[dict[str, Service], tuple[str, ...]]:
    """Return the services with only the smoke checks that run in a container, and a line about each other check.

    A copy publishes no port: a check from this machine would reach the running stack, not the copy.
    """
    kept, lines = {}, []
    for name, service in services.items():
        inside = tuple(check for check in service.slipway.smoke if check.origin == CONTAINER)
        others = (check for check in service.slipway.smoke if check.origin != CONTAINER)
        lines += [
            f"{name}: {check} is not asked: a copy publishes no port; `from: container` asks it" for check in others
        ]
        kept[name] = replace(service, slipway=replace(service.slipway, smoke=inside))
    return kept, tuple(lines)


@dataclass(frozen=True)
class ThrowawayStack:
    """A throw-away stack as the labels of its parts describe it; ``process`` is the process that uses it."""

    name: str
    process: str
    kept: bool
    parts: tuple[LabelledResource, ...]


def throwaway_stacks(owned: Iterable[LabelledResource]) -> tuple[ThrowawayStack, ...]:
    """Return the throw-away stacks that these containers, networks and volumes belong to, sorted by name."""
    stacks: dict[str, list[LabelledResource]] = {}
    for part in owned:
        if name := part.labels.get(PROJECT_LABEL, ""):
            stacks.setdefault(name, []).append(part)
    return tuple(
        ThrowawayStack(
            name, parts[0].labels.get(PROCESS_LABEL, ""), any(KEPT_LABEL in part.labels for part in parts), tuple(parts)
        )
        for name, parts in sorted(stacks.items())
    )


def stale(
    stacks: Iterable[ThrowawayStack], gone: Callable[[str], bool], kept: bool = False
) -> tuple[ThrowawayStack, ...]:
    """Return the stacks whose process has certainly ended, without those kept by ``--keep`` unless ``kept``."""
    return tuple(stack for stack in stacks if gone(stack.process) and (kept or not stack.kept))


def by_hand(name: str) -> str:
    """Return the shell command that removes a stack by hand.

    It runs outside the project's directory: with the project's Compose file, Compose would remove the volumes named
    there, which may be the running stack's, and leave the volumes that only the copy has.
    """
    return f"(cd / && docker compose -p {name} down --volumes --remove-orphans)"


def removals(parts: Iterable[LabelledResource]) -> Iterator[tuple[str, ...]]:
    """Yield the ``docker`` commands that remove parts of stacks: containers first, then what they used."""
    known = tuple(parts)
    for kind, words in (
        ("container", ("docker", "rm", "--force", "--volumes")),
        ("network", ("docker", "network", "rm")),
        ("volume", ("docker", "volume", "rm", "--force")),
    ):
        if names := [part.id for part in known if part.kind == kind]:
            yield (*words, *names)


def blocking_containers(containers: Sequence[Container], stack: Stack) -> tuple[Container, ...]:
    """Return the containers that kept a stack from coming up.

    They are those that ended or are unhealthy; without any, those still starting; else the jobs that have not ended.
    """
    own = [container for container in containers if not container.oneoff]
    jobs = [container for container in own if stack.one_off(stack.service(container.service))]
    ended = [container for container in own if container.state in ("exited", "dead", "restarting")]
    failed = [container for container in ended if container.exit_code]
    failed += [container for container in own if container.health == "unhealthy"]
    failed += [container for container in ended if container.state == "exited" and container not in jobs]
    running = [container for container in own if container.state == "running"]
    starting = [container for container in running if container.health == "starting"]
    return (
        tuple(dict.fromkeys(failed))
        or tuple(starting)
        or tuple(container for container in running if container in jobs)
    )


def describe_container(container: Container) -> str:
    """Return the state of a container in a few words."""
    if container.oom_killed:
        return f"{container.service} was killed for memory: it needs more than its limit"
    if container.state in ("exited", "dead", "restarting"):
        return f"{container.service} ended with exit code {container.exit_code}"
    return f"{container.service} is {container.health or container.state}"
