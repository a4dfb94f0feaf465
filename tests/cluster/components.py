"""The programs of the cluster: built once from Go modules and kept, by the hash of what they are made of.

``python -m tests.cluster.components`` builds them when they are not there; ``inv setup --all`` does that while other
things go on. Two builds at once: the second one waits for the first.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MODULE = Path(__file__).with_name("components")
_NICE = "10"  # tests that run at the same time go first
_KEPT = 30 * 86400.0  # seconds that programs stay which no run has used
_PARTS = {"components": ".", "pause": "./pause"}


def cache() -> Path:
    """Return the directory of everything that is kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base, "slipway", "cluster")


def directory() -> Path:
    """Return where the programs are once they are built: named by the hash of the module, ``go.sum`` included."""
    digest = hashlib.sha256()
    for path in sorted(path for path in MODULE.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(MODULE)}\0".encode() + path.read_bytes() + b"\0")
    return cache() / digest.hexdigest()[:16]


def built() -> bool:
    """Whether the programs are there."""
    return all((directory() / name).exists() for name in _PARTS)


def version() -> str:
    """Return the version of Kubernetes, such as ``v1.35.4``."""
    found = re.search(r"^require k8s\.io/kubernetes (v\S+)$", (MODULE / "go.mod").read_text("utf-8"), re.MULTILINE)
    assert found
    return found[1]


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Let one process at a time into a block; the kernel opens the lock when its holder ends."""
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def build() -> Path:
    """Return the directory of the programs, built if need be; raises CalledProcessError when Go can not do it."""
    target = directory()
    if not built():
        with locked("build"):
            if not built():
                _build(target)
    os.utime(target)  # in use
    return target


def _build(target: Path) -> None:
    """Build into a directory under another name: a build that is stopped leaves nothing that looks finished."""
    started = time.monotonic()
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix="partial-", dir=target.parent))
    try:
        for name, package in _PARTS.items():
            words = ("go", "build", "-trimpath", "-ldflags", _flags(), "-o", str(partial / name), package)
            subprocess.run(
                ["nice", "-n", _NICE, *words], cwd=MODULE, env={**os.environ, "CGO_ENABLED": "0"}, check=True
            )
        shutil.rmtree(target, ignore_errors=True)
        partial.chmod(0o755)
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    for other in target.parent.iterdir():  # of other versions, and of builds that were killed
        if other.is_dir() and time.time() - other.stat().st_mtime > _KEPT:
            shutil.rmtree(other, ignore_errors=True)
    sys.stderr.write(f"built Kubernetes {version()} in {time.monotonic() - started:.0f} s: {target}\n")


def _flags() -> str:
    """Return the linker's flags: without a version of its own a component takes itself for a development build."""
    major, minor, _ = version().removeprefix("v").split(".", 2)
    values = {"gitVersion": version(), "gitMajor": major, "gitMinor": minor}
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return " ".join(["-s -w", *(f"-X {package}.{key}={text}" for package in packages for key, text in values.items())])


if __name__ == "__main__":
    try:
        build()
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"the programs of the test cluster could not be built: {error}")
