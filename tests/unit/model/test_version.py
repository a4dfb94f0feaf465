"""Versions and tags from the state of the git checkout."""

import re

import pytest

from tasks.model.version import (
    EPOCH,
    UNVERSIONED,
    GitFacts,
    Version,
    greatest,
    number,
    tags,
    version,
    version_tags_by_commit,
    withhold_moving_tags,
)

COMMIT = "1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d"
# https://semver.org/#is-there-a-suggested-regular-expression-regex-to-check-a-semver-string
SEMVER = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?"
    r"(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?"
)
# https://github.com/distribution/reference: tag
IMAGE_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


def text(**facts: object) -> str:
    return version(GitFacts(commit=COMMIT, **facts)).text  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"tag": "v1.4.2"}, "1.4.2"),
        ({"tag": "v0.0.0"}, "0.0.0"),
        ({"tag": "v1.4.2", "distance": 5}, "1.4.3-dev.5.g1a2b3c4"),
        ({"tag": "v1.9.9", "distance": 1}, "1.9.10-dev.1.g1a2b3c4"),
        ({"tag": "v1.4.2", "dirty": True}, "1.4.2-dirty"),
        ({"tag": "v1.4.2", "distance": 5, "dirty": True}, "1.4.3-dev.5.g1a2b3c4-dirty"),
        ({"tag": "v2.0.0-rc.1"}, "2.0.0-rc.1"),
        ({"tag": "v2.0.0-rc.1", "distance": 3}, "2.0.0-rc.1.dev.3.g1a2b3c4"),
        ({"tag": "v2.0.0-rc-1"}, "2.0.0-rc-1"),
        ({"tag": "v1.4.2+build.7"}, "1.4.2"),
        ({"tag": "v1.4.2+build-7"}, "1.4.2"),
        ({"tag": "v1.4.2-rc.1+build.7"}, "1.4.2-rc.1"),
        ({"tag": "v1.4.2+build.7", "distance": 2}, "1.4.3-dev.2.g1a2b3c4"),
        ({"tag": "v1.4.2-rc.1+build.7", "distance": 2}, "1.4.2-rc.1.dev.2.g1a2b3c4"),
        ({"tag": ""}, "0.0.0-dev.g1a2b3c4"),
        ({"tag": "", "dirty": True}, "0.0.0-dev.g1a2b3c4-dirty"),
        ({"tag": "", "shallow": True}, "0.0.0-dev.g1a2b3c4"),
    ],
)
def test_the_version_follows_from_the_nearest_tag(facts: dict[str, object], expected: str) -> None:
    assert text(**facts) == expected


@pytest.mark.parametrize(
    "tag",
    [
        "1.4.2",
        "v1.4",
        "v1",
        "v01.4.2",
        "v1.04.2",
        "v1.4.2.1",
        "v1.4.2-",
        "v1.4.2-a..b",
        "version-1",
        "v1.4.2_3",
        "V1.4.2",
    ],
)
def test_a_tag_that_is_no_semantic_version_counts_as_no_tag(tag: str) -> None:
    assert text(tag=tag, distance=4) == "0.0.0-dev.g1a2b3c4"


def test_a_pre_release_number_with_a_leading_zero_is_no_semantic_version() -> None:
    assert text(tag="v1.0.0-rc.01") == "0.0.0-dev.g1a2b3c4"


@pytest.mark.parametrize(
    ("prefix", "tag", "expected"),
    [
        ("", "v1.4.2", "1.4.2"),
        ("", "v1.4.2+build.7", "1.4.2"),
        ("", "release-2024-05", ""),
        ("", "v2024.05.01", ""),
        ("", "shop/v1.4.2", ""),
        ("shop/", "shop/v1.4.2", "1.4.2"),
        ("shop/", "shop/1.4.2-rc.1", "1.4.2-rc.1"),
        ("shop/", "v1.4.2", ""),
        ("shop/", "workshop/v1.4.2", ""),
        ("shop-v", "shop-v1.4.2", "1.4.2"),
        ("shop-v", "shop-vv1.4.2", ""),
        ("shop-v", "shop-1.4.2", ""),
    ],
)
def test_a_version_tag_is_the_prefix_and_a_semantic_version(prefix: str, tag: str, expected: str) -> None:
    assert str(number(tag, prefix) or "") == expected


