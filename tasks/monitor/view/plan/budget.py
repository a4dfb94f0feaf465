"""What is left of the error budgets: from the rules of the objectives, which have Sloth's names.

https://sloth.dev/usage/getting-started/
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ....model.record import Record
from ....telemetry.plan.series import Series

_SERVICE, _NAME = "sloth_service", "sloth_slo"
EXPRESSIONS = {
    name: f"max by ({_SERVICE}, {_NAME}) (slo:{metric}:ratio)"
    for name, metric in (
        ("objective", "objective"),
        ("left", "period_error_budget_remaining"),
        ("burn", "current_burn_rate"),
    )
}
"""The expressions for the objectives, for what is left of their budgets, and for how fast these are used."""


class ErrorBudget(Record):
    """A service level objective: shares from 0 to 1; ``left`` of the error budget, which is below 0 when it is spent.

    ``burn`` is how many times faster than allowed the budget is used at the moment. None for what is not known.
    """

    service: str
    name: str
    objective: float | None
    left: float | None
    burn: float | None

    def document(self) -> dict[str, Any]:
        """Return the objective as JSON data."""
        return {"service": self.service, "name": self.name, "objective": self.objective, "budget_left": self.left,
                "burn_rate": self.burn}  # fmt: skip


def objectives(answers: Mapping[str, Sequence[Series]]) -> tuple[ErrorBudget, ...]:
    """Return the objectives by service and name, from the answers to ``EXPRESSIONS``."""
    values = {name: _values(series) for name, series in answers.items()}
    known = sorted({key for of in values.values() for key in of})
    return tuple(
        ErrorBudget(*key, *(values.get(name, {}).get(key) for name in ("objective", "left", "burn"))) for key in known
    )


def _values(series: Iterable[Series]) -> dict[tuple[str, str], float]:
    return {(one.labels.get(_SERVICE, ""), one.labels.get(_NAME, "")): one.value for one in series}
