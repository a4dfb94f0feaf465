"""The files that a release mounts: kept in its record, and put where the engine can mount them when it is brought back.

The record is an image that holds data only. A volume of the project's has the files of releases by their digest: bind
mounts and configs of a release that is brought back lead there, where the checkout has other files by then.
"""

import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..plan.desired import Desired
from ..plan.facts import FILES_LABEL
from ..plan.mounts import BIND, FILE, Reference
from .engine import Engine
from .engine_files import put_into_volume
from .output import note

CONTENTS = "contents.json"
_MOST = 32 * 2**20  # bytes of files that one record keeps


def volume(project: str) -> str:
    """Return the name of the volume that has the files of a project's releases."""
    return f"{project}-release-files"


def keeps(reference: Reference) -> bool:
    """Whether a record keeps what a reference stands for: no secret, and no directory that the service writes into."""
    writes = reference.kind == BIND and reference.writable and Path(reference.source).is_dir()
    return reference.held == FILE and not reference.secret and not writes and not reference.live


def of(desired: Desired) -> dict[str, bytes]:
    """Return the files of a record: what services mount by digest, and which digest is mounted where."""
    files: dict[str, bytes] = {}
    mounted: dict[str, dict[str, str]] = {}
    for name, wanted in desired.services.items():
        for one in wanted.references:
            digest = wanted.contents[one.target].digest
            if not digest or not keeps(one):
                continue
            mounted.setdefault(name, {})[one.target] = digest
            files |= _read(Path(one.source), f"files/{digest}")
    if sum(map(len, files.values())) > _MOST:
        note("the release does not keep the files that its services mount: they are larger than 32 MB together")
        return {}
    return {**files, CONTENTS: json.dumps(mounted).encode()} if mounted else {}


def _read(path: Path, name: str) -> dict[str, bytes]:
    try:
        if path.is_file():
            return {name: path.read_bytes()}
        inside = [one for one in path.rglob("*") if one.is_file()]
        return {f"{name}/{one.relative_to(path)}": one.read_bytes() for one in inside}
    except OSError:
        return {}


def directory(engine: Engine, project: str) -> str:
    """Return where the engine has the files of a project's releases."""
    return f"{engine.root_directory()}/volumes/{volume(project)}/_data"


def restore(engine: Engine, project: str, record: str, digests: Iterable[str]) -> None:
    """Put files of a record where the engine can mount them."""
    wanted = tuple(f"files/{one}" for one in digests)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, data in engine.kept_files(record).items():
            if name.startswith(wanted):
                _add(tar, name.removeprefix("files/"), data)
    put_into_volume(engine, volume(project), {FILES_LABEL: project}, record, archive.getvalue())


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), 0o644
    tar.addfile(entry, io.BytesIO(data))


def mounted(files: Mapping[str, bytes]) -> dict[str, dict[str, str]]:
    """Return which digest a release mounts where, by service and target."""
    return {name: dict(one) for name, one in json.loads(files.get(CONTENTS, b"{}")).items()}
