"""The Compose files that a profile names, read for the variables that they take from it.

Variables are looked up in the text, which has their lines; the files that a file includes or extends, in its YAML.
"""

import functools
import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ...model.lazy_pattern import lazy_pattern
from ...model.profile.grammar import Fault
from ...model.profile.interpolation import Variable, scan, scan_env_file, substitute
from ...model.profile.profile import Setting, compose_files
from ...model.record import Record
from ...model.stack.references import FileReference, passed, project_name, references
from .settings import COMPOSE_NAMES, Settings, read_regular_file

# The overrides that Compose adds by itself, in its order.
_OVERRIDES = (
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
)
_COMPOSE_FILE = lazy_pattern(r"(?:docker-)?compose.*\.ya?ml\Z")
_BASE_IMAGE_FILES = ("BASE_IMAGES_FILE", "BASE_IMAGES_OVERRIDE")
KEYS = ("COMPOSE_FILE", "COMPOSE_PATH_SEPARATOR", "BASE_IMAGES", *_BASE_IMAGE_FILES)


# Whether a file may include or extend others; a false match only costs the time to parse the YAML.
_MAY_REFER = lazy_pattern(r"\b(?:include|extends)[\"']?\s*:")
_NAME_LINE = lazy_pattern(
    r"^name:[ \t]*(?P<quote>[\"']?)(?P<name>[^\"'#\n]*?)(?P=quote)[ \t]*(?:[ \t]#.*)?$", re.MULTILINE
)


class ComposeFiles(Record):
    """What the Compose files of an environment take from its profile.

    ``discovered`` are the files that are used when no layer names any, ``elsewhere`` the variables of the project's
    other Compose files, ``faults`` what is wrong with the files. ``certain`` is False when some files can be read by
    Compose only: then no key can be called unused.
    """

    variables: Mapping[str, Variable]
    elsewhere: Collection[str]
    discovered: tuple[str, ...]
    faults: tuple[Fault, ...]
    certain: bool = True


def examine_compose_files(layer_values: Mapping[str, Setting], where: Settings, thorough: bool = False) -> ComposeFiles:
    """Read the Compose files; ``layer_values`` has the values that the layers set for :data:`KEYS`.

    ``thorough``: also variables that the text does not show, since they are passed by name through anchors, and those
    that an ``env_file`` takes. It parses the YAML of every file, which is slow.
    """
    reading = _Reading(where, layer_values, thorough)
    names = _compose_names(layer_values, where, reading.faults)
    reading.read(names)
    files = reading.texts.values()
    variables = dict(scan([(file.shown, file.text) for file in files if not file.own_env]))
    for variable in scan([(file.shown, file.text) for file in files if file.own_env]).values():
        variables.setdefault(variable.name, replace(variable, required=False, nonempty=False))
    variables = {**reading.passed, **variables}
    elsewhere = _elsewhere(layer_values, where, {file.path for file in files})
    discovered = () if _text(layer_values, "COMPOSE_FILE") else tuple(name for name, origin in names if not origin)
    return ComposeFiles(variables, elsewhere, discovered, tuple(reading.faults), reading.certain)


def declared_project_name(layer_values: Mapping[str, Setting], where: Settings) -> str:
    """Return the top-level ``name:`` of the Compose files, of the last file that has it; "" when no file has it."""
    last = ""
    for name, _ in _compose_names(layer_values, where, []):
        try:
            text = read_regular_file(where.project_dir / name).decode("utf-8-sig")
        except (OSError, ValueError):
            continue  # a deploy reports it
        # Only a file in flow style, such as one in JSON, has it anywhere but at the start of a line.
        line = _NAME_LINE.search(text)
        if line or not text.lstrip().startswith("{"):
            last = (line["name"].strip() if line else "") or last
            continue
        last = next((named for document in _documents(text) or () if (named := project_name(document))), last)
    return substitute(last, _value_of(layer_values))


def first_directory(layer_values: Mapping[str, Setting], where: Settings) -> Path:
    """Return the directory of the first Compose file: Compose names the project by it when nothing else does."""
    names = _compose_names(layer_values, where, [])
    return Path(os.path.normpath(where.project_dir / names[0][0])).parent if names else where.project_dir


def _value_of(layer_values: Mapping[str, Setting]) -> Callable[[str], str | None]:
    return lambda name: layer_values[name].text if name in layer_values else os.environ.get(name)


def _text(layer_values: Mapping[str, Setting], key: str) -> str:
    return layer_values[key].text if key in layer_values else ""


def _compose_names(layer_values: Mapping[str, Setting], where: Settings, faults: list[Fault]) -> list[tuple[str, str]]:
    """Return the Compose files to read, relative to the project directory, each with the line that names it."""
    if not where.project_dir.is_dir():
        faults.append(
            Fault(
                where.shown(where.project_dir),
                "the project directory does not exist",
                "set slipway.project_dir in invoke.yaml, or SLIPWAY_PROJECT_DIR",
            )
        )
        return []
    if _text(layer_values, "COMPOSE_FILE"):
        setting = layer_values["COMPOSE_FILE"]
        split = compose_files(setting.text, _text(layer_values, "COMPOSE_PATH_SEPARATOR"))
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
    if _text(layer_values, "BASE_IMAGES") == "local" and _text(layer_values, "BASE_IMAGES_OVERRIDE"):
        override = layer_values["BASE_IMAGES_OVERRIDE"]
        names.append((override.text, f"{override.origin}: BASE_IMAGES_OVERRIDE"))
    return names


def _discovered(directory: Path) -> list[str]:
    matches = [
        next((name for name in names if (directory / name).is_file()), "") for names in (COMPOSE_NAMES, _OVERRIDES)
    ]
    return [name for name in matches if name] if matches[0] else []


