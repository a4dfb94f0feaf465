"""Profiles written: a new one from another, the first one from the Compose files, and what a ``.env`` sets."""

import os
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..plan.command import Command
from ..plan.errors import InputError
from ..plan.grammar import SHELL_NAMES, parse, written
from ..plan.interpolation import Variable
from ..plan.profile import Setting, gather
from ..plan.secret import is_secret_name, url_passwords
from . import compose_files, dotenv_files, identities
from .files import (
    Settings,
    environments,
    is_environment_name,
    known_environment,
    layers_of,
    load_profile,
    read,
    settings,
)
from .output import emit, note
from .profiles import fault_of
from .runner import capture

_SOURCE = "From the .env beside the Compose file."
_ENGINE = re.compile(r"(?:DOCKER_HOST|DOCKER_CONTEXT|DOCKER_TLS_VERIFY|DOCKER_CERT_PATH)=")


@dataclass(frozen=True)
class _Additions:
    """Lines for a profile, those for its untracked local layer, and the keys whose values no profile can hold."""

    lines: tuple[str, ...]
    secrets: tuple[str, ...]
    unfit: tuple[str, ...]


def new(name: str, source: str = "", dry: bool = False) -> None:
    """Write the profile of a new environment, or in a dry run say so; raises InputError when there is one already.

    Without ``source`` it starts from dev, or else from the first environment; the very first one from what the
    Compose files and a ``.env`` say.
    """
    where = settings()
    path = where.envs_dir / f"{name}.env"
    _check_name(name, path, where)
    known = environments()
    if source and source not in known:
        load_profile(source)  # lists those that exist
    origin = source or next((one for one in ("dev", where.default_env, *known) if one in known), "")
    if not origin:
        _first(name, path, where, dry)
        return
    text = _adapted(read(where.envs_dir / f"{origin}.env").decode("utf-8"), origin, name)
    # Nobody asked for the engine of an environment that we picked.
    picked = origin not in (source, "dev")
    if picked:
        text = "".join(f"# {line}" if _ENGINE.match(line) else line for line in text.splitlines(keepends=True))
    if dry:
        emit(f"# write {where.shown(path)}, from {where.shown(where.envs_dir / origin)}.env")
        return
    _write_new(path, text)
    note(f"wrote {where.shown(path)}; its ports{'' if picked else ', engine'} and secrets come from {origin}")
    _next_step(name)


def _first(name: str, path: Path, where: Settings, dry: bool) -> None:
    """Write the first profile: the Compose files as they are found, and every variable that they take."""
    found = dict(gather(layers_of(name, where), {}, {}, ()))
    dotenv = dotenv_files.beside(found, where)
    lines = []
    if "COMPOSE_FILE" not in found and not (dotenv and "COMPOSE_FILE" in dotenv.keys):
        files = _compose_files_of(name, found, where)
        lines = [f"COMPOSE_FILE={files}"]
        found["COMPOSE_FILE"] = Setting(files, where.shown(path))
    values, variables = _asked_for(dotenv, found, where)
    known = {**found, **{key: Setting(text, ".env") for key, text in values.items()}}
    if "COMPOSE_PROJECT_NAME" not in known:
        lines.insert(0, f"COMPOSE_PROJECT_NAME={identities.project_of(known, where)}")
    needed = _needed(variables, known)
    taken, empty = _additions(values), _additions(dict.fromkeys(needed, ""))
    if dry:
        emit(f"# write {where.shown(path)}, from the Compose files in {where.shown(where.project_dir)}")
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    _write_new(path, _first_text(name, lines, taken.lines, empty.lines))
    note(f"wrote {where.shown(path)}, from what the Compose files in {where.shown(where.project_dir)} take")
    if dotenv and values:
        note(f"  taken over from {dotenv.shown}: {', '.join(sorted(values))}")
    _ignore_local_layers(where)
    _keep_secrets(name, _Additions((), (*taken.secrets, *empty.secrets), taken.unfit), where)
    if needed:
        note(f"  still empty: {', '.join(needed)}")
    _next_step(name)


