"""What the env.* tasks do: profiles shown, compared, checked and written."""

import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ..plan.errors import InputError
from ..plan.grammar import parse
from ..plan.profile import Profile, Value
from ..plan.secret import MASK
from . import foreseeing, identities
from .files import Settings, environments, is_environment_name, load_profile, read, settings
from .output import emit, emit_json, emit_table, note


def list_environments(as_json: bool) -> None:
    """Write the environments, the file of each, and whether its profile is valid."""
    where = settings()
    rows = [(name, where.shown(where.envs_dir / f"{name}.env"), _fault(name) is None) for name in environments()]
    if as_json:
        found = [{"name": name, "file": file, "valid": valid} for name, file, valid in rows]
        emit_json({"schema": "slipway/env.list/v1", "environments": found})
        return
    emit_table(("NAME", "FILE", "VALID"), [(name, file, "yes" if valid else "no") for name, file, valid in rows])
    if not all(valid for _, _, valid in rows):
        note("inv env.check lists what is wrong")


def show(environment: str, as_json: bool) -> None:
    """Write every value of a profile with its origin."""
    profile = load_profile(environment)
    if as_json:
        values = [
            {"key": one.key, "value": str(one.value), "origin": one.origin, "secret": one.secret}
            for one in profile.values.values()
        ]
        emit_json({"schema": "slipway/env.show/v1", "environment": profile.environment, "values": values})
        return
    emit_table(("KEY", "VALUE", "ORIGIN"), [(one.key, one.value, one.origin) for one in profile.values.values()])


def diff(first: str, second: str, as_json: bool) -> None:
    """Write the keys whose values differ between two profiles."""
    left, right = load_profile(first), load_profile(second)
    keys = [key for key in sorted({*left.values, *right.values}) if _value(left, key) != _value(right, key)]
    if as_json:
        changes = [{"key": key, "first": _side(left, key), "second": _side(right, key)} for key in keys]
        emit_json({"schema": "slipway/env.diff/v1", "first": first, "second": second, "changes": changes})
        return
    emit_table(("KEY", first, second), [(key, _cell(left, key), _cell(right, key)) for key in keys])
    if any(_cell(left, key) == MASK == _cell(right, key) for key in keys):
        note(f"{MASK} on both sides: two different secrets")


def _value(profile: Profile, key: str) -> object:
    return profile.values[key].value if key in profile.values else None


def _side(profile: Profile, key: str) -> dict[str, str | bool] | None:
    value: Value | None = profile.values.get(key)
    return {"value": str(value.value), "origin": value.origin, "secret": value.secret} if value else None


def _cell(profile: Profile, key: str) -> str:
    return str(profile.values[key].value) if key in profile.values else "(not set)"


def check(names: Sequence[str], as_json: bool) -> None:
    """Check the named profiles, or all; raises InputError that lists every fault of all of them."""
    known = names or environments()
    if not known:
        load_profile()  # says that there is no profile, and how to make one
    found = {name: _fault(name) for name in known}
    found |= foreseeing.faults(name for name, fault in found.items() if fault is None)
    if as_json:
        documents = [
            {"name": name, "valid": not _lines(fault), "faults": _lines(fault)} for name, fault in found.items()
        ]
        emit_json({"schema": "slipway/env.check/v1", "environments": documents})
    faults = [fault for fault in found.values() if fault]
    if len({fault.message for fault in faults}) == 1:
        raise faults[0]
    if faults:
        lines = dict.fromkeys(line for fault in faults for line in _lines(fault))  # base.env is part of each
        raise InputError("\n".join(lines), "mend these lines, then run: inv env.check")
    if not as_json:
        emit_table(("NAME", "VALID"), [(name, "yes") for name in found])


def _fault(environment: str) -> InputError | None:
    try:
        load_profile(environment)
    except InputError as error:
        return error
    shared = identities.fault_of(environment)
    return InputError(str(shared), shared.hint) if shared else None


def _lines(fault: InputError | None) -> list[str]:
    return fault.message.splitlines() if fault else []


def new(name: str, source: str, dry: bool = False) -> None:
    """Write the profile of a new environment, or in a dry run say so; raises InputError when there is one already."""
    where = settings()
    path = where.envs_dir / f"{name}.env"
    _check_name(name, path, where)
    if source not in environments():
        load_profile(source)  # lists those that exist
    origin = where.envs_dir / f"{source}.env"
    text = _adapted(read(origin).decode("utf-8"), source, name)
    if dry:
        emit(f"# write {where.shown(path)}, from {where.shown(origin)}")
        return
    _write_new(path, text)
    note(f"wrote {where.shown(path)}; its ports, engine and secrets come from {source}")
    note(f"  next: read it through, then run: inv env.check --env {name}")


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
        lines.insert(0, f"COMPOSE_PROJECT_NAME={name.lower()}\n")
    for project in projects:
        renamed = word.sub(name, project.value)
        renamed = renamed if renamed != project.value else f"{project.value}-{name}"
        lines[project.line - 1] = f"COMPOSE_PROJECT_NAME={renamed.lower()}"
    head = (
        f"# The environment {name}, started from {source}: `inv deploy.{name}`.\n"
        "# Only what differs from base.env belongs here; `inv env.show` tells where each value comes from. Secrets\n"
        f"# and settings of one machine go to {name}.local.env, which is not tracked.\n\n"
    )
    return head + "\n".join(lines) + "\n"


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
