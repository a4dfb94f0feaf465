"""A small vulnerability database in trivy's format, and images with packages that it lists. A FIXTURE for tests only.

The advisories are real ones, copied by hand: CVE-2021-38561 (golang.org/x/text before 0.3.7) and CVE-2022-1271
(xz-utils of Debian 12 before 5.2.5-2.1). An image without a finding in it may well have other vulnerabilities.
"""

import io
import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ..support import docker

HERE = Path(__file__).parent
GO, DEBIAN = "CVE-2021-38561", "CVE-2022-1271"
WEAK, FIXED = "v0.3.5", "v0.3.7"
LABEL = f"slipway.test.advisories={os.getpid()}"
_CA = Path("/etc/ssl/certs/ca-certificates.crt")


def base(name: str, local: str) -> str:
    """Return a base image: its stand-in ``local`` where the engine has it."""
    return local if docker("image", "ls", "-q", local) else name


def program(version: str) -> str:
    """Return the name of the image whose program contains a version of the module."""
    return f"slipway-test-advisories:{os.getpid()}-{version}"


def _build(target: str, *options: str) -> bytes:
    golang = base("", "slipway-base/golang:1.27")
    words = ["docker", "buildx", "build", "--builder", "default", "--target", target, "--label", LABEL, *options]
    words += ["--build-context", f"golang:1.27-alpine=docker-image://{golang}"] if golang else []
    words += ["--secret", f"id=ca,src={_CA}"] if _CA.exists() else []
    done = subprocess.run([*words, str(HERE)], capture_output=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@dataclass(frozen=True)
class Fixture:
    """The database, as the bytes of its file."""

    data: bytes

    def metadata(self, days: float = 0.5) -> bytes:
        """Return the metadata of a database of this age, in days."""
        updated = datetime.now(UTC) - timedelta(days=days)
        said = {"Version": 2, "UpdatedAt": updated.isoformat(), "NextUpdate": (updated + timedelta(1)).isoformat()}
        return json.dumps({**said, "DownloadedAt": "0001-01-01T00:00:00Z"}).encode()

    def archive(self, days: float = 0.5) -> bytes:
        """Return the archive, as trivy publishes it."""
        made = io.BytesIO()
        with tarfile.open(fileobj=made, mode="w:gz") as tar:
            for name, data in (("trivy.db", self.data), ("metadata.json", self.metadata(days))):
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
        return made.getvalue()


@contextmanager
def built() -> Iterator[Fixture]:
    """Build the database and the images; the images are removed when the block ends."""
    try:
        with tarfile.open(fileobj=io.BytesIO(_build("advisories", "--output", "type=tar,dest=-"))) as tar:
            file = tar.extractfile("trivy.db")
            data = file.read() if file else b""
        for version in (WEAK, FIXED):
            _build("program", "--build-arg", f"TEXT={version}", "--load", "--tag", program(version))
        yield Fixture(data)
    finally:
        for version in (WEAK, FIXED):
            docker("image", "rm", "--force", program(version), check=False)
