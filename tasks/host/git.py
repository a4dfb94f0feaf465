"""What git says of a checkout."""

import shlex
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from ..plan.command import Command
from ..plan.errors import CommandError
from ..plan.version import REF_FORMAT, GitFacts, greatest, tagged
from .output import note
from .runner import Pending, Result, start

_LOOK = {"GIT_OPTIONAL_LOCKS": "0"}  # `git status` else writes what it learned into the index
_REMOTE = 20.0  # seconds


def asking(directory: Path | str, *words: str, stdin: str | None = None, **env: str) -> Command:
    """Return a question to git about a checkout; it writes nothing there."""
    return Command(("git", "-C", str(directory), *words), env={**_LOOK, **env}, stdin=stdin)


def ask(directory: Path) -> tuple[Pending, ...]:
    """Ask git all that ``facts`` needs, side by side: one after the other takes more than twice as long."""
    date = "--date=format-local:%Y-%m-%dT%H:%M:%SZ"
    return (
        start(asking(directory, "log", "-1", "--format=%H %cd", date, TZ="UTC")),
        start(asking(directory, "status", "--porcelain")),
        start(asking(directory, "rev-parse", "--is-shallow-repository")),
        start(asking(directory, "for-each-ref", "--format=%(refname:strip=2)", "refs/tags")),
        start(asking(directory, "for-each-ref", "--merged=HEAD", f"--format={REF_FORMAT}", "refs/tags")),
    )


def facts(directory: Path, prefix: str = "", asked: Iterable[Pending] = ()) -> GitFacts:
    """Return the git facts of the checkout that holds ``directory``; empty ones outside a checkout.

    ``prefix`` is what version tags begin with (the profile's TAG_PREFIX), ``asked`` what ``ask`` has started.
    """
    log, status, depth, every, reachable = (one.result() for one in tuple(asked) or ask(directory))
    if log.exit_code != 0:
        if "dubious ownership" in log.stderr:
            note(f"git does not trust {directory}, which another user owns: the version is not known")
            note(f"  hint: git config --global --add safe.directory {shlex.quote(str(directory))}")
        return GitFacts()
    commit, _, committed = log.stdout.strip().partition(" ")
    tag, distance = _nearest(directory, commit, tagged(reachable.stdout, prefix), prefix)
    return GitFacts(
        commit=commit,
        tag=tag,
        distance=distance,
        dirty=bool(status.stdout.strip()),
        committed=committed,
        shallow=depth.stdout.strip() == "true",
        tags=tuple(every.stdout.splitlines()),
        prefix=prefix,
    )


def _nearest(directory: Path, head: str, tags: dict[str, str], prefix: str) -> tuple[str, int]:
    """Return the version tag that a commit comes after, and by how many commits.

    ``tags`` are those of its history, by commit. Where branches with versions were merged, the greatest counts.
    `git describe` is of no use: it takes any tag that looks like a version, and of several on a commit the youngest.
    """
    if head in tags or not tags:
        return tags.get(head, ""), 0
    before = "".join(f"^{commit}\n" for commit in tags)
    walked = (
        start(asking(directory, "rev-list", "--boundary", "--stdin", stdin=f"{head}\n{before}")).result().stdout.split()
    )
    near = [line[1:] for line in walked if line.startswith("-") and line[1:] in tags]
    if len(near) < 2:
        return (tags[near[0]], len(walked) - sum(line.startswith("-") for line in walked)) if near else ("", 0)
    # One of them may be in the history of another.
    alone = start(asking(directory, "merge-base", "--independent", *near)).result().stdout.split() or near
    tag = greatest((tags[commit] for commit in alone), prefix)
    commit = next(commit for commit in alone if tags[commit] == tag)
    return tag, int(start(asking(directory, "rev-list", "--count", f"{commit}..{head}")).result().stdout or "0")


def remote_tags(directory: Path) -> tuple[str, ...]:
    """Return the tags of the remote that the checkout fetches from; none without one, or when it does not answer."""
    if not start(asking(directory, "remote")).result().stdout.strip():
        return ()
    env = {"GIT_TERMINAL_PROMPT": "0", "SSH_ASKPASS_REQUIRE": "never"}
    listed = start(replace(asking(directory, "ls-remote", "--tags", "--refs", **env), timeout=_REMOTE))
    try:
        result = listed.result()
    except CommandError as error:
        result = Result(error.exit_code, "", error.message)
    if result.exit_code != 0:
        reason = (result.stderr.strip().splitlines() or ["no message"])[-1]
        note(f"the git remote does not tell its tags ({reason}): only those of this clone say which release is newest")
    return tuple(line.partition("refs/tags/")[2] for line in result.stdout.splitlines() if "refs/tags/" in line)


def remote_branches(directory: Path) -> tuple[str, ...]:
    """Return the remote branches that hold the commit of a checkout."""
    listed = start(asking(directory, "branch", "--remotes", "--contains", "HEAD")).result()
    return tuple(line.strip() for line in listed.stdout.splitlines() if line.strip())