def _first_text(name: str, lines: Sequence[str], taken: Sequence[str], empty: Sequence[str]) -> str:
    """Return the first profile: its Compose files, what came from a ``.env``, and what nothing sets yet."""
    parts = [
        f"# The environment {name}: `inv deploy.{name}`.",
        f"# Settings of one machine, and secrets, go to {name}.local.env, which is not tracked.\n",
        *lines,
    ]
    if taken:
        parts += [f"\n# {_SOURCE}", *taken]
    if empty:
        parts += ["\n# The Compose files take these. To Compose they are empty until a value is written here.", *empty]
    return "\n".join(parts) + "\n"


def _compose_files_of(name: str, found: Mapping[str, Setting], where: Settings) -> str:
    """Return the Compose files that Compose finds; with one for the environment, such as compose.prod.yaml, those two.

    Raises InputError when there are none.
    """
    look = compose_files.look(found, where)
    if not look.discovered:
        raise InputError("\n".join(map(str, look.faults)), look.faults[0].hint)
    stem = look.discovered[0].rpartition(".")[0]
    own = [f"{stem}.{name}.{suffix}" for suffix in ("yaml", "yml")]
    there = [one for one in own if (where.project_dir / one).is_file()]
    separator = found["COMPOSE_PATH_SEPARATOR"].text if "COMPOSE_PATH_SEPARATOR" in found else ""
    return (separator or ":").join((look.discovered[0], there[0]) if there else look.discovered)


def _asked_for(
    dotenv: dotenv_files.DotEnv | None, found: Mapping[str, Setting], where: Settings
) -> tuple[dict[str, str], Mapping[str, Variable]]:
    if dotenv:
        return dotenv_files.taken(dotenv, found, where)
    return {}, compose_files.look(found, where, thorough=True).variables


def _needed(variables: Mapping[str, Variable], known: Mapping[str, Setting]) -> list[str]:
    """Return the variables that no layer sets and that have no default. The shell's own are in every environment."""
    return sorted(
        name
        for name, one in variables.items()
        if one.required and name not in known and name not in SHELL_NAMES and not one.unless.intersection(known)
    )


def adopt(name: str, dry: bool = False) -> None:
    """Write what the ``.env`` beside the Compose file sets, and no layer does, into the profile of an environment.

    Raises InputError when there is no such file or environment.
    """
    where = settings()
    known_environment(name, where)
    path = where.envs_dir / f"{name}.env"
    found = gather(layers_of(name, where), {}, {}, ())
    dotenv = dotenv_files.beside(found, where)
    if dotenv is None:
        raise InputError(f"{where.shown(where.project_dir)}: no .env there", "profiles are all that there is to read")
    values, _ = dotenv_files.taken(dotenv, found, where)
    taken = _additions(values)
    if dry:
        emit(f"# add {', '.join(sorted(values)) or 'nothing'} to {where.shown(path)}, from {dotenv.shown}")
        return
    if not values:
        note(f"{dotenv.shown}: nothing in it that the Compose files use and {where.shown(path)} lacks")
        return
    if taken.lines:
        _append(path, f"# {_SOURCE}", taken.lines, 0o644)
        names = ", ".join(line.partition("=")[0] for line in taken.lines)
        note(f"added to {where.shown(path)}, from {dotenv.shown}: {names}")
    _keep_secrets(name, taken, where)
    _next_step(name)


def _additions(values: Mapping[str, str]) -> _Additions:
    lines, secrets, unfit = [], [], []
    for key, value in sorted(values.items()):
        line = written(key, value)
        if not line:
            unfit.append(key)
        elif is_secret_name(key) or url_passwords(value):
            secrets.append(line)
        else:
            lines.append(line)
    return _Additions(tuple(lines), tuple(secrets), tuple(unfit))


def _keep_secrets(name: str, taken: _Additions, where: Settings) -> None:
    """Write secrets to the local layer, which git is told to leave alone; say which values have no line."""
    path = where.envs_dir / f"{name}.local.env"
    if taken.secrets:
        _append(path, "# Secrets.", taken.secrets, 0o600)
        note(f"  secrets went to {where.shown(path)}: {', '.join(line.partition('=')[0] for line in taken.secrets)}")
        _ignore_local_layers(where)
    if taken.unfit:
        note(f"  no line of a profile can hold the value of {', '.join(taken.unfit)}: use a Compose secret or config")


