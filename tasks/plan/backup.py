"""Backups of the stack's database: what a service says under ``x-slipway.backup``, and what is made of it."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import InputError

_COMMANDS = ("snapshot", "dump", "list", "create", "restore", "tables", "swap", "drop")
# What a database is called goes into statements as it is.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*", re.ASCII)
_OURS = re.compile(r"[0-9]{8}T[0-9]{6}Z\.dump", re.ASCII)
FAILED = ".failed"


@dataclass(frozen=True)
class Backup:
    """How a database is dumped and restored, as commands that run in its container.

    ``snapshot`` prints a name for one view of the data, then ``table rows`` a line as that view has them, then an
    empty line, and keeps the view until its stdin ends. ``dump`` writes what ``{snapshot}`` shows to stdout, ``list``
    reads a dump on stdin and prints what is in it. ``create`` makes the empty database ``{scratch}``, ``restore`` fills
    it with the dump on its stdin, ``tables`` prints its ``table rows``, ``drop`` removes it if it is there. ``swap``
    makes it the ``{database}``, which becomes ``{former}``: both or nothing.
    """

    database: str
    commands: Mapping[str, tuple[str, ...]]

    def command(self, name: str, scratch: str = "", snapshot: str = "") -> tuple[str, ...]:
        """Return the words of one command."""
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
        """The database that a new dump is restored into to see whether it is whole."""
        return f"{self.database}_check"

    @property
    def restored(self) -> str:
        """The database that a dump is restored into before it takes the place of the one in use."""
        return f"{self.database}_restore"

    @property
    def former(self) -> str:
        """What the database that was replaced is called until the next restore."""
        return f"{self.database}_before_restore"


def parse_backup(raw: object, where: str) -> Backup | None:
    """Return what ``x-slipway.backup`` says; raises InputError that names the key at fault."""
    if raw is None:
        return None
    if not isinstance(raw, dict):
        raise InputError(f"{where}: expected a mapping, got {raw!r}", "see the Compose file reference in the README")
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
    """Return the rows of each table, from lines that say ``table rows``; a name may hold blanks."""
    found = {}
    for line in lines:
        table, _, rows = line.strip().rpartition(" ")
        if table and rows.isdigit():
            found[table] = int(rows)
    return found


def differences(source: Mapping[str, int], copy: Mapping[str, int]) -> tuple[str, ...]:
    """Return what a restored dump has other than the data that it was taken of."""
    found = []
    for table in sorted({*source, *copy}):
        if table not in copy:
            found.append(f"table {table} is missing")
        elif table not in source:
            found.append(f"table {table} is not in the source")
        elif source[table] != copy[table]:
            found.append(f"table {table} has {copy[table]} rows, not {source[table]}")
    return tuple(found)


def surplus(names: Sequence[str], newest: str, keep: int) -> tuple[str, ...]:
    """Return the backups to remove so that ``keep`` are left, ``newest`` among them; 0 keeps all.

    Other files are not ours.
    """
    others = sorted(name for name in names if _OURS.fullmatch(name) and name != newest)
    return tuple(others[: max(len(others) - keep + 1, 0)]) if keep > 0 else ()
