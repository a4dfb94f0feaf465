"""Where things are, and the profile of an environment read from disk.

`inv --list` and completion import this module: what only reading a profile needs is imported where it is needed.
"""

import contextlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..plan.errors import InputError

if TYPE_CHECKING:
    from ..plan.profile import Layer, Profile

_SUFFIX = ".env"
_SHARED = "base"
_DIRECTORIES = ("project_dir", "envs_dir", "reports_dir", "backups_dir", "hooks_dir")
# A profile is a page of text; a file of this size was named by mistake, and reading it would take long.
_LIMIT = 1 << 20


@dataclass(frozen=True)
class Settings:
    """Where things are. The paths are absolute; ``root`` is the directory that holds ``tasks/``."""

    root: Path
    project_dir: Path
    envs_dir: Path
    reports_dir: Path
    backups_dir: Path
    hooks_dir: Path
    default_env: str

    def shown(self, path: Path) -> str:
        """Return a path as people type it: relative to the root when it is below it."""
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)


def settings() -> Settings:
    """Return the settings: ``SLIPWAY_*`` in the environment, then the ``slipway`` section of ``invoke.yaml``."""
    root = Path(__file__).absolute().parents[2]
    section = _section(root / "invoke.yaml")

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


def _section(path: Path) -> dict[str, str]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path.name}: cannot be read: {_reason(error)}", "mend or remove the file") from error
    if "slipway" not in text:
        return {}
    document = read_yaml(text, path.name)
    section = document.get("slipway") if isinstance(document, dict) else None
    if section is None:
        return {}
    if not isinstance(section, dict) or not all(isinstance(value, str) for value in section.values()):
        raise InputError(f"{path.name}: slipway: expected names of directories", "write slipway: {project_dir: …}")
    unknown = sorted(str(name) for name in section if name not in _DIRECTORIES)
    if unknown:
        raise InputError(f"{path.name}: slipway: unknown setting {unknown[0]!r}", f"it knows {', '.join(_DIRECTORIES)}")
    return section


def read_yaml(text: str, name: str) -> Any:
    """Return a YAML document; ``name`` is shown when it is none. Raises InputError."""
    from invoke.util import yaml  # the one Invoke has loaded already

    try:
        return yaml.safe_load(text)  # type: ignore[no-untyped-call]
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise not_yaml(error, name, "mend the file") from error


def not_yaml(error: Exception, name: str, hint: str) -> InputError:
    """Return the error for a file that the YAML reader does not understand, with the line where it says one."""
    from ..plan.finding import printable  # only for a fault: every start loads this module

    place = getattr(error, "problem_mark", None)
    line = f":{place.line + 1}" if place else ""
    said = printable(str(getattr(error, "problem", None) or error))
    return InputError(f"{name}{line}: not valid YAML: {said}", hint)


def _reason(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else "not UTF-8"


def environments() -> tuple[str, ...]:
    """Return the names of the environments, sorted: every ``envs/<name>.env`` but ``base`` and the local layers.

    Tasks get their names from it while they are imported, where an error would be a traceback: with settings that
    cannot be read there are none, and the task that is called tells why.
    """
    try:
        return _environments(settings().envs_dir)
    except InputError:
        return ()


def _environments(directory: Path) -> tuple[str, ...]:
    try:
        names = os.listdir(directory)  # noqa: PTH208 - Path.iterdir makes an object of each; this runs on completion
    except OSError:
        return ()
    stems = (name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX))
    return tuple(sorted(stem for stem in stems if stem != _SHARED and is_environment_name(stem)))


def is_environment_name(name: str) -> bool:
    """Tell whether an environment can be called so: it becomes a task, a tag and part of file names."""
    return name.isascii() and name.replace("-", "").replace("_", "").isalnum() and name[0].isalnum()


def load_profile(environment: str = "", options: Mapping[str, str] | None = None) -> "Profile":
    """Return the profile of an environment; ``""`` is the default one.

    ``options`` are values given on the command line, keyed by profile key. Raises InputError that lists every fault.
    """
    where = settings()
    environment = environment or where.default_env
    known_environment(environment, where)
    layers = layers_of(environment, where)
    try:
        return _resolved(environment, layers, dict(options or {}), where)
    except InputError:  # is it one on a closer look, too?
        pass
    try:
        return _resolved(environment, layers, dict(options or {}), where, thorough=True)
    except InputError as error:
        from .dotenv_files import explained

        raise explained(error, environment, where) from None


