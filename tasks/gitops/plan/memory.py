"""What an agent remembers of an environment, and what people have told it, as data that the engine keeps.

Times are RFC 3339 in UTC and whole seconds, so that texts compare as times do.
"""

from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from typing import Any, TypeVar

from ...model.quoting import cut
from ...model.record import Record

# How a deploy of a commit ended. REFUSED: nothing was changed, and it is tried again.
DEPLOYED, UNCHANGED, ROLLED_BACK, FAILED, PAUSED, REFUSED = (
    "deployed", "unchanged", "rolled-back", "failed", "paused", "refused",
)  # fmt: skip
GOOD = (DEPLOYED, UNCHANGED)
_REASON = 600  # characters of a reason that are remembered

Kept = TypeVar("Kept", bound=Record)


class Attempt(Record):
    """How a deploy by the agent ended: ``at`` is when, ``release`` what served afterwards (0: nothing).

    ``signer`` is who signed the commit.
    """

    commit: str
    outcome: str
    at: str
    release: int = 0
    reason: str = ""
    signer: str = ""

    @property
    def good(self) -> bool:
        """Whether the commit serves since then."""
        return self.outcome in GOOD


class Told(Record):
    """The commit status that was told last."""

    commit: str = ""
    state: str = ""
    description: str = ""


class Memory(Record):
    """What the agent remembers: its last attempt, the times of its heals, what it told, and what is wrong since when.

    ``held`` is the commit of the branch that it does not deploy, with the reason in ``problem``.
    """

    attempt: Attempt | None = None
    heals: tuple[str, ...] = ()
    told: Told = Told()
    held: str = ""
    problem: str = ""
    since: str = ""

    def document(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return asdict(self)

    def with_problem(self, problem: str, now: str, held: str = "") -> "Memory":
        """Return it with what is wrong, "" for nothing; the same problem began when it was first seen."""
        problem = cut(problem, _REASON)
        since = self.since if problem == self.problem else now
        return replace(self, problem=problem, since=since if problem else "", held=held)

    def after(self, attempt: Attempt, healed: bool, window: str) -> "Memory":
        """Return it after an attempt; of the heals, those since ``window`` are remembered."""
        attempt = replace(attempt, reason=cut(attempt.reason, _REASON))
        heals = (*(time for time in self.heals if time >= window), *([attempt.at] if healed else ()))
        return replace(self, attempt=attempt, heals=heals, problem="", since="", held="")


class Orders(Record):
    """What people have told the agent: to do nothing (with whom, when and why), or to go on.

    ``again`` is the time of the attempt after which it shall try the same commit once more, ``rewritten`` that of the
    attempt after which the branch may have another history. No clock is compared with another one: the order is over
    with the next attempt.
    """

    suspended: str = ""
    by: str = ""
    reason: str = ""
    again: str = ""
    rewritten: str = ""

    def document(self) -> dict[str, Any]:
        """Return them as JSON data."""
        return asdict(self)


def memory_from(document: Any) -> Memory:
    """Return the memory that a document describes; an empty one for what is not understood."""
    given = _given(Memory, document)
    attempt = _record(Attempt, given.get("attempt"))
    told = _record(Told, given.get("told")) or Told()
    try:
        return Memory(**{**given, "attempt": attempt, "told": told, "heals": tuple(given.get("heals") or ())})
    except TypeError:
        return Memory()


def orders_from(document: Any) -> Orders:
    """Return the orders that a document describes; none for what is not understood."""
    return _record(Orders, document) or Orders()


def _given(kind: type[Record], document: Any) -> dict[str, Any]:
    names = {one.name for one in fields(kind)}
    return {key: value for key, value in document.items() if key in names} if isinstance(document, Mapping) else {}


def _record(kind: type[Kept], document: Any) -> Kept | None:
    given = _given(kind, document)
    try:
        return kind(**given) if given else None
    except TypeError:
        return None
