"""A git repository that is pushed to, and the author who signs what is pushed."""

import subprocess
from pathlib import Path


class Repository:
    """A bare repository, and an author's checkout of it; ``signers`` is the file that names the author's key."""

    def __init__(self, directory: Path, checkout: Path) -> None:
        self.bare, self.checkout, self.key = directory / "shop.git", checkout, directory / "key"
        self.signers = directory / "allowed_signers"
        words = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key))
        subprocess.run(words, check=True)
        public = self.key.with_suffix(".pub").read_text().split()
        self.signers.write_text(f"ann@example.com {public[0]} {public[1]}\n")
        subprocess.run(("git", "init", "--quiet", "--bare", "--initial-branch=main", str(self.bare)), check=True)
        self.git("init", "--quiet", "--initial-branch=main")
        (checkout / ".gitignore").write_text("*.local.env\nreports/\n")
        self.git("remote", "add", "origin", str(self.bare))

    def git(self, *words: str) -> str:
        """Run git in the author's checkout and return what it printed."""
        settings = ("user.name=Ann", "user.email=ann@example.com", "gpg.format=ssh", f"user.signingkey={self.key}")
        options = [word for setting in settings for word in ("-c", setting)]
        argv = ["git", "-C", str(self.checkout), *options, *words]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def push_all(self, message: str, signed: bool = True) -> str:
        """Commit what is in the checkout and push it; returns the name of the commit."""
        self.git("add", "--all")
        self.git("commit", "--quiet", f"--message={message}", *(["--gpg-sign"] if signed else ["--no-gpg-sign"]))
        self.git("push", "--quiet", "origin", "HEAD:main")
        return self.git("rev-parse", "HEAD")
