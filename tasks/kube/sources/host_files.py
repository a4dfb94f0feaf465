"""What the host paths are that a model mounts: kinds, and the contents of those that belong to the project."""

import os
import stat
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from ...host.runner import capture
from ...model.command import Command
from ...model.errors import InputError
from ..plan.source import HostFile

# Bytes. More than fits into a ConfigMap (1 MiB): what is larger is refused anyway, and a directory may hold a disk.
_NO_PROGRAM = 127  # exit code
_ENOUGH = 2 * 2**20


def host_files(model: Mapping[str, Any], directory: Path) -> dict[str, HostFile]:
    """Return what the bind mounts and the files of configs are, by absolute path; ``directory`` is the project's.

    Contents are read where a path is below the directory, and for configs, which name what is to be copied. A path
    with something that git ignores, or with a file of a secret, does not count as tracked: neither goes into a copy.
    Raises InputError for a file that cannot be read.
    """
    configs = _files_of(model.get("configs"))
    paths = sorted({*_binds(model), *configs})
    secrets = {_real(path) for path in _files_of(model.get("secrets"))}
    withheld = secrets | _ignored(directory, [path for path in paths if _below(path, directory)])
    return {path: _look(Path(path), directory, withheld, path in configs) for path in paths}


def sources(model: Mapping[str, Any], directory: Path, service: str) -> dict[str, dict[str, Path]]:
    """Return the files of the project that are mounted into a service which is built here: by target, then by name.

    Only directories, and only what its image can have: not what git or ``.dockerignore`` leaves out, or what another
    mount hides.
    """
    raw = model["services"][service]
    targets = [str(volume.get("target")) for volume in raw.get("volumes") or ()]
    found: dict[str, dict[str, Path]] = {}
    for volume in raw.get("volumes") or ():
        path, target = Path(str(volume.get("source") or "").replace("$$", "$")), str(volume.get("target"))
        if volume.get("type") == "bind" and path.is_dir() and _below(path, directory):
            left = _ignored(directory, [str(path)]) | _not_sent(raw.get("build") or {}, path)
            hidden = [other for other in targets if other != target]
            found[target] = {
                name: path / name
                for name in _names(path)
                if not _within(_real(path / name), left) and not _within(str(Path(target, name)), hidden)
            }
    return found


def _not_sent(build: Mapping[str, Any], path: Path) -> set[str]:
    """Return the files below a path that are in a build's context, and that ``.dockerignore`` leaves out."""
    from ...build.sources import context_files  # not needed to translate what is not mounted

    context = Path(str(build.get("context") or ""))
    if not context.is_dir() or not path.is_relative_to(context):
        return set()
    sent = set(context_files(str(context), str(build.get("dockerfile") or "")))
    return {_real(path / name) for name in _names(path) if str((path / name).relative_to(context)) not in sent}


def _binds(model: Mapping[str, Any]) -> Iterator[str]:
    for service in (model.get("services") or {}).values():
        for volume in service.get("volumes") or ():
            if volume.get("type") == "bind" and volume.get("source"):
                yield str(volume["source"]).replace("$$", "$")


def _files_of(section: Mapping[str, Any] | None) -> set[str]:
    entries = (entry or {} for entry in (section or {}).values())
    return {str(entry["file"]).replace("$$", "$") for entry in entries if entry.get("file")}


def _real(path: str | Path) -> str:
    return os.path.realpath(path)


def _below(path: str | Path, directory: Path) -> bool:
    return Path(_real(path)).is_relative_to(_real(directory))


def _ignored(directory: Path, paths: Collection[str]) -> set[str]:
    """Return the files and directories below some paths that git ignores; none outside of a checkout.

    Raises InputError when git does not tell: what it ignores may be secret.
    """
    if not paths:
        return set()
    words = ("ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory", "--", *paths)
    listed = capture(Command(("git", "-C", str(directory), *words), env={"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}))
    if listed.exit_code == _NO_PROGRAM or "not a git repository" in listed.stderr:
        return set()
    if listed.exit_code != 0:
        said = (listed.stderr.strip().splitlines() or ["no message"])[0]
        raise InputError(
            f"git does not tell which files of {directory} it ignores: {said}", "make `git status` work there"
        )
    return {_real(directory / name) for name in listed.stdout.split("\0") if name}


def _look(path: Path, directory: Path, withheld: Collection[str], config: bool) -> HostFile:
    try:
        mode = path.stat().st_mode
    except OSError:
        return HostFile("missing", tracked=_below(path, directory))
    tracked = _below(path, directory)
    if stat.S_ISREG(mode):
        ours = tracked and not _within(_real(path), withheld)
        kept = "" if ours or config or not tracked else path.name
        return HostFile("file", {"": _read(path, _ENOUGH)} if tracked or config else {}, ours or config, kept)
    if not stat.S_ISDIR(mode):
        return HostFile("socket" if stat.S_ISSOCK(mode) else "device", tracked=False)
    if not tracked:
        return HostFile("directory", tracked=False)
    names, files, left = list(_names(path)), {}, _ENOUGH
    for name in names:
        files[name] = _read(path / name, left)
        left -= len(files[name])
        if left <= 0:
            break
    others = (name for name in names if not _below(path / name, directory) or _within(_real(path / name), withheld))
    kept = next(others, "")
    return HostFile("directory", files, not kept, kept)


def _within(path: str, withheld: Collection[str]) -> bool:
    return path in withheld or any(str(parent) in withheld for parent in Path(path).parents)


def _names(directory: Path) -> Iterator[str]:
    """Yield the files below a directory, sorted; neither empty directories, nor what git and Slipway keep."""
    for base, directories, names in os.walk(directory):
        directories[:] = sorted(name for name in directories if name not in (".git", ".slipway"))
        for name in sorted(names):
            yield str(Path(base, name).relative_to(directory))


def _read(path: Path, most: int) -> bytes:
    try:
        if not path.is_file():
            return b""
        with path.open("rb") as file:
            return file.read(most)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read: {error.strerror}", "make it readable, or mount it no longer"
        ) from None
