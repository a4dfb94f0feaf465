"""What is told at the end of a deploy: release, version, what changed, how long the steps took, and how to go back."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from ...model.errors import SlipwayError
from ...model.units import show_duration
from ...reconcile.plan.operation import Change
from ...release.plan.release import Release, target

_STEPS = 8  # that are named: the longest
_LEAST = 0.1  # seconds; a shorter step is not named


def change_lines(changes: Iterable[Change]) -> tuple[str, ...]:
    """Return a line for each service that changes: what is done to it, why, and what it interrupts."""
    return tuple(
        f"{change.action} {change.service}: {'; '.join(change.causes)}"
        + (f" (interrupts {', '.join(change.interrupts)})" if change.interrupts else "")
        for change in changes
    )


def durations(steps: Sequence[Mapping[str, Any]]) -> str:
    """Return how long the longest steps took, in their order."""
    longest = sorted((step["seconds"] for step in steps), reverse=True)[:_STEPS]
    least = max(longest[-1] if longest else 0.0, _LEAST)
    return ", ".join(f"{step['name']} {show_duration(step['seconds'])}" for step in steps if step["seconds"] >= least)


def summary(
    environment: str,
    release: Release | None,
    changed: Iterable[Change],
    steps: Sequence[Mapping[str, Any]],
    known: Collection[Release],
    requests: str = "",
) -> list[tuple[str, str]]:
    """Return the lines of a deploy that went well; ``known`` are all releases, this one too.

    ``requests`` is what the proxy tells of requests, "" when it cannot.
    """
    commit = f" ({release.commit[:12]})" if release and release.commit else ""
    lines = [("version", f"{release.version}{commit}")] if release else []
    lines += [("changed", line) for line in change_lines(changed)]
    if took := durations(steps):
        lines.append(("took", took))
    if requests:
        lines.append(("requests", requests))
    try:
        earlier = target(known)
    except SlipwayError:  # there is none to go back to
        return lines
    lines.append(("back", f"inv deploy.rollback --env {environment} (to release {earlier.id}, {earlier.version})"))
    return lines
