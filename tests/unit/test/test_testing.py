"""Tests of when an earlier result is reused, and of the results of a suite that was run several times."""

import json
from dataclasses import replace

import pytest
from support import built, image, inputs, profile, service, stack

from tasks.build.plan.stage_key import key, stage_parts
from tasks.model.suite import FAILED, FLAKY, INVALID, PASSED, SKIPPED, UNCHANGED, SuiteResult
from tasks.test.plan.cache import (
    KEPT,
    CacheEntry,
    Decision,
    combine_attempts,
    decide,
    differences,
    entries,
    explanation,
    flaky_record,
    results,
    retry_wanted,
    stack_parts,
    unchanged,
    with_entry,
)

PARTS = {"app: stage tester": "aaa", "COVERAGE_MIN": "80"}
TESTER = "FROM scratch AS tester\nFROM scratch AS production\n"


def entry(outcome: str = PASSED, run: str = "run-1", **parts: str) -> CacheEntry:
    """Return a remembered result."""
    return CacheEntry({**PARTS, **parts}, run, "2026-05-06T07:08:09Z", (SuiteResult("unit", outcome, tests=3),))


def decided(*known: CacheEntry, force: bool = False, parts: dict[str, str] = PARTS) -> Decision:
    """Return the decision when the reports of run-1 and run-2 are there."""
    return decide(known, parts, force, ["run-1", "run-2"])


def test_a_suite_that_passed_with_the_same_inputs_is_not_run_again() -> None:
    decision = decided(entry())

    assert (decision.run, decision.reason) == (False, "unchanged since run run-1, passed")


def test_the_order_of_the_parts_does_not_matter() -> None:
    assert key(PARTS) == key(dict(reversed(PARTS.items())))


def test_a_suite_without_an_earlier_result_runs() -> None:
    assert decided() == Decision(True, "no earlier run")


def test_a_suite_runs_when_an_input_changed_and_says_which() -> None:
    decision = decided(entry(COVERAGE_MIN="70"))

    assert decision == Decision(True, "changed since run run-1: COVERAGE_MIN")


def test_a_suite_runs_with_force() -> None:
    assert decided(entry(), force=True) == Decision(True, "--force")


@pytest.mark.parametrize("outcome", [FAILED, INVALID, FLAKY])
def test_a_result_that_is_not_a_pass_is_never_reused(outcome: str) -> None:
    assert decided(entry(outcome)) == Decision(True, f"run run-1 with the same inputs: {outcome}")


def test_a_result_with_one_failed_suite_of_several_is_not_reused() -> None:
    both = replace(entry(), results=(SuiteResult("integration", PASSED), SuiteResult("smoke", FAILED)))

    assert decided(both).run


def test_a_result_without_suites_is_not_reused() -> None:
    assert decided(replace(entry(), results=())).run


def test_a_failure_replaces_the_pass_with_the_same_inputs() -> None:
    known = with_entry([entry()], entry(FAILED, "run-2"))

    assert [item.run for item in known] == ["run-2"]
    assert decided(*known).run


def test_an_older_result_is_reused_when_the_inputs_come_back() -> None:
    known = with_entry([entry()], entry(run="run-2", COVERAGE_MIN="90"))

    assert decided(*known).entry == entry()


def test_a_limited_number_of_results_is_remembered() -> None:
    known: tuple[CacheEntry, ...] = ()
    for number in range(KEPT + 5):
        known = with_entry(known, entry(run=f"run-{number}", COVERAGE_MIN=str(number)))

    assert len(known) == KEPT
    assert known[0].run == f"run-{KEPT + 4}"


def test_a_suite_runs_when_the_reports_are_gone() -> None:
    assert decided(entry(run="run-9")) == Decision(True, "the reports of run run-9 are gone")


def test_an_unknown_input_is_never_unchanged() -> None:
    parts = {**PARTS, "web: stage tester": "unknown"}

    decision = decided(replace(entry(), parts=parts), parts=parts)

    assert key(parts) == ""
    assert decision == Decision(True, "it cannot be known whether this changed: web: stage tester")


def test_a_result_with_unknown_inputs_is_not_reused() -> None:
    parts = {"web: stage tester": "unknown"}

    assert not decided(*with_entry([], replace(entry(), parts=parts))).entry


def test_entries_are_read_back_from_their_document() -> None:
    known = (entry(), entry(FAILED, "run-2", COVERAGE_MIN="1"))

    assert entries(json.loads(json.dumps({"entries": [item.document() for item in known]}))) == known


