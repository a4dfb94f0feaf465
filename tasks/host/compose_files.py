"""The Compose files that a profile names, read as text for the variables they interpolate."""

import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..plan.errors import InputError
from ..plan.grammar import Fault
from ..plan.interpolation import Variable, scan
from ..plan.profile import Setting, compose_files
from .files import Settings, read, read_yaml

# What Compose looks for when nothing names a file, in its order, and the override it adds by itself.
_DEFAULTS = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
_OVERRIDES = (
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
)
_COMPOSE_FILE = re.compile(r"(?:docker-)?compose.*\.ya?ml\Z")
_BASE_IMAGE_FILES = ("BASE_IMAGES_FILE", "BASE_IMAGES_OVERRIDE")
KEYS = ("COMPOSE_FILE", "COMPOSE_PATH_SEPARATOR", "BASE_IMAGES", *_BASE_IMAGE_FILES)


@dataclass(frozen=True)
class ComposeFiles:
    """What the Compose files of an environment ask of its profile.

    ``discovered`` are the files that are used when no layer names any, ``elsewhere`` the variables of the project's
    other Compose files, ``faults`` what is wrong with the files.
    """

    variables: Mapping[str, Variable]
    elsewhere: Collection[str]
    discovered: tuple[str, ...]
    faults: tuple[Fault, ...]


def look(found: Mapping[str, Setting], where: Settings) -> ComposeFiles:
    """Read the Compose files; ``found`` holds the values of :data:`KEYS`."""
    faults: list[Fault] = []
    names = _compose_names(found, where, faults)
    texts = read_compose(names, where, faults)
    variables = dict(scan([(each.shown, each.text) for each in texts if not each.own_env]))
    for variable in scan([(each.shown, each.text) for each in texts if each.own_env]).values():
        variables.setdefault(variable.name, replace(variable, required=False, nonempty=False))
    elsewhere = _elsewhere(found, where, {each.path for each in texts})
    discovered = () if _text(found, "COMPOSE_FILE") else tuple(name for name, origin in names if not origin)
    return ComposeFiles(variables, elsewhere, discovered, tuple(faults))


def _text(found: Mapping[str, Setting], key: str) -> str:
    return found[key].text if key in found else ""


def _compose_names(found: Mapping[str, Setting], where: Settings, faults: list[Fault]) -> list[tuple[str, str]]:
    """The Compose files to read, relative to the project directory, with the line that names each."""
    if not where.project_dir.is_dir():
        faults.append(
            Fault(
                where.shown(where.project_dir),
                "the project directory does not exist",
                "set slipway.project_dir in invoke.yaml, or SLIPWAY_PROJECT_DIR",
            )
        )
        return []
    if _text(found, "COMPOSE_FILE"):
        setting = found["COMPOSE_FILE"]
        split = compose_files(setting.text, _text(found, "COMPOSE_PATH_SEPARATOR"))
        names = [(name, f"{setting.origin}: COMPOSE_FILE") for name in split]
    else:
        names = [(name, "") for name in _discovered(where.project_dir)]
        if not names:
            faults.append(
                Fault(
                    where.shown(where.project_dir),
                    "no Compose file: COMPOSE_FILE is not set, and there is no compose.yaml or docker-compose.yml",
                    "set COMPOSE_FILE in the profile",
                )
            )
    if _text(found, "BASE_IMAGES") == "local" and _text(found, "BASE_IMAGES_OVERRIDE"):
        override = found["BASE_IMAGES_OVERRIDE"]
        names.append((override.text, f"{override.origin}: BASE_IMAGES_OVERRIDE"))
    return names


def _discovered(directory: Path) -> list[str]:
    found = [next((name for name in names if (directory / name).is_file()), "") for names in (_DEFAULTS, _OVERRIDES)]
    return [name for name in found if name] if found[0] else []


@dataclass(frozen=True)
class ComposeText:
    """A Compose file as text. With ``own_env`` an `include:` brings its own variables from a file of its own."""

    path: Path
    shown: str
    text: str
    own_env: bool


