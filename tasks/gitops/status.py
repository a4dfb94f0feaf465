"""Shows what the agent of an environment does, and lets people tell it to stop or go on."""

from dataclasses import replace

from ..host import lock
from ..host.output import emit_json, emit_table, note
from ..host.project import Project
from ..model.lock import AGENT, HeldLock
from ..release.plan.release import serving
from . import stored
from .agent import releases, timestamp
from .plan import decision, shown
from .plan.memory import Orders


def status(project: Project, json: bool) -> None:
    """Report what the agent remembers, what people told it, and who it is; asks no repository."""
    held = _agent(project)
    document = shown.document(
        project.profile, stored.memory(project), stored.orders(project), held, serving(releases(project)),
        timestamp(-project.profile.duration("GITOPS_HEAL_WINDOW")),
    )  # fmt: skip
    if json:
        emit_json(document)
        return
    emit_table(("WHAT", "IS"), shown.rows(document))
    if held is None:
        name = project.profile.environment
        note(f"no agent runs: inv gitops.run --env {name}, or a unit of systemd by inv gitops.install --env {name}")


def suspend(project: Project, reason: str) -> None:
    """Tell the agent to do nothing."""
    name = project.profile.environment
    before = stored.orders(project)
    if before.suspended:
        note(f"the agent of {name} is suspended already, since {before.suspended} by {before.by}")
        return
    given = replace(before, suspended=timestamp(), by=lock.user_at_host(), reason=reason)
    _order(project, given, f"the agent of {name} does nothing from now on; a deploy that runs goes on")


def resume(project: Project, again: bool, rewritten: bool) -> None:
    """Tell the agent to go on, and what it may do once."""
    before, last = stored.orders(project), decision.last_time(stored.memory(project), releases(project))
    given = replace(
        before, suspended="", by=lock.user_at_host(), reason="",
        again=last if again else before.again, rewritten=last if rewritten else before.rewritten,
    )  # fmt: skip
    _order(project, given, f"the agent of {project.profile.environment} goes on at its next look")


def _order(project: Project, given: Orders, said: str) -> None:
    if project.runner.dry:
        project.runner.show(f"keep on the engine what the agent is told: {given.document()}")
        return
    stored.order(project, given)
    note(said)


def _agent(project: Project) -> HeldLock | None:
    """Return the lock of the agent that runs, None where none does."""
    if project.clustered:
        from ..kube.live import leases

        leases.use(project)
    held, stale = lock.left(project, scope=AGENT)
    return None if stale else held
