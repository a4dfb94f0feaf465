"""The git repository of a project: commits, tags, a second clone."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Repository:
    """A checkout; ``git`` runs in it."""

    directory: Path

    def git(self, *words: str) -> str:
        """Run git without the user's own configuration, and return what it printed."""
        done = subprocess.run(
            ["git", "-c", "user.name=Life", "-c", "user.email=life@example.com", "-c", "commit.gpgsign=false", *words],
            cwd=self.directory, capture_output=True, text=True, check=True, timeout=60,
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(self.directory), "GIT_CONFIG_NOSYSTEM": "1"},
        )  # fmt: skip
        return done.stdout.strip()

    def start(self, subject: str) -> None:
        """Make a repository of the files in the directory, with a first commit."""
        self.git("init", "--quiet", "--initial-branch=main")
        self.commit(subject)

    def commit(self, subject: str) -> None:
        """Commit everything."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", subject)

    def tag(self, name: str) -> None:
        """Tag the commit that is checked out."""
        self.git("tag", "--annotate", "--message", name, name)

    def revert(self) -> None:
        """Revert the last commit with a new commit."""
        self.git("revert", "--no-edit", "HEAD")

    @property
    def head(self) -> str:
        """The commit that is checked out."""
        return self.git("rev-parse", "HEAD")

    def clone(self, directory: Path) -> "Repository":
        """Return another checkout of the same commit."""
        self.git("clone", "--quiet", str(self.directory), str(directory))
        return Repository(directory)

    def write(self, path: str, text: str) -> None:
        """Write a file in place."""
        file = self.directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def replace(self, path: str, old: str, new: str) -> None:
        """Replace text in a file by rename, as git and editors do."""
        file = self.directory / path
        text = file.read_text()
        assert old in text, f"{path} has no {old!r}"
        other = file.with_name(f".{file.name}.new")
        other.write_text(text.replace(old, new, 1))
        other.chmod(file.stat().st_mode)
        other.replace(file)

    def append(self, path: str, text: str) -> None:
        """Add lines to a file, in the same way."""
        whole = (self.directory / path).read_text()
        self.replace(path, whole, whole + text)
