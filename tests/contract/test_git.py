"""Versions from real git repositories: tags, shallow clones, no tag, no commit, no checkout."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tasks.deploy.plan import agreed
from tasks.host import git
from tasks.model.version import version, withhold_moving_tags

IDENTITY = (
    "-c",
    "user.name=t",
    "-c",
    "user.email=t@example.com",
    "-c",
    "commit.gpgsign=false",
    "-c",
    "tag.gpgsign=false",
)


def run(directory: Path, *words: str) -> None:
    subprocess.run(["git", *IDENTITY, *words], cwd=directory, check=True, capture_output=True)


def commit(directory: Path, text: str) -> None:
    (directory / "file").write_text(text)
    run(directory, "add", "file")
    run(directory, "commit", "-m", text)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    made = tmp_path / "repository"
    made.mkdir()
    run(made, "init", "-b", "main")
    commit(made, "one")
    return made


def test_a_tagged_commit_is_that_release(repository: Path) -> None:
    run(repository, "tag", "-a", "v1.4.2", "-m", "release")
    assert version(git.facts(repository)).text == "1.4.2"


def test_a_lightweight_tag_counts_too(repository: Path) -> None:
    run(repository, "tag", "v1.4.2")
    assert version(git.facts(repository)).text == "1.4.2"


def test_commits_after_a_tag_are_counted(repository: Path) -> None:
    run(repository, "tag", "v1.4.2")
    for text in "abcde":
        commit(repository, text)
    assert re.fullmatch(r"1\.4\.3-dev\.5\.g[0-9a-f]{7}", version(git.facts(repository)).text)


@pytest.mark.parametrize("change", ["edit", "untracked", "staged"])
def test_an_uncommitted_change_makes_it_dirty(repository: Path, change: str) -> None:
    run(repository, "tag", "v1.4.2")
    (repository / ("new" if change == "untracked" else "file")).write_text("changed")
    if change == "staged":
        run(repository, "add", "file")
    assert version(git.facts(repository)).text == "1.4.2-dirty"


@pytest.mark.parametrize("where", ["plan.json", "below/plan.json"])
def test_a_plan_in_the_checkout_is_no_change_of_it(repository: Path, where: str) -> None:
    run(repository, "tag", "v1.4.2")
    (repository / "below").mkdir()
    (repository / "below" / "known").write_text("known")
    run(repository, "add", "below")
    run(repository, "commit", "-m", "below")
    run(repository, "tag", "v1.4.3")
    plan = json.dumps({"schema": agreed.SCHEMA, "environment": "prod"}, indent=1)
    (repository / where).write_text(plan)
    assert version(git.facts(repository / "below")).text == "1.4.3"
    (repository / "other.json").write_text('{"schema": "slipway/deploy.plan/v1"}')
    assert version(git.facts(repository)).text == "1.4.3-dirty"
    (repository / "other.json").unlink()
    (repository / "file").write_text(plan)
    assert version(git.facts(repository)).text == "1.4.3-dirty", "the file is one of the checkout's own"


def test_a_tag_that_is_no_version_is_passed_over(repository: Path) -> None:
    run(repository, "tag", "v1.4.2")
    commit(repository, "two")
    run(repository, "tag", "nightly")
    assert version(git.facts(repository)).text.startswith("1.4.3-dev.1.g")


def test_without_a_tag_nothing_is_counted(repository: Path) -> None:
    assert re.fullmatch(r"0\.0\.0-dev\.g[0-9a-f]{7}", version(git.facts(repository)).text)


def test_a_shallow_clone_with_the_tag_is_that_release(repository: Path, tmp_path: Path) -> None:
    commit(repository, "two")
    run(repository, "tag", "v2.0.0")
    run(tmp_path, "clone", "--depth", "1", "--branch", "v2.0.0", f"file://{repository}", "shallow")
    assert version(git.facts(tmp_path / "shallow")).text == "2.0.0"


def test_a_shallow_clone_beyond_the_tag_claims_no_number(repository: Path, tmp_path: Path) -> None:
    run(repository, "tag", "v2.0.0")
    for text in "ab":
        commit(repository, text)
    run(tmp_path, "clone", "--depth", "1", f"file://{repository}", "shallow")
    result = version(git.facts(tmp_path / "shallow"))
    assert re.fullmatch(r"0\.0\.0-dev\.g[0-9a-f]{7}", result.text)
    assert "shallow" in result.reason


def test_a_subdirectory_is_part_of_its_checkout(repository: Path) -> None:
    run(repository, "tag", "v1.0.0")
    (repository / "sub").mkdir()
    assert version(git.facts(repository / "sub")).text == "1.0.0"


def test_before_the_first_commit_and_outside_a_checkout_there_is_a_version_too(tmp_path: Path) -> None:
    assert version(git.facts(tmp_path)).text == "0.0.0-dev"
    run(tmp_path, "init")
    assert version(git.facts(tmp_path)).text == "0.0.0-dev"


def test_the_build_time_is_that_of_the_commit_in_utc(repository: Path) -> None:
    when = "2026-03-01T12:30:00+02:00"
    subprocess.run(
        ["git", *IDENTITY, "commit", "--allow-empty", "-m", "dated", "--date", when],
        cwd=repository, check=True, capture_output=True, env={"GIT_COMMITTER_DATE": when, "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert version(git.facts(repository)).build_time == "2026-03-01T10:30:00Z"


@pytest.mark.parametrize("other", ["v1.4.2.1", "v2024.05.01", "release-2024-05", "v1.5.0_1"])
def test_a_nearer_tag_that_only_looks_like_a_version_is_passed_over(repository: Path, other: str) -> None:
    run(repository, "tag", "v1.4.2")
    commit(repository, "two")
    run(repository, "tag", other)
    assert version(git.facts(repository)).text.startswith("1.4.3-dev.1.g")


def test_a_candidate_and_its_release_on_one_commit_are_the_release(repository: Path) -> None:
    run(repository, "tag", "v1.5.0")
    run(repository, "tag", "-a", "v1.5.0-rc.1", "-m", "the younger tag")
    assert version(git.facts(repository)).text == "1.5.0"


def test_a_hotfix_of_an_older_line_is_its_own_version_and_takes_no_tag_of_a_newer_one(repository: Path) -> None:
    run(repository, "tag", "v1.4.2")
    commit(repository, "two")
    run(repository, "tag", "v2.0.0")
    run(repository, "checkout", "v1.4.2")
    commit(repository, "hotfix")
    assert version(git.facts(repository)).text.startswith("1.4.3-dev.1.g")
    run(repository, "tag", "v1.4.3")
    result = version(git.facts(repository))
    assert result.text == "1.4.3"
    assert dict(result.withheld) == {"latest": "2.0.0"}


def test_after_a_hotfix_was_merged_the_greater_version_still_counts(repository: Path) -> None:
    run(repository, "tag", "v1.4.2")
    commit(repository, "two")
    run(repository, "tag", "v2.0.0")
    run(repository, "checkout", "-b", "hotfix", "v1.4.2")
    for text in "abc":
        run(repository, "commit", "--allow-empty", "-m", text)
    run(repository, "tag", "v1.4.3")
    run(repository, "checkout", "main")
    run(repository, "merge", "--no-ff", "-m", "merge", "hotfix")
    # The merge and the three commits of the hotfix are not in v2.0.0.
    assert version(git.facts(repository)).text.startswith("2.0.1-dev.4.g")


def test_of_two_tags_on_the_way_the_nearer_counts_even_if_the_farther_is_greater(repository: Path) -> None:
    run(repository, "tag", "v9.0.0")
    commit(repository, "two")
    run(repository, "tag", "v1.0.0")
    commit(repository, "three")
    assert version(git.facts(repository)).text.startswith("1.0.1-dev.1.g")
    # A merge whose first parent is the farther tag.
    run(repository, "checkout", "-b", "side", "v9.0.0")
    run(repository, "merge", "--no-ff", "-m", "merge", "v1.0.0")
    assert version(git.facts(repository)).text.startswith("1.0.1-dev.1.g")


def test_each_project_of_a_repository_has_tags_of_its_own(repository: Path) -> None:
    run(repository, "tag", "shop/v1.4.2")
    commit(repository, "two")
    run(repository, "tag", "v3.0.0")
    run(repository, "tag", "desk/v7.0.0")
    result = version(git.facts(repository, "shop/"))
    assert result.text.startswith("1.4.3-dev.1.g")
    run(repository, "tag", "shop/v1.5.0")
    result = version(git.facts(repository, "shop/"))
    assert (result.text, result.withheld) == ("1.5.0", ())


def test_asking_writes_nothing_into_the_checkout(repository: Path) -> None:
    index = repository / ".git" / "index"
    before = index.read_bytes()
    os.utime(repository / "file", (2_000_000_000, 2_000_000_000))
    assert not git.facts(repository).dirty
    assert index.read_bytes() == before


def test_a_clone_of_one_tag_learns_from_its_remote_that_there_is_a_newer_release(
    repository: Path, tmp_path: Path
) -> None:
    run(repository, "tag", "v1.4.2")
    commit(repository, "two")
    run(repository, "tag", "v2.0.0")
    run(tmp_path, "clone", "--depth", "1", "--branch", "v1.4.2", f"file://{repository}", "shallow")
    result = version(git.facts(tmp_path / "shallow"))
    assert result.withheld == ()
    assert dict(withhold_moving_tags(result, git.remote_tags(tmp_path / "shallow")).withheld) == {"latest": "2.0.0"}


def test_without_a_remote_or_an_answer_of_it_there_is_nothing_to_learn(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert git.remote_tags(repository) == ()
    assert capsys.readouterr().err == ""
    run(repository, "remote", "add", "origin", f"file://{repository}-gone")
    assert git.remote_tags(repository) == ()
    assert "the git remote does not tell its tags" in capsys.readouterr().err
