"""The agent's clone: what git does with what it fetches, and a clone that is no longer whole."""

import shutil
from pathlib import Path

import pytest
from signed_repository import Author, run

from tasks.gitops.clone import Clone, CorruptError
from tasks.gitops.plan.decision import APART, NEWER, OLDER, SAME, UNKNOWN
from tasks.model.errors import InputError, RefusedError


@pytest.fixture
def author(tmp_path: Path) -> Author:
    return Author(tmp_path)


def tip(clone: Clone) -> str:
    clone.fetch()
    return clone.tip()


def test_the_newest_commit_of_the_branch_is_found(author: Author) -> None:
    author.commit({"a": "1"})
    second = author.commit({"a": "2"})
    clone = author.clone()

    assert clone.whole(lambda: tip(clone)) == second
    assert [path.name for path in clone.checkout.iterdir()] == [".git"], "nothing is written before it is verified"


def test_commits_know_which_of_them_came_first(author: Author) -> None:
    first = author.commit()
    second = author.commit()
    author.git("reset", "--quiet", "--hard", first)
    author.git("commit", "--quiet", "--allow-empty", "--message=other")
    other = author.git("rev-parse", "HEAD")
    author.git("push", "--quiet", "origin", "HEAD:refs/tags/other")
    clone = author.clone()
    clone.whole(clone.fetch)

    assert clone.relation(second, second) == SAME
    assert clone.relation(second, first) == NEWER
    assert clone.relation(first, second) == OLDER
    assert clone.relation(second, other) == APART
    assert clone.relation(second, "f" * 40) == UNKNOWN


def test_the_files_of_a_commit_are_those_of_the_checkout_and_data_of_services_stays(author: Author) -> None:
    first = author.commit({"a": "1", "old/b": "1"})
    (author.work / "old" / "b").unlink()
    second = author.commit({"a": "2"})
    clone = author.clone()
    clone.whole(clone.fetch)

    clone.check_out(first)
    (clone.checkout / "data").mkdir()
    (clone.checkout / "data" / "rows").write_text("1")
    (clone.checkout / "a").write_text("edited")
    clone.check_out(second)
    assert (clone.checkout / "a").read_text() == "2"
    assert not (clone.checkout / "old").exists()
    assert (clone.checkout / "data" / "rows").read_text() == "1"


