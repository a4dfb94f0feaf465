"""A repository with signed commits, its author, and the agent's clone and configuration: real git, real keys."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tasks.gitops.clone import Clone
from tasks.gitops.configuration import Configuration

_QUIET = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "GIT_EDITOR": "true"}


def run(*argv: str, env: Mapping[str, str] | None = None) -> str:
    """Run a program, assert that it succeeds, and return what it printed."""
    done = subprocess.run(
        argv, env={**os.environ, **_QUIET, **(env or {})}, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class Author:
    """Who commits and pushes to a repository; ``key`` is the SSH key that commits are signed with."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.bare, self.work = directory, directory / "shop.git", directory / "author"
        self.key = self.new_key("ann")
        self.signers = directory / "allowed_signers"
        self.allow(self.key)
        run("git", "init", "--quiet", "--bare", "--initial-branch=main", str(self.bare))
        run("git", "init", "--quiet", "--initial-branch=main", str(self.work))
        self.git("remote", "add", "origin", str(self.bare))

    def new_key(self, name: str) -> Path:
        """Make an SSH key."""
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(self.directory / name))
        return self.directory / name

    def allow(self, key: Path, options: str = "") -> None:
        """Let a key be the only one that may sign."""
        kind, text = key.with_suffix(".pub").read_text().split()[:2]
        self.signers.write_text(f"{key.name}@example.com {options + ' ' if options else ''}{kind} {text}\n")

    def git(self, *words: str, key: Path | None = None, **env: str) -> str:
        """Run git in the author's work tree, with a key to sign with."""
        settings = (
            "user.name=Ann",
            "user.email=ann@example.com",
            "gpg.format=ssh",
            f"user.signingkey={key or self.key}",
        )
        options = [word for setting in settings for word in ("-c", setting)]
        return run("git", "-C", str(self.work), *options, *words, env=env)

    def commit(self, files: Mapping[str, str] | None = None, signed: bool = True, key: Path | None = None,
               **env: str) -> str:  # fmt: skip
        """Commit some files, or nothing, and push; returns the commit's name."""
        for name, text in (files or {}).items():
            path = self.work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("add", "--all")
        sign = "--gpg-sign" if signed else "--no-gpg-sign"
        self.git("commit", "--quiet", "--allow-empty", sign, "--message=change", key=key, **env)
        self.push()
        return self.git("rev-parse", "HEAD")

    def push(self, *words: str) -> None:
        """Push the branch and the tags."""
        self.git("push", "--quiet", "--tags", *words, "origin", "HEAD:main")

    def clone(self) -> Clone:
        """Return the agent's clone."""
        return Clone(self.directory / "state", str(self.bare), "main")

    def configuration(self, signers: bool = True, gpg_keys: Path | None = None, by_tag: bool = False) -> Configuration:
        """Return the agent's configuration."""
        return Configuration(
            str(self.bare), "main", 60.0, self.directory / "state", self.signers if signers else None, gpg_keys,
            by_tag, "", "heal", 3, 3600.0, "1h", None, None,
        )  # fmt: skip
