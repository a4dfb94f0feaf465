"""What is said at the end of a deploy or roll back, however it ends."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ..plan.errors import CommandError, PausedError, SlipwayError
from ..plan.release import FAILED, PAUSED, ROLLED_BACK, Release, went_back
from .output import emit_json
from .project import Project


@dataclass
class Report:
    """The steps of a deploy, what it came to, and why its release is not in the registry if that failed."""

    steps: list[dict[str, Any]]
    release: Release | None = None
    outcome: str = "deployed"
    unpublished: SlipwayError | None = None

    def refuse_unpublished(self, project: Project) -> None:
        """Raise CommandError when the release serves and the registry has not got it."""
        if self.unpublished is None or self.release is None:
            return
        name = project.profile.environment
        raise CommandError(
            f"release {self.release.id} of {name} serves, but it is not in the registry: {self.unpublished.message}",
            1,
            f"inv deploy.{name} pushes it again; until then a promotion on another engine finds the release before"
            f"{f'; {self.unpublished.hint}' if self.unpublished.hint else ''}",
        )


def of(error: BaseException, steps: Sequence[Mapping[str, Any]]) -> str:
    """Return the outcome of a deploy that ended with an error after these steps."""
    if isinstance(error, PausedError):
        return PAUSED
    return ROLLED_BACK if went_back(steps) else FAILED


def reason(error: BaseException) -> str:
    """Return in one line why something ended, whatever ended it."""
    if isinstance(error, SlipwayError):
        return error.message
    return "stopped by SIGINT" if isinstance(error, KeyboardInterrupt) else f"{type(error).__name__}: {error}"


def hint(error: BaseException) -> str:
    """Return what to do about what ended something."""
    if isinstance(error, SlipwayError):
        return error.hint
    return "this is a defect of Slipway; SLIPWAY_DEBUG=1 shows where, please report it"


@contextmanager
def step(steps: list[dict[str, Any]], name: str) -> Iterator[None]:
    """Add a step to those of a report: how long it took, and whether it came to its end."""
    started = time.monotonic()
    entry: dict[str, Any] = {"name": name, "seconds": 0.0, "outcome": "failed"}
    steps.append(entry)
    try:
        yield
        entry["outcome"] = "done"
    finally:
        entry["seconds"] = round(time.monotonic() - started, 3)


@contextmanager
def reported(project: Project, json: bool) -> Iterator[Report]:
    """Print the document of a deploy at its end."""
    report = Report([])
    outcome = FAILED
    try:
        yield report
        outcome = report.outcome
    except BaseException as error:
        outcome = of(error, report.steps)
        raise
    finally:
        if json and not project.runner.dry:
            document(project, outcome, report.steps, report.release)


def document(project: Project, outcome: str, steps: list[dict[str, Any]], release: Release | None = None) -> None:
    """Print the document of a deploy."""
    emit_json(
        {
            "schema": "slipway/deploy/v1",
            "environment": project.profile.environment,
            "release": release.id if release else None,
            "version": release.version if release else project.version.text,
            "outcome": outcome,
            "steps": steps,
        }
    )
