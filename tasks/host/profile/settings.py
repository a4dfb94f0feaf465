"""The directories that Slipway works with, and the files of an environment.

`inv --list` and completion import this module: what only reading a profile needs is imported where it is needed.
"""

import os
import stat
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...model.errors import InputError, RefusedError
from ...model.record import Record

if TYPE_CHECKING:
    from ...model.profile.profile import Layer

SUFFIX = ".env"
SHARED = "base"
LOCAL = ".local"
ENCRYPTED = ".sops"
# What the name of a rehearsal ends with: the environment is staging.env with staging-rehearsal.local.env over it.
REHEARSAL = "-rehearsal"
_DIRECTORIES = ("project_dir", "envs_dir", "reports_dir", "backups_dir", "hooks_dir")
# The second one is for a project that has an invoke.yaml for tasks of its own.
SETTINGS_FILES = ("invoke.yaml", "slipway.yaml")
# What Compose looks for when nothing names a file, in its order.
COMPOSE_NAMES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
_HOME = Path(__file__).absolute().parents[3]
# Bytes. A profile is a page of text; a larger file was named by mistake, and reading it would take long.
_LIMIT = 1 << 20


class Settings(Record):
    """The directories to work with, as absolute paths.

    ``root`` is the directory of the settings file, ``home`` the one that ``tasks/`` is in. ``unknown`` is the Compose
    file of the working directory when it belongs to another project than this one, and nothing chose this one.
    """

    root: Path
    project_dir: Path
    envs_dir: Path
    reports_dir: Path
    backups_dir: Path
    hooks_dir: Path
    default_env: str
    home: Path = _HOME
    unknown: Path | None = None

    def shown(self, path: Path) -> str:
        """Return a path as people type it: relative to the root when it is below it."""
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)


def settings() -> Settings:
    """Return the settings: ``SLIPWAY_*`` in the environment, then the ``slipway`` section of a settings file.

    That file is in the directory SLIPWAY_ROOT; else in the working directory or the nearest one above it; else it is
    the one next to ``tasks/``. Raises InputError when it cannot be read.
    """
    if named := os.environ.get("SLIPWAY_ROOT"):
        root = Path(named).absolute()
        if (section := section_of(root)) is None:
            raise InputError(
                f"SLIPWAY_ROOT: {root} has no {SETTINGS_FILES[0]} with a section slipway", f"make one: {adopt(root)}"
            )
        return settings_in(root, section)
    if not (os.environ.get("SLIPWAY_PROJECT_DIR") and os.environ.get("SLIPWAY_ENVS_DIR")):
        for directory in upward():
            if (section := section_of(directory)) is not None:
                return settings_in(directory, section)
    where = settings_in(_HOME, section_of(_HOME) or {})
    return replace(where, unknown=_unknown(where))


def settings_in(root: Path, section: Mapping[str, str]) -> Settings:
    """Return the settings that this section of a settings file in ``root`` gives."""

    def directory(name: str, default: str) -> Path:
        return root / (os.environ.get(f"SLIPWAY_{name.upper()}") or section.get(name) or default)

    return Settings(
        root,
        directory("project_dir", "docker_project"),
        directory("envs_dir", "envs"),
        directory("reports_dir", "reports"),
        directory("backups_dir", "backups"),
        directory("hooks_dir", "hooks"),
        os.environ.get("SLIPWAY_ENV") or "dev",
    )


def process_env(where: Settings) -> dict[str, str]:
    """Return the variables that give a process of ours the same settings when it works in ``home``."""
    if where.root == where.home:
        return {}
    return {f"SLIPWAY_{name.upper()}": str(getattr(where, name)) for name in _DIRECTORIES}


def upward() -> tuple[Path, ...]:
    """Return the working directory and all above it, the nearest first; none when it does not exist any more."""
    try:
        here = Path.cwd()
    except OSError:
        return ()
    return (here, *here.parents)


