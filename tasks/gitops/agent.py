"""The agent: looks at a branch, decides, and lets `inv deploy.ENVIRONMENT` do the work; remembers, and tells."""

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from ..deploy import maintenance
from ..host import lock as host_lock
from ..host.lock import LockHandle, project_lock
from ..host.output import ERROR, WARNING, emit_json, note
from ..host.project import Project
from ..model.errors import DeployError, LockLostError, RefusedError, SlipwayError, StoppedError
from ..model.lock import AGENT
from ..model.record import Record
from ..release import store
from ..release.plan.release import Release, newest_first, serving
from . import deploys, stored, tell, verify
from .clone import Clone
from .configuration import Configuration, configuration
from .hints import listened
from .measure import AgentMetrics
from .plan import commit_status, decision, repository, signature
from .plan.commit_status import CommitStatus
from .plan.decision import AgentDecision, Healing, Situation, short
from .plan.ended import DeployEnd
from .plan.memory import REFUSED, Attempt, Memory
from .verify import Candidate

if TYPE_CHECKING:
    from ..kube.live.history import History

SCHEMA = "slipway/gitops.once/v1"
_FORM = "%Y-%m-%dT%H:%M:%SZ"


class Looked(Record):
    """What came of a look at the repository: the decision, and how a deploy ended where it led to one."""

    decided: AgentDecision
    attempt: Attempt | None = None


def once(project: Project, json: bool) -> None:
    """Look once: deploy the commit of the branch where it is new, or heal.

    Raises RefusedError where nothing may be done, DeployError when a deploy failed.
    """
    config = configuration(project)
    if project.runner.dry:
        _show(project, config)
        return
    with _alone(project, config) as lock:
        look = Agent(project, config, lock).look()
    if json:
        emit_json(_document(project, look))
    error = outcome(look)
    if error:
        raise error
    if look.decided.hint:
        note(f"  hint: {look.decided.hint}")


def run(project: Project) -> None:
    """Look again and again, until a signal ends it; a look that fails is told, and another one follows."""
    config = configuration(project)
    if project.runner.dry:
        _show(project, config)
        return
    environment = project.profile.environment
    with _alone(project, config) as lock, listened(config.webhook) as hints:
        note(f"{environment} follows {config.branch} of {repository.shown(config.repository)}")
        agent, said = Agent(project, config, lock), ""
        while True:
            error: SlipwayError | None = None
            try:
                error = outcome(agent.look())
            except (StoppedError, LockLostError):
                raise
            except SlipwayError as failed:
                error = failed
            if error and error.message != said:
                note(error.message, ERROR)
                note(f"  hint: {error.hint}", ERROR)
            said = error.message if error else ""
            hints.wait(config.interval)


@contextmanager
def _alone(project: Project, config: Configuration) -> Iterator[LockHandle]:
    """Be the only agent of an environment in a block; raises RefusedError that says who is, and where."""
    if project.clustered:
        from ..kube.live import leases

        leases.use(project)
    reason = f"GitOps agent, branch {config.branch}"
    with contextlib.ExitStack() as held:
        try:
            lock = held.enter_context(project_lock(project, reason, scope=AGENT))
        except RefusedError as error:
            hint = "end that agent first; the lock of one that is gone expires after LOCK_TTL"
            raise RefusedError(error.message, hint if "is locked by" in error.message else error.hint) from None
        yield lock


def outcome(look: Looked) -> SlipwayError | None:
    """Return the error that a look ends with, None where all is well or nobody has to do anything."""
    decided, attempt = look.decided, look.attempt
    if attempt and not attempt.good:
        if attempt.outcome == REFUSED:
            return RefusedError(
                f"commit {short(attempt.commit)}: {attempt.reason}", "it is tried again at the next look"
            )
        return DeployError(
            f"commit {short(attempt.commit)}: {attempt.outcome}: {attempt.reason}",
            "it is not tried again: fix it and push, or git revert it",
        )
    if decided.action in (decision.REFUSE, decision.FAILED):
        return RefusedError(decided.reason, decided.hint)
    return None