@pytest.mark.parametrize(
    "document",
    [None, [], {}, {"entries": 3}, {"entries": [None, {}, {"parts": 1}, {"parts": {}, "run": "r", "time": "t"}]}],
)
def test_a_file_that_cannot_be_read_has_no_entry_to_reuse(document: object) -> None:
    assert not any(decide([item], PARTS, False, []).entry for item in entries(document))


@pytest.mark.parametrize("document", [None, {}, {"results": 1}, {"results": [{"name": "unit"}]}, {"results": ["x"]}])
def test_results_that_cannot_be_read_are_left_out(document: object) -> None:
    assert results(document) == ()


def test_unchanged_results_name_the_run_that_passed() -> None:
    result = unchanged(entry())[0]

    assert (result.outcome, result.reason, result.tests) == (UNCHANGED, "run-1", 3)


def test_a_skipped_result_stays_skipped() -> None:
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


def test_the_key_of_unit_tests_depends_on_the_stage_and_the_gates() -> None:
    web = service("web", build={"context": "/srv/web"}, image="shop/web:dev")
    parts = stage_parts([(web, "tester")], {"web": inputs(TESTER, "d1")}, built(), profile())

    for other in (
        stage_parts([(web, "tester")], {"web": inputs(TESTER, "d2")}, built(), profile()),
        stage_parts([(web, "tester")], {"web": inputs(TESTER, "d1")}, built(), profile(COVERAGE_MIN="80")),
        stage_parts([(web, "tester")], {"web": inputs(TESTER, "d1")}, built(), profile("prod")),
        stage_parts([(web, "production")], {"web": inputs(TESTER, "d1")}, built(), profile()),
        stage_parts([(web, "missing")], {"web": inputs(TESTER, "d1")}, built(), profile()),
    ):
        assert key(parts) != key(other)


def test_sources_that_cannot_be_read_here_are_unknown() -> None:
    web = service("web", build={"context": "https://example.com/web.git"}, image="shop/web:dev")

    assert key(stage_parts([(web, "tester")], {"web": inputs(TESTER, "")}, built(), profile())) == ""
    assert key(stack_parts(stack({"web": {"build": {"context": "x"}}}), {"web": inputs("", "")}, {}, "m")) == ""


def test_the_key_of_the_whole_stack_depends_on_sources_bases_images_and_the_model() -> None:
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
    """Return the results of an attempt."""
    return (SuiteResult(name, outcome, seconds=1.0, reason=reason, reports=(f"{outcome}.xml",)),)


def test_a_failed_suite_is_run_again_as_often_as_asked() -> None:
    assert [retry_wanted(attempt(FAILED), done, 2) for done in (1, 2, 3)] == [True, True, False]
    assert not retry_wanted(attempt(FAILED), 1, 0)


def test_an_invalid_result_is_run_again_and_a_pass_is_not() -> None:
    assert retry_wanted(attempt(INVALID), 1, 1)
    assert not retry_wanted(attempt(PASSED), 1, 1)
    assert not retry_wanted(attempt(SKIPPED), 1, 1)


def test_failed_and_then_passed_is_flaky_and_says_what_failed() -> None:
    result = combine_attempts([attempt(FAILED, "1 of 3 tests failed: TestClock"), attempt(PASSED)])[0]

    assert result.outcome == FLAKY
    assert result.reason == "failed in attempt 1, passed in attempt 2: 1 of 3 tests failed: TestClock"
    assert result.reports == ("failed.xml", "passed.xml")
    assert result.seconds == 2.0


def test_a_suite_that_fails_every_time_has_failed() -> None:
    assert combine_attempts([attempt(FAILED), attempt(FAILED)])[0].outcome == FAILED


def test_a_suite_that_passed_in_every_attempt_is_not_flaky_when_another_is() -> None:
    first = (*attempt(PASSED, name="integration"), *attempt(FAILED, "503", name="smoke"))
    second = (*attempt(PASSED, name="integration"), *attempt(PASSED, name="smoke"))

    assert [result.outcome for result in combine_attempts([first, second])] == [PASSED, FLAKY]


def test_passed_at_the_first_attempt_is_passed() -> None:
    assert combine_attempts([attempt(PASSED)]) == attempt(PASSED)


def test_the_ledger_says_when_where_and_what() -> None:
    failed = (replace(attempt(FAILED, "TestClock")[0], failed=("cart.TestClock",)),)
    result = combine_attempts([failed, attempt(PASSED)])[0]

    assert flaky_record(result, "run-1", "2026-05-06T07:08:09Z", "test", 2) == {
        "time": "2026-05-06T07:08:09Z",
        "run": "run-1",
        "environment": "test",
        "suite": "unit",
        "attempts": 2,
        "tests": ["cart.TestClock"],
        "reason": "failed in attempt 1, passed in attempt 2: TestClock",
    }
