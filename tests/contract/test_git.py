"""Versions from real git repositories: tags, shallow clones, no tag, no commit, no checkout."""

import re
import subprocess
from pathlib import Path

import pytest

from tasks.host import git
from tasks.plan.version import version

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
    found = version(git.facts(tmp_path / "shallow"))
    assert re.fullmatch(r"0\.0\.0-dev\.g[0-9a-f]{7}", found.text)
    assert "shallow" in found.reason


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
