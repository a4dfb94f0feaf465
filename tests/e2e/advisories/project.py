"""A project with a planted fault of each kind that an image can have, and the fix for each."""

import os
from dataclasses import dataclass
from pathlib import Path

from ..support import Checkout
from . import FIXED, WEAK, base, program

# In two parts, so that no scanner finds it in these sources.
KEY = "AKIA" + "Q7RT2MPX4ZL9KWDJ"
_COMPOSE = """services:
  program: {image: "NAME/program:1", build: {context: ., dockerfile: program.Dockerfile}}
  packages: {image: "NAME/packages:1", build: {context: ., dockerfile: packages.Dockerfile}}
  keys: {image: "NAME/keys:1", build: {context: ., dockerfile: keys.Dockerfile}}
"""
_PACKAGES = """FROM scratch
COPY os-release debian_version /etc/
COPY status /var/lib/dpkg/status
CMD ["/none"]
"""
_RELEASE = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nID=debian\n'
_STATUS = """Package: liblzma5
Status: install ok installed
Priority: required
Section: libs
Installed-Size: 300
Maintainer: Maintainer <maintainer@example.com>
Architecture: amd64
Source: xz-utils
Version: {version}
Description: XZ-format compression library

"""


@dataclass
class Planted(Checkout):
    """The project; its reports, database and temporary files are in directories of its own."""

    def environment(self, **extra: str) -> dict[str, str]:
        """Return the process environment of a task, with this project's own directories."""
        home = self.project_dir.parent
        places = {"SLIPWAY_REPORTS_DIR": home / "reports", "XDG_CACHE_HOME": home / "cache", "TMPDIR": home / "tmp"}
        return super().environment(**{**{key: str(value) for key, value in places.items()}, **extra})

    @property
    def reports(self) -> Path:
        """The directory of the reports."""
        return self.project_dir.parent / "reports"

    @property
    def temporary(self) -> list[str]:
        """The names in the directory of temporary files."""
        return sorted(path.name for path in (self.project_dir.parent / "tmp").iterdir())

    def image(self, service: str) -> str:
        """Return the name of a service's image."""
        return f"{self.projects[0]}/{service}:1"

    def program(self, version: str) -> None:
        """Use the program with this version of the module."""
        self._write("program.Dockerfile", f"FROM {program(version)}\n")

    def packages(self, version: str) -> None:
        """Install this version of the package."""
        self._write("status", _STATUS.format(version=version))

    def keys(self, *lines: str) -> None:
        """Build the image with these instructions."""
        start = f"FROM {base('debian:trixie', 'slipway-base/debian:trixie')}\n"
        self._write("keys.Dockerfile", start + "".join(f"{line}\n" for line in lines))

    def fix(self) -> None:
        """Fix every fault."""
        self.program(FIXED)
        self.packages("5.2.5-2.1")
        self.keys("RUN mkdir /srv/shop")

    def _write(self, name: str, text: str) -> None:
        (self.project_dir / name).write_text(text)


def make(directory: Path, name: str) -> Planted:
    """Write the project with all its faults."""
    project = directory / "project"
    for path in (project / "envs", directory / "tmp"):
        path.mkdir(parents=True)
    made = Planted(project, project / "envs", [f"slipway-{name}-{os.getpid()}"])
    for file, text in (
        ("compose.yaml", _COMPOSE.replace("NAME", made.projects[0])),
        ("packages.Dockerfile", _PACKAGES),
        ("os-release", _RELEASE),
        ("debian_version", "12.5\n"),
        ("key", f"aws_access_key_id = {KEY}\n"),
        ("envs/base.env", f"COMPOSE_FILE=compose.yaml\nCOMPOSE_PROJECT_NAME={made.projects[0]}\n"),
        ("envs/dev.env", "HEALTH_TIMEOUT=20s\n"),
    ):
        (project / file).write_text(text)
    made.program(WEAK)
    made.packages("5.2.5-2")
    # Copied, so that it is not in the history of the image as well.
    made.keys("COPY key /usr/share/shop/key", "RUN rm -r /usr/share/shop")
    return made
