"""What the agent does about an environment: deploy the commit of the branch, heal, say what is wrong, or nothing."""

from collections.abc import Sequence
from dataclasses import field, replace

from ...model.record import Record
from ...release.plan import release as releases
from ...release.plan.release import Release
from .memory import REFUSED, Memory, Orders

# How a commit relates to another one. UNKNOWN: the repository does not have the other one.
SAME, NEWER, OLDER, APART, UNKNOWN = "same", "newer", "older", "apart", "unknown"
# What is done. LOOK: see whether what runs is what was deployed. WAIT: nothing, a person has acted.
DEPLOY, HEAL, LOOK, WAIT, REFUSE, FAILED, DRIFT, SYNCED = (
    "deploy", "heal", "look", "wait", "refuse", "failed", "drift", "synced",
)  # fmt: skip
HEALS = "heal"  # the value of GITOPS_HEAL
_SHORT = 12  # digits of a commit's name that people are shown


class Situation(Record):
    """All that a decision is made from.

    ``tip`` is the commit to deploy, ``signer`` who signed it, ``refusal`` why it may not be deployed ("" where it may).
    ``relation`` is how it relates to the commit of the last attempt, or without one to that of the release that serves;
    ``to_serving`` how it relates to the latter. ``releases`` are those of the environment, newest first; ``running``:
    it has containers; ``busy`` says who deploys or rolls back at the moment. ``drift`` has a line for each service that
    is not as it was deployed; ``healable``: a deploy would change one of them, and not only wait for it.
    """

    environment: str
    project: str
    tip: str
    refusal: str = ""
    hint: str = ""
    signer: str = ""
    relation: str = UNKNOWN
    to_serving: str = UNKNOWN
    memory: Memory = Memory()
    orders: Orders = Orders()
    releases: tuple[Release, ...] = ()
    running: bool = True
    maintenance: bool = False
    busy: str = ""
    drift: tuple[str, ...] = ()
    healable: bool = False


class Healing(Record):
    """What is done about drift: GITOPS_HEAL, how often at most, and since when heals count (``window`` for people)."""

    mode: str = "report"
    most: int = 3
    since: str = ""
    window: str = "1h"


class AgentDecision(Record):
    """What is done with which commit, why, and what a person can do about it.

    ``state`` is the commit status that follows from it, "" for none.
    """

    action: str
    commit: str
    reason: str = ""
    hint: str = ""
    state: str = ""
    drift: tuple[str, ...] = field(default_factory=tuple)


def short(commit: str) -> str:
    """Return the beginning of a commit's name, as people write it."""
    return commit[:_SHORT]


def decide(seen: Situation) -> AgentDecision:
    """Return what is done, LOOK where it depends on what runs (``about_drift`` decides then).

    While somebody deploys or rolls back, nothing is: what is seen then is neither what was nor what will be.
    """
    decided = _decide(seen)
    if seen.busy and decided.action in (DEPLOY, LOOK):
        return AgentDecision(WAIT, seen.tip, seen.busy, "the agent looks again")
    return decided


def _decide(seen: Situation) -> AgentDecision:
    tip, environment, orders = seen.tip, seen.environment, seen.orders
    if orders.suspended:
        why = f": {orders.reason}" if orders.reason else ""
        reason = f"suspended since {orders.suspended} by {orders.by}{why}"
        return AgentDecision(WAIT, tip, reason, f"inv gitops.resume --env {environment} goes on")
    if seen.refusal:
        return AgentDecision(REFUSE, tip, seen.refusal, seen.hint, "failure")
    if refused := _another_history(seen):
        return refused
    attempt, serving = seen.memory.attempt, releases.serving(seen.releases)
    tried = attempt is not None and attempt.commit == tip
    if attempt and tried and orders.again != attempt.at:
        return _settled(seen)
    if serving and _of_person(seen, serving) and seen.to_serving == OLDER:
        return AgentDecision(
            WAIT,
            tip,
            f"release {serving.id} of {serving.operator} serves commit {short(serving.commit)}, which is newer than "
            f"{short(tip)}, the newest of the branch",
            "push that commit",
        )
    if not tried and (failure := _failed_before(seen)):
        return failure
    return AgentDecision(DEPLOY, tip, state="pending")


