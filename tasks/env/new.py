"""Writes profiles: from another profile, from the Compose files, and from a ``.env``."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..host.output import emit, note
from ..host.profile import compose_files, dotenv_files, identities
from ..host.profile.load_profile import load_profile
from ..host.profile.settings import (
    Settings,
    environments,
    is_environment_name,
    layers_of,
    read_regular_file,
    refuse_unknown,
    require_environment,
    settings,
)
from ..host.profile.text_files import replace_text, write_new
from ..host.runner import capture
from ..model.command import Command
from ..model.errors import InputError
from ..model.lazy_pattern import lazy_pattern
from ..model.profile.grammar import SHELL_NAMES, assignment_line, parse
from ..model.profile.interpolation import Variable
from ..model.profile.profile import Setting, gather
from ..model.secret import is_secret_name, url_passwords
from .profiles import fault_of

_SOURCE = "From the .env next to the Compose file."
_ENGINE = lazy_pattern(r"(?:DOCKER_HOST|DOCKER_CONTEXT|DOCKER_TLS_VERIFY|DOCKER_CERT_PATH)=")


@dataclass(frozen=True)
class Additions:
    """Lines for a profile, lines for its untracked local layer, and the keys whose values no profile can express."""

    lines: tuple[str, ...]
    secrets: tuple[str, ...]
    unfit: tuple[str, ...]


def new(name: str, source: str = "", dry: bool = False) -> None:
    """Write the profile of a new environment, or in a dry run print that; raises InputError when it exists already.

    Without ``source`` it starts from dev, or else from the first environment; the very first profile is made from the
    Compose files and a ``.env``.
    """
    where = settings()
    path = where.envs_dir / f"{name}.env"
    refuse_unknown(where)
    _check_name(name, path, where)
    known = environments()
    if source and source not in known:
        load_profile(source)  # raises, with a list of those that exist
    origin = source or next((candidate for candidate in ("dev", where.default_env, *known) if candidate in known), "")
    if not origin:
        _first(name, path, where, dry)
        return
    text = _adapted(read_regular_file(where.envs_dir / f"{origin}.env").decode("utf-8"), origin, name)
    # The user did not name the environment that it starts from, so its engine is commented out.
    picked = origin not in (source, "dev")
    if picked:
        text = "".join(f"# {line}" if _ENGINE.match(line) else line for line in text.splitlines(keepends=True))
    if dry:
        emit(f"# write {where.shown(path)}, from {where.shown(where.envs_dir / origin)}.env")
        return
    write_new(path, text)
    note(f"wrote {where.shown(path)}; its ports{'' if picked else ', engine'} and secrets come from {origin}")
    _next_step(name)


def _first(name: str, path: Path, where: Settings, dry: bool) -> None:
    """Write the first profile: the Compose files that exist, and every variable that they take."""
    layer_values = dict(gather(layers_of(name, where), {}, {}, ()))
    dotenv = dotenv_files.find_dotenv(layer_values, where)
    lines = []
    if "COMPOSE_FILE" not in layer_values and not (dotenv and "COMPOSE_FILE" in dotenv.keys):
        files = _compose_files_of(name, layer_values, where)
        lines = [f"COMPOSE_FILE={files}"]
        layer_values["COMPOSE_FILE"] = Setting(files, where.shown(path))
    values, variables = _taken_values(dotenv, layer_values, where)
    known = {**layer_values, **{key: Setting(text, ".env") for key, text in values.items()}}
    if "COMPOSE_PROJECT_NAME" not in known:
        lines.insert(0, f"COMPOSE_PROJECT_NAME={identities.project_of(known, where)}")
    needed = needed_variables(variables, known)
    taken, empty = additions(values), additions(dict.fromkeys(needed, ""))
    if dry:
        emit(f"# write {where.shown(path)}, from the Compose files in {where.shown(where.project_dir)}")
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    write_new(path, _first_text(name, lines, taken.lines, empty.lines))
    note(f"wrote {where.shown(path)}, from what the Compose files in {where.shown(where.project_dir)} take")
    if dotenv and values:
        note(f"  taken over from {dotenv.shown}: {', '.join(sorted(values))}")
    ignore_local_layers(where)
    _keep_secrets(name, Additions((), (*taken.secrets, *empty.secrets), taken.unfit), where)
    if needed:
        note(f"  still empty: {', '.join(needed)}")
    _next_step(name)


def _first_text(name: str, lines: Sequence[str], taken: Sequence[str], empty: Sequence[str]) -> str:
    """Return the text of the first profile: Compose files, values of a ``.env``, and variables without a value."""
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


def _compose_files_of(name: str, layer_values: Mapping[str, Setting], where: Settings) -> str:
    """Return the Compose files that Compose finds, or its first and the environment's own, such as compose.prod.yaml.

    Raises InputError when there are none.
    """
    look = compose_files.examine_compose_files(layer_values, where)
    if not look.discovered:
        raise InputError("\n".join(map(str, look.faults)), look.faults[0].hint)
    stem = look.discovered[0].rpartition(".")[0]
    own = [f"{stem}.{name}.{suffix}" for suffix in ("yaml", "yml")]
    there = [file for file in own if (where.project_dir / file).is_file()]
    separator = layer_values["COMPOSE_PATH_SEPARATOR"].text if "COMPOSE_PATH_SEPARATOR" in layer_values else ""
    return (separator or ":").join((look.discovered[0], there[0]) if there else look.discovered)


def _taken_values(
    dotenv: dotenv_files.DotEnv | None, layer_values: Mapping[str, Setting], where: Settings
) -> tuple[dict[str, str], Mapping[str, Variable]]:
    if dotenv:
        return dotenv_files.adoptable_values(dotenv, layer_values, where)
    return {}, compose_files.examine_compose_files(layer_values, where, thorough=True).variables


def needed_variables(variables: Mapping[str, Variable], known: Mapping[str, Setting]) -> list[str]:
    """Return the variables that no layer sets and that have no default, without those that every shell sets."""
    return sorted(
        name
        for name, variable in variables.items()
        if variable.required
        and name not in known
        and name not in (*SHELL_NAMES, "COMPOSE_PROJECT_NAME")
        and not variable.unless.intersection(known)
    )


def adopt(name: str, dry: bool = False) -> None:
    """Add what the ``.env`` next to the Compose file sets, and no layer does, to the profile of an environment.

    Raises InputError when there is no such file or environment.
    """
    where = settings()
    require_environment(name, where)
    path = where.envs_dir / f"{name}.env"
    layer_values = gather(layers_of(name, where), {}, {}, ())
    dotenv = dotenv_files.find_dotenv(layer_values, where)
    if dotenv is None:
        raise InputError(
            f"{where.shown(where.project_dir)}: no .env there",
            "there is nothing to take over; inv env.check says whether the profile lacks a value",
        )
    values, _ = dotenv_files.adoptable_values(dotenv, layer_values, where)
    taken = additions(values)
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


def additions(values: Mapping[str, str]) -> Additions:
    """Return the lines that set values in a profile, those of secrets apart."""
    lines, secrets, unfit = [], [], []
    for key, value in sorted(values.items()):
        line = assignment_line(key, value)
        if not line:
            unfit.append(key)
        elif is_secret_name(key) or url_passwords(value):
            secrets.append(line)
        else:
            lines.append(line)
    return Additions(tuple(lines), tuple(secrets), tuple(unfit))


def _keep_secrets(name: str, taken: Additions, where: Settings) -> None:
    """Write secrets to the local layer, which git is told to ignore; report the values that no profile can express."""
    path = where.envs_dir / f"{name}.local.env"
    if taken.secrets:
        _append(path, "# Secrets.", taken.secrets, 0o600)
        note(f"  secrets went to {where.shown(path)}: {', '.join(line.partition('=')[0] for line in taken.secrets)}")
        ignore_local_layers(where)
    if taken.unfit:
        note(f"  no line of a profile can hold the value of {', '.join(taken.unfit)}: use a Compose secret or config")


def ignore_local_layers(where: Settings) -> None:
    """Tell git to ignore the local layers, in a checkout where it does not do so yet."""
    path = where.envs_dir / ".gitignore"
    ignored = capture(Command(("git", "-C", str(where.envs_dir), "check-ignore", "--quiet", "base.local.env")))
    if ignored.exit_code == 1:  # 1: not ignored; 128: no checkout
        _append(path, "", ("*.local.env",), 0o644)
        note(f"  {where.shown(path)}: git leaves *.local.env alone")


def _next_step(name: str) -> None:
    fault = fault_of(name)
    for line in fault.message.splitlines() if fault else ():
        note(f"  still to do: {line}")
    note(f"  next: read it through, then run: inv env.check --env {name}")


def _append(path: Path, title: str, lines: Sequence[str], mode: int) -> None:
    """Add lines to a file atomically; a missing file is created."""
    before = read_regular_file(path).decode("utf-8") if path.exists() else ""
    gap = "\n" if before.endswith("\n") else "\n\n" if before else ""
    mode = path.stat().st_mode & 0o777 if before else mode
    head = f"{before}{gap}{title}\n" if title else before
    replace_text(path, head + "\n".join(lines) + "\n", mode)


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

    The old name is replaced wherever it is a word of its own, except in the names of Compose files. The project always
    gets another name, since two environments of one project would replace each other's containers.
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
        f"# Only what differs from base.env belongs here; `inv env.show {name}` tells where each value comes from.\n"
        f"# Secrets and settings of one machine go to {name}.local.env, which is not tracked.\n\n"
    )
    return head + "\n".join(lines) + "\n"


def _renamed(project: str, word: re.Pattern[str], name: str) -> str:
    renamed = word.sub(name, project)
    return (renamed if renamed != project else f"{project}-{name}").lower()
