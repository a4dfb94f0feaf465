"""Images that projects of others name, made from Debian packages under the same names: they run.

For a machine that reaches no registry. An image that the engine has already stays, and is used; what is made here is
gone after the block. `bases/Dockerfile` says how each is made; it begins with the stand-ins of `inv image.bases`.
"""

import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.support import docker

_PLACE = Path(__file__).with_name("bases")
_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")  # a machine may have one of its own, as behind a proxy
# The frontend that a Dockerfile names in its first line: of the version of BuildKit that Debian 13 has.
_FRONTEND = "github.com/moby/buildkit/frontend/dockerfile/cmd/dockerfile-frontend@v0.13.2"
STAGES = {
    "docker/dockerfile:1.4": "frontend",
    "golang:1.18-alpine": "golang",
    "nginx": "nginx",
    "nginx:1.21.6": "nginx",
    "node:14.17.3-alpine3.14": "node",
    "postgres": "postgres",
    "python:3.10-alpine": "python",
    "redislabs/redismod": "redis",
}


@contextmanager
def standing_in(names: Iterable[str]) -> Iterator[None]:
    """Make what the engine has not got of some images of ``STAGES``, for a block."""
    made: list[str] = []
    try:
        with tempfile.TemporaryDirectory() as directory:
            for name in names:
                if not docker("image", "ls", "--quiet", name):
                    _build(name, Path(directory))
                    made.append(name)
        yield
    finally:
        if made:
            docker("image", "rm", *made)


def _build(name: str, programs: Path) -> None:
    stage = STAGES[name]
    if stage == "frontend" and not any(programs.iterdir()):
        go = {**os.environ, "GOBIN": str(programs), "CGO_ENABLED": "0"}
        subprocess.run(["go", "install", "-trimpath", "-ldflags=-s -w", _FRONTEND], env=go, check=True)
    secret = f"id=ca,src={_AUTHORITIES}"
    words = ("--builder=default", "--load", "--secret", secret, f"--build-context=programs={programs}")
    command = ("docker", "buildx", "build", *words, f"--target={stage}", f"--tag={name}", str(_PLACE))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr[-2000:]}")
