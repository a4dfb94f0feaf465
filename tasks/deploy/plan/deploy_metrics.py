"""Metrics of the deploys of an environment."""

from collections.abc import Collection
from datetime import datetime

from ...model.record import Record
from ...release.plan.release import DEPLOYED, FAILED, PAUSED, ROLLED_BACK, Release, newest_first, serving
from ...telemetry.plan.own_metrics import Labels, gauge

OUTCOMES = (DEPLOYED, ROLLED_BACK, FAILED, PAUSED)


class Ended(Record):
    """How the last deploy ended, when (in seconds since the epoch), and how many seconds it took."""

    outcome: str
    at: float
    seconds: float


def locked(labels: Labels, since: float) -> str:
    """Return since when a deploy has the lock, in seconds since the epoch; 0: none has it."""
    return gauge("slipway_lock_held_since_seconds", labels, [({}, since)])


def outcome(labels: Labels, last: Ended, releases: Collection[Release]) -> str:
    """Return how deploys ended, and which release serves; ``labels`` are on every line."""
    ends = {**_last(releases), last.outcome: last.at}
    now = serving(releases)
    return "".join(
        (
            gauge(
                "slipway_deploy_last_timestamp_seconds", labels, (({"outcome": name}, at) for name, at in ends.items())
            ),
            gauge("slipway_deploy_duration_seconds", labels, [({}, last.seconds)]),
            gauge(
                "slipway_deploy_outcome",
                labels,
                (({"outcome": name}, float(name == last.outcome)) for name in OUTCOMES),
            ),
            gauge(
                "slipway_release_info", labels, [({"release": str(now.id), "version": now.version}, 1.0)] if now else ()
            ),
        )
    )


def _last(releases: Collection[Release]) -> dict[str, float]:
    """Return when a deploy last ended in each way."""
    ends: dict[str, float] = {}
    for release in newest_first(releases):
        began = datetime.fromisoformat(release.created).timestamp()
        ends.setdefault(release.outcome, began + release.seconds)
    return ends