def test_what_is_fetched_runs_nothing_before_it_is_checked_out(author: Author, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hooks, a file system monitor, filters and submodules: what git of this user would run for such a repository."""
    ran = author.directory / "ran"
    trap = author.directory / "trap"
    trap.write_text(f'#!/bin/sh\necho "$0 $@" >> {ran}\ncat\n')
    trap.chmod(0o755)
    hooks = author.directory / "hooks"
    hooks.mkdir()
    for name in ("post-checkout", "reference-transaction", "post-index-change", "post-merge", "pre-auto-gc"):
        shutil.copy(trap, hooks / name)
    template = author.directory / "template"
    shutil.copytree(hooks, template / "hooks")
    settings = {
        "core.hooksPath": str(hooks),
        "init.templateDir": str(template),
        "core.fsmonitor": str(trap),
        "filter.evil.smudge": str(trap),
        "filter.evil.clean": str(trap),
        "diff.evil.textconv": str(trap),
        "submodule.recurse": "true",
        "fetch.recurseSubmodules": "true",
        "protocol.ext.allow": "always",
    }
    config = author.directory / "gitconfig"
    config.write_text("")
    author.commit(
        {
            ".gitattributes": "* filter=evil diff=evil\n",
            ".gitmodules": f'[submodule "x"]\n\tpath = x\n\turl = ext::{trap}\n\tupdate = !{trap}\n',
            "a": "1",
        }
    )
    for key, value in settings.items():
        run("git", "config", "--file", str(config), key, value)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    clone = author.clone()
    commit = clone.whole(lambda: tip(clone))
    author.git("commit", "--quiet", "--allow-empty", "--message=more")
    author.push()
    newer = clone.whole(lambda: tip(clone))
    clone.raw("commit", newer)
    clone.relation(newer, commit)
    clone.annotated_tags()

    assert not ran.exists(), ran.read_text()
    # The trap is one: the filter, which this user has configured, does run for a commit that is checked out.
    clone.check_out(commit)
    assert "trap" in ran.read_text()
    assert "hooks" not in ran.read_text()


@pytest.mark.parametrize("address", ["ext::sh -c touch% x", "git://example.com/x", "--upload-pack=touch x"])
def test_a_repository_is_not_asked_by_protocols_that_run_programs(author: Author, address: str) -> None:
    clone = Clone(author.directory / "state", address, "main")
    with pytest.raises(RefusedError, match="does not answer"):
        clone.whole(clone.fetch)
    assert not (author.directory / "x").exists()


@pytest.mark.parametrize("damage", ["objects", "HEAD", "pack", "config", "lock"])
def test_a_clone_that_is_corrupt_is_made_anew(author: Author, damage: str, capsys: pytest.CaptureFixture[str]) -> None:
    first = author.commit({"a": "1", "old": "1"})
    clone = author.clone()
    clone.whole(clone.fetch)
    clone.check_out(first)
    (author.work / "old").unlink()
    second = author.commit({"a": "2"})
    git_dir = author.directory / "state" / "clone.git"
    if damage == "objects":
        shutil.rmtree(git_dir / "objects")
    elif damage == "HEAD":
        (git_dir / "HEAD").write_text("\0\0")
    elif damage == "config":
        (git_dir / "config").write_text("[core\n")
    elif damage == "lock":
        (git_dir / "index.lock").touch()
    else:
        for path in (git_dir / "objects").rglob("*"):
            if path.is_file():
                path.chmod(0o644)
                path.write_bytes(b"")

    def bring() -> str:
        found = tip(clone)
        clone.check_out(found)
        return found

    assert clone.whole(bring) == second
    assert (clone.checkout / "a").read_text() == "2"
    assert "is made anew" in capsys.readouterr().err
    if damage != "HEAD":  # what was checked out is not known any more
        assert not (clone.checkout / "old").exists()


def test_a_repository_that_is_gone_is_no_reason_to_throw_the_clone_away(author: Author) -> None:
    author.commit({"a": "1"})
    clone = author.clone()
    clone.whole(clone.fetch)
    author.bare.rename(author.directory / "moved")

    with pytest.raises(RefusedError, match=r"shop\.git does not answer: .*does not"):
        clone.whole(clone.fetch)
    assert clone.tip()


def test_a_branch_that_is_gone_is_named(author: Author) -> None:
    author.commit()
    clone = Clone(author.directory / "state", str(author.bare), "production")
    with pytest.raises(InputError, match=r"GITOPS_BRANCH: .* has no branch production"):
        clone.whole(clone.fetch)


def test_replacements_of_commits_do_not_count(author: Author) -> None:
    """refs/replace would let another commit stand for a signed one."""
    good = author.commit({"a": "1"})
    evil = author.commit({"a": "evil"}, signed=False)
    author.git("push", "--quiet", "--force", "origin", f"{good}:main", f"{evil}:refs/replace/{good}")
    clone = author.clone()
    clone.whole(clone.fetch)
    git_dir = f"--git-dir={author.directory / 'state' / 'clone.git'}"
    run("git", git_dir, "fetch", "--quiet", str(author.bare), "refs/replace/*:refs/replace/*")
    assert "gpgsig" not in run("git", git_dir, "cat-file", "commit", good), "or this test shows nothing"

    assert "gpgsig" in clone.raw("commit", good)


def test_only_the_agents_user_can_read_the_clone(author: Author) -> None:
    author.commit()
    clone = author.clone()
    clone.whole(clone.fetch)
    assert (author.directory / "state").stat().st_mode & 0o077 == 0


def test_a_commit_that_does_not_exist_is_a_corrupt_clone(author: Author) -> None:
    author.commit()
    clone = author.clone()
    clone.whole(clone.fetch)
    with pytest.raises(CorruptError):
        clone.check_out("f" * 40)