def test_versions_are_ordered_as_semver_orders_them() -> None:
    # https://semver.org/#spec-item-11
    ordered = "1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 1.0.0 1.0.10"
    names = [f"v{version_text}" for version_text in ordered.split()]
    assert sorted(reversed(names), key=lambda tag: number(tag).order) == names  # type: ignore[union-attr]


def test_of_several_tags_on_a_commit_the_greatest_version_counts() -> None:
    assert greatest(["v1.5.0-rc.1", "nightly", "v1.5.0", "v1.5.0-rc.2", "v9.9.9.9"]) == "v1.5.0"
    assert greatest(["nightly"]) == ""


def test_tags_are_known_by_the_commit_that_they_stand_for() -> None:
    listing = """commit|aaa|||v1.0.0
tag|111|commit|bbb|v1.1.0-rc.1
commit|bbb|||v1.1.0
blob|ccc|||v3.0.0
tag|222|tag|ddd|v4.0.0
commit|eee|||odd|name"""
    assert version_tags_by_commit(listing) == {"aaa": "v1.0.0", "bbb": "v1.1.0"}


def test_a_prefix_is_no_part_of_the_version_and_is_named_where_no_tag_has_it() -> None:
    assert text(tag="shop/v1.4.2", prefix="shop/") == "1.4.2"
    assert version(GitFacts(commit=COMMIT, prefix="shop/")).reason == "no shop/vX.Y.Z tag"
    assert version(GitFacts(commit=COMMIT, prefix="shop-v")).reason == "no shop-vX.Y.Z tag"


def test_outside_a_checkout_there_is_no_commit_to_name() -> None:
    assert version(GitFacts()) == Version("0.0.0-dev", "", EPOCH, False, "no git commit")


def test_before_the_first_commit_an_uncommitted_change_changes_nothing() -> None:
    assert version(GitFacts(dirty=True)).text == "0.0.0-dev"


def test_the_build_time_is_the_time_of_the_commit_and_not_of_the_build() -> None:
    assert version(GitFacts(commit=COMMIT, committed="2026-05-06T07:08:09Z")).build_time == "2026-05-06T07:08:09Z"


def test_the_reason_says_that_a_shallow_clone_lacks_the_tags() -> None:
    assert version(GitFacts(commit=COMMIT, shallow=True)).reason == "no vX.Y.Z tag in a shallow clone"
    assert version(GitFacts(commit=COMMIT)).reason == "no vX.Y.Z tag"


def test_a_shallow_clone_of_a_tagged_commit_has_the_tags_version() -> None:
    assert text(tag="v1.4.2", shallow=True) == "1.4.2"


@pytest.mark.parametrize(
    ("facts", "release"),
    [
        ({"tag": "v1.4.2"}, True),
        ({"tag": "v1.4.2", "dirty": True}, False),
        ({"tag": "v1.4.2", "distance": 1}, False),
        ({"tag": ""}, False),
    ],
)
def test_only_a_clean_checkout_of_a_tag_is_a_release(facts: dict[str, object], release: bool) -> None:
    assert version(GitFacts(commit=COMMIT, **facts)).release is release  # type: ignore[arg-type]


def test_the_short_commit_has_seven_characters_and_is_unknown_without_one() -> None:
    assert version(GitFacts(commit=COMMIT)).short_commit == "1a2b3c4"
    assert version(GitFacts()).short_commit == "unknown"


@pytest.mark.parametrize("tag", ["", "v1.4.2", "v2.0.0-rc.1", "v1.4.2+b", "v1.0.0-x-y-z.7", "odd"])
@pytest.mark.parametrize("distance", [0, 1, 12345])
@pytest.mark.parametrize("dirty", [False, True])
def test_every_version_is_a_semantic_version_and_every_tag_an_image_tag(tag: str, distance: int, dirty: bool) -> None:
    built = version(GitFacts(commit="0" * 40, tag=tag, distance=distance, dirty=dirty))

    assert SEMVER.fullmatch(built.text)
    assert all(IMAGE_TAG.fullmatch(name) for name, _ in tags(built, "dev"))


def carried(environment_tag: str = "staging", **facts: object) -> list[str]:
    return [tag for tag, _ in tags(version(GitFacts(commit=COMMIT, **facts)), environment_tag)]  # type: ignore[arg-type]


