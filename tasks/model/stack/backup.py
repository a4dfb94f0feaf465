"""Backups of the stack's database: the commands under ``x-slipway.backup``, and the comparison of backups."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..errors import InputError
from ..lazy_pattern import lazy_pattern
from ..record import Record

_COMMANDS = ("snapshot", "dump", "list", "create", "restore", "tables", "swap", "drop")
# The name of a database is used in SQL statements without quoting.
_NAME = lazy_pattern(r"[A-Za-z0-9_][A-Za-z0-9_-]*", re.ASCII)
_OURS = lazy_pattern(r"[0-9]{8}T[0-9]{6}Z\.dump", re.ASCII)
FAILED = ".failed"


class Backup(Record):
    """The commands that dump and restore a database; they run in its container.

    ``snapshot`` prints the name of a snapshot of the data, then a line ``table rows`` for each table, then an empty
    line, and keeps the snapshot until its stdin ends. ``dump`` writes the data of ``{snapshot}`` to stdout, ``list``
    reads a dump on stdin and prints its contents. ``create`` creates the empty database ``{scratch}``, ``restore``
    fills it with the dump on its stdin, ``tables`` prints its ``table rows``, ``drop`` removes it if it exists.
    ``swap`` renames ``{database}`` to ``{former}`` and ``{scratch}`` to ``{database}``: both or neither.
    """

    database: str
    commands: Mapping[str, tuple[str, ...]]

    def command(self, name: str, scratch: str = "", snapshot: str = "") -> tuple[str, ...]:
        """Return the words of a command with its placeholders replaced."""
        values = {
            "{database}": self.database,
            "{scratch}": scratch,
            "{former}": self.former,
            "{snapshot}": snapshot,
        }
        words = []
        for word in self.commands[name]:
            for placeholder, value in values.items():
                word = word.replace(placeholder, value)
            words.append(word)
        return tuple(words)

    @property
    def check(self) -> str:
        """The database that a new dump is restored into to verify it."""
        return f"{self.database}_check"

    @property
    def restored(self) -> str:
        """The database that a dump is restored into before it replaces the one in use."""
        return f"{self.database}_restore"

    @property
    def former(self) -> str:
        """The name of the replaced database until the next restore."""
        return f"{self.database}_before_restore"


def parse_backup(raw: object, where: str) -> Backup | None:
    """Return the parsed ``x-slipway.backup``; raises InputError that names the faulty key."""
    if raw is None:
        return None
    if not isinstance(raw, dict):
        raise InputError(f"{where}: expected a mapping, got {raw!r}", "docs/compose-extension.md has the keys")
    known = ("name", *_COMMANDS)
    for key in (*raw, *known):
        if key not in known or key not in raw:
            word = "unknown" if key not in known else "missing"
            raise InputError(f"{where}: {word} key {key!r}", f"it has {', '.join(known)}")
    name = str(raw["name"])
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{where}.name: expected letters, digits, - and _, got {name!r}",
            "correct the Compose file, or the variable that it takes the name from",
        )
    return Backup(name, {key: _words(raw, key, where) for key in _COMMANDS})


def _words(raw: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    words = raw[key]
    if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
        raise InputError(f"{where}.{key}: expected a list of words, got {words!r}", "as in [pg_dump, --format=custom]")
    return tuple(words)


def counts(lines: Iterable[str]) -> dict[str, int]:
    """Return the number of rows by table, from lines ``table rows``; the name of a table may contain blanks."""
    counted = {}
    for line in lines:
        table, _, rows = line.strip().rpartition(" ")
        if table and rows.isdigit():
            counted[table] = int(rows)
    return counted


def differences(source: Mapping[str, int], copy: Mapping[str, int]) -> tuple[str, ...]:
    """Return the differences between the row counts of the source and of a restored dump."""
    different = []
    for table in sorted({*source, *copy}):
        if table not in copy:
            different.append(f"table {table} is missing")
        elif table not in source:
            different.append(f"table {table} is not in the source")
        elif source[table] != copy[table]:
            different.append(f"table {table} has {copy[table]} rows, not {source[table]}")
    return tuple(different)


def surplus(names: Sequence[str], newest: str, keep: int) -> tuple[str, ...]:
    """Return the backups to remove so that ``keep`` are left, ``newest`` among them; 0 keeps all.

    Files with other names are not counted and never removed.
    """
    others = sorted(name for name in names if _OURS.fullmatch(name) and name != newest)
    return tuple(others[: max(len(others) - keep + 1, 0)]) if keep > 0 else ()
