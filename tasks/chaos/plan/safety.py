"""Where no fault may be made."""

from collections.abc import Sequence

from ...model.errors import InputError, RefusedError
from ...model.lock import HeldLock
from ...model.profile.profile import Profile

PRODUCTION = ("prod", "production", "live")


def refuse_unnamed(environment: str, task: str) -> None:
    """Raise InputError when no environment is named: a fault is never made in whatever is the default."""
    if not environment:
        raise InputError(f"{task}: which environment?", "name it, such as --env test")


def refuse_production(profile: Profile, allowed: bool) -> None:
    """Raise RefusedError for production unless it is ``allowed``: by its name, or since its deploys are confirmed."""
    if allowed or not (profile.environment in PRODUCTION or profile.flag("CONFIRM_DEPLOY")):
        return
    why = "" if profile.environment in PRODUCTION else " (CONFIRM_DEPLOY=true)"
    raise RefusedError(
        f"{profile.environment} is production{why}: no fault is made there",
        "practise in another environment; if it is meant: --allow-prod",
    )


def refuse_host(name: str, others: Sequence[str], allowed: bool) -> None:
    """Raise RefusedError for a fault that the whole host has unless it is ``allowed``; ``others`` have it too."""
    if not allowed:
        felt = f", also {', '.join(others)}" if others else ""
        raise RefusedError(f"the whole host has {name}{felt}", "on a host that is there for it: --allow-host")


def refuse_cluster(profile: Profile) -> None:
    """Raise RefusedError for an environment on Kubernetes, which has no throw-away copy."""
    if profile.text("ORCHESTRATOR") == "kubernetes":
        raise RefusedError(
            f"{profile.environment} is on Kubernetes: a copy of a stack is made on an engine only",
            f"inv chaos.run EXPERIMENT --env {profile.environment} disturbs the environment itself",
        )


def refuse_during_deploy(held: HeldLock | None, stale: str, allowed: bool) -> None:
    """Raise RefusedError while a deploy works, unless that is what it is about."""
    if held and not stale and not allowed:
        raise RefusedError(
            f"{held.lock.project} is locked by {held}: a fault would be one of what it does",
            "wait for it; an experiment about deploys says so: --during-deploy",
        )