def _another_history(seen: Situation) -> AgentDecision | None:
    """Return the refusal of a commit that does not come after what was deployed, None where it does."""
    attempt, serving = seen.memory.attempt, releases.serving(seen.releases)
    last = attempt.commit if attempt else serving.commit if serving else ""
    if not last or seen.relation in (SAME, NEWER):
        return None
    if seen.orders.rewritten == last_time(seen.memory, seen.releases):
        return None
    if seen.relation == OLDER:
        reason = f"the branch went back to {short(seen.tip)}, which is older than {short(last)}"
    else:
        reason = f"the branch has another history now: {short(seen.tip)} does not come after {short(last)}"
    return AgentDecision(
        REFUSE,
        seen.tip,
        f"{reason}, which was deployed or tried last",
        f"undo with git revert; inv gitops.resume --env {seen.environment} --rewritten accepts this once",
        "failure",
    )


def last_time(memory: Memory, known: Sequence[Release]) -> str:
    """Return the time of the last attempt, without one that of the last release; "-" when there was neither."""
    return memory.attempt.at if memory.attempt else known[0].created if known else "-"


def _failed_before(seen: Situation) -> AgentDecision | None:
    """Return the decision where the engine's records say that a commit failed which the agent does not remember."""
    # Where helm has gone back by itself, that is a revision after the one that failed.
    last = next((release for release in seen.releases if not release.of), None)
    if last is None or last.commit != seen.tip or last.outcome not in (releases.FAILED, releases.ROLLED_BACK):
        return None
    told = seen.orders.again == last_time(seen.memory, seen.releases)
    told = told or last.reason.startswith("stopped by ")  # that was not the commit's fault
    return None if told else _stays_failed(seen, f"{last.outcome} at {last.created}: {last.reason}")


def _stays_failed(seen: Situation, what: str) -> AgentDecision:
    return AgentDecision(
        FAILED,
        seen.tip,
        what,
        f"the next commit is tried; inv gitops.resume --env {seen.environment} --again tries this one once more",
        "failure",
    )


def _of_person(seen: Situation, serving: Release) -> bool:
    """Whether a release was brought by somebody else since the agent's last deploy."""
    return seen.memory.attempt is None or serving.id != seen.memory.attempt.release


def _settled(seen: Situation) -> AgentDecision:
    """Return what is done about a commit that was deployed, or tried, before."""
    attempt, serving, tip = seen.memory.attempt, releases.serving(seen.releases), seen.tip
    if attempt is None or attempt.outcome == REFUSED:
        return AgentDecision(DEPLOY, tip, state="pending")
    if not attempt.good:
        return _stays_failed(seen, f"{attempt.outcome} at {attempt.at}: {attempt.reason}")
    again = f"inv gitops.resume --env {seen.environment} --again deploys {short(tip)} again"
    if serving is None:
        gone = "has no release any more" if seen.running else "was taken down"
        return AgentDecision(WAIT, tip, f"{seen.project} {gone}", again, "" if seen.running else "failure")
    same = serving.commit == tip and not serving.of  # a person has deployed the same commit
    if _of_person(seen, serving) and not same:
        back = f" (back to release {serving.of})" if serving.of else f" (commit {short(serving.commit)})"
        reason = f"release {serving.id} of {serving.operator} serves{back}, not {short(tip)}"
        return AgentDecision(WAIT, tip, reason, f"the next commit is deployed; {again}", "failure")
    if not seen.running:
        return AgentDecision(WAIT, tip, f"{seen.project} was taken down", again, "failure")
    if seen.maintenance:
        off = f"inv deploy.maintenance off --env {seen.environment}"
        return AgentDecision(WAIT, tip, f"the maintenance page of {seen.project} is on", off)
    return AgentDecision(LOOK, tip, state="success")


def about_drift(seen: Situation, decided: AgentDecision, healing: Healing) -> AgentDecision:
    """Return what is done about what runs (``seen.drift``) after a decision to look at it."""
    if not seen.drift:
        return replace(decided, action=SYNCED)
    what = f"what runs is not what was deployed: {'; '.join(seen.drift)}"
    found = replace(decided, action=DRIFT, reason=what, drift=seen.drift)
    if healing.mode != HEALS or not seen.healable:
        heals = "" if healing.mode == HEALS else "; GITOPS_HEAL=heal heals it"
        return replace(found, hint=f"inv deploy.plan --env {seen.environment} shows why{heals}")
    count = len(recent(seen.memory.heals, healing.since))
    if count >= healing.most:
        return replace(
            found,
            reason=f"{what}; healed {count} times in {healing.window} already",
            hint="something else changes it: find that first, or raise GITOPS_HEAL_MAX",
        )
    return replace(found, action=HEAL)


def recent(heals: Sequence[str], since: str) -> tuple[str, ...]:
    """Return the heals that still count."""
    return tuple(time for time in heals if time >= since)
