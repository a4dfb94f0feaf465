"""The report at the end of a deploy or roll back, whether it succeeds or fails."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ..host.output import emit_json
from ..host.project import Project
from ..model.errors import CommandError, PausedError, SlipwayError
from ..release.plan.release import FAILED, PAUSED, ROLLED_BACK, Release, went_back


@dataclass
class DeployReport:
    """The steps of a deploy, its release and outcome, and the error when pushing the release failed.

    ``began`` is when it began, in seconds since the epoch; ``watched`` what numbers said of new containers; ``known``
    are the releases of a cluster afterwards.
    """

    steps: list[dict[str, Any]]
    release: Release | None = None
    outcome: str = "deployed"
    unpublished: SlipwayError | None = None
    began: float = field(default_factory=time.time)
    watched: list[dict[str, Any]] = field(default_factory=list)
    known: tuple[Release, ...] = ()

    def refuse_unpublished(self, project: Project) -> None:
        """Raise CommandError when the release serves but could not be pushed to the registry."""
        if self.unpublished is None or self.release is None:
            return
        name = project.profile.environment
        raise CommandError(
            f"release {self.release.id} of {name} serves, but it is not in the registry: {self.unpublished.message}",
            1,
            f"inv deploy.{name} pushes it again; until then a promotion on another engine finds the release before"
            f"{f'; {self.unpublished.hint}' if self.unpublished.hint else ''}",
        )


def watched_lines(watched: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return what numbers said of new containers, a line each: ``app at 5 %: 412 requests, 0 errors, …``."""
    return tuple(
        f"{one['service']}{f' at {share} %' if (share := one['share']) < 100 else ''}: {one['line']}" for one in watched
    )


def outcome_of(error: BaseException, steps: Sequence[Mapping[str, Any]]) -> str:
    """Return the outcome of a deploy that ended with an error after these steps."""
    if isinstance(error, PausedError):
        return PAUSED
    return ROLLED_BACK if went_back(steps) else FAILED


def reason(error: BaseException) -> str:
    """Return one line that says why a deploy ended: the error's message, the signal, or a defect."""
    if isinstance(error, SlipwayError):
        return error.message
    return "stopped by SIGINT" if isinstance(error, KeyboardInterrupt) else f"{type(error).__name__}: {error}"


def hint(error: BaseException) -> str:
    """Return what to do about an error that ended a deploy."""
    if isinstance(error, SlipwayError):
        return error.hint
    return "this is a defect of Slipway; SLIPWAY_DEBUG=1 shows where, please report it"


@contextmanager
def reported(project: Project, json: bool) -> Iterator[DeployReport]:
    """Print the JSON document of a deploy when the block ends, with ``json`` and not in a dry run."""
    report = DeployReport([])
    outcome = FAILED
    try:
        yield report
        outcome = report.outcome
    except BaseException as error:
        outcome = outcome_of(error, report.steps)
        raise
    finally:
        if json and not project.runner.dry:
            document(project, outcome, report.steps, report.release, report.watched)


def document(
    project: Project,
    outcome: str,
    steps: list[dict[str, Any]],
    release: Release | None = None,
    watched: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Print the JSON document of a deploy (schema ``slipway/deploy/v1``)."""
    emit_json(
        {
            "schema": "slipway/deploy/v1",
            "environment": project.profile.environment,
            "release": release.id if release else None,
            "version": release.version if release else project.version.text,
            "outcome": outcome,
            "steps": steps,
            "watched": list(watched),
        }
    )
