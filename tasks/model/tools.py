"""Whether the tools that Slipway needs are installed: versions, and what to do about a missing or old tool."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

OK, MISSING, OLD, WARNING, DENIED = "ok", "missing", "too old", "warning", "no permission"

# Engine 25 and Compose 2.24 know start_interval of health checks and several --env-file; Buildx 0.12 `bake -f -` with
# contexts, secrets and labels in JSON. Newer features are checked where they are used.
REQUIRED: Mapping[str, tuple[int, ...]] = {"engine": (25, 0), "compose": (2, 24), "buildx": (0, 12)}
_INSTALL = "./inv setup installs and starts it (Debian, Ubuntu), or see docs.docker.com/engine/install"


@dataclass(frozen=True)
class ToolFinding:
    """One line of the report: a tool, its state, what was found, and in ``fix`` what to do when it is not ok."""

    name: str
    state: str
    found: str
    fix: str = ""

    @property
    def fatal(self) -> bool:
        """Whether Slipway cannot work in this state."""
        return self.state in (MISSING, OLD, DENIED)


def version_numbers(text: str) -> tuple[int, ...]:
    """Return the numbers of the first version in a text: ``v0.13.1+ds1`` → (0, 13, 1); empty when there is none."""
    match = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(part) for part in match.groups() if part is not None) if match else ()


def judge_tool(name: str, version: str | None) -> ToolFinding:
    """Return the finding for engine, compose or buildx; ``version`` is its text, None when it is missing."""
    needed = REQUIRED[name]
    wanted = ".".join(str(part) for part in needed)
    if version is None:
        return ToolFinding(name, MISSING, "", f"needs {wanted} or newer: {_INSTALL}")
    numbers = version_numbers(version)
    if not numbers or numbers < needed:
        return ToolFinding(name, OLD, version, f"needs {wanted} or newer, found {version}: {_INSTALL}")
    return ToolFinding(name, OK, version)


def unfit_tools(findings: Sequence[ToolFinding]) -> str:
    """Return one line that names every tool that is missing or too old, "" when all are fine."""
    parts = [f"{finding.name} {finding.state}: {finding.fix}" for finding in findings if finding.fatal]
    return "; ".join(parts)