def read_compose(names: Sequence[tuple[str, str]], where: Settings, faults: list[Fault]) -> list[ComposeText]:
    """Return the Compose files and those they include or extend, each once; ``names`` say where each is named."""
    queue = [(where.project_dir / name, origin, False) for name, origin in names]
    seen: dict[Path, ComposeText] = {}
    while queue:
        path, origin, own_env = queue.pop(0)
        path = Path(os.path.normpath(path))  # `a/../b` names the same file as `b`
        if path in seen:
            continue
        shown = where.shown(path)
        try:
            text = read(path).decode("utf-8")
        except (OSError, ValueError) as error:
            faults.append(_unreadable(shown, origin, error))
            continue
        seen[path] = ComposeText(path, shown, text, own_env)
        queue += [(found, f"{shown}: {key}", own or own_env) for found, key, own in references(path, text, shown)]
    return list(seen.values())


def _unreadable(shown: str, origin: str, error: Exception) -> Fault:
    if isinstance(error, FileNotFoundError):
        problem = "does not exist"
    elif isinstance(error, UnicodeDecodeError):
        problem = "is not UTF-8"
    else:
        problem = f"cannot be read: {error.strerror if isinstance(error, OSError) else error}"
    return Fault(
        origin or shown,
        f"{shown} {problem}",
        "the names in COMPOSE_FILE are relative to the project directory" if "COMPOSE_FILE" in origin else "",
    )


def references(path: Path, text: str, shown: str) -> Iterator[tuple[Path, str, bool]]:
    """Yield the local files that a Compose file includes or extends; true for those that bring their own variables."""
    for entry in _includes(text, shown) if "include:" in text else ():
        options = entry if isinstance(entry, dict) else {"path": entry}
        paths = options.get("path")
        for name in paths if isinstance(paths, list) else [paths]:
            if isinstance(name, str) and _is_local(name):
                target = path.parent / name
                yield target, "include", "env_file" in options or (target.parent / ".env").is_file()
    for match in re.finditer(r"^\s+extends:[^\n]*(?:\n\s+(?:file|service):[^\n]*)*", text, re.MULTILINE):
        named = re.search(r"\bfile:\s*[\"']?([^\s\"',}#]+)", match.group())
        if named and _is_local(named[1]):
            yield path.parent / named[1], "extends", False


def _is_local(name: str) -> bool:
    """Not an OCI or Git reference, and not a name that only Compose can complete."""
    return "$" not in name and not re.match(r"[a-z]+://|git@|oci:|[^/]*\.git(?:#|\Z)", name)


def _includes(text: str, shown: str) -> list[Any]:
    """Return the entries of the `include` section.

    The section alone is parsed, since a whole file costs tens of milliseconds. What is no YAML includes nothing:
    Compose will say what is wrong with it.
    """
    section: list[str] = []
    for line in text.splitlines():
        if section and line and line[0] not in " \t#-":
            break
        if section or line.startswith("include:"):
            section.append(line)
    try:
        document = read_yaml("\n".join(section), shown)
    except InputError:
        return []
    entries = document.get("include") if isinstance(document, dict) else None
    return entries if isinstance(entries, list) else []


def _elsewhere(found: Mapping[str, Setting], where: Settings, known: set[Path]) -> frozenset[str]:
    """The variables that only the Compose files of other environments interpolate: ``base.env`` may set them."""
    try:
        names = [name for name in os.listdir(where.project_dir) if _COMPOSE_FILE.match(name)]  # noqa: PTH208
    except OSError:
        return frozenset()
    names += [_text(found, key) for key in _BASE_IMAGE_FILES if _text(found, key)]
    texts = []
    for name in names:
        path = where.project_dir / name
        if path not in known:
            try:
                texts.append((name, read(path).decode("utf-8")))
            except (OSError, ValueError):
                continue  # not this environment's file: whoever uses it hears of it
    return frozenset(scan(texts))
