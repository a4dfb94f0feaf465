"""The agent's own clone: fetched without running anything that is in it, verified, and only then checked out.

The repository (``clone.git``) and the files of the commit that is deployed (``checkout``) are apart: a clone that is
corrupt is made anew below the files that containers may have mounted.
"""

import contextlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from ..host import git
from ..host.output import WARNING, note
from ..host.runner import Result, capture
from ..model.command import Command
from ..model.errors import CommandError, InputError, RefusedError
from ..model.lazy_pattern import lazy_pattern
from ..model.version import REF_FORMAT
from .plan.decision import APART, NEWER, OLDER, SAME, UNKNOWN
from .plan.repository import shown

_TALK = 900.0  # seconds that a fetch may take
_WORK = 300.0  # seconds that a command may take that asks no server
# What git must not do before a commit is verified: run hooks or other programs, speak protocols that do, fetch
# submodules, take objects for others, or read the attributes of this machine.
_SAFE = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.attributesFile": "/dev/null",
    "fetch.recurseSubmodules": "false",
    "submodule.recurse": "false",
    "gc.autoDetach": "false",
    "maintenance.autoDetach": "false",
}
_ENV = {
    "GIT_ALLOW_PROTOCOL": "https:http:ssh:file",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "SSH_ASKPASS_REQUIRE": "never",
    "LC_ALL": "C",
}
_REMOTE = "refs/remotes/origin/"
_LOCAL = "*.local.env"
_COMMIT = lazy_pattern(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")

Given = TypeVar("Given")


class CorruptError(CommandError):
    """The clone lacks something that it should have, or git does not understand it."""


class Clone:
    """The clone of a branch of a repository, in a directory of the agent's own."""

    def __init__(self, directory: Path, address: str, branch: str) -> None:
        self._address, self._branch = address, branch
        self._repository, self.checkout = directory / "clone.git", directory / "checkout"

    # Commands

    def command(self, *words: str, env: dict[str, str] | None = None, seconds: float = _WORK) -> Command:
        """Return a git command on the clone, which reads no file of a commit and runs nothing that comes with one."""
        options = [word for key, value in _SAFE.items() for word in ("-c", f"{key}={value}")]
        argv = ("git", f"--git-dir={self._repository}", f"--work-tree={self.checkout}", *options, *words)
        return Command(argv, env={**_ENV, **(env or {})}, timeout=seconds)

    def making(self) -> Command:
        """Return the command that makes an empty clone."""
        words = ("init", "--quiet", "--template=", f"--separate-git-dir={self._repository}", str(self.checkout))
        return Command(("git", *words), env=_ENV, timeout=_WORK, reason="a clone of the agent's own")

    @property
    def exists(self) -> bool:
        """Whether there is a clone, be it corrupt or not."""
        return (self._repository / "HEAD").is_file()

    def fetching(self) -> Command:
        """Return the command that brings the branch and the tags."""
        refs = (f"+refs/heads/{self._branch}:{_REMOTE}{self._branch}", "+refs/tags/*:refs/tags/*")
        words = ("fetch", "--quiet", "--prune", "--no-tags", "--no-recurse-submodules", "--", self._address, *refs)
        return replace(self.command(*words, seconds=_TALK), reason=f"look at {shown(self._address)}")

    def checking_out(self, commit: str) -> Command:
        """Return the command that writes the files of a commit."""
        return replace(self.command("checkout", "--quiet", "--force", "--detach", commit), reason="verified by then")

    def run(self, *words: str, env: dict[str, str] | None = None) -> Result:
        """Run a git command on the clone and return what it printed, also when it fails."""
        return capture(self.command(*words, env=env))

    def _read(self, *words: str) -> str:
        """Return what a command prints that fails only in a corrupt clone."""
        result = self.run(*words)
        if result.exit_code:
            raise CorruptError(f"git {words[0]}: {git.reason(result)}", result.exit_code)
        return result.stdout.strip()

    # Bringing commits

    def whole(self, use: Callable[[], Given]) -> Given:
        """Return what ``use`` makes of the clone; one that is corrupt is made anew and fetched, once.

        Raises RefusedError where the repository does not answer, InputError where it has no such branch.
        """
        try:
            return use()
        except CorruptError as error:
            note(f"the clone in {self._repository} is made anew: {error.message}", WARNING)
        last = self._checked_out()
        self._make()
        self.fetch()
        if last and self.run("cat-file", "-e", f"{last}^{{commit}}").exit_code == 0:
            # The files of that commit are there: those that a later one does not have are removed with it.
            self._read("update-ref", "--no-deref", "HEAD", last)
            self._read("read-tree", last)
        return use()

    def _checked_out(self) -> str:
        """Return the commit whose files are in the checkout, "" where even that cannot be read."""
        with contextlib.suppress(OSError, UnicodeDecodeError):
            text = (self._repository / "HEAD").read_text(encoding="ascii").strip()
            return text if _COMMIT.fullmatch(text) else ""
        return ""

    def fetch(self) -> None:
        """Bring the branch and the tags; raises CorruptError where the clone is at fault, as ``whole`` does else."""
        if not self.exists:
            self._make()
        result = _within(self.fetching())
        if result.exit_code == 0:
            return
        if "couldn't find remote ref" in result.stderr:
            raise InputError(
                f"GITOPS_BRANCH: {shown(self._address)} has no branch {self._branch}", "correct it, or push the branch"
            )
        # Whether it is the clone or the server: this question needs no clone.
        asking = ("git", "ls-remote", "--quiet", "--heads", "--", self._address, self._branch)
        asked = _within(Command(asking, env=_ENV, timeout=_TALK))
        if asked.exit_code == 0:
            raise CorruptError(f"git fetch: {git.reason(result)}", result.exit_code)
        raise RefusedError(
            f"{shown(self._address)} does not answer: {git.reason(asked)}",
            "what runs goes on; is GITOPS_REPOSITORY right, and may this user read it (`git ls-remote`)?",
        )

    def _make(self) -> None:
        """Make an empty clone; the files of the last commit stay where they are."""
        shutil.rmtree(self._repository, ignore_errors=True)
        try:
            self.checkout.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.checkout.mkdir(mode=0o700, exist_ok=True)
            (self.checkout / ".git").unlink(missing_ok=True)
        except OSError as error:
            raise RefusedError(
                f"GITOPS_DIR: {error.filename}: {error.strerror}", "name a directory that this user may write to"
            ) from None
        made = capture(self.making())
        if made.exit_code:
            raise RefusedError(f"git init: {git.reason(made)}", "is git 2.34 or newer installed, and is there space?")
        # Also for the git commands of a deploy, which know nothing of the options above.
        settings = {**_SAFE, "remote.origin.url": self._address}
        for key, value in settings.items():
            if key != "core.attributesFile":  # a verified commit may use what this machine has, such as Git LFS
                self._read("config", key, value)
        exclude = self._repository / "info" / "exclude"
        exclude.parent.mkdir(exist_ok=True)
        exclude.write_text(f"{_LOCAL}\n", encoding="utf-8")

    # Looking at commits

    def tip(self) -> str:
        """Return the newest commit of the branch."""
        return self.commit(f"{_REMOTE}{self._branch}")

    def commit(self, name: str) -> str:
        """Return the commit that a name stands for; raises CorruptError where the clone does not have it whole."""
        commit = self._read("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        self._read("cat-file", "-e", f"{commit}^{{tree}}")
        return commit

    def raw(self, kind: str, name: str) -> str:
        """Return a commit or a tag as git has stored it."""
        return self._read("cat-file", kind, name)

    def annotated_tags(self) -> str:
        """Return the annotated tags on the branch, in REF_FORMAT: any other tag is a name without a signature."""
        listed = self._read("for-each-ref", f"--merged={_REMOTE}{self._branch}", f"--format={REF_FORMAT}", "refs/tags")
        return "\n".join(line for line in listed.splitlines() if line.startswith("tag|"))

    def newest(self, commits: frozenset[str]) -> str:
        """Return the first of some commits on the way back from the end of the branch, "" for none."""
        walked = self._read("rev-list", "--topo-order", f"{_REMOTE}{self._branch}").splitlines() if commits else []
        return next((commit for commit in walked if commit in commits), "")

    def relation(self, commit: str, other: str) -> str:
        """Return how a commit relates to another one: whether it is the same, or comes after or before it."""
        if commit == other:
            return SAME
        if self.run("cat-file", "-e", f"{other}^{{commit}}").exit_code:
            return UNKNOWN
        if self._before(other, commit):
            return NEWER
        return OLDER if self._before(commit, other) else APART

    def _before(self, first: str, second: str) -> bool:
        result = self.run("merge-base", "--is-ancestor", first, second)
        if result.exit_code > 1:
            raise CorruptError(f"git merge-base: {git.reason(result)}", result.exit_code)
        return result.exit_code == 0

    # A verified commit

    def check_out(self, commit: str) -> None:
        """Write the files of a verified commit over those of the last one.

        Files that are in neither stay, as they do for a person: services may keep their data there.
        """
        result = _within(self.checking_out(commit))
        if result.exit_code:
            raise CorruptError(f"git checkout: {git.reason(result)}", result.exit_code)
        if self._read("rev-parse", "HEAD") != commit:
            raise CorruptError(f"the checkout is not of commit {commit}", 1)

    def tracked(self, path: Path) -> bool:
        """Whether the commit that is checked out has a file."""
        name = str(path.relative_to(self.checkout))
        return self.run("ls-files", "--error-unmatch", "--", name).exit_code == 0


def _within(command: Command) -> Result:
    """Return what a command printed; one that takes too long has failed."""
    try:
        return capture(command)
    except CommandError as error:
        return Result(error.exit_code, "", error.message)
