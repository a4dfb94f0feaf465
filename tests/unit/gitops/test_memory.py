"""What the agent remembers goes through JSON and back, whatever is in it."""

import json

import pytest

from tasks.gitops.plan.memory import Attempt, Memory, Orders, Told, memory_from, orders_from

NOON, LATER = "2026-11-30T12:00:00Z", "2026-11-30T13:00:00Z"
KNOWN = Memory(Attempt("a" * 40, "failed", NOON, 3, "why", "ann"), (NOON,), Told("a", "failure", "why"), "b", "p", NOON)


def test_memory_and_orders_come_back_as_they_were_kept() -> None:
    assert memory_from(json.loads(json.dumps(KNOWN.document()))) == KNOWN
    assert memory_from(json.loads(json.dumps(Memory().document()))) == Memory()
    orders = Orders(NOON, "ann@desk", "a fair", NOON, LATER)
    assert orders_from(json.loads(json.dumps(orders.document()))) == orders


@pytest.mark.parametrize("document", [None, [], "text", {"attempt": {"commit": "a"}}, {"attempt": 1, "told": "x"}])
def test_what_is_not_understood_is_no_memory(document: object) -> None:
    assert memory_from(document) == Memory()
    assert orders_from(document) == Orders()


def test_what_a_later_version_adds_is_left_out() -> None:
    assert memory_from({**KNOWN.document(), "more": 1}) == KNOWN


def test_a_problem_begins_when_it_was_first_seen() -> None:
    first = Memory().with_problem("gone", NOON)
    assert first.with_problem("gone", LATER).since == NOON
    assert first.with_problem("other", LATER).since == LATER
    assert first.with_problem("", LATER) == Memory()


def test_a_long_reason_is_shortened() -> None:
    assert len(Memory().with_problem("x" * 5000, NOON).problem) < 700
    assert len((Memory().after(Attempt("a", "failed", NOON, 0, "x" * 5000), False, NOON).attempt or KNOWN).reason) < 700  # type: ignore[union-attr]


def test_heals_are_remembered_as_long_as_they_count() -> None:
    healed = Memory(heals=("2026-11-30T10:00:00Z", NOON)).after(Attempt("a", "deployed", LATER, 1), True, NOON)
    assert healed.heals == (NOON, LATER)
    assert Memory().after(Attempt("a", "deployed", LATER, 1), False, NOON).heals == ()
