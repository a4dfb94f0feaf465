"""Programs that are built once from Go modules and kept, by the hash of what they are made of.

Two builds of the same: the second one waits for the first.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_NICE = "10"  # tests that run at the same time go first
_KEPT = 30 * 86400.0  # seconds that programs stay which no run has used


def cache() -> Path:
    """Return the directory of everything that is kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base, "slipway", "cluster")


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Let one process at a time into a block; the kernel opens the lock when its holder ends."""
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@dataclass(frozen=True)
class Programs:
    """The programs of a Go module: ``packages`` by the name of the program; ``flags`` are the linker's."""

    name: str
    module: Path
    packages: Mapping[str, str]
    flags: str = "-s -w"

    def directory(self) -> Path:
        """Return where the programs are once they are built: named by the hash of the module, ``go.sum`` included."""
        digest = hashlib.sha256()
        for path in sorted(path for path in self.module.rglob("*") if path.is_file()):
            digest.update(f"{path.relative_to(self.module)}\0".encode() + path.read_bytes() + b"\0")
        return cache() / digest.hexdigest()[:16]

    def built(self) -> bool:
        """Whether the programs are there."""
        return all((self.directory() / name).exists() for name in self.packages)

    def build(self) -> Path:
        """Return the directory of the programs, built if need be; raises CalledProcessError when Go can not do it."""
        target = self.directory()
        if not self.built():
            with locked(f"build-{target.name}"):
                if not self.built():
                    self._build(target)
        os.utime(target)  # in use
        return target

    def _build(self, target: Path) -> None:
        """Build into a directory under another name: a build that is stopped leaves nothing that looks finished."""
        started = time.monotonic()
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix="partial-", dir=target.parent))
        try:
            for name, package in self.packages.items():
                words = ("go", "build", "-trimpath", "-ldflags", self.flags, "-o", str(partial / name), package)
                subprocess.run(
                    ["nice", "-n", _NICE, *words], cwd=self.module, env={**os.environ, "CGO_ENABLED": "0"}, check=True
                )
            shutil.rmtree(target, ignore_errors=True)
            partial.chmod(0o755)
            partial.rename(target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        for other in target.parent.iterdir():  # of other versions, and of builds that were killed
            if other.is_dir() and time.time() - other.stat().st_mtime > _KEPT:
                shutil.rmtree(other, ignore_errors=True)
        sys.stderr.write(f"built {self.name} in {time.monotonic() - started:.0f} s: {target}\n")
