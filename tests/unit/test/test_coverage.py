"""Tests of reading and merging Go coverage profiles, and of the coverage per package."""

import pytest

from tasks.model.errors import CheckError
from tasks.test.plan import coverage

PROFILE = """mode: set
example.com/app/a/one.go:1.2,3.4 3 1
example.com/app/a/one.go:5.1,6.2 1 0
example.com/app/b/two.go:1.1,2.2 4 0
"""


def test_the_share_is_of_statements_not_of_blocks() -> None:
    profile = coverage.parse(PROFILE, "c")
    assert (profile.share().statements, profile.share().covered) == (8, 3)
    assert profile.share().percent == 37.5
    assert {name: share.percent for name, share in profile.packages().items()} == {
        "example.com/app/a": 75.0,
        "example.com/app/b": 0.0,
    }


def test_a_block_that_several_test_binaries_report_counts_once() -> None:
    twice = PROFILE + "example.com/app/b/two.go:1.1,2.2 4 1\nexample.com/app/a/one.go:1.2,3.4 3 0\n"
    assert coverage.parse(twice, "c").share().percent == 87.5


def test_counts_are_added_and_sets_are_not() -> None:
    line = "a/x.go:1.1,2.2 1 2\n"
    assert coverage.parse(f"mode: count\n{line}{line}", "c").blocks["a/x.go:1.1,2.2"] == (1, 4)
    assert coverage.parse(f"mode: set\n{line}{line}", "c").blocks["a/x.go:1.1,2.2"] == (1, 2)


def test_a_merged_profile_covers_what_any_of_the_profiles_covers() -> None:
    other = coverage.parse("mode: count\nexample.com/app/b/two.go:1.1,2.2 4 7\n", "c")
    merged = coverage.merge([coverage.parse(PROFILE, "c"), other])
    assert merged.mode == "set"
    assert merged.share().percent == 87.5
    assert coverage.parse(merged.text(), "again") == merged


def test_without_statements_there_is_no_share() -> None:
    assert coverage.parse("mode: atomic\n", "c").share().percent is None


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1),
        ("mode: maybe\n", 1),
        ("coverage: 80%\n", 1),
        ("mode: set\nnonsense\n", 2),
        ("mode: set\na/x.go:1.1,2.2 1 0\na/x.go:1.1,2.2 5 1\n", 3),
    ],
)
def test_a_text_that_is_not_a_profile_is_refused_with_its_line(text: str, line: int) -> None:
    with pytest.raises(CheckError, match=f"c:{line}: is not a Go coverage profile"):
        coverage.parse(text, "c")
