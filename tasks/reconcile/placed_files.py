"""Fills volumes with the configuration of services: when containers are created, and while they run.

``plan/placed.py`` says which directories of a service are such volumes and why.
"""

import contextlib
import io
import os
import secrets
import tarfile
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ..host import reasons
from ..host.engine.client import Engine
from ..host.engine.container_files import VolumeFiles, remove_volume
from ..host.project import Project
from ..model.compose import Source
from ..model.engine.facts import Container
from ..model.errors import DeployError
from ..release.plan.release import repository
from .mount_contents import Contents
from .parallel import ThreadProject
from .plan.desired import Desired
from .plan.mounts import Reference
from .plan.observed import UNFINISHED, Stamp, State
from .plan.placed import PLACE_LABEL, Place, filled_volume, filled_volumes, places, reusable, volume_prefix, with_places

Entries = dict[str, tuple[tarfile.TarInfo, bytes]]
"""The content of a directory, by path: the tar header and the bytes of each entry."""

_FILES = "/files"


@dataclass(frozen=True)
class Exchange:
    """The files of a volume before and after a change; ``image`` contains the ``rm`` that deletes files from it."""

    volume: str
    image: str
    former: Entries
    new: Entries


class PlacedFiles:
    """Creates, fills and exchanges the volumes of a deploy's services; ``desired`` says what they should contain.

    ``noting`` is the lock of the notes (see ``Notes``): it is taken while a helper container is created from the image
    that stores them, since saving notes replaces that image.
    """

    def __init__(self, thread: ThreadProject, source: Source, desired: Desired, noting: threading.RLock) -> None:
        self._thread, self._source, self._desired, self._noting = thread, source, desired, noting
        self._made = False

    @property
    def _project(self) -> Project:
        return self._thread.project

    @contextlib.contextmanager
    def _volumes(self) -> Iterator[VolumeFiles]:
        project = self._project.stack.project
        # Notes are saved before any container is created, so their image exists by now.
        with self._noting:
            yield VolumeFiles(self._project.engine, f"{project}-state:current", {PLACE_LABEL: project})

    def _read(self, volume: str) -> Entries:
        with self._volumes() as volumes:
            return _read(volumes.archive(volume))

    def _places(self, service: str) -> tuple[Place, ...]:
        stack = self._desired.stack
        if service not in stack.services or stack.one_off(stack.service(service)):
            return ()
        return places(self._desired.model, stack.service(service), self._desired.wanted(service))

    def fill(
        self, model: Mapping[str, Any], services: Iterable[str], containers: Sequence[Container], state: State
    ) -> Mapping[str, Any]:
        """Create and fill the volumes for new containers of services; return the model that mounts them.

        A volume that already has the wanted content is used again. Raises DeployError when files have changed since
        the plan was made.
        """
        for service in services:
            start, volumes = f"{volume_prefix(self._project.stack.project, service)}{secrets.token_hex(4)}", {}
            service_containers = [
                container for container in containers if container.service == service and not container.oneoff
            ]
            for number, place in enumerate(self._places(service), 1):
                if volume := reusable(place, service_containers, state, self._desired.wanted(service)):
                    volumes[place.target] = volume
                    continue
                volume = volumes[place.target] = f"{start}-{number}"
                entries = self._entries(service, place, containers, state)
                with self._volumes() as files:
                    files.make(volume)
                    files.put(volume, _archive(entries))
                self._made = True
            model = with_places(model, service, volumes)
        return model

    def exchanges(self, service: str, containers: Sequence[Container], state: State) -> tuple[Exchange, ...]:
        """Return the exchanges that running containers of a service need; nothing is changed yet."""
        exchanges: dict[str, Exchange] = {}
        for container in containers:
            for place in self._places(service):
                volume = filled_volumes(container).get(place.target, "")
                if volume and volume not in exchanges and self._differs(service, container, place, state):
                    former = self._read(volume)
                    new = self._entries(service, place, containers, state)
                    exchanges[volume] = Exchange(volume, container.image_id, former, new)
        return tuple(exchanges.values())

    def _differs(self, service: str, container: Container, place: Place, state: State) -> bool:
        stamp, wanted = state.stamps.get(container.id, Stamp()), self._desired.wanted(service).contents
        noted = {reference.target: stamp.references.get(reference.target) for reference in place.references}
        return any(content is None or content.digest != wanted[target].digest for target, content in noted.items())

    def exchange(self, exchanges: Iterable[Exchange]) -> None:
        """Write the new files and delete those that are gone; raises CommandError if that fails."""
        for exchange in exchanges:
            self._write(exchange, exchange.former, exchange.new)

    def undo(self, exchanges: Iterable[Exchange]) -> None:
        """Write the former files back and delete the new ones."""
        for exchange in exchanges:
            self._write(exchange, exchange.new, exchange.former)

    def _write(self, exchange: Exchange, before: Entries, after: Entries) -> None:
        with self._volumes() as volumes:
            volumes.put(exchange.volume, _archive(after))
        gone = sorted(before.keys() - after.keys())
        if not gone:
            return
        words = (
            *("run", "--rm", "--pull=never", "--network=none", "--user=0:0", "--read-only", "--cap-drop=ALL"),
            *("--cap-add=DAC_OVERRIDE", "--entrypoint=rm", f"--volume={exchange.volume}:{_FILES}", exchange.image),
        )
        paths = [f"{_FILES}/{name}" for name in gone]
        reasons.run(self._project, self._source.docker(*words, "-rf", "--", *paths, reason="remove old files"))

    def clean(self) -> None:
        """Remove volumes that no container mounts any more, if this deploy created any."""
        if self._made:
            remove_unused(self._project.engine, self._project.stack.project)

    # The content of the volumes

    def _entries(self, service: str, place: Place, containers: Sequence[Container], state: State) -> Entries:
        entries: Entries = {}
        for reference in place.references:
            name = "" if reference.target == place.target else reference.target.removeprefix(f"{place.target}/")
            entries |= self._content(service, reference, name, containers, state)
        return entries

    def _content(
        self, service: str, reference: Reference, name: str, containers: Sequence[Container], state: State
    ) -> Entries:
        wanted = self._desired.wanted(service).contents[reference.target].digest
        if (service, reference.target) in self._desired.kept:
            return self._recorded(wanted)
        if Contents(self._project).of(reference).digest == wanted:
            return dict(_from_disk(Path(reference.source), name))
        for container in containers:
            noted = state.stamps.get(container.id, Stamp()).references.get(reference.target)
            volume = filled_volume(container, reference)
            if volume and noted and noted.digest == wanted:
                entries = self._read(volume)
                return {path: entry for path, entry in entries.items() if path == name} if name else entries
        raise DeployError(f"{reference.name} of {service} has changed since this was planned", "deploy again")

    def _recorded(self, digest: str) -> Entries:
        record = f"{repository(self._project.stack.project)}:{self._desired.release}"
        start, entries = f"files/{digest}/", {}
        for name, data in self._project.engine.data.files(record).items():
            if name.startswith(start):
                entry = tarfile.TarInfo(name.removeprefix(start))
                entry.size, entry.mode = len(data), 0o644
                entries[entry.name] = (entry, data)
        return _with_parents(entries)


