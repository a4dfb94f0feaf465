"""Shows, compares and checks profiles, for the env.* tasks."""

from collections.abc import Sequence

from ..host import foresight
from ..host.output import emit_json, emit_table, note
from ..host.profile import dotenv_files, identities
from ..host.profile.load_profile import load_profile
from ..host.profile.settings import environments, settings
from ..model.errors import InputError, RefusedError
from ..model.profile.profile import Profile, Value
from ..model.secret import MASK


def list_environments(as_json: bool) -> None:
    """Print the environments, the file of each, and whether its profile is valid."""
    where = settings()
    rows = [(name, where.shown(where.envs_dir / f"{name}.env"), fault_of(name) is None) for name in environments()]
    if as_json:
        documents = [{"name": name, "file": file, "valid": valid} for name, file, valid in rows]
        emit_json({"schema": "slipway/env.list/v1", "environments": documents})
        return
    emit_table(("NAME", "FILE", "VALID"), [(name, file, "yes" if valid else "no") for name, file, valid in rows])
    if not all(valid for _, _, valid in rows):
        note("inv env.check lists what is wrong")


def show(environment: str, as_json: bool) -> None:
    """Print every value of a profile with its origin."""
    profile = load_profile(environment)
    if as_json:
        values = [
            {"key": value.key, "value": str(value.value), "origin": value.origin, "secret": value.secret}
            for value in profile.values.values()
        ]
        emit_json({"schema": "slipway/env.show/v1", "environment": profile.environment, "values": values})
        return
    emit_table(
        ("KEY", "VALUE", "ORIGIN"), [(value.key, value.value, value.origin) for value in profile.values.values()]
    )


def diff(first: str, second: str, as_json: bool) -> None:
    """Print the keys whose values differ between two profiles."""
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
    """Check the named profiles, or all of them; raises InputError that lists every fault."""
    known = names or environments()
    if not known:
        load_profile()  # raises: there is no profile
    results = {name: fault_of(name) for name in known}
    results |= foresight.faults(name for name, fault in results.items() if fault is None)
    if as_json:
        documents = [
            {"name": name, "valid": not _lines(fault), "faults": _lines(fault)} for name, fault in results.items()
        ]
        emit_json({"schema": "slipway/env.check/v1", "environments": documents})
    for name in (name for name, fault in results.items() if not fault):
        if line := dotenv_files.unread_notice(name):
            note(line)
    faults = [fault for fault in results.values() if fault]
    if len({fault.message for fault in faults}) == 1:
        raise faults[0]
    if faults:
        lines = dict.fromkeys(line for fault in faults for line in _lines(fault))  # faults of base.env are in each
        raise InputError("\n".join(lines), "fix these lines, then run: inv env.check")
    if not as_json:
        emit_table(("NAME", "VALID"), [(name, "yes") for name in results])


def fault_of(environment: str) -> InputError | None:
    """Return what is wrong with an environment, None when its profile is valid."""
    try:
        load_profile(environment)
    except InputError as error:
        return error
    except RefusedError as error:  # an encrypted file that cannot be decrypted here: nothing is known of it
        return InputError(error.message, error.hint)
    shared = identities.fault_of(environment)
    return InputError(str(shared), shared.hint) if shared else None


def _lines(fault: InputError | None) -> list[str]:
    return fault.message.splitlines() if fault else []