def _unknown(where: Settings) -> Path | None:
    """Return the Compose file of the working directory when it is of another project than the settings name."""
    if os.environ.get("SLIPWAY_PROJECT_DIR") or not (here := upward()[:1]):
        return None
    if here[0].is_relative_to(where.project_dir.resolve()):
        return None
    return next((here[0] / name for name in COMPOSE_NAMES if (here[0] / name).is_file()), None)


def refuse_unknown(where: Settings) -> None:
    """Raise RefusedError in the directory of a Compose project that nothing names: the settings mean another one."""
    if where.unknown:
        from shlex import quote

        raise RefusedError(
            f"{where.unknown}: this project has no profiles, and no settings name it; those of {where.root} are of "
            f"another, {where.project_dir.name}",
            f"{adopt()} makes them; SLIPWAY_ROOT={quote(str(where.root))} means the other one",
        )


def adopt(directory: Path | None = None) -> str:
    """Return the command that makes settings and profiles for the project in a directory, or in the current one."""
    from shlex import join

    return join(("inv", "adopt", *(("--project", str(directory)) if directory else ())))


def section_of(directory: Path) -> dict[str, str] | None:
    """Return the ``slipway`` section of the settings file in a directory; None when there is none.

    Raises InputError for one that is not valid.
    """
    for name in SETTINGS_FILES:
        path = directory / name
        try:
            text = path.read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError):
            continue
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: cannot be read: {_reason(error)}", "fix or remove the file") from error
        if (section := _section(path, text)) is not None:
            return section
    return None


def _section(path: Path, text: str) -> dict[str, str] | None:
    name = path.name if path.parent == _HOME else str(path)
    document = read_yaml(text, name) if "slipway" in text else None
    section = document.get("slipway") if isinstance(document, dict) else None
    if section is None:
        return None
    if not isinstance(section, dict) or not all(isinstance(value, str) for value in section.values()):
        raise InputError(f"{name}: slipway: expected names of directories", "write slipway: {project_dir: …}")
    unknown = sorted(str(key) for key in section if key not in _DIRECTORIES)
    if unknown:
        raise InputError(f"{name}: slipway: unknown setting {unknown[0]!r}", f"it knows {', '.join(_DIRECTORIES)}")
    return section


def read_yaml(text: str, name: str) -> Any:
    """Return the data of a YAML text; raises InputError, which shows ``name``, when it is not valid."""
    from .yaml_text import FAULTS, load

    try:
        return load(text)
    except FAULTS as error:
        raise yaml_error(error, name, "fix the file") from error


def yaml_error(error: Exception, name: str, hint: str) -> InputError:
    """Return the error for a file that the YAML reader does not understand, with its line where that is known."""
    from ...model.finding import printable  # only when there is a fault: every start loads this module

    place = getattr(error, "problem_mark", None)
    line = f":{place.line + 1}" if place else ""
    said = printable(str(getattr(error, "problem", None) or error))
    return InputError(f"{name}{line}: not valid YAML: {said}", hint)


def _reason(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else "not UTF-8"


def environments() -> tuple[str, ...]:
    """Return the names of the environments, sorted: every ``envs/<name>.env`` but ``base`` and the local layers.

    The rehearsal of an environment (``<name>-rehearsal.local.env``) is one too.

    Tasks get their names from it while they are imported, where an error would be a traceback: when the settings cannot
    be read the result is empty, and the task that is called tells why.
    """
    try:
        return environments_in(settings().envs_dir)
    except InputError:
        return ()


def environments_in(directory: Path) -> tuple[str, ...]:
    """Return the names of the environments whose profiles are in a directory, sorted; none when it cannot be read."""
    try:
        names = os.listdir(directory)  # noqa: PTH208 - Path.iterdir makes an object of each; this runs on completion
    except OSError:
        return ()
    stems = {name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX)}
    local = {stem.removesuffix(LOCAL) for stem in stems if stem.endswith(f"{REHEARSAL}{LOCAL}")}
    rehearsals = {stem for stem in local if stem.removesuffix(REHEARSAL) in stems}
    return tuple(sorted(stem for stem in stems | rehearsals if stem != SHARED and is_environment_name(stem)))