class Agent:
    """An agent of an environment, which holds its lock."""

    def __init__(self, project: Project, config: Configuration, lock: LockHandle) -> None:
        self._project, self._config, self._lock = project, config, lock
        self._clone = Clone(config.directory, config.repository, config.branch)
        self._plan = config.directory / "heal.plan"
        self._metrics = AgentMetrics(project, config.interval, config.heal_window)

    def look(self) -> Looked:
        """Look at the repository and do what is to be done; raises SlipwayError where a look is not possible."""
        try:
            look = self._look()
        except (StoppedError, LockLostError):
            raise
        except SlipwayError:
            self._metrics.hindered()
            raise
        self._metrics.looked(look.decided, look.attempt)
        return look

    def _look(self) -> Looked:
        self._lock.verify()
        memory = stored.memory(self._project)
        try:
            seen = self._situation(memory)
        except StoppedError:
            raise
        except SlipwayError as error:
            self._remember(memory, memory.with_problem(error.message, timestamp(), memory.held))
            raise
        decided = decision.decide(seen)
        if decided.action == decision.LOOK:
            decided = self._about_drift(seen, decided)
        if decided.action in (decision.DEPLOY, decision.HEAL):
            return self._deploy(seen, decided)
        return self._hold(memory, decided)

    def _situation(self, memory: Memory) -> Situation:
        project, config = self._project, self._config
        orders = stored.orders(project)
        base = Situation(project.profile.environment, project.stack.project, memory.held, memory=memory, orders=orders)
        if orders.suspended:
            return base
        known = releases(project)
        now = serving(known)
        last = memory.attempt.commit if memory.attempt else now.commit if now else ""

        def use() -> tuple[Candidate, str, str]:
            self._clone.fetch()
            found = verify.candidate(self._clone, config)
            to = [self._clone.relation(found.commit, other) if other else decision.UNKNOWN
                  for other in (last, now.commit if now else "")]  # fmt: skip
            return found, to[0], to[1]

        found, relation, to_serving = self._clone.whole(use)
        running, page = _running(project)
        return replace(
            base, tip=found.commit, refusal=found.refusal, hint=found.hint, signer=found.signer,
            relation=relation, to_serving=to_serving,
            releases=known, running=running, maintenance=page, busy=_busy(project),
        )  # fmt: skip

    def _about_drift(self, seen: Situation, decided: AgentDecision) -> AgentDecision:
        """Compare what runs with the commit; where that is not possible, nothing is healed."""
        config, project = self._config, self._project
        found, healable = deploys.drift(project, self._checked_out(seen.tip), self._plan)
        # A person may have begun to deploy or roll back, and even be done, since the agent has looked.
        now = serving(releases(project)) == serving(seen.releases)
        busy = _busy(project) or ("" if now else "another release serves since the agent has looked")
        if busy:
            return AgentDecision(decision.WAIT, seen.tip, busy, "the agent looks again")
        healing = Healing(config.heal, config.heal_max, timestamp(-config.heal_window), config.heal_window_text)
        return decision.about_drift(replace(seen, drift=found, healable=healable), decided, healing)

    def _checked_out(self, commit: str) -> deploys.Checkout:
        """Write the files of a verified commit and return how a deploy sees them."""
        # Also in a clone that was made anew this is what was verified: a commit's name is that of its content.
        self._clone.whole(lambda: self._clone.check_out(commit))
        seen = deploys.checkout(self._project, self._clone)
        deploys.place_local_layers(self._project, self._clone, seen)
        return seen

    def _deploy(self, seen: Situation, decided: AgentDecision) -> Looked:
        project, commit, healing = self._project, decided.commit, decided.action == decision.HEAL
        name, memory = project.profile.environment, seen.memory
        by = f", signed by {seen.signer}" if seen.signer else ""
        note(f"{'heals' if healing else 'deploys'} commit {short(commit)} in {name}{by}")
        checkout = self._checked_out(commit)
        self._lock.verify()
        if not (memory.attempt and memory.attempt.commit == commit):  # what is tried again was told
            memory = self._told(memory, commit, commit_status.PENDING, f"deploying to {name}")
        self._metrics.deploying(len(decided.drift))
        # What is healed is what was seen and nothing else: the plan is refused where anything has moved since.
        ended = deploys.deploy(project, checkout, self._plan if healing else None)
        attempt = replace(_attempt(project, commit, ended), signer=seen.signer)
        if healing and attempt.outcome == REFUSED:
            return self._hold(memory, AgentDecision(decision.WAIT, commit, f"not healed: {attempt.reason}"))
        state, words = _status_of(attempt, healing)
        known = memory.after(attempt, healing, timestamp(-self._config.heal_window))
        if not attempt.good:
            known = known.with_problem(f"{attempt.outcome}: {attempt.reason}", attempt.at, commit)
        known = self._told(known, commit, state, words)
        stored.remember(project, known)
        return Looked(decided, attempt)

    def _hold(self, memory: Memory, decided: AgentDecision) -> Looked:
        """Do nothing about the environment, remember why, and tell it."""
        problem = "" if decided.action == decision.SYNCED else decided.reason
        known = memory.with_problem(problem, timestamp(), decided.commit if problem else "")
        if problem and problem != memory.problem and decided.action in (decision.WAIT, decision.DRIFT):
            note(problem, WARNING)
        # A success that was told stays as it was worded: only something else is told.
        if decided.state and not (decided.state == memory.told.state and decided.commit == memory.told.commit):
            known = self._told(known, decided.commit, decided.state, decided.reason or "deployed")
        self._remember(memory, known)
        return Looked(decided)

    def _told(self, memory: Memory, commit: str, state: str, words: str) -> Memory:
        status = CommitStatus(commit, self._project.profile.environment, state, words)
        return replace(memory, told=tell.tell(self._config, status, memory.told))

    def _remember(self, before: Memory, known: Memory) -> None:
        if known != before:
            stored.remember(self._project, known)


