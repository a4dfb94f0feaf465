"""The files that a release mounts: stored in its record, and put on the engine when the release is rolled back to.

The record is an image with data only. For a roll back its files are copied by digest into a volume of the project, and
bind mounts and configs whose source has changed since are mounted from there.
"""

import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..host.engine.client import Engine
from ..host.engine.container_files import VolumeFiles, remove_volume
from ..host.output import note
from ..model.engine.facts import FILES_LABEL
from ..release.plan.release import repository
from .plan.desired import Desired
from .plan.mounts import BIND, FILE, Reference

CONTENTS = "contents.json"
_MOST = 32 * 2**20  # bytes of files that a record keeps at most


def volume(project: str) -> str:
    """Return the name of the volume with the files of a project's releases."""
    return f"{project}-release-files"


def is_kept(reference: Reference) -> bool:
    """Whether a record keeps the content of a reference: no secrets, and no directories that the service writes to."""
    writes = reference.kind == BIND and reference.writable and Path(reference.source).is_dir()
    return reference.held == FILE and not reference.secret and not writes and not reference.live


def record_files(engine: Engine, project: str, desired: Desired) -> dict[str, bytes]:
    """Return the files for a record: mounted files by digest, and CONTENTS, which says what is mounted where.

    On a roll back, files that come from the record of the old release are copied from it.
    """
    recorded = {*desired.files, *desired.kept.values()}
    files_of_record = engine.data.files(f"{repository(project)}:{desired.release}") if recorded else {}
    files: dict[str, bytes] = {}
    mounted: dict[str, dict[str, str]] = {}
    for name, wanted in desired.services.items():
        for reference in wanted.references:
            digest = wanted.contents[reference.target].digest
            if not digest or not is_kept(reference):
                continue
            mounted.setdefault(name, {})[reference.target] = digest
            start = f"files/{digest}"
            if digest in recorded:
                files |= {
                    path: data
                    for path, data in files_of_record.items()
                    if path == start or path.startswith(f"{start}/")
                }
            else:
                files |= _read(Path(reference.source), start)
    if sum(map(len, files.values())) > _MOST:
        note("the release does not keep the files that its services mount: they are larger than 32 MB together")
        return {}
    return {**files, CONTENTS: json.dumps(mounted).encode()} if mounted else {}


def _read(path: Path, name: str) -> dict[str, bytes]:
    try:
        if path.is_file():
            return {name: path.read_bytes()}
        files = [file for file in path.rglob("*") if file.is_file()]
        return {f"{name}/{file.relative_to(path)}": file.read_bytes() for file in files}
    except OSError:
        return {}


def directory(engine: Engine, project: str) -> str:
    """Return the path on the engine's machine of the volume with the files of a project's releases."""
    return f"{engine.root_directory()}/volumes/{volume(project)}/_data"


def restore(engine: Engine, project: str, record: str, digests: Iterable[str]) -> None:
    """Copy files of a record, by digest, into the volume that the engine mounts them from."""
    wanted = tuple(f"files/{digest}" for digest in digests)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        files = {name: data for name, data in engine.data.files(record).items() if name.startswith(wanted)}
        for top in sorted({name.split("/")[1] for name in files if name.count("/") > 1}):
            _add(tar, top, None)  # `forget` may have left an empty file there
        for name, data in files.items():
            _add(tar, name.removeprefix("files/"), data)
    into = VolumeFiles(engine, record, {FILES_LABEL: project})
    into.make(volume(project))
    into.put(volume(project), archive.getvalue())


def _add(tar: tarfile.TarFile, name: str, data: bytes | None) -> None:
    """Add a file, or a directory where there is no data."""
    entry = tarfile.TarInfo(name)
    if data is None:
        entry.type, entry.mode = tarfile.DIRTYPE, 0o755
    else:
        entry.size, entry.mode = len(data), 0o644
    tar.addfile(entry, io.BytesIO(data or b""))


def free_files(engine: Engine, project: str, records: Iterable[str]) -> None:
    """Empty the files of records that are being removed; remove the whole volume if no container mounts any of it.

    Files that a later roll back needs are copied again by ``restore``.
    """
    if engine.volume_created(volume(project)) is None:
        return
    root = f"{directory(engine, project)}/"
    sources = [
        source for container in engine.containers(project) for source, _ in container.binds if source.startswith(root)
    ]
    if not sources:
        remove_volume(engine, volume(project))
        return
    used = {source.removeprefix(root).split("/")[0] for source in sources}
    for record in records:
        kept = {
            digest for by_target in mounted_digests(engine.data.files(record)).values() for digest in by_target.values()
        }
        VolumeFiles(engine, record, {FILES_LABEL: project}).empty(volume(project), sorted(kept - used))


def directories(files: Mapping[str, bytes]) -> frozenset[str]:
    """Return the digests that a record stores as directories."""
    paths = (name.split("/") for name in files if name.startswith("files/"))
    return frozenset(words[1] for words in paths if len(words) > 2)


def mounted_digests(files: Mapping[str, bytes]) -> dict[str, dict[str, str]]:
    """Return the digests that a release mounts, by service and target."""
    return {name: dict(by_target) for name, by_target in json.loads(files.get(CONTENTS, b"{}")).items()}