def _ignore_local_layers(where: Settings) -> None:
    """Tell git to leave the local layers alone, where there is git and it does not yet."""
    path = where.envs_dir / ".gitignore"
    ignored = capture(Command(("git", "-C", str(where.envs_dir), "check-ignore", "--quiet", "base.local.env")))
    if ignored.exit_code == 1:  # 128: no checkout
        _append(path, "", ("*.local.env",), 0o644)
        note(f"  {where.shown(path)}: git leaves *.local.env alone")


def _next_step(name: str) -> None:
    fault = fault_of(name)
    for line in fault.message.splitlines() if fault else ():
        note(f"  still to do: {line}")
    note(f"  next: read it through, then run: inv env.check --env {name}")


def _append(path: Path, title: str, lines: Sequence[str], mode: int) -> None:
    """Add lines to a file, whole or not at all; a file that is not there is made."""
    before = read(path).decode("utf-8") if path.exists() else ""
    gap = "\n" if before.endswith("\n") else "\n\n" if before else ""
    mode = path.stat().st_mode & 0o777 if before else mode
    _replace(path, f"{before}{gap}{title}\n" if title else before, lines, mode)


def _replace(path: Path, head: str, lines: Iterable[str], mode: int) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(head + "\n".join(lines) + "\n")
        os.fchmod(stream.fileno(), mode)
    Path(temporary).replace(path.resolve())


def _check_name(name: str, path: Path, where: Settings) -> None:
    if not is_environment_name(name) or name == "base":
        raise InputError(
            f"{name!r} cannot be the name of an environment",
            "use letters, digits, - and _, and not base, which is the layer of all environments",
        )
    if path.exists() or path.is_symlink():
        raise InputError(f"{where.shown(path)} exists already", f"edit it, or choose another name than {name}")


def _adapted(text: str, source: str, name: str) -> str:
    """Return the profile under its new name.

    The old name gives way to the new one wherever it stands as a word, but for the names of Compose files; the project
    gets a name of its own in any case, since two environments of one project would replace each other's containers.
    """
    above, _, below = text.partition("\n\n")
    if all(line.startswith("#") for line in above.splitlines()):
        text = below  # the comment at the top is about the old environment
    slash = "" if source != "dev" else "/"  # /dev/null stays
    word = re.compile(rf"(?<![A-Za-z0-9{slash}]){re.escape(source)}(?![A-Za-z0-9])")
    lines = [line if line.startswith("COMPOSE_FILE=") else word.sub(name, line) for line in text.splitlines()]
    projects = [entry for entry in parse("", text.encode()).entries if entry.key == "COMPOSE_PROJECT_NAME"]
    if not projects:
        lines.insert(0, f"COMPOSE_PROJECT_NAME={_renamed(identities.project_named(source), word, name)}\n")
    for project in projects:
        lines[project.line - 1] = f"COMPOSE_PROJECT_NAME={_renamed(project.value, word, name)}"
    head = (
        f"# The environment {name}, started from {source}: `inv deploy.{name}`.\n"
        "# Only what differs from base.env belongs here; `inv env.show` tells where each value comes from. Secrets\n"
        f"# and settings of one machine go to {name}.local.env, which is not tracked.\n\n"
    )
    return head + "\n".join(lines) + "\n"


def _renamed(project: str, word: re.Pattern[str], name: str) -> str:
    renamed = word.sub(name, project)
    return (renamed if renamed != project else f"{project}-{name}").lower()


def _write_new(path: Path, text: str) -> None:
    """Write a file whole or not at all, and never over another one."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            os.fchmod(stream.fileno(), 0o644)
        os.link(temporary, path)
    except FileExistsError as error:
        raise InputError(f"{path.name} exists already", "edit it, or choose another name") from error
    finally:
        os.unlink(temporary)  # noqa: PTH108 - the name that mkstemp gave