def releases(project: Project) -> tuple[Release, ...]:
    """Return the releases of an environment, newest first."""
    return newest_first(_on_cluster(project).releases) if project.clustered else store.history(project)


def _on_cluster(project: Project) -> "History":
    from ..kube.live.cluster import Cluster
    from ..kube.live.history import History

    return History(Cluster(project))


def _busy(project: Project) -> str:
    """Return who deploys or rolls back at the moment, "" when nobody does."""
    held, stale = host_lock.left(project)
    return f"{project.stack.project} is locked by {held}" if held and not stale else ""


def _running(project: Project) -> tuple[bool, bool]:
    """Return whether an environment has containers, and whether its maintenance page is on."""
    if project.clustered:
        return not _on_cluster(project).taken_down, False
    containers = project.engine.containers(project.stack.project)
    there = any(not container.oneoff for container in containers)
    return there, bool(there and maintenance.is_on(project, containers))


def _attempt(project: Project, commit: str, ended: DeployEnd) -> Attempt:
    now = serving(releases(project))
    return Attempt(commit, ended.outcome, timestamp(), now.id if now else 0, ended.reason)


def _status_of(attempt: Attempt, healed: bool) -> tuple[str, str]:
    """Return the commit status after an attempt, and its words."""
    if attempt.good:
        done = "healed" if healed else "deployed"
        return commit_status.SUCCESS, f"{done}, release {attempt.release}"
    if attempt.outcome == REFUSED:
        return commit_status.PENDING, f"waits: {attempt.reason}"
    return commit_status.FAILURE, f"{attempt.outcome}: {attempt.reason}"


def _document(project: Project, look: Looked) -> dict[str, object]:
    decided, attempt = look.decided, look.attempt
    return {
        "schema": SCHEMA,
        "environment": project.profile.environment,
        "action": decided.action,
        "commit": decided.commit or None,
        "outcome": attempt.outcome if attempt else None,
        "release": (attempt.release or None) if attempt else None,
        "reason": (attempt.reason if attempt else decided.reason) or None,
        "drift": list(decided.drift),
    }


def _show(project: Project, config: Configuration) -> None:
    """Print the commands of a look that finds a new commit."""
    clone = Clone(config.directory, config.repository, config.branch)
    tip = f"refs/remotes/origin/{config.branch}"
    if not clone.exists:
        project.runner.run(clone.making())
    project.runner.run(clone.fetching())
    # With OpenPGP keys alone it needs a key ring, which is made of their file for each look.
    trust = signature.trust(signature.SSH if config.signers else signature.GPG, str(config.signers or ""))
    project.runner.run(clone.command(*trust, "verify-commit", "--raw", tip))
    project.runner.run(clone.checking_out(tip))
    project.runner.run(deploys.deploying(project, deploys.checkout(project, clone)))


def timestamp(shift: float = 0.0) -> str:
    """Return the time, so many seconds later, as the memory of an agent has it."""
    return (datetime.now(UTC) + timedelta(seconds=shift)).strftime(_FORM)
