"""The entries of the file of accepted findings (SCAN_IGNORE_FILE): which fields they need and what they may contain.

Each field carries its line number, so that an error message names file and line.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ...model.errors import InputError
from ...model.finding import printable
from ...model.lazy_pattern import lazy_pattern
from ...model.stack.extension import suggest
from .gate import AcceptedFinding

FIELDS = ("id", "where", "owner", "reason", "expires")
_NEEDED = ("id", "owner", "reason", "expires")
_DATE = lazy_pattern(r"\d{4}-\d{2}-\d{2}", re.ASCII)
EXAMPLE = "- {id: CVE-2026-1234, owner: ann@example.com, reason: not reachable, expires: 2027-01-31}"


@dataclass(frozen=True)
class AcceptedField:
    """A field as written in the file: its text and its line number."""

    text: str
    line: int


@dataclass(frozen=True)
class AcceptedEntry:
    """An entry as written in the file; ``line`` is the number of its first line."""

    fields: Mapping[str, AcceptedField]
    line: int


def read(entries: Sequence[AcceptedEntry], file: str) -> tuple[AcceptedFinding, ...]:
    """Return the accepted findings of a file; raises InputError that lists every fault with its line."""
    faults = [fault for entry in entries for fault in _faults(entry, file)]
    if faults:
        raise InputError("\n".join(faults), f"an entry looks like this: {EXAMPLE}")
    return tuple(
        AcceptedFinding(**{name: entry.fields[name].text if name in entry.fields else "" for name in FIELDS},
                 origin=f"{file}:{entry.line}")
        for entry in entries
    )  # fmt: skip


def _faults(entry: AcceptedEntry, file: str) -> list[str]:
    faults = []
    for name, field in entry.fields.items():
        place = f"{file}:{field.line}"
        if name not in FIELDS:
            faults.append(f"{place}: unknown field {printable(name)!r} ({suggest(name, FIELDS)})")
        elif name == "expires" and not _is_date(field.text):
            faults.append(f"{place}: expires: expected a date such as 2027-01-31, got {printable(field.text)!r}")
        elif name in _NEEDED and not field.text.strip():
            faults.append(f"{place}: {name}: is empty")
    missing = [name for name in _NEEDED if name not in entry.fields]
    return [*faults, *([f"{file}:{entry.line}: {', '.join(missing)}: missing"] if missing else [])]


def _is_date(text: str) -> bool:
    if not _DATE.fullmatch(text):
        return False
    try:
        datetime.strptime(text, "%Y-%m-%d")
    except ValueError:
        return False
    return True
