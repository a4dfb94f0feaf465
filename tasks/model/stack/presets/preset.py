"""A preset fills in the generic keys of ``x-slipway`` for a known database server; keys that are there win."""

from collections.abc import Callable, Mapping
from typing import Any

from ...errors import InputError
from .server import DATABASE, MONGO, MYSQL, POSTGRES, REDIS, Declared, Preset


def expand(fields: Mapping[str, Any], raw: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """Return ``x-slipway`` of a service with the keys of its preset; raises InputError for a database without a name.

    ``fields`` are the keys as written, ``raw`` the service as Compose prints it.
    """
    name = str(fields[DATABASE])
    own = fields.get("backup")
    if own is not None and not isinstance(own, dict):
        return fields  # what is wrong with it is said where it is read
    preset = _maker(name)(_declared(raw, own or {}))
    if not preset.database:
        raise InputError(
            f"{where}.database: {name} does not know what the database is called",
            f"set {preset.named_by} in the environment of the service, or say x-slipway: {{backup: {{name: NAME}}}}",
        )
    commands = {name: list(words) for name, words in preset.commands.items()}
    return {
        "role": DATABASE,
        "client": list(preset.client),
        "data": preset.data,
        **fields,
        "backup": {"name": preset.database, **commands, **(own or {})},
    }


def _maker(name: str) -> Callable[[Declared], Preset]:
    """Return the function that makes a preset; only the module of the server that is used is loaded."""
    if name == POSTGRES:
        from .postgres import postgres

        return postgres
    if name == REDIS:
        from .redis import redis

        return redis
    if name == MONGO:
        from .mongo import mongo

        return mongo
    from .mysql import mariadb, mysql

    return mysql if name == MYSQL else mariadb


def _declared(raw: Mapping[str, Any], backup: Mapping[str, Any]) -> Declared:
    environment = raw.get("environment") or {}
    mounts = [mount for key in ("volumes", "tmpfs") for mount in raw.get(key) or ()]
    return Declared(
        {name: str(value) for name, value in environment.items() if value is not None},
        (*_words(raw.get("entrypoint")), *_words(raw.get("command"))),
        tuple(str(mount["target"]) if isinstance(mount, dict) else str(mount).split(":")[0] for mount in mounts),
        str(backup.get("name") or ""),
    )


def _words(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else tuple(str(value or "").split())
