"""What ``gitops.status`` shows."""

from collections.abc import Mapping
from typing import Any

from ...model.lock import HeldLock
from ...model.profile.profile import Profile
from ...release.plan.release import Release
from . import decision
from .memory import Memory, Orders
from .repository import shown

SCHEMA = "slipway/gitops.status/v1"


def document(
    profile: Profile, memory: Memory, orders: Orders, agent: HeldLock | None, serving: Release | None, since: str
) -> dict[str, Any]:
    """Return the status of an agent as JSON data; heals count from the time ``since`` on."""
    attempt, told = memory.attempt, memory.told
    return {
        "schema": SCHEMA,
        "environment": profile.environment,
        "repository": shown(profile.text("GITOPS_REPOSITORY")) or None,
        "branch": profile.text("GITOPS_BRANCH"),
        "agent": {"holder": agent.lock.holder, "host": agent.lock.host, "since": agent.since} if agent else None,
        "suspended": {"since": orders.suspended, "by": orders.by, "reason": orders.reason}
        if orders.suspended else None,
        "attempt": {
            "commit": attempt.commit, "outcome": attempt.outcome, "at": attempt.at, "reason": attempt.reason or None,
            "signer": attempt.signer or None,
        } if attempt else None,
        "problem": {"what": memory.problem, "since": memory.since, "commit": memory.held or None}
        if memory.problem else None,
        "serving": {"release": serving.id, "commit": serving.commit, "operator": serving.operator} if serving else None,
        "heals": {
            "mode": profile.text("GITOPS_HEAL"),
            "count": len(decision.recent(memory.heals, since)),
            "most": profile.integer("GITOPS_HEAL_MAX"),
            "window": profile.duration("GITOPS_HEAL_WINDOW"),
        },
        "told": {"commit": told.commit, "state": told.state, "description": told.description} if told.commit else None,
    }  # fmt: skip


def rows(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the lines of the table for people."""
    agent, suspended, attempt = document["agent"], document["suspended"], document["attempt"]
    problem, serving, told, heals = (document[key] for key in ("problem", "serving", "told", "heals"))
    lines = [
        ("environment", document["environment"]),
        ("follows", f"{document['branch']} of {document['repository'] or 'no repository (GITOPS_REPOSITORY)'}"),
        ("agent", f"{agent['holder']}@{agent['host']} since {agent['since']}" if agent else "none runs"),
    ]
    if suspended:
        why = f": {suspended['reason']}" if suspended["reason"] else ""
        lines.append(("suspended", f"since {suspended['since']} by {suspended['by']}{why}"))
    if attempt:
        why = f": {attempt['reason']}" if attempt["reason"] else ""
        lines.append(
            ("last deploy", f"{decision.short(attempt['commit'])} {attempt['outcome']} at {attempt['at']}{why}")
        )
    if problem:
        lines.append(("problem", f"{problem['what']} (since {problem['since']})"))
    if serving:
        by = f"release {serving['release']}, commit {decision.short(serving['commit']) or 'not known'}"
        lines.append(("serves", f"{by}, by {serving['operator']}"))
    lines.append(("heals", f"{heals['mode']}, {heals['count']} of {heals['most']}"))
    if told:
        lines.append(("told", f"{decision.short(told['commit'])} {told['state']}: {told['description']}"))
    return lines
