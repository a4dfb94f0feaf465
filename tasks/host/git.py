"""Reads a checkout with git."""

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from ..model.command import Command
from ..model.errors import CommandError
from ..model.version import PLAN_FILE, REF_FORMAT, GitFacts, greatest, version_tags_by_commit
from .output import note
from .runner import Pending, Result, start

_READ_ONLY = {"GIT_OPTIONAL_LOCKS": "0"}  # or `git status` would refresh the index, which is a write
_REMOTE = 20.0  # seconds
_HEAD = 100  # bytes of a plan that tell that it is one


def git_command(directory: Path | str, *words: str, stdin: str | None = None, **env: str) -> Command:
    """Return a git command that reads a checkout and writes nothing there."""
    return Command(("git", "-C", str(directory), *words), env={**_READ_ONLY, **env}, stdin=stdin)


def reason(result: Result) -> str:
    """Return why a git command failed: its first line that names a fault, a refused push (``!``) among them."""
    lines = [line.strip() for line in result.stderr.splitlines() if line.strip()]
    faults = [line for line in lines if line.startswith(("fatal:", "error:", "!"))]
    return (faults or lines or [f"exit code {result.exit_code}"])[0].removeprefix("fatal: ").removeprefix("error: ")


def start_facts(directory: Path) -> tuple[Pending, ...]:
    """Start all git commands that ``facts`` needs, in parallel: in turn they take more than twice as long."""
    date = "--date=format-local:%Y-%m-%dT%H:%M:%SZ"
    return (
        start(git_command(directory, "log", "-1", "--format=%H %cd", date, TZ="UTC")),
        start(git_command(directory, "status", "--porcelain")),
        start(git_command(directory, "rev-parse", "--is-shallow-repository")),
        start(git_command(directory, "for-each-ref", "--format=%(refname:strip=2)", "refs/tags")),
        start(git_command(directory, "for-each-ref", "--merged=HEAD", f"--format={REF_FORMAT}", "refs/tags")),
    )


def facts(directory: Path, prefix: str = "", asked: Iterable[Pending] = ()) -> GitFacts:
    """Return the git facts of the checkout that ``directory`` is in; empty outside a checkout.

    ``prefix`` is what version tags begin with (the profile's TAG_PREFIX), ``asked`` what ``ask`` has started.
    """
    log, status, depth, all_tags, reachable = (pending.result() for pending in tuple(asked) or start_facts(directory))
    if log.exit_code != 0:
        if "dubious ownership" in log.stderr:
            note(f"git does not trust {directory}, which another user owns: the version is not known")
            note(f"  hint: git config --global --add safe.directory {shlex.quote(str(directory))}")
        return GitFacts()
    commit, _, committed = log.stdout.strip().partition(" ")
    tag, distance = _nearest(directory, commit, version_tags_by_commit(reachable.stdout, prefix), prefix)
    return GitFacts(
        commit=commit,
        tag=tag,
        distance=distance,
        dirty=_is_dirty(directory, status.stdout.splitlines()),
        committed=committed,
        shallow=depth.stdout.strip() == "true",
        tags=tuple(all_tags.stdout.splitlines()),
        prefix=prefix,
    )


def _is_dirty(directory: Path, status: Sequence[str]) -> bool:
    """Whether a checkout has changes, by the lines of ``git status``.

    A plan in a file (``deploy.plan --out``) is none: with it in the checkout, the plan would be one of another version.
    """
    untracked = [line[3:] for line in status if line.startswith("?? ")]
    if len(untracked) < len(status) or not status:
        return bool(status)
    top = start(git_command(directory, "rev-parse", "--show-toplevel")).result().stdout.strip()
    return not all(_is_plan(Path(top, name)) for name in untracked)


def _is_plan(path: Path) -> bool:
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return f'"{PLAN_FILE}/'.encode() in file.read(_HEAD)
    except OSError:
        return False


def _nearest(directory: Path, head: str, tags: dict[str, str], prefix: str) -> tuple[str, int]:
    """Return the version tag that a commit comes after, and by how many commits.

    ``tags`` are those of its history, by commit. Where branches with versions were merged, the greatest counts.
    `git describe` is of no use: it takes any tag that looks like a version, and of several on a commit the youngest.
    """
    if head in tags or not tags:
        return tags.get(head, ""), 0
    before = "".join(f"^{commit}\n" for commit in tags)
    walked = (
        start(git_command(directory, "rev-list", "--boundary", "--stdin", stdin=f"{head}\n{before}"))
        .result()
        .stdout.split()
    )
    near = [line[1:] for line in walked if line.startswith("-") and line[1:] in tags]
    if len(near) < 2:
        return (tags[near[0]], len(walked) - sum(line.startswith("-") for line in walked)) if near else ("", 0)
    # A tag may be in the history of another.
    alone = start(git_command(directory, "merge-base", "--independent", *near)).result().stdout.split() or near
    tag = greatest((tags[commit] for commit in alone), prefix)
    commit = next(commit for commit in alone if tags[commit] == tag)
    return tag, int(start(git_command(directory, "rev-list", "--count", f"{commit}..{head}")).result().stdout or "0")


def remote_tags(directory: Path) -> tuple[str, ...]:
    """Return the tags of the remote that the checkout fetches from; empty without a remote that answers."""
    if not start(git_command(directory, "remote")).result().stdout.strip():
        return ()
    env = {"GIT_TERMINAL_PROMPT": "0", "SSH_ASKPASS_REQUIRE": "never"}
    listed = start(replace(git_command(directory, "ls-remote", "--tags", "--refs", **env), timeout=_REMOTE))
    try:
        result = listed.result()
    except CommandError as error:
        result = Result(error.exit_code, "", error.message)
    if result.exit_code != 0:
        reason = (result.stderr.strip().splitlines() or ["no message"])[-1]
        note(f"the git remote does not tell its tags ({reason}): only those of this clone say which release is newest")
    return tuple(line.partition("refs/tags/")[2] for line in result.stdout.splitlines() if "refs/tags/" in line)


def remote_branches(directory: Path) -> tuple[str, ...]:
    """Return the remote branches that contain the commit of a checkout."""
    listed = start(git_command(directory, "branch", "--remotes", "--contains", "HEAD")).result()
    return tuple(line.strip() for line in listed.stdout.splitlines() if line.strip())
