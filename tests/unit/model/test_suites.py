"""The result type of test suites."""

import pytest

from tasks.model.suite import FAILED, FLAKY, INVALID, PASSED, SKIPPED, UNCHANGED, SuiteResult, outcome


@pytest.mark.parametrize(
    ("word", "good"),
    [(PASSED, True), (FLAKY, True), (SKIPPED, True), (UNCHANGED, True), (FAILED, False), (INVALID, False)],
)
def test_only_failed_and_invalid_suites_are_not_good(word: str, good: bool) -> None:
    assert SuiteResult("unit", word).good is good


def test_one_bad_suite_fails_the_run() -> None:
    assert outcome([SuiteResult("unit", PASSED), SuiteResult("smoke", INVALID)]) == FAILED


def test_a_run_in_which_nothing_ran_has_not_passed() -> None:
    assert outcome([SuiteResult("unit", SKIPPED)]) == SKIPPED
    assert outcome([SuiteResult("unit", SKIPPED), SuiteResult("smoke", UNCHANGED)]) == PASSED


def test_the_document_leaves_out_what_a_failure_printed() -> None:
    document = SuiteResult("unit", FAILED, output="panic", seconds=1.2345, reports=("r/unit",)).document()

    assert "output" not in document
    assert (document["seconds"], document["reports"], document["reason"]) == (1.23, ["r/unit"], None)
