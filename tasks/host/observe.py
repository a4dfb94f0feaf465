"""Looks at the engine once and says what runs, as a deploy decides on it."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..plan.desired import Desired
from ..plan.difference import network_difference
from ..plan.facts import Container, Image, Network
from ..plan.mounts import GONE, Content, Reference
from ..plan.observed import Observed, State
from ..plan.stack import Stack
from . import machine
from .engine_resources import Resources
from .mount_contents import Contents, place
from .project import Project
from .proxies import proxy, upstream_texts


def containers(project: Project, stack: Stack) -> tuple[Container, ...]:
    """Return the containers of a project, in full where a listing does not say what is decided on."""
    sharing = {name for name, one in stack.services.items() if one.shares}
    unwatched = {name for name, one in stack.services.items() if one.restarts and not one.health_check}
    found = []
    for one in project.engine.containers(stack.project):
        doubtful = one.restarting or one.service in sharing or (one.young and one.service in unwatched)
        full = project.engine.inspect(one.id) if doubtful else one
        if full is not None:
            found.append(replace(full, young=one.young or one.restarting, created=one.created))
    return tuple(found)


def observe(
    project: Project, desired: Desired, known: tuple[Container, ...], named: Mapping[str, Image], state: State,
    contents: Contents,
) -> Observed:  # fmt: skip
    """Return what runs; ``known`` are the project's containers, ``named`` what references stand for."""
    stack, resources = desired.stack, Resources(project.engine)
    found, there = proxy(project, stack, known), proxy(project, stack, known, running=False)
    volumes = resources.volumes(_declared(desired, "volumes"))
    return Observed(
        containers=known,
        images=named,
        contents=_contents(project, known, named),
        networks=_networks(resources, _declared(desired, "networks")),
        volumes=volumes,
        state=state,
        seen=_Seen(project, contents, state).all(desired, known),
        upstreams=upstream_texts(project, stack, known_front) if (known_front := found or there) else {},
        front=found.containers if found else (),
        strangers=_strangers(project, stack, known),
        taken_ports=_taken_ports(project, stack, known),
    )


def _declared(desired: Desired, key: str) -> dict[str, Mapping[str, Any]]:
    """Return what a model says of its networks or volumes, by the name that the engine has them by."""
    return {str((one or {}).get("name") or name): one or {} for name, one in (desired.model.get(key) or {}).items()}


def _networks(resources: Resources, declared: Mapping[str, Mapping[str, Any]]) -> dict[str, Network]:
    """Return the networks that there are; who is in them counts where one is to be made anew, and is asked there."""
    found = resources.networks(declared)
    for name, one in found.items():
        if not declared[name].get("external") and network_difference(name, declared[name], one):
            found[name] = resources.network(name) or one
    return found


def _contents(project: Project, known: Iterable[Container], named: Mapping[str, Image]) -> dict[str, str]:
    """Return the contents of the images of containers, by the id that a container has them by."""
    by_id = {one.id: one for one in named.values()}
    found = {}
    for identity in {one.created_from or one.image_id for one in known}:
        image = by_id.get(identity) or project.engine.image(identity)
        found[identity] = (image.content or image.id) if image else identity
    return found


def _strangers(project: Project, stack: Stack, known: Iterable[Container]) -> frozenset[str]:
    """Return the services with containers that only another Compose profile has."""
    none = {one.service for one in known if one.service not in stack.services and not one.oneoff}
    others = set(project.wide.stack.services) - set(project.stack.services) if none else set()
    return frozenset(none & others)


def _taken_ports(project: Project, stack: Stack, known: Iterable[Container]) -> tuple[int, ...]:
    """Return the ports that a service wants and a stranger has; the project's own containers do not count."""
    if not project.engine.local():
        return ()
    own = {text.partition("->")[0].rpartition(":")[2] for one in known for text in one.ports}
    wanted = [port for service in stack.services.values() for port in service.ports if str(port.published) not in own]
    return machine.taken_ports(wanted)


class _Seen:
    """What containers see of the files that they mount, as far as what was noted of them tells.

    A bind mount is bound to a file or directory, not to its path. A file that was replaced is seen as it was; of a
    directory that was replaced nobody can say what is left in it.
    """

    def __init__(self, project: Project, contents: Contents, state: State) -> None:
        self._local = project.engine.local()
        self._contents, self._state = contents, state

    def all(self, desired: Desired, known: Iterable[Container]) -> dict[tuple[str, str], str]:
        """Return a digest by container and target; none where nothing is known."""
        found = {}
        for container in known:
            stamp = self._state.stamps.get(container.id)
            if container.oneoff or stamp is None or container.service not in desired.stack.services:
                continue
            for one in desired.wanted(container.service).references:
                noted = stamp.references.get(one.target)
                if noted and (said := self._of(container, one, noted)):
                    found[container.id, one.target] = said
        return found

    def _of(self, container: Container, reference: Reference, noted: Content) -> str:
        source = next((source for source, target in container.binds if target == reference.target), "")
        if not noted.place or not source or not self._local:
            return noted.digest  # it was copied into the container, or is out of sight
        now = place(source)
        if now == noted.place:
            return self._contents.at(source, reference).digest
        if not now:
            return GONE
        return GONE if Path(source).is_dir() else noted.digest
