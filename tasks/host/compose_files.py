"""The Compose files that a profile names, read for the variables that they take from it.

Variables are found in the text, which keeps their lines; which other files a file brings in is asked of its YAML.
"""

import functools
import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..plan.grammar import Fault
from ..plan.interpolation import Variable, scan, scan_env_file, substitute
from ..plan.profile import Setting, compose_files
from ..plan.references import Reference, passed, project_name, references
from .files import Settings, read

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


# Whether a file may bring in others: what is no key costs a look at the YAML, and nothing else.
_MAY_REFER = re.compile(r"\b(?:include|extends)[\"']?\s*:")
_NAME_LINE = re.compile(
    r"^name:[ \t]*(?P<quote>[\"']?)(?P<name>[^\"'#\n]*?)(?P=quote)[ \t]*(?:[ \t]#.*)?$", re.MULTILINE
)


@dataclass(frozen=True)
class ComposeFiles:
    """What the Compose files of an environment ask of its profile.

    ``discovered`` are the files that are used when no layer names any, ``elsewhere`` the variables of the project's
    other Compose files, ``faults`` what is wrong with the files. Not ``certain``: there are files that only Compose
    can read, so that nobody can say that a key is used nowhere.
    """

    variables: Mapping[str, Variable]
    elsewhere: Collection[str]
    discovered: tuple[str, ...]
    faults: tuple[Fault, ...]
    certain: bool = True


def look(found: Mapping[str, Setting], where: Settings, thorough: bool = False) -> ComposeFiles:
    """Read the Compose files; ``found`` holds the values of :data:`KEYS`.

    ``thorough``: also what the text does not show, which is variables that are passed by name through anchors, and
    those that an ``env_file`` takes. It costs a YAML parser for every file.
    """
    reading = _Reading(where, found, thorough)
    names = _compose_names(found, where, reading.faults)
    reading.read(names)
    texts = reading.texts.values()
    variables = dict(scan([(each.shown, each.text) for each in texts if not each.own_env]))
    for variable in scan([(each.shown, each.text) for each in texts if each.own_env]).values():
        variables.setdefault(variable.name, replace(variable, required=False, nonempty=False))
    variables = {**reading.passed, **variables}
    elsewhere = _elsewhere(found, where, {each.path for each in texts})
    discovered = () if _text(found, "COMPOSE_FILE") else tuple(name for name, origin in names if not origin)
    return ComposeFiles(variables, elsewhere, discovered, tuple(reading.faults), reading.certain)


def project(found: Mapping[str, Setting], where: Settings) -> str:
    """Return the top-level ``name:`` of the Compose files, "" without one. The last file that has one counts."""
    last = ""
    for name, _ in _compose_names(found, where, []):
        try:
            text = read(where.project_dir / name).decode("utf-8-sig")
        except (OSError, ValueError):
            continue  # whoever deploys it hears of it
        # Only a file in flow style, such as one in JSON, has it anywhere but at the start of a line.
        line = _NAME_LINE.search(text)
        if line or not text.lstrip().startswith("{"):
            last = (line["name"].strip() if line else "") or last
            continue
        last = next((named for each in _documents(text) or () if (named := project_name(each))), last)
    return substitute(last, _value_of(found))


def first_directory(found: Mapping[str, Setting], where: Settings) -> Path:
    """Return the directory of the first Compose file: Compose names the project by it when nothing else does."""
    names = _compose_names(found, where, [])
    return Path(os.path.normpath(where.project_dir / names[0][0])).parent if names else where.project_dir


def _value_of(found: Mapping[str, Setting]) -> Callable[[str], str | None]:
    return lambda name: found[name].text if name in found else os.environ.get(name)


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
    """A Compose file as text, and the files that it includes or extends (``brings``, each with its kind).

    With ``own_env`` an `include:` brings its own variables from a file of its own.
    """

    path: Path
    shown: str
    text: str
    own_env: bool
    brings: tuple[tuple[Path, str], ...] = ()


