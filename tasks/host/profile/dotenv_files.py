"""The ``.env`` next to the Compose file: only Compose reads it; Slipway reads profiles and can take over its values."""

import json
import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...model.command import Command
from ...model.errors import InputError
from ...model.lazy_pattern import lazy_pattern
from ...model.profile.grammar import SHELL_NAMES
from ...model.profile.interpolation import Variable
from ...model.profile.profile import Setting, gather, reports_unset
from ...model.profile.schema import COMPOSE, DOCKER
from ..runner import capture
from . import compose_files
from .settings import Settings, layers_of, read_regular_file, settings

# What may be a key; the values are left to Compose to read.
_KEY = lazy_pattern(r"^[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*[=:]", re.MULTILINE)
_OWN = frozenset(key.name for key in (*COMPOSE, *DOCKER))
_FILES = ("COMPOSE_FILE", "COMPOSE_PATH_SEPARATOR")


@dataclass(frozen=True)
class DotEnv:
    """A ``.env`` file: its path, its name as shown to people, and the keys that it may set."""

    path: Path
    shown: str
    keys: frozenset[str]


def find_dotenv(layer_values: Mapping[str, Setting], where: Settings) -> DotEnv | None:
    """Return the ``.env`` that Compose would read by itself, None when there is none."""
    for directory in (compose_files.first_directory(layer_values, where), where.project_dir):
        if found := read_keys(directory / ".env", where):
            return found
    return None


def read_keys(path: Path, where: Settings) -> DotEnv | None:
    """Return an env file with the keys that it may set; None when it is no text file."""
    try:
        text = read_regular_file(path).decode("utf-8-sig", errors="replace")
    except (OSError, ValueError):
        return None
    return DotEnv(path, where.shown(path), frozenset(_KEY.findall(text)) - SHELL_NAMES)


def unset_keys(dotenv: DotEnv, layer_values: Mapping[str, Setting], variables: Collection[str]) -> tuple[str, ...]:
    """Return the keys of the file that no layer sets: variables of the Compose files, and keys of Compose itself."""
    return tuple(sorted(key for key in dotenv.keys if key not in layer_values and key in {*variables, *_OWN}))


def with_dotenv_hint(error: InputError, environment: str, where: Settings) -> InputError:
    """Return the error of a profile; when a ``.env`` sets the variables that it lacks, with a hint to adopt them."""
    try:
        layer_values = gather(layers_of(environment, where), {}, {}, ())
    except InputError:
        return error
    dotenv = find_dotenv(layer_values, where)
    keys = unset_keys(dotenv, layer_values, dotenv.keys) if dotenv else ()
    lacking = [key for key in keys if reports_unset(error.message, key)]
    if dotenv is None or not lacking:
        return error
    return InputError(
        f"{error.message}\n{dotenv.shown}: sets {', '.join(lacking)}, but only profiles are read",
        f"take them over: inv env.adopt {environment}",
    )


def unread_notice(environment: str) -> str:
    """Return a line about a ``.env`` that sets what an environment does not, "" when there is nothing to say."""
    where = settings()
    layer_values = gather(layers_of(environment, where), {}, {}, ())
    dotenv = find_dotenv(layer_values, where)
    if dotenv is None:
        return ""
    keys = unset_keys(
        dotenv, layer_values, compose_files.examine_compose_files(layer_values, where, thorough=True).variables
    )
    if not keys:
        return ""
    return (
        f"{dotenv.shown}: sets {', '.join(keys)}, which Compose alone would use, and {environment} does not; "
        f"to take them over: inv env.adopt {environment}"
    )


def adoptable_values(
    dotenv: DotEnv, layer_values: Mapping[str, Setting], where: Settings
) -> tuple[dict[str, str], Mapping[str, Variable]]:
    """Return the values of the file that a profile lacks, by key, and the variables of the Compose files.

    ``layer_values`` are the values that the layers set. Raises InputError when Compose cannot read the file.
    """
    # The Compose files that it names decide which variables there are.
    values = _ask(dotenv, unset_keys(dotenv, layer_values, ()), where)
    named = {key: Setting(values[key], dotenv.shown) for key in _FILES if key in values}
    variables = compose_files.examine_compose_files({**layer_values, **named}, where, thorough=True).variables
    keys = unset_keys(dotenv, layer_values, variables)
    return _ask(dotenv, keys, where), variables


def read_by_compose(files: Sequence[Path], keys: Collection[str], where: Settings, shown: str) -> dict[str, str]:
    """Return the values that Compose reads from files, later ones over earlier ones, without those that none sets.

    Its quotes, comments and references are Compose's own. Raises InputError, which shows ``shown``, when Compose cannot
    read them.
    """
    if not keys:
        return {}
    document = {"services": {"probe": {"image": "none", "environment": sorted(keys)}}}
    # Variables of the process environment would win over those of the file.
    unset = [word for key in sorted(keys) if key in os.environ for word in ("-u", key)]
    options = [word for path in files for word in ("--env-file", str(path))]
    words = ("docker", "compose", *options, "--file", "-", "config", "--format", "json")
    argv = ("env", *unset, *words) if unset else words
    result = capture(Command(argv, cwd=str(where.project_dir), stdin=json.dumps(document)))
    if result.exit_code:
        from ..machine import refuse_unfit_tools

        refuse_unfit_tools()
        lines = [line for line in result.stderr.splitlines() if "level=warning" not in line] or ["no message"]
        raise InputError(f"{shown}: Compose does not read it: {lines[-1].strip()}", "correct the file")
    environment = json.loads(result.stdout)["services"]["probe"]["environment"]
    # `config` doubles every $, so that Compose can read its output again.
    return {key: value.replace("$$", "$") for key, value in environment.items() if value is not None}


def _ask(dotenv: DotEnv, keys: Collection[str], where: Settings) -> dict[str, str]:
    return read_by_compose([dotenv.path], keys, where, dotenv.shown)
