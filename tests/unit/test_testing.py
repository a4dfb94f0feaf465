"""When a result still holds, and what a suite comes to that was run again."""

import json
from dataclasses import replace

import pytest
from support import built, image, inputs, profile, service, stack

from tasks.plan.suites import FAILED, FLAKY, INVALID, PASSED, SKIPPED, UNCHANGED, SuiteResult
from tasks.plan.testing import (
    KEPT,
    Decision,
    Entry,
    again,
    combined,
    decide,
    differences,
    entries,
    explanation,
    flaky_record,
    key,
    remembered,
    results,
    stack_parts,
    stage_parts,
    unchanged,
)

PARTS = {"app: stage tester": "aaa", "COVERAGE_MIN": "80"}
TESTER = "FROM scratch AS tester\nFROM scratch AS production\n"


def entry(outcome: str = PASSED, run: str = "run-1", **parts: str) -> Entry:
    """Return a remembered result."""
    return Entry({**PARTS, **parts}, run, "2026-05-06T07:08:09Z", (SuiteResult("unit", outcome, tests=3),))


def decided(*known: Entry, force: bool = False, parts: dict[str, str] = PARTS) -> Decision:
    """Return the decision when the reports of run-1 and run-2 are there."""
    return decide(known, parts, force, ["run-1", "run-2"])


def test_a_suite_that_passed_with_the_same_inputs_is_not_run_again() -> None:
    decision = decided(entry())

    assert (decision.run, decision.reason) == (False, "unchanged since run run-1, passed")


def test_the_order_of_the_parts_does_not_matter() -> None:
    assert key(PARTS) == key(dict(reversed(PARTS.items())))


def test_the_first_time_it_runs() -> None:
    assert decided() == Decision(True, "no earlier run")


def test_it_runs_when_an_input_changed_and_says_which() -> None:
    decision = decided(entry(COVERAGE_MIN="70"))

    assert decision == Decision(True, "changed since run run-1: COVERAGE_MIN")


def test_it_runs_when_asked_to() -> None:
    assert decided(entry(), force=True) == Decision(True, "--force")


@pytest.mark.parametrize("outcome", [FAILED, INVALID, FLAKY])
def test_what_did_not_pass_is_never_taken_for_a_pass(outcome: str) -> None:
    assert decided(entry(outcome)) == Decision(True, f"run run-1 with the same inputs: {outcome}")


def test_one_suite_of_several_that_failed_keeps_the_result_from_holding() -> None:
    both = replace(entry(), results=(SuiteResult("integration", PASSED), SuiteResult("smoke", FAILED)))

    assert decided(both).run


def test_a_result_without_suites_does_not_hold() -> None:
    assert decided(replace(entry(), results=())).run


def test_a_failure_drops_the_pass_with_the_same_inputs() -> None:
    known = remembered([entry()], entry(FAILED, "run-2"))

    assert [one.run for one in known] == ["run-2"]
    assert decided(*known).run


def test_an_older_result_holds_when_the_inputs_come_back() -> None:
    known = remembered([entry()], entry(run="run-2", COVERAGE_MIN="90"))

    assert decided(*known).entry == entry()


def test_only_so_many_results_are_remembered() -> None:
    known: tuple[Entry, ...] = ()
    for number in range(KEPT + 5):
        known = remembered(known, entry(run=f"run-{number}", COVERAGE_MIN=str(number)))

    assert len(known) == KEPT
    assert known[0].run == f"run-{KEPT + 4}"


def test_it_runs_when_the_reports_are_gone() -> None:
    assert decided(entry(run="run-9")) == Decision(True, "the reports of run run-9 are gone")


def test_what_cannot_be_known_is_never_unchanged() -> None:
    parts = {**PARTS, "web: stage tester": "unknown"}

    decision = decided(replace(entry(), parts=parts), parts=parts)

    assert key(parts) == ""
    assert decision == Decision(True, "it cannot be known whether this changed: web: stage tester")


def test_two_results_of_unknown_inputs_do_not_take_each_others_place() -> None:
    parts = {"web: stage tester": "unknown"}

    assert not decided(*remembered([], replace(entry(), parts=parts))).entry


def test_entries_survive_the_file() -> None:
    known = (entry(), entry(FAILED, "run-2", COVERAGE_MIN="1"))

    assert entries(json.loads(json.dumps({"entries": [one.document() for one in known]}))) == known


@pytest.mark.parametrize(
    "document",
    [None, [], {}, {"entries": 3}, {"entries": [None, {}, {"parts": 1}, {"parts": {}, "run": "r", "time": "t"}]}],
)
def test_a_file_that_is_not_understood_is_as_good_as_none(document: object) -> None:
    assert not any(decide([one], PARTS, False, []).entry for one in entries(document))


@pytest.mark.parametrize("document", [None, {}, {"results": 1}, {"results": [{"name": "unit"}]}, {"results": ["x"]}])
def test_results_that_are_not_understood_are_none(document: object) -> None:
    assert results(document) == ()


def test_unchanged_results_name_the_run_that_passed() -> None:
    one = unchanged(entry())[0]

    assert (one.outcome, one.reason, one.tests) == (UNCHANGED, "run-1", 3)


def test_what_was_skipped_stays_skipped() -> None:
    skipped = replace(entry(), results=(SuiteResult("security", SKIPPED, reason="no stage"),))

    assert decided(skipped).run is False
    assert unchanged(skipped)[0] == SuiteResult("security", SKIPPED, reason="no stage")