@dataclass
class _Reading:
    """The Compose files and those they include or extend, each read once."""

    where: Settings
    found: Mapping[str, Setting]
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
                text = read(path).decode("utf-8-sig")  # Compose takes a byte order mark
            except (OSError, ValueError) as error:
                self.faults.append(_unreadable(shown, origin, error))
                continue
            self.texts[path] = ComposeText(path, shown, text, own_env)
            for reference in self._references(text, shown):
                if target := self._target(path, reference):
                    own = own_env or reference.own_env or _has_own_env(reference, target)
                    queue.append((target, f"{shown}: {reference.kind}", own))
                    self.brought.setdefault(path, []).append((target, reference.kind))

    def _references(self, text: str, shown: str) -> list[Reference]:
        """Return the Compose files that a file brings in, and take note of the variables of its other files."""
        if not self.thorough and not _MAY_REFER.search(text):
            return []
        documents = _documents(text)
        if documents is None:  # Compose will say what is wrong with it
            self.certain = False
            return []
        every = [reference for document in documents for reference in references(document)]
        if self.thorough:
            for name in sorted({name for document in documents for name in passed(document)}):
                self.passed.setdefault(name, Variable(name, False, shown))
        return [one for one in every if one.kind != "env_file" or self.thorough]

    def _target(self, path: Path, reference: Reference) -> Path | None:
        """Return the Compose file that a reference means; an ``env_file`` is read on the spot."""
        if reference.remote:
            self.certain = False
            return None
        name = substitute(reference.path, _value_of(self.found))
        # Names are relative to the file that has them; those of a second COMPOSE_FILE to the directory of the first.
        beside, first = path.parent / name, first_directory(self.found, self.where) / name
        target = beside if beside.exists() or not first.exists() else first
        if reference.kind == "env_file":
            self._env_file(target)
            return None
        if name != reference.path and not target.exists():
            self.certain = False
            return None
        return target

    def _env_file(self, path: Path) -> None:
        try:
            text = read(path).decode("utf-8-sig")
        except FileNotFoundError:
            return  # Compose says so, where it is required
        except (OSError, ValueError):
            self.certain = False
            return
        for name, variable in scan_env_file(self.where.shown(path), text).items():
            self.passed.setdefault(name, variable)


def read_compose(names: Sequence[tuple[str, str]], where: Settings, faults: list[Fault]) -> list[ComposeText]:
    """Return the Compose files and those they include or extend, each once; ``names`` say where each is named."""
    reading = _Reading(where, {}, thorough=False, faults=faults)
    reading.read(names)
    return [replace(one, brings=tuple(reading.brought.get(path, ()))) for path, one in reading.texts.items()]


def _has_own_env(reference: Reference, target: Path) -> bool:
    return reference.kind == "include" and (target.parent / ".env").is_file()


@functools.lru_cache(maxsize=64)
def _documents(text: str) -> list[Any] | None:
    """Return the documents of a Compose file as data, None when it is no YAML."""
    yaml = _yaml()
    try:
        return list(yaml.load_all(text, _loader()))
    except (yaml.YAMLError, ValueError, RecursionError):
        return None


def _yaml() -> Any:
    import invoke.util  # the parser that Invoke has loaded already

    return invoke.util.yaml


@functools.cache
def _loader() -> Any:
    """Return a safe loader that takes what stands at a tag of Compose, such as ``!reset``, as it is."""
    yaml = _yaml()

    def plain(loader: Any, _suffix: str, node: Any) -> Any:
        if isinstance(node, yaml.MappingNode):
            return loader.construct_mapping(node, deep=True)
        return loader.construct_sequence(node, deep=True) if isinstance(node, yaml.SequenceNode) else node.value

    made = type("Loader", (yaml.SafeLoader,), {})
    made.add_multi_constructor("", plain)  # type: ignore[attr-defined]
    return made


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
                texts.append((name, read(path).decode("utf-8-sig")))
            except (OSError, ValueError):
                continue  # not this environment's file: whoever uses it hears of it
    return frozenset(scan(texts))
