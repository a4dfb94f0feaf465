"""What became of a key of the Compose file."""

from collections.abc import Iterable, Mapping
from typing import Any

from ...model.record import Record
from .source import Position

# TRANSLATED: an object says the same. INFERRED: we added something that the Compose file does not say.
# IGNORED: it has no counterpart and changes nothing that the service relies on. REFUSED: without it the service does
# something else, so nothing is rendered unless `x-slipway.accept` has a reason for it.
TRANSLATED, INFERRED, IGNORED, REFUSED = "translated", "inferred", "ignored", "refused"
OUTCOMES = (REFUSED, IGNORED, INFERRED, TRANSLATED)  # what people have to read first


class KeyOutcome(Record):
    """What became of one key: ``key`` is its dotted path, ``into`` the fields of objects that say it now.

    ``reason`` is needed for everything but TRANSLATED, ``hint`` says for REFUSED what to do. ``accept`` is the word
    that ``x-slipway.accept`` may name for a refusal, "" where it can not be accepted.
    """

    kind: str
    key: str
    into: str = ""
    reason: str = ""
    hint: str = ""
    accept: str = ""

    def document(self, positions: Mapping[str, Position]) -> dict[str, Any]:
        """Return it as JSON data, with file and line where they are known."""
        place = position(self.key, positions)
        return {
            "outcome": self.kind,
            "key": self.key,
            "file": place.file if place else None,
            "line": place.line if place else None,
            "into": self.into or None,
            "reason": self.reason or None,
            "hint": self.hint or None,
            "accept": (self.accept or None) if self.kind == REFUSED else None,
        }


def translated(key: str, into: str) -> KeyOutcome:
    """Return that objects say the same as the key."""
    return KeyOutcome(TRANSLATED, key, into)


def inferred(key: str, into: str, reason: str) -> KeyOutcome:
    """Return that something was added that the Compose file does not say."""
    return KeyOutcome(INFERRED, key, into, reason)


def ignored(key: str, reason: str) -> KeyOutcome:
    """Return that a key has no counterpart."""
    return KeyOutcome(IGNORED, key, reason=reason)


def refused(key: str, reason: str, hint: str, accept: str = "") -> KeyOutcome:
    """Return that a key can not be translated, and that the service relies on it."""
    return KeyOutcome(REFUSED, key, reason=reason, hint=hint, accept=accept)


def position(key: str, positions: Mapping[str, Position]) -> Position | None:
    """Return where a key, or the nearest key around it, was written."""
    while key:
        if key in positions:
            return positions[key]
        key = key.rpartition(".")[0]
    return None


def order(outcomes: Iterable[KeyOutcome]) -> tuple[KeyOutcome, ...]:
    """Return outcomes in the order of a report: by what has to be read first, then by key."""
    return tuple(sorted(dict.fromkeys(outcomes), key=lambda outcome: (OUTCOMES.index(outcome.kind), outcome.key)))
