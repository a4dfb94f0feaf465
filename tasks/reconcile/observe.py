"""Reads from the engine what runs: everything that a plan is decided on, in one pass."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..host import machine
from ..host.engine.resources import Resources
from ..host.project import Project
from ..model.engine.facts import Container, Image, Network
from ..model.stack.stack import Stack
from .mount_contents import Contents, place
from .plan.desired import Desired
from .plan.difference import network_difference
from .plan.mounts import GONE, Content, Reference
from .plan.networks import NEXT
from .plan.observed import Observed, State
from .plan.placed import filled_volume, filled_volumes
from .proxy import find_proxy, upstream_texts


def list_containers(project: Project, stack: Stack) -> tuple[Container, ...]:
    """Return the containers of a project; inspect those for which the engine's listing is not enough."""
    sharing = {name for name, service in stack.services.items() if service.shares}
    sharing |= {name for service in stack.services.values() for name in service.joins}
    unwatched = {name for name, service in stack.services.items() if service.restarts and not service.health_check}
    complete = []
    for container in project.engine.containers(stack.project):
        doubtful = (
            container.restarting or container.service in sharing or (container.young and container.service in unwatched)
        )
        full = project.engine.inspect(container.id) if doubtful else container
        if full is not None:
            complete.append(replace(full, young=container.young or container.restarting, created=container.created))
    return tuple(complete)


def observe(
    project: Project, desired: Desired, known: tuple[Container, ...], named: Mapping[str, Image], state: State,
    contents: Contents,
) -> Observed:  # fmt: skip
    """Return what runs; ``known`` are the project's containers, ``named`` the images by the model's references."""
    stack, resources = desired.stack, Resources(project.engine)
    running, present = find_proxy(project, stack, known), find_proxy(project, stack, known, running=False)
    declared, names = _declared(desired, "networks"), _declared(desired, "volumes")
    with project.engine.asking([lambda: resources.volumes(names), lambda: resources.networks(_with_next(declared))]):
        volumes, networks = resources.volumes(names), _networks(resources, declared)
    return Observed(
        containers=known,
        images=named,
        contents=_contents(project, known, named),
        networks=networks,
        volumes=volumes,
        state=state,
        seen=_Seen(project, contents, state).all(desired, known),
        upstreams=upstream_texts(project, stack, known_front) if (known_front := running or present) else {},
        clearable=_clearable(project, desired, known, state),
        front=running.containers if running else (),
        other_profiles=_other_profiles(project, stack, known),
        taken_ports=_taken_ports(project, stack, known),
    )


def _declared(desired: Desired, key: str) -> dict[str, Mapping[str, Any]]:
    """Return the declarations of a model's networks or volumes, by their name on the engine."""
    return {
        str((declaration or {}).get("name") or name): declaration or {}
        for name, declaration in (desired.model.get(key) or {}).items()
    }


def _networks(resources: Resources, declared: Mapping[str, Mapping[str, Any]]) -> dict[str, Network]:
    """Return the networks on the engine, and any NAME-next left from a deploy that ended half-way.

    Their members are asked for only where a network differs, since only then it is replaced.
    """
    networks = resources.networks(_with_next(declared))
    for name, network in networks.items():
        raw = declared.get(name)
        if raw is not None and not raw.get("external") and network_difference(name, raw, network):
            networks[name] = resources.network(name) or network
    return networks


def _with_next(names: Iterable[str]) -> set[str]:
    return {text for name in names for text in (name, name + NEXT)}


def _contents(project: Project, known: Iterable[Container], named: Mapping[str, Image]) -> dict[str, str]:
    """Return the content ids of the containers' images, by image id."""
    by_id = {image.id: image for image in named.values()}
    contents = {}
    for identity in {container.created_from or container.image_id for container in known}:
        image = by_id.get(identity) or project.engine.image(identity)
        contents[identity] = (image.content or image.id) if image else identity
    return contents


def _clearable(project: Project, desired: Desired, known: Iterable[Container], state: State) -> frozenset[str]:
    """Return the ids of containers whose image has ``rm``; only those whose filled volumes change are checked."""
    clearable = set()
    for container in known:
        wanted, stamp = desired.wanted(container.service).contents, state.stamps.get(container.id)
        changed = stamp and any(
            wanted[key] and wanted[key].digest != noted.digest
            for key, noted in stamp.references.items()
            if key in wanted
        )
        if (
            filled_volumes(container)
            and changed
            and any(project.engine.has_file(container.id, path) for path in ("/bin/rm", "/usr/bin/rm"))
        ):
            clearable.add(container.id)
    return frozenset(clearable)


def _other_profiles(project: Project, stack: Stack, known: Iterable[Container]) -> frozenset[str]:
    """Return the services that have containers and are declared only for another Compose profile."""
    unlisted = {
        container.service for container in known if container.service not in stack.services and not container.oneoff
    }
    others = set(project.wide.stack.services) - set(project.stack.services) if unlisted else set()
    return frozenset(unlisted & others)


def _taken_ports(project: Project, stack: Stack, known: Iterable[Container]) -> tuple[int, ...]:
    """Return the ports of the model that another program listens on; the project's own containers do not count."""
    if not project.engine.local():
        return ()
    own_ports = {text.partition("->")[0].rpartition(":")[2] for container in known for text in container.ports}
    wanted = [
        port for service in stack.services.values() for port in service.ports if str(port.published) not in own_ports
    ]
    return machine.taken_ports(wanted)


class _Seen:
    """Finds out what containers see of the files that they mount, as far as their stamps tell.

    A bind mount belongs to an inode, not to a path. A container goes on seeing the old content of a replaced file; what
    it sees of a replaced directory cannot be known.
    """

    def __init__(self, project: Project, contents: Contents, state: State) -> None:
        self._local = project.engine.local()
        self._contents, self._state = contents, state

    def all(self, desired: Desired, known: Iterable[Container]) -> dict[tuple[str, str], str]:
        """Return the digests that are known, by container id and target."""
        seen = {}
        for container in known:
            stamp = self._state.stamps.get(container.id)
            if container.oneoff or stamp is None or container.service not in desired.stack.services:
                continue
            for reference in desired.wanted(container.service).references:
                noted = stamp.references.get(reference.target)
                if noted and (digest := self._of(container, reference, noted)):
                    seen[container.id, reference.target] = digest
        return seen

    def _of(self, container: Container, reference: Reference, noted: Content) -> str:
        if filled_volume(container, reference):
            return noted.digest  # Slipway filled the volume with it
        source = next((source for source, target in container.binds if target == reference.target), "")
        if not noted.place or not source or not self._local:
            return noted.digest  # it was copied into the container, or is on another machine
        current = place(source)
        if current == noted.place:
            return self._contents.at(source, reference).digest
        if not current:
            return GONE
        return GONE if Path(source).is_dir() else noted.digest