def rehearsed_by(environment: str, where: Settings) -> str:
    """Return the environment of which another is the rehearsal, "" when it is none."""
    name = environment.removesuffix(REHEARSAL)
    if name == environment or (where.envs_dir / f"{environment}{SUFFIX}").exists():
        return ""
    return name if (where.envs_dir / f"{environment}{LOCAL}{SUFFIX}").exists() else ""


def is_environment_name(name: str) -> bool:
    """Whether a name is fit for an environment: it becomes a task, a tag and part of file names."""
    return name.isascii() and name.replace("-", "").replace("_", "").isalnum() and name[0].isalnum()


def require_environment(environment: str, where: Settings) -> None:
    """Raise InputError when there is no such environment; it lists those that exist and says how to make it."""
    refuse_unknown(where)
    known = environments_in(where.envs_dir)
    if environment in known:
        return
    shown = where.shown(where.envs_dir)
    makes = f"inv env.new {environment}" if is_environment_name(environment) and environment != SHARED else ""
    if not known:
        raise InputError(f"{shown}: no profile there", f"make one: {makes or 'inv env.new dev'}")
    from difflib import get_close_matches

    near = get_close_matches(environment, known, 1, 0.5)
    if near:
        hint = f"did you mean {near[0]}?" + (f" {makes} makes another" if makes else "")
    else:
        hint = f"name one of them, such as --env {known[0]}" + (f", or make it: {makes}" if makes else "")
    raise InputError(f"no environment {environment!r} in {shown}; there are: {', '.join(known)}", hint)


def layer_paths(environment: str, where: Settings) -> tuple[Path, ...]:
    """Return where the files of an environment are, weakest first, whether there is one or not."""
    names = [name for name in (SHARED, rehearsed_by(environment, where), environment) if name]
    return tuple(where.envs_dir / f"{name}{local}{SUFFIX}" for name in names for local in ("", LOCAL))


def encrypted_paths(environment: str, where: Settings) -> tuple[Path, ...]:
    """Return the files of an environment that SOPS has encrypted (``envs/prod.sops.env``), as far as there are any.

    A rehearsal has none: it uses the secrets of development.
    """
    paths = (where.envs_dir / f"{name}{ENCRYPTED}{SUFFIX}" for name in (SHARED, environment))
    return tuple(path for path in paths if path.exists())


def layers_of(environment: str, where: Settings) -> "tuple[Layer, ...]":
    """Return the files of an environment that exist, weakest first; raises InputError that lists all faults.

    Without those that are encrypted: what is asked of other environments needs none of their secrets.
    """
    from ...model.profile.profile import Layer

    layers: list[Layer] = []
    faults: list[str] = []
    for path in layer_paths(environment, where):
        stem, shown = path.name.removesuffix(SUFFIX), where.shown(path)
        try:
            text = read_regular_file(path)
        except FileNotFoundError:
            if path.is_symlink():
                faults.append(f"{shown}: cannot be read: the link points nowhere")
            continue
        except (OSError, ValueError) as error:
            faults.append(f"{shown}: cannot be read: {error.strerror if isinstance(error, OSError) else error}")
            continue
        if not text.strip() and not stem.endswith(LOCAL):
            faults.append(f"{shown}: empty: write at least one KEY=value or a comment")
        layers.append(Layer(shown, text, stem.startswith(SHARED)))
    if faults:
        raise InputError("\n".join(faults), "a profile is a text file of KEY=value lines")
    return tuple(layers)


def read_regular_file(path: Path, most: int = _LIMIT) -> bytes:
    """Return the bytes of a regular file of at most ``most`` bytes; raises OSError or ValueError.

    Reading a pipe would wait for ever, and a device never end.
    """
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise ValueError("it is a directory")
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("it is not a regular file")
    if status.st_size > most:
        raise ValueError(
            f"{status.st_size} bytes are too many{' for a text file written by hand' if most == _LIMIT else ''}"
        )
    return path.read_bytes()