class ComposeText(Record):
    """A Compose file as text, and the files that it includes or extends (``brings``, each with its kind).

    ``own_env``: an `include:` gives the file variables of its own, from its own env file.
    """

    path: Path
    shown: str
    text: str
    own_env: bool
    brings: tuple[tuple[Path, str], ...] = ()


@dataclass
class _Reading:
    """Reads the Compose files and those that they include or extend, each once."""

    where: Settings
    layer_values: Mapping[str, Setting]
    thorough: bool
    texts: dict[Path, ComposeText] = field(default_factory=dict)
    passed: dict[str, Variable] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    certain: bool = True
    brought: dict[Path, list[tuple[Path, str]]] = field(default_factory=dict)

    def read(self, names: Sequence[tuple[str, str]]) -> None:
        """Read the files, given as the name and the line that names it."""
        queue = [(self.where.project_dir / name, origin, False) for name, origin in names]
        while queue:
            path, origin, own_env = queue.pop(0)
            path = Path(os.path.normpath(path))  # `a/../b` names the same file as `b`
            if path in self.texts:
                continue
            shown = self.where.shown(path)
            try:
                text = read_regular_file(path).decode("utf-8-sig")  # Compose takes a byte order mark
            except (OSError, ValueError) as error:
                self.faults.append(_unreadable(shown, origin, error))
                continue
            self.texts[path] = ComposeText(path, shown, text, own_env)
            for reference in self._references(text, shown):
                if target := self._target(path, reference):
                    own = own_env or reference.own_env or _has_own_env(reference, target)
                    queue.append((target, f"{shown}: {reference.kind}", own))
                    self.brought.setdefault(path, []).append((target, reference.kind))

    def _references(self, text: str, shown: str) -> list[FileReference]:
        """Return the Compose files that a file refers to, and record the variables that are passed by name."""
        if not self.thorough and not _MAY_REFER.search(text):
            return []
        documents = _documents(text)
        if documents is None:  # Compose will report what is wrong with it
            self.certain = False
            return []
        all_references = [reference for document in documents for reference in references(document)]
        if self.thorough:
            for name in sorted({name for document in documents for name in passed(document)}):
                self.passed.setdefault(name, Variable(name, False, shown))
        return [reference for reference in all_references if reference.kind != "env_file" or self.thorough]

    def _target(self, path: Path, reference: FileReference) -> Path | None:
        """Return the Compose file that a reference names, None when none is to be read; read an ``env_file`` here."""
        if reference.remote:
            self.certain = False
            return None
        name = substitute(reference.path, _value_of(self.layer_values))
        # Relative to the file with the name; with several in COMPOSE_FILE also to that of the first.
        relative, first = path.parent / name, first_directory(self.layer_values, self.where) / name
        target = relative if relative.exists() or not first.exists() else first
        if reference.kind == "env_file":
            self._env_file(target)
            return None
        if name != reference.path and not target.exists():
            self.certain = False
            return None
        return target

    def _env_file(self, path: Path) -> None:
        try:
            text = read_regular_file(path).decode("utf-8-sig")
        except FileNotFoundError:
            return  # Compose reports it where the file is required
        except (OSError, ValueError):
            self.certain = False
            return
        for name, variable in scan_env_file(self.where.shown(path), text).items():
            self.passed.setdefault(name, variable)


def read_compose_files(names: Sequence[tuple[str, str]], where: Settings, faults: list[Fault]) -> list[ComposeText]:
    """Return the Compose files and those that they include or extend, each once; ``names`` are as ``_Reading.read``."""
    reading = _Reading(where, {}, thorough=False, faults=faults)
    reading.read(names)
    return [
        replace(compose_text, brings=tuple(reading.brought.get(path, ())))
        for path, compose_text in reading.texts.items()
    ]


def _has_own_env(reference: FileReference, target: Path) -> bool:
    return reference.kind == "include" and (target.parent / ".env").is_file()


@functools.lru_cache(maxsize=64)
def _documents(text: str) -> list[Any] | None:
    """Return the documents of a Compose file as data, None when it is no YAML."""
    from .yaml_text import FAULTS, load_all

    try:
        return load_all(text, _without_tags)
    except FAULTS:
        return None


@functools.cache
def _without_tags(loader: Any) -> Any:
    """Return a loader that ignores the tags of Compose, such as ``!reset``."""
    from .yaml_text import MappingNode, SequenceNode

    def plain(loader: Any, _suffix: str, node: Any) -> Any:
        if isinstance(node, MappingNode):
            return loader.construct_mapping(node, deep=True)
        return loader.construct_sequence(node, deep=True) if isinstance(node, SequenceNode) else node.value

    loader_class = type("Loader", (loader,), {})
    loader_class.add_multi_constructor("", plain)  # type: ignore[attr-defined]
    return loader_class


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


def _elsewhere(layer_values: Mapping[str, Setting], where: Settings, known: set[Path]) -> frozenset[str]:
    """Return the variables that only Compose files of other environments interpolate: ``base.env`` may set them."""
    try:
        names = [name for name in os.listdir(where.project_dir) if _COMPOSE_FILE.match(name)]  # noqa: PTH208
    except OSError:
        return frozenset()
    names += [_text(layer_values, key) for key in _BASE_IMAGE_FILES if _text(layer_values, key)]
    texts = []
    for name in names:
        path = where.project_dir / name
        if path not in known:
            try:
                texts.append((name, read_regular_file(path).decode("utf-8-sig")))
            except (OSError, ValueError):
                continue  # a file of another environment, which reports it
    return frozenset(scan(texts))