def test_the_explanation_shows_what_differs_from_the_newest_result() -> None:
    lines = explanation([entry(COVERAGE_MIN="70", gone="x")], {**PARTS, "new": "y"})

    assert lines == [
        ("app: stage tester", "aaa", ""),
        ("COVERAGE_MIN", "80", "was 70"),
        ("new", "y", "new"),
        ("gone", "x", "gone"),
    ]


def test_differences_include_what_is_new_and_what_is_gone() -> None:
    assert differences({"a": "1", "b": "2"}, {"b": "3", "c": "4"}) == ("a", "b", "c")


# What results depend on


def test_the_key_of_unit_tests_follows_the_stage_and_the_gates() -> None:
    web = service("web", build={"context": "/srv/web"}, image="shop/web:dev")
    one = stage_parts([(web, "tester")], {"web": inputs(TESTER, "d1")}, built(), profile())

    for other in (
        stage_parts([(web, "tester")], {"web": inputs(TESTER, "d2")}, built(), profile()),
        stage_parts([(web, "tester")], {"web": inputs(TESTER, "d1")}, built(), profile(COVERAGE_MIN="80")),
        stage_parts([(web, "tester")], {"web": inputs(TESTER, "d1")}, built(), profile("prod")),
        stage_parts([(web, "production")], {"web": inputs(TESTER, "d1")}, built(), profile()),
        stage_parts([(web, "missing")], {"web": inputs(TESTER, "d1")}, built(), profile()),
    ):
        assert key(one) != key(other)


def test_sources_that_cannot_be_read_here_are_unknown() -> None:
    web = service("web", build={"context": "https://example.com/web.git"}, image="shop/web:dev")

    assert key(stage_parts([(web, "tester")], {"web": inputs(TESTER, "")}, built(), profile())) == ""
    assert key(stack_parts(stack({"web": {"build": {"context": "x"}}}), {"web": inputs("", "")}, {}, "m")) == ""


def test_the_key_of_the_whole_stack_follows_sources_bases_images_and_the_model() -> None:
    shop = stack({"web": {"build": {"context": "/srv/web"}}, "cache": {"image": "redis:8"}})
    start = stack_parts(shop, {"web": inputs(contexts_digest="d1", base="i1")}, {"redis:8": image("r1").id}, "model")

    for other in (
        stack_parts(shop, {"web": inputs(contexts_digest="d2", base="i1")}, {"redis:8": "r1"}, "model"),
        stack_parts(shop, {"web": inputs(contexts_digest="d1", base="i2")}, {"redis:8": "r1"}, "model"),
        stack_parts(shop, {"web": inputs(contexts_digest="d1", base="i1")}, {"redis:8": "r2"}, "model"),
        stack_parts(shop, {"web": inputs(contexts_digest="d1", base="i1")}, {"redis:8": "r1"}, "other"),
    ):
        assert len(differences(start, other)) == 1


# Running again


def attempt(outcome: str, reason: str = "", name: str = "unit") -> tuple[SuiteResult, ...]:
    """Return what one attempt gave."""
    return (SuiteResult(name, outcome, seconds=1.0, reason=reason, reports=(f"{outcome}.xml",)),)


def test_a_failed_suite_is_run_again_as_often_as_asked() -> None:
    assert [again(attempt(FAILED), done, 2) for done in (1, 2, 3)] == [True, True, False]
    assert not again(attempt(FAILED), 1, 0)


def test_what_cannot_be_trusted_is_run_again_and_a_pass_is_not() -> None:
    assert again(attempt(INVALID), 1, 1)
    assert not again(attempt(PASSED), 1, 1)
    assert not again(attempt(SKIPPED), 1, 1)


def test_failed_and_then_passed_is_flaky_and_says_what_failed() -> None:
    one = combined([attempt(FAILED, "1 of 3 tests failed: TestClock"), attempt(PASSED)])[0]

    assert one.outcome == FLAKY
    assert one.reason == "failed in attempt 1, passed in attempt 2: 1 of 3 tests failed: TestClock"
    assert one.reports == ("failed.xml", "passed.xml")
    assert one.seconds == 2.0


def test_what_fails_every_time_has_failed() -> None:
    assert combined([attempt(FAILED), attempt(FAILED)])[0].outcome == FAILED


def test_a_suite_that_passed_beside_one_that_failed_is_not_flaky() -> None:
    first = (*attempt(PASSED, name="integration"), *attempt(FAILED, "503", name="smoke"))
    second = (*attempt(PASSED, name="integration"), *attempt(PASSED, name="smoke"))

    assert [one.outcome for one in combined([first, second])] == [PASSED, FLAKY]


def test_passed_at_once_is_passed() -> None:
    assert combined([attempt(PASSED)]) == attempt(PASSED)


def test_the_ledger_says_when_where_and_what() -> None:
    failed = (replace(attempt(FAILED, "TestClock")[0], failed=("cart.TestClock",)),)
    one = combined([failed, attempt(PASSED)])[0]

    assert flaky_record(one, "run-1", "2026-05-06T07:08:09Z", "test", 2) == {
        "time": "2026-05-06T07:08:09Z",
        "run": "run-1",
        "environment": "test",
        "suite": "unit",
        "attempts": 2,
        "tests": ["cart.TestClock"],
        "reason": "failed in attempt 1, passed in attempt 2: TestClock",
    }
