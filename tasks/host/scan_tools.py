"""The scanners that run on this machine: which program, and what it came to."""

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from ..plan.command import Command
from ..plan.errors import CheckError, CommandError, RefusedError
from ..plan.profile import Profile
from ..plan.units import show_duration
from .project import Project
from .runner import Result, capture

_KILLED = 137
TRIVY = ("--quiet", "--skip-version-check", "--disable-telemetry")  # it never reaches out by itself


@dataclass(frozen=True)
class Program:
    """A scanner that is installed: its path, and what changes when another one takes its place."""

    path: str
    key: str


def find(project: Project, name: str) -> Program:
    """Return a scanner: from SCAN_TOOLS, else the one that came with Slipway, else the one on the PATH.

    Raises RefusedError when there is none.
    """
    path = locate(project.profile, project.settings.root, name)
    return Program(path, stamp(path))


def locate(profile: Profile, root: Path, name: str) -> str:
    """Return the path of a scanner, as ``find`` does; SCAN_TOOLS is relative to ``root``."""
    named = profile.text("SCAN_TOOLS")
    places = [str(root / named) if named else "", str(Path(sys.executable).parent), os.environ.get("PATH", "")]
    path = shutil.which(name, path=os.pathsep.join(place for place in places if place))
    if path is None:
        raise RefusedError(f"{name}: command not found", "./inv setup installs what requirements.txt names")
    return str(Path(path).absolute())


def stamp(path: str) -> str:
    """Return what changes when a program is another one; to ask it for its version would start it."""
    status = Path(path).stat()
    return f"{path} {status.st_size} {status.st_mtime_ns}"


def plain() -> dict[str, str]:
    """Return the environment in which scanners take no settings from the caller's: those would hide findings."""
    return {key: "" for key in os.environ if key.startswith(("TRIVY_", "HADOLINT_"))}


def key(project: Project, *names: str) -> str:
    """Return what stands for these scanners in what a result depends on."""
    found = []
    for name in names:
        try:
            found.append(find(project, name).key)
        except RefusedError:
            found.append(f"no {name}")
    return "; ".join(found)


def run(project: Project, program: Program, *words: str, cwd: str = "", codes: tuple[int, ...] = (0,)) -> Result:
    """Run a scanner to its end; raises CheckError when it does not get there as one that did its work.

    The limit is SCAN_TIMEOUT; ``codes`` are the exit codes of success.
    """
    limit = project.profile.duration("SCAN_TIMEOUT")
    name = Path(program.path).name
    command = Command((program.path, *words), cwd=cwd or project.cwd, timeout=limit, env={**plain(), "NO_COLOR": "1"})
    try:
        result = capture(command)
    except CommandError:
        raise CheckError(f"{name}: not done within SCAN_TIMEOUT={show_duration(limit)}", "give it more time") from None
    except OSError as error:
        raise CheckError(f"{name}: cannot be started: {error.strerror}", f"look at {program.path}") from None
    if result.exit_code == _KILLED:
        raise CheckError(f"{name}: killed, as the kernel does when memory runs out", "give it more memory")
    if result.exit_code not in codes:
        lines = result.stderr.strip().splitlines()
        said = f": {lines[-1]}" if lines else ""
        raise CheckError(f"{name}: ended with exit code {result.exit_code}{said}", "run it by hand to see more")
    return result


def version(project: Project, program: Program, *words: str) -> str:
    """Return the version that a scanner says of itself, "" when it says none."""
    try:
        text = run(project, program, *words).stdout
    except CheckError:
        return ""
    found = (word.strip(",") for word in text.split())
    return next((word for word in found if word[:1].isdigit()), "")