def _resolved(
    environment: str, layers: "tuple[Layer, ...]", options: dict[str, str], where: Settings, thorough: bool = False
) -> "Profile":
    from ..plan.profile import gather, resolve
    from . import compose_files

    compose = compose_files.look(gather(layers, os.environ, options, compose_files.KEYS), where, thorough)
    profile = resolve(
        environment,
        layers,
        os.environ,
        options,
        compose.variables,
        elsewhere={*compose.elsewhere, *(_of_others(environment, where) if thorough else ())},
        faults=compose.faults,
        certain=compose.certain,
    )
    return _with_discovered(profile, compose.discovered, where) if compose.discovered else profile


def _of_others(environment: str, where: Settings) -> set[str]:
    """Return the variables of the Compose files of all other environments: ``base.env`` may set them."""
    from ..plan.profile import gather
    from . import compose_files

    found: set[str] = set()
    for name in _environments(where.envs_dir):
        if name != environment:
            with contextlib.suppress(InputError):  # whoever uses that environment hears of it
                setting = gather(layers_of(name, where), os.environ, {}, compose_files.KEYS)
                found.update(compose_files.look(setting, where, thorough=True).variables)
    return found


def _with_discovered(profile: "Profile", names: tuple[str, ...], where: Settings) -> "Profile":
    """Say outright which Compose files are used when no layer names them."""
    from ..plan.profile import Value, with_value

    text = (profile.text("COMPOSE_PATH_SEPARATOR") or ":").join(names)
    return with_value(profile, Value("COMPOSE_FILE", text, f"found in {where.shown(where.project_dir)}"))


def known_environment(environment: str, where: Settings) -> None:
    """Raise InputError when there is no such environment; it says which there are, and how to make one."""
    known = _environments(where.envs_dir)
    if environment in known:
        return
    shown = where.shown(where.envs_dir)
    makes = f"inv env.new {environment}" if is_environment_name(environment) and environment != _SHARED else ""
    if not known:
        raise InputError(f"{shown}: no profile there", f"make one: {makes or 'inv env.new dev'}")
    from difflib import get_close_matches

    near = get_close_matches(environment, known, 1, 0.5)
    if near:
        hint = f"did you mean {near[0]}?" + (f" {makes} makes another" if makes else "")
    else:
        hint = f"name one of them, such as --env {known[0]}" + (f", or make it: {makes}" if makes else "")
    raise InputError(f"no environment {environment!r} in {shown}; there are: {', '.join(known)}", hint)


def layers_of(environment: str, where: Settings) -> "tuple[Layer, ...]":
    """The files of an environment that exist, the weakest first."""
    from ..plan.profile import Layer

    layers: list[Layer] = []
    faults: list[str] = []
    for stem in (_SHARED, f"{_SHARED}.local", environment, f"{environment}.local"):
        path = where.envs_dir / f"{stem}{_SUFFIX}"
        shown = where.shown(path)
        try:
            text = read(path)
        except FileNotFoundError:
            if path.is_symlink():
                faults.append(f"{shown}: cannot be read: the link points nowhere")
            continue
        except (OSError, ValueError) as error:
            faults.append(f"{shown}: cannot be read: {error.strerror if isinstance(error, OSError) else error}")
            continue
        if not text.strip() and not stem.endswith(".local"):
            faults.append(f"{shown}: empty: write at least one KEY=value or a comment")
        layers.append(Layer(shown, text, stem.startswith(_SHARED)))
    if faults:
        raise InputError("\n".join(faults), "a profile is a text file of KEY=value lines")
    return tuple(layers)


def read(path: Path) -> bytes:
    """Return the bytes of a regular file; raises OSError or ValueError.

    A pipe would wait for ever, and a device never end.
    """
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise ValueError("it is a directory")
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("it is not a regular file")
    if status.st_size > _LIMIT:
        raise ValueError(f"{status.st_size} bytes are too many for a text file written by hand")
    return path.read_bytes()
