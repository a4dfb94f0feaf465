"""Metrics of an agent: when it looked last, what it does, and how its last deploy ended."""

from datetime import datetime

from ...model.record import Record
from ...telemetry.plan.own_metrics import Labels, gauge
from . import decision
from .memory import DEPLOYED, FAILED, PAUSED, REFUSED, ROLLED_BACK, UNCHANGED, Attempt, Memory

OUTCOMES = (DEPLOYED, UNCHANGED, ROLLED_BACK, FAILED, PAUSED, REFUSED)
# What an agent is doing. WAITING: a person has acted; ERROR: it cannot look, as when the repository does not answer.
SYNCED, DEPLOYING, WAITING, SUSPENDED, DRIFTED, HELD, BROKEN, ERROR = (
    "synced", "deploying", "waiting", "suspended", "drifted", "refused", "failed", "error",
)  # fmt: skip
STATES = (SYNCED, DEPLOYING, WAITING, SUSPENDED, DRIFTED, HELD, BROKEN, ERROR)
_OF_ACTION = {
    decision.SYNCED: SYNCED, decision.WAIT: WAITING, decision.DRIFT: DRIFTED, decision.REFUSE: HELD,
    decision.FAILED: BROKEN,
}  # fmt: skip


class AgentReport(Record):
    """What is told of an agent: its state, when that was seen (seconds since the epoch), and how often it looks.

    ``drift`` is the number of services that are not as the commit says, ``heals`` of the heals that count; ``attempt``
    its last deploy.
    """

    state: str
    at: float
    interval: float
    drift: int = 0
    heals: int = 0
    attempt: Attempt | None = None


def state(action: str, attempt: Attempt | None, suspended: bool) -> str:
    """Return the state after a look that decided so, and whose deploy, if there was one, ended so."""
    if attempt:
        return SYNCED if attempt.good else HELD if attempt.outcome == REFUSED else BROKEN
    if suspended and action == decision.WAIT:
        return SUSPENDED
    return _OF_ACTION.get(action, DEPLOYING)


def heals(memory: Memory, since: float) -> int:
    """Return how many heals an agent remembers that were made since then, in seconds since the epoch."""
    return sum(datetime.fromisoformat(at).timestamp() >= since for at in memory.heals)


def text(labels: Labels, report: AgentReport) -> str:
    """Return the metrics; ``labels`` are on every line."""
    last = report.attempt
    gauges = (
        gauge("slipway_gitops_last_look_timestamp_seconds", labels, [({}, report.at)]),
        gauge("slipway_gitops_interval_seconds", labels, [({}, report.interval)]),
        gauge("slipway_gitops_state", labels, (({"state": name}, float(name == report.state)) for name in STATES)),
        gauge("slipway_gitops_suspended", labels, [({}, float(report.state == SUSPENDED))]),
        gauge("slipway_gitops_drift", labels, [({}, float(report.drift))]),
        gauge("slipway_gitops_heals", labels, [({}, float(report.heals))]),
    )
    if last is None:
        return "".join(gauges)
    at = datetime.fromisoformat(last.at).timestamp()
    ends = (({"outcome": name}, float(name == last.outcome)) for name in OUTCOMES)
    return "".join(
        (
            *gauges,
            gauge("slipway_gitops_commit_info", labels, [({"commit": last.commit, "outcome": last.outcome}, 1.0)]),
            gauge("slipway_gitops_outcome", labels, ends),
            gauge("slipway_gitops_last_deploy_timestamp_seconds", labels, [({}, at)]),
        )
    )
