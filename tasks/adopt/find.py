"""Finds the Compose project that is meant: in the working directory, above it, or where --project says."""

import os
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..host.profile.settings import (
    COMPOSE_NAMES,
    SETTINGS_FILES,
    Settings,
    read_regular_file,
    section_of,
    settings_in,
    upward,
)
from ..model.errors import InputError
from ..model.lazy_pattern import lazy_pattern

_NAMED = lazy_pattern(r"(?:docker-)?compose[-_.].*\.ya?ml\Z|.*[-_.]compose\.ya?ml\Z")
_DEPTH, _MOST = 4, 12
_NOT_OURS = frozenset({"node_modules", "vendor", "venv", "target", "dist", "build"})


@dataclass(frozen=True)
class Found:
    """A Compose project: its settings, the section of a settings file that says so, and the name of that file.

    ``section`` is empty when the file exists already. ``files`` are Compose files that have to be named.
    """

    where: Settings
    section: dict[str, str]
    settings_file: str
    files: tuple[str, ...]


def find(project: str, files: Sequence[str]) -> Found:
    """Return the project; raises InputError when there is none, or when it is not clear which files are meant."""
    directory = Path(project or os.environ.get("SLIPWAY_PROJECT_DIR") or ".").absolute()
    if not directory.is_dir():
        raise InputError(f"{directory}: no such directory", "name the directory of the Compose project: --project DIR")
    places = (directory,) if project or os.environ.get("SLIPWAY_PROJECT_DIR") else upward()
    for place in places:
        if (section := section_of(place)) is not None:
            where = settings_in(place, section)
            return Found(where, {}, "", _relative(files, where.project_dir))
        if files or any((place / name).is_file() for name in COMPOSE_NAMES) or _named_by_dotenv(place):
            return _new(place, _relative(files, place))
    return _new(directory, _only_file(directory))


def _named_by_dotenv(directory: Path) -> bool:
    """Whether the .env of a directory names its Compose files."""
    try:
        text = read_regular_file(directory / ".env").decode("utf-8", errors="replace")
    except (OSError, ValueError):
        return False
    return re.search(r"^[ \t]*(?:export[ \t]+)?COMPOSE_FILE[ \t]*=", text, re.MULTILINE) is not None


def _relative(files: Sequence[str], directory: Path) -> tuple[str, ...]:
    """Return Compose files relative to the project; each is named from the working directory or from the project."""
    relative = []
    for name in files:
        path = next((path for path in (Path(name).absolute(), directory / name) if path.is_file()), None)
        if path is None:
            raise InputError(f"{name}: no such file", "name a Compose file: --file compose.prod.yaml")
        relative.append(os.path.relpath(path, directory))
    return tuple(relative)


def _new(directory: Path, files: tuple[str, ...]) -> Found:
    directory = directory.resolve()
    # A directory of that name that has files of the project's own is left alone.
    envs = "slipway-envs" if _filled(directory / "envs") else "envs"
    section = {
        "project_dir": ".",
        "envs_dir": envs,
        "reports_dir": ".slipway/reports",
        "backups_dir": ".slipway/backups",
        "hooks_dir": f"{envs}/hooks",
    }
    taken = (directory / SETTINGS_FILES[0]).exists()
    return Found(settings_in(directory, section), section, SETTINGS_FILES[1 if taken else 0], files)


def _filled(directory: Path) -> bool:
    return directory.is_dir() and any(directory.iterdir())


def _only_file(directory: Path) -> tuple[str, ...]:
    """Return the only Compose file of a directory that has none of the usual names."""
    names = sorted(name for name in os.listdir(directory) if _NAMED.match(name))  # noqa: PTH208 - names are enough
    if len(names) == 1:
        return (names[0],)
    if names:
        shown = " ".join(f"--file {shlex.quote(name)}" for name in names)
        raise InputError(
            f"{directory}: none of its Compose files has a name that Compose finds by itself: {', '.join(names)}",
            f"name those that make the stack, in order: inv adopt {shown}",
        )
    below = list(_below(directory))
    if below:
        listed = ", ".join(str(path.relative_to(directory)) for path in below[:_MOST])
        more = f" and {len(below) - _MOST} more" if len(below) > _MOST else ""
        raise InputError(
            f"{directory}: no Compose file here, but in {listed}{more}",
            f"name one: inv adopt --project {shlex.quote(os.path.relpath(below[0]))}",
        )
    raise InputError(
        f"{directory}: no Compose file here or above, and none below",
        "call it in the directory of a Compose project, or name that: inv adopt --project ../shop",
    )


def _below(directory: Path, depth: int = 1) -> Iterator[Path]:
    """Yield the directories below that have a Compose file of the usual name, without looking into those further."""
    try:
        entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if not entry.is_dir(follow_symlinks=False) or entry.name.startswith(".") or entry.name in _NOT_OURS:
            continue
        if any(Path(entry.path, name).is_file() for name in COMPOSE_NAMES):
            yield Path(entry.path)
        elif depth < _DEPTH:
            yield from _below(Path(entry.path), depth + 1)
