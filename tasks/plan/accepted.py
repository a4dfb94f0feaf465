"""The file of findings that somebody answers for: what its entries may say.

The entries come with the line of each field, so that a fault names its place.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from .errors import InputError
from .extension import suggest
from .finding import printable
from .scan import Accepted

FIELDS = ("id", "where", "owner", "reason", "expires")
_NEEDED = ("id", "owner", "reason", "expires")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
EXAMPLE = "- {id: CVE-2026-1234, owner: ann@example.com, reason: not reachable, expires: 2027-01-31}"


@dataclass(frozen=True)
class Field:
    """A field as it is written: its text, and the line."""

    text: str
    line: int


@dataclass(frozen=True)
class Raw:
    """An entry as it is written; ``line`` is its first."""

    fields: Mapping[str, Field]
    line: int


def read(entries: Sequence[Raw], file: str) -> tuple[Accepted, ...]:
    """Return the entries of a file; raises InputError that lists every fault with its line."""
    faults = [fault for one in entries for fault in _faults(one, file)]
    if faults:
        raise InputError("\n".join(faults), f"an entry looks like this: {EXAMPLE}")
    return tuple(
        Accepted(**{name: one.fields[name].text if name in one.fields else "" for name in FIELDS},
                 origin=f"{file}:{one.line}")
        for one in entries
    )  # fmt: skip


def _faults(entry: Raw, file: str) -> list[str]:
    found = []
    for name, field in entry.fields.items():
        place = f"{file}:{field.line}"
        if name not in FIELDS:
            found.append(f"{place}: unknown field {printable(name)!r} ({suggest(name, FIELDS)})")
        elif name == "expires" and not _is_date(field.text):
            found.append(f"{place}: expires: expected a date such as 2027-01-31, got {printable(field.text)!r}")
        elif name in _NEEDED and not field.text.strip():
            found.append(f"{place}: {name}: is empty")
    missing = [name for name in _NEEDED if name not in entry.fields]
    return [*found, *([f"{file}:{entry.line}: {', '.join(missing)}: missing"] if missing else [])]


def _is_date(text: str) -> bool:
    if not _DATE.fullmatch(text):
        return False
    try:
        datetime.strptime(text, "%Y-%m-%d")
    except ValueError:
        return False
    return True