def unfinished_stamps(
    state: State, exchanges: Iterable[Exchange], containers: Iterable[Container], desired: Desired
) -> dict[str, Stamp]:
    """Return stamps, by container id, that say that the content of these volumes is unknown during an exchange."""
    volumes, stamps = {exchange.volume for exchange in exchanges}, {}
    for container in containers:
        stamp = state.stamps.get(container.id, Stamp())
        targets = [
            reference.target
            for reference in desired.wanted(container.service).references
            if filled_volume(container, reference) in volumes
        ]
        if targets:
            stamps[container.id] = stamp.with_(dict.fromkeys(targets, UNFINISHED))
    return stamps


def remove_unused(engine: Engine, project: str) -> None:
    """Remove a project's filled volumes that no container mounts; the caller has the project's lock.

    Helper containers that a killed process left behind are removed first.
    """
    for container in engine.labelled(f"{PLACE_LABEL}={project}"):
        engine.remove_container(container.name)
    used = {volume for container in engine.containers(project) for volume in filled_volumes(container).values()}
    for name in filled_volume_names(engine, project):
        if name not in used:
            remove_volume(engine, name)


def filled_volume_names(engine: Engine, project: str) -> tuple[str, ...]:
    """Return the names of the volumes that Slipway has filled for a project."""
    return tuple(resource.name for resource in engine.owned(f"{PLACE_LABEL}={project}") if resource.kind == "volume")


def _from_disk(path: Path, name: str) -> Iterator[tuple[str, tuple[tarfile.TarInfo, bytes]]]:
    """Yield a file, or everything in a directory, with its mode, owner and time."""
    if not path.is_dir():
        yield _entry(path.resolve(), name)
        return
    for base, directories, names in os.walk(path):
        for filename in (*directories, *names):
            entry_path = Path(base, filename)
            with contextlib.suppress(ValueError):  # skip sockets and pipes
                yield _entry(entry_path, str(entry_path.relative_to(path)))


def _entry(path: Path, name: str) -> tuple[str, tuple[tarfile.TarInfo, bytes]]:
    entry, status = tarfile.TarInfo(name), path.lstat()
    entry.mode, entry.uid, entry.gid, entry.mtime = (
        status.st_mode & 0o7777,
        status.st_uid,
        status.st_gid,
        status.st_mtime,
    )
    if path.is_symlink():
        entry.type, entry.linkname = tarfile.SYMTYPE, str(path.readlink())
        return name, (entry, b"")
    if path.is_dir():
        entry.type = tarfile.DIRTYPE
        return name, (entry, b"")
    if not path.is_file():
        raise ValueError(name)
    data = path.read_bytes()
    entry.size = len(data)
    return name, (entry, data)


def _with_parents(entries: Entries) -> Entries:
    """Return the entries plus their parent directories."""
    parents: Entries = {}
    for name in entries:
        for parent in PurePosixPath(name).parents:
            entry = tarfile.TarInfo(str(parent))
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            parents.setdefault(str(parent), (entry, b""))
    parents.pop(".", None)
    return {**parents, **entries}


def _archive(entries: Entries) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for _, (entry, data) in sorted(entries.items()):
            tar.addfile(entry, io.BytesIO(data))
    return archive.getvalue()


def _read(archive: bytes) -> Entries:
    """Return the entries of an archive without the top directory itself."""
    entries: Entries = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for entry in tar:
            name = entry.name.removeprefix("./")
            if name not in ("", "."):
                file = tar.extractfile(entry) if entry.isreg() else None
                entry.name = name
                entries[name] = (entry, file.read() if file else b"")
    return entries
