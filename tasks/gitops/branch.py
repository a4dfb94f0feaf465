"""A branch of the user's repository that a task writes as a whole.

By git's plumbing, with an index of its own: neither the index nor the work tree of the user is touched.
"""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..host import git
from ..host.runner import Result, capture, start
from ..model.command import Command
from ..model.errors import CommandError, InputError, RefusedError
from ..model.record import Record
from .plan.repository import shown
from .plan.signature import parse_commit

_SECONDS, _TALK = 60.0, 300.0
_AT_ONCE = 16  # processes
_ENV = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "GIT_NO_REPLACE_OBJECTS": "1", "LC_ALL": "C"}
_REGULAR = ("100644", "100755")


class Signing(Record):
    """How commits are signed: with an SSH key in a file, or as git is configured to, or ("" and False) not."""

    key: str = ""
    configured: bool = False

    def __bool__(self) -> bool:
        return bool(self.key) or self.configured

    def options(self) -> tuple[str, ...]:
        """Return the options of git itself."""
        return ("-c", "gpg.format=ssh", "-c", f"user.signingkey={self.key}") if self.key else ()


class Branch:
    """A branch of the repository that a directory is in, and of its remote.

    Raises RefusedError outside a repository, InputError for a name that no branch can have.
    """

    def __init__(self, directory: Path, name: str) -> None:
        top = _git(directory, "rev-parse", "--show-toplevel")
        if top.exit_code:
            raise RefusedError(f"{directory} is in no git repository", "git init, and commit the project")
        self._top, self.name = Path(top.stdout.strip()), name
        if name.startswith("-") or self._try("check-ref-format", f"refs/heads/{name}").exit_code:
            raise InputError(f"--branch {name}: not the name of a branch", "for example --branch deploy/prod")
        self.remote = self._remote()
        self._local, self._tracking = f"refs/heads/{name}", f"refs/remotes/{self.remote}/{name}"

    def command(self, *words: str, stdin: str | None = None, index: str = "", seconds: float = _SECONDS) -> Command:
        """Return a git command on the repository."""
        env = {**_ENV, **({"GIT_INDEX_FILE": index} if index else {})}
        return Command(("git", "-C", str(self._top), *words), env=env, stdin=stdin, timeout=seconds)

    def _try(self, *words: str, stdin: str | None = None, index: str = "") -> Result:
        return capture(self.command(*words, stdin=stdin, index=index))

    def _read(self, *words: str, stdin: str | None = None, index: str = "") -> str:
        result = self._try(*words, stdin=stdin, index=index)
        if result.exit_code:
            raise CommandError(f"git {words[0]}: {git.reason(result)}", result.exit_code)
        return result.stdout.strip()

    def _remote(self) -> str:
        names = self._read("remote").splitlines()
        return names[0] if len(names) == 1 else next((name for name in names if name == "origin"), "")

    def address(self) -> str:
        """Return the address of the remote as the repository's configuration has it, "" without one."""
        return self._try("config", "--get", f"remote.{self.remote}.url").stdout.strip() if self.remote else ""

    # What is there

    def signing(self, key: str) -> Signing:
        """Return how a commit is signed: with a key, or as git is configured to sign the user's own commits."""
        answer = self._try("config", "--type=bool", "--get", "commit.gpgSign").stdout.strip()
        return Signing(key, answer == "true")

    def refuse_checked_out(self) -> None:
        """Raise RefusedError where the branch is checked out: its files would no longer be those of its commit."""
        if where := self._read("for-each-ref", "--format=%(worktreepath)", self._local):
            raise RefusedError(
                f"--branch {self.name}: it is checked out in {where}", "name a branch that is for deploys only"
            )

    def fetch(self) -> None:
        """Ask the remote for the branch; raises RefusedError when it does not answer, InputError without a remote."""
        if not self.remote:
            raise InputError("--push: the repository has no remote, or several and none is origin", "git remote add")
        words = (
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-write-fetch-head",
            self.remote,
            f"+{self._local}:{self._tracking}",
        )
        result = capture(self.command(*words, seconds=_TALK))
        if result.exit_code and "couldn't find remote ref" in result.stderr:
            self._read("update-ref", "-d", self._tracking)
        elif result.exit_code:
            raise RefusedError(
                f"{shown(self.address())} does not answer: {git.reason(result)}", "nothing was written; try again later"
            )

    def tip(self) -> str:
        """Return the commit that a new one follows, "" for none: of the branch here and at the remote, the later one.

        Raises RefusedError where each has commits that the other has not.
        """
        here, there = self._commit(self._local), self._commit(self._tracking)
        if not here or not there or here == there:
            return here or there
        for before, after in ((here, there), (there, here)):
            if self._try("merge-base", "--is-ancestor", before, after).exit_code == 0:
                return after
        raise RefusedError(
            f"branch {self.name} here and at {self.remote} have gone apart",
            f"nobody but this task should write it; take that of the remote: git branch --force {self.name} "
            f"{self.remote}/{self.name}",
        )

    def _commit(self, ref: str) -> str:
        return self._try("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}").stdout.strip()

    def is_signed(self, commit: str) -> bool:
        """Whether a commit has a signature, good or not."""
        return bool(parse_commit(self._read("cat-file", "commit", commit)).signature)

    def files(self, commit: str) -> dict[str, str]:
        """Return the texts of the files of a commit by path; what is no regular file is empty."""
        if not commit:
            return {}
        listed = self._read("ls-tree", "-r", "-z", "--full-tree", commit).split("\0")
        entries = [entry.partition("\t") for entry in listed if entry]
        blobs = {path: about.split() for about, _, path in entries}
        result = {path: "" for path in blobs}
        regular = [(path, words[2]) for path, words in blobs.items() if words[0] in _REGULAR]
        for some in _in_turn(regular):
            asked = [(path, start(self.command("cat-file", "blob", blob))) for path, blob in some]
            result |= {path: pending.result().stdout for path, pending in asked}
        return result

    # Writing

    def tree(self, files: Mapping[str, str]) -> str:
        """Store files in the repository and return the name of their tree; no reference leads to it yet."""
        with tempfile.TemporaryDirectory(prefix="slipway-") as base:
            paths = {name: Path(base, str(number)) for number, name in enumerate(sorted(files))}
            for name, path in paths.items():
                path.write_text(files[name], encoding="utf-8", newline="")
            listed = "".join(f"{path}\n" for path in paths.values())
            blobs = self._read("hash-object", "-w", "--no-filters", "--stdin-paths", stdin=listed).split()
            entries = "".join(f"100644 {blob}\t{name}\0" for name, blob in zip(paths, blobs, strict=True))
            index = str(Path(base, "index"))
            self._read("update-index", "-z", "--index-info", stdin=entries, index=index)
            return self._read("write-tree", index=index)

    def tree_of(self, commit: str) -> str:
        """Return the name of the tree of a commit, "" without one."""
        return self._read("rev-parse", "--verify", f"{commit}^{{tree}}") if commit else ""

    def commit(self, tree: str, parent: str, message: str, signing: Signing) -> str:
        """Return the name of a new commit; raises RefusedError when git does not know the user, or does not sign."""
        words = ("commit-tree", tree, *(("-p", parent) if parent else ()), *(("-S",) if signing else ()), "-F", "-")
        result = self._try(*signing.options(), *words, stdin=message)
        if result.exit_code == 0:
            return result.stdout.strip()
        if "identity" in result.stderr.lower() or "tell me who you are" in result.stderr.lower():
            raise RefusedError(
                "git does not know who commits", "git config user.name NAME; git config user.email ADDRESS"
            )
        what = "git does not sign the commit" if signing else "git commit-tree"
        raise RefusedError(f"{what}: {git.reason(result)}", "does `git commit -S` work here, with this key?")

    def set(self, commit: str) -> None:
        """Let the branch be at a commit; raises RefusedError when another process has written it meanwhile."""
        before = self._commit(self._local)
        if before == commit:
            return
        words = ("update-ref", "-m", "inv gitops.export", self._local, commit, before or "0" * len(commit))
        if (result := self._try(*words)).exit_code:
            raise RefusedError(f"branch {self.name} was not written: {git.reason(result)}", "run the task again")

    def at_remote(self, commit: str) -> bool:
        """Whether the remote's branch is at a commit, as far as this repository knows."""
        return self._commit(self._tracking) == commit

    def pushing(self, commit: str) -> Command:
        """Return the command that pushes a commit, never by force."""
        return self.command("push", "--quiet", self.remote, f"{commit}:{self._local}", seconds=_TALK)

    def push(self, commit: str) -> None:
        """Push a commit; raises RefusedError when the remote does not take it."""
        if (result := capture(self.pushing(commit))).exit_code:
            raise RefusedError(
                f"{shown(self.address())} does not take branch {self.name}: {git.reason(result)}",
                "was it written by another process meanwhile? run the task again",
            )


def _git(directory: Path, *words: str) -> Result:
    return capture(Command(("git", "-C", str(directory), *words), env=_ENV, timeout=_SECONDS))


def _in_turn(entries: list[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    for at in range(0, len(entries), _AT_ONCE):
        yield entries[at : at + _AT_ONCE]
