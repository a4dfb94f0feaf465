"""How a deploy ended: from its exit code, the end of what it said, and its JSON document."""

from collections.abc import Mapping
from typing import Any

from ...model.record import Record
from .memory import DEPLOYED, FAILED, GOOD, REFUSED, ROLLED_BACK

_REFUSED, _FAILED = 3, 4  # exit codes: refused; failed
_HINT = "  hint: "


class DeployEnd(Record):
    """How a deploy ended: its exit code, its outcome in a word, and the error that it ended with."""

    code: int
    outcome: str
    reason: str = ""


def ended(code: int, said: str, document: Mapping[str, Any]) -> DeployEnd:
    """Return how a deploy ended. One that serves and then failed (a hook, a push) is no success either."""
    told = str(document.get("outcome", ""))
    if code == 0:
        return DeployEnd(code, told if told in GOOD else DEPLOYED)
    reason = last_error(said) or f"exit code {code}"
    if code == _REFUSED and told != ROLLED_BACK:
        return DeployEnd(code, REFUSED, reason)
    return DeployEnd(code, told if told and told not in GOOD else FAILED, reason)


def last_error(said: str) -> str:
    """Return the error that the last lines of a task's stderr end with: the line before the hint, or the last one."""
    lines = [line for line in said.splitlines() if line.strip()]
    while lines and lines[-1].startswith(_HINT):
        lines.pop()
    return lines[-1].strip() if lines else ""
