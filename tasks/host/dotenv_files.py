"""The ``.env`` beside the Compose file: Compose alone reads it, Slipway reads profiles and can take its values over."""

import json
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..plan.command import Command
from ..plan.errors import InputError
from ..plan.grammar import SHELL_NAMES
from ..plan.interpolation import Variable
from ..plan.profile import Setting, gather, lacks
from ..plan.schema import COMPOSE, DOCKER
from . import compose_files
from .files import Settings, layers_of, read, settings
from .runner import capture

# What may be a key: what Compose makes of the file is asked of Compose.
_KEY = re.compile(r"^[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*[=:]", re.MULTILINE)
_OWN = frozenset(key.name for key in (*COMPOSE, *DOCKER))
_FILES = ("COMPOSE_FILE", "COMPOSE_PATH_SEPARATOR")


@dataclass(frozen=True)
class DotEnv:
    """A ``.env``: where it is, its name as it is shown, and what it may set."""

    path: Path
    shown: str
    keys: frozenset[str]


def beside(found: Mapping[str, Setting], where: Settings) -> DotEnv | None:
    """Return the ``.env`` that Compose alone would read, None when there is none."""
    for directory in (compose_files.first_directory(found, where), where.project_dir):
        path = directory / ".env"
        try:
            text = read(path).decode("utf-8-sig", errors="replace")
        except (OSError, ValueError):
            continue
        return DotEnv(path, where.shown(path), frozenset(_KEY.findall(text)) - SHELL_NAMES)
    return None


def missed(dotenv: DotEnv, found: Mapping[str, Setting], variables: Collection[str]) -> tuple[str, ...]:
    """Return what the file sets for Compose and no layer does: variables of the Compose files, keys of Compose."""
    return tuple(sorted(key for key in dotenv.keys if key not in found and key in {*variables, *_OWN}))


def explained(error: InputError, environment: str, where: Settings) -> InputError:
    """Return the error of a profile, with what to do when a ``.env`` sets the variables that it lacks."""
    try:
        found = gather(layers_of(environment, where), {}, {}, ())
    except InputError:
        return error
    dotenv = beside(found, where)
    lacking = [] if dotenv is None else [key for key in missed(dotenv, found, dotenv.keys) if lacks(error.message, key)]
    if dotenv is None or not lacking:
        return error
    return InputError(
        f"{error.message}\n{dotenv.shown}: sets {', '.join(lacking)}, but only profiles are read",
        f"take them over: inv env.adopt {environment}",
    )


def unread(environment: str) -> str:
    """Return a line about a ``.env`` that sets what an environment does not, "" when there is nothing to say."""
    where = settings()
    found = gather(layers_of(environment, where), {}, {}, ())
    dotenv = beside(found, where)
    if dotenv is None or not (keys := missed(dotenv, found, compose_files.look(found, where, thorough=True).variables)):
        return ""
    return (
        f"{dotenv.shown}: sets {', '.join(keys)}, which Compose alone would use, and {environment} does not; "
        f"to take them over: inv env.adopt {environment}"
    )


def taken(
    dotenv: DotEnv, found: Mapping[str, Setting], where: Settings
) -> tuple[dict[str, str], Mapping[str, Variable]]:
    """Return what a profile lacks of the file, by key, and the variables of the Compose files.

    ``found`` is what the layers set. Raises InputError when Compose cannot read the file.
    """
    # The Compose files that it names decide which variables there are.
    values = _ask(dotenv, missed(dotenv, found, ()), where)
    named = {key: Setting(values[key], dotenv.shown) for key in _FILES if key in values}
    variables = compose_files.look({**found, **named}, where, thorough=True).variables
    keys = missed(dotenv, found, variables)
    return _ask(dotenv, keys, where), variables


def _ask(dotenv: DotEnv, keys: Collection[str], where: Settings) -> dict[str, str]:
    """Return the values that Compose reads from the file: its quotes, comments and references are Compose's own."""
    if not keys:
        return {}
    document = {"services": {"one": {"image": "none", "environment": sorted(keys)}}}
    # Of the same names in the process environment the file's own values are wanted.
    unset = [word for key in sorted(keys) if key in os.environ for word in ("-u", key)]
    words = ("docker", "compose", "--env-file", str(dotenv.path), "--file", "-", "config", "--format", "json")
    argv = ("env", *unset, *words) if unset else words
    result = capture(Command(argv, cwd=str(where.project_dir), stdin=json.dumps(document)))
    if result.exit_code:
        from .machine import refuse_unfit_tools

        refuse_unfit_tools()
        lines = [line for line in result.stderr.splitlines() if "level=warning" not in line] or ["no message"]
        raise InputError(f"{dotenv.shown}: Compose does not read it: {lines[-1].strip()}", "correct the file")
    environment = json.loads(result.stdout)["services"]["one"]["environment"]
    # `config` doubles every $, so that its output means the same to Compose.
    return {key: value.replace("$$", "$") for key, value in environment.items() if value is not None}
