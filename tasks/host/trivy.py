"""The scanner's program: where it is, and what stands for its version without starting it."""

import os
import shutil
import sys
from pathlib import Path

from ..plan.errors import RefusedError
from ..plan.profile import Profile

_NAME = "trivy"


def executable(profile: Profile, root: Path) -> str:
    """Return the scanner's program: in SCAN_TOOLS where that is set, else beside our Python, else on the PATH."""
    named = profile.text("SCAN_TOOLS")
    places = [str(root / named) if named else "", str(Path(sys.executable).parent), os.environ.get("PATH", "")]
    found = shutil.which(_NAME, path=os.pathsep.join(place for place in places if place))
    if not found:
        raise RefusedError(f"{_NAME}: command not found", "./inv installs it beside the tasks")
    return str(Path(found).absolute())


def stamp(program: str) -> str:
    """Return what changes when the program is another one: to ask it for its version would start it."""
    status = Path(program).stat()
    return f"{program} {status.st_size} {status.st_mtime_ns}"


def plain() -> dict[str, str]:
    """Return the environment in which the scanner takes its settings from the command line only."""
    return {key: "" for key in os.environ if key.startswith("TRIVY_")}
