"""Is this machine ready: what is needed, what was found, and what to do about the difference."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

OK, MISSING, OLD, WARNING, DENIED = "ok", "missing", "too old", "warning", "no permission"

# Engine 25 and Compose 2.24 know start_interval of health checks and several --env-file; Buildx 0.12 `bake -f -` with
# contexts, secrets and labels in JSON. Newer features are looked for when they are wanted.
REQUIRED: Mapping[str, tuple[int, ...]] = {"engine": (25, 0), "compose": (2, 24), "buildx": (0, 12)}
_INSTALL = "./inv setup installs and starts it (Debian, Ubuntu), or see docs.docker.com/engine/install"


@dataclass(frozen=True)
class Finding:
    """One line of the report: what, the state, what was found, and the mend when it is not ok."""

    name: str
    state: str
    found: str
    mend: str = ""

    @property
    def fatal(self) -> bool:
        """Whether nothing works without it."""
        return self.state in (MISSING, OLD, DENIED)


def version_numbers(text: str) -> tuple[int, ...]:
    """Return the numbers of the first version in a text: ``v0.13.1+ds1`` → (0, 13, 1); empty when there is none."""
    match = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(part) for part in match.groups() if part is not None) if match else ()


def judge_tool(name: str, found: str | None) -> Finding:
    """Return the finding for engine, compose or buildx; ``found`` is its version text, None when it is missing."""
    needed = REQUIRED[name]
    wanted = ".".join(str(part) for part in needed)
    if found is None:
        return Finding(name, MISSING, "", f"needs {wanted} or newer: {_INSTALL}")
    numbers = version_numbers(found)
    if not numbers or numbers < needed:
        return Finding(name, OLD, found, f"needs {wanted} or newer, found {found}: {_INSTALL}")
    return Finding(name, OK, found)


def unfit(findings: Sequence[Finding]) -> str:
    """Return one line that names every tool that is missing or too old, "" when all will do."""
    parts = [f"{one.name} {one.state}: {one.mend}" for one in findings if one.fatal]
    return "; ".join(parts)