def test_a_release_also_carries_minor_major_and_latest() -> None:
    assert carried(tag="v1.4.2") == ["staging", "1.4.2", "sha-1a2b3c4", "1.4", "1", "latest"]


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        (("v1.4.1", "v1.3.9", "v0.9.0"), ["1.4", "1", "latest"]),
        (("v1.4.2+build.8",), ["1.4", "1", "latest"]),
        (("v2.0.0-rc.1", "v1.4.3-rc.1", "v2024.05.01", "v1.4.2.1", "shop/v3.0.0"), ["1.4", "1", "latest"]),
        (("v2.0.0",), ["1.4", "1"]),
        (("v1.5.0",), ["1.4"]),
        (("v1.4.10",), []),
        (("v1.5.0", "v2.0.0"), ["1.4"]),
    ],
)
def test_a_moving_tag_is_left_to_a_greater_release_of_its_line(others: tuple[str, ...], expected: list[str]) -> None:
    assert carried(tag="v1.4.2", tags=("v1.4.2", *others))[3:] == expected


def test_greater_releases_that_become_known_later_count_too() -> None:
    built = version(GitFacts(commit=COMMIT, tag="v1.4.2", tags=("v1.4.2", "v1.5.0")))
    later = withhold_moving_tags(built, ["v2.0.0", "v1.4.3", "v1.0.0"])
    assert dict(later.withheld) == {"latest": "2.0.0", "1": "1.5.0", "1.4": "1.4.3"}
    assert withhold_moving_tags(version(GitFacts(commit=COMMIT, tag="v1.4.2", distance=1)), ["v2.0.0"]).withheld == ()


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"tag": "v1.4.2", "distance": 5}, ["staging", "1.4.3-dev.5.g1a2b3c4", "sha-1a2b3c4"]),
        ({"tag": "v2.0.0-rc.1"}, ["staging", "2.0.0-rc.1", "sha-1a2b3c4"]),
        ({"tag": ""}, ["staging", "0.0.0-dev.g1a2b3c4", "sha-1a2b3c4"]),
    ],
)
def test_what_is_no_release_never_moves_latest(facts: dict[str, object], expected: list[str]) -> None:
    assert carried(**facts) == expected


@pytest.mark.parametrize("stage", ["development", "Debug", "tester"])
def test_a_stage_made_for_work_never_takes_the_tags_of_a_release(stage: str) -> None:
    release = version(GitFacts(commit=COMMIT, tag="v1.4.2"))
    assert [tag for tag, _ in tags(release, "dev", stage)] == ["dev", f"1.4.2-{stage}", f"sha-1a2b3c4-{stage}"]
    assert tags(release, "dev", "production") == tags(release, "dev")


def test_an_uncommitted_change_does_not_carry_the_commits_tag() -> None:
    assert carried(tag="v1.4.2", dirty=True) == ["staging", "1.4.2-dirty"]


def test_outside_a_checkout_there_is_no_commit_tag() -> None:
    assert [tag for tag, _ in tags(version(GitFacts()), "dev")] == ["dev", "0.0.0-dev"]


def test_an_environment_tag_that_is_one_of_the_others_is_carried_once() -> None:
    assert carried("latest", tag="v1.4.2") == ["latest", "1.4.2", "sha-1a2b3c4", "1.4", "1"]
    assert carried("1.4.2", tag="v1.4.2") == ["1.4.2", "sha-1a2b3c4", "1.4", "1", "latest"]


def test_without_an_environment_tag_the_version_comes_first() -> None:
    assert carried("", tag="") == ["0.0.0-dev.g1a2b3c4", "sha-1a2b3c4"]


def test_every_tag_has_its_reason() -> None:
    assert dict(tags(version(GitFacts(commit=COMMIT, tag="v1.4.2", distance=5)), "dev")) == {
        "dev": "the tag that the Compose file names",
        "1.4.3-dev.5.g1a2b3c4": "exact version (5 commits after v1.4.2)",
        "sha-1a2b3c4": "the commit",
    }


def test_an_image_without_a_version_carries_only_the_tag_that_the_compose_file_names() -> None:
    assert tags(UNVERSIONED, "trixie") == (("trixie", "the tag that the Compose file names"),)
