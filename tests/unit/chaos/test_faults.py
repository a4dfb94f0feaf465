"""The faults that can be made, and how much of each."""

import pytest

from tasks.chaos.plan.faults import FAULTS, amount, duration, fault, shown_amount
from tasks.model.errors import InputError


def test_a_fault_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(InputError, match="no fault 'tickle'") as refused:
        fault("tickle")
    assert "kill, stop, restart, pause, cut" in refused.value.hint


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("loss", "", 0.3),
        ("loss", "5%", 0.05),
        ("loss", "100", 1.0),
        ("cpu", "12.5%", 0.125),
        ("slow", "1s", 1.0),
        ("slow", "", 0.2),
        ("memory", "16MiB", 16 * 2**20),
        ("disk-full", "", 0.0),
        ("kill", "", 0.0),
    ],
)
def test_an_amount_is_what_the_helper_takes(name: str, text: str, value: float) -> None:
    assert amount(fault(name), text) == pytest.approx(value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("loss", "0%"),
        ("loss", "101%"),
        ("loss", "much"),
        ("slow", "5"),
        ("memory", "4 apples"),
        ("kill", "1"),
        ("cpu", "-1"),
    ],
)
def test_an_amount_that_is_none_is_refused(name: str, text: str) -> None:
    with pytest.raises(InputError, match="--amount"):
        amount(fault(name), text)


@pytest.mark.parametrize("text", ["", "0s", "ten"])
def test_a_fault_has_to_last(text: str) -> None:
    with pytest.raises(InputError, match="--for"):
        duration(text, "--for")


def test_every_default_amount_is_one() -> None:
    shown = {one.name: shown_amount(one, amount(one, "")) for one in FAULTS if one.unit}
    assert shown == {"loss": "30 %", "slow": "200 ms", "cpu": "10 %", "memory": "4.2 MB", "disk-full": "0 B"}
