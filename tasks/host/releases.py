"""Carries a release out, records what came of it, and goes back when it fails."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NoReturn

from ..plan import release as planner
from ..plan.deploy import refuse
from ..plan.errors import DeployError, LockLostError, PausedError, RefusedError, SlipwayError, StoppedError
from ..plan.redaction import Redacted
from ..plan.release import Basis, Release
from ..plan.rollout import Source
from . import backups, kept_files, outcomes, prepare, records, redactions, sboms, scan_baseline, smoke_tests, states
from .execute import Execution, Tools
from .forwarding import postponed, undisturbed
from .output import concealed, note
from .prepare import Prepared
from .project import Project, model

_ENGINE = 60.0  # seconds that an engine may take to start again
_UNDISTURBED = "going back to the earlier release; that ends by itself"
Steps = list[dict[str, Any]]


def target(project: Project, wanted: int) -> Release:
    """Return the release that a roll back goes to."""
    containers = project.engine.containers(project.stack.project)
    return planner.target(records.history(project), wanted, containers, states.read(project).unrecorded)


@contextmanager
def _unless_lost() -> Iterator[None]:
    """Let only the loss of the lock end what follows: an engine that does not answer now may do so in a moment."""
    try:
        yield
    except LockLostError:
        raise
    except SlipwayError:
        return


class Deployment:
    """One deploy or roll back under the lock; ``verify`` raises when it is lost, ``steps`` is filled on the way."""

    def __init__(self, project: Project, verify: Callable[[], None], operator: str, steps: Steps) -> None:
        self._project, self._verify, self._operator, self.steps = project, verify, operator, steps
        self._started = time.monotonic()
        self._keeps = bool(project.profile.integer("KEEP_RELEASES"))
        self._volumes: frozenset[str] = frozenset()  # those that were there before a first deploy
        self._ran: Mapping[str, Any] | None = None
        self._began = False
        self._known = records.history(project)
        self._identity = max((one.id for one in self._known), default=0) + 1

    # Forward

    def deploy(self, prepared: Prepared, basis: Basis, ready: Callable[[Prepared], Prepared]) -> Release | None:
        """Carry a deploy out; raises DeployError with what serves then when it fails.

        ``ready`` makes the images of it and returns it as it is with them.
        """
        project = self._project
        kept = redactions.recordable(project) if self._keeps else Redacted({}, {})
        fresh = Release(
            self._identity, project.profile.environment, project.version.text, project.version.commit, _now(),
            self._operator, fingerprint=planner.fingerprint(project.profile), secrets=kept.fingerprints,
        )  # fmt: skip
        if not prepared.observed.containers:
            self._volumes = project.volumes()

        def work() -> Prepared:
            made = ready(prepared)
            self._carry_out(made, lambda: backups.backup(project))
            return made

        return self._guarded(planner.based(fresh, basis), prepared, work, kept.model)

    def back_to(
        self, wanted: Release, prepared: Prepared, kept: Mapping[str, Any], secrets: Mapping[str, str]
    ) -> Release:
        """Bring an earlier release back: nothing is built, nothing is pulled, no job is run."""
        told = redactions.recordable(self._project, kept, secrets)
        fresh = planner.rolled_back_to(
            wanted, self._identity, created=_now(), operator=self._operator, secrets=told.fingerprints,
            environment=self._project.profile.environment,
        )  # fmt: skip

        def work() -> Prepared:
            self._carry_out(prepared)
            return prepared

        done = self._guarded(fresh, prepared, work, told.model)
        return done or fresh

    def _carry_out(self, prepared: Prepared, back_up: Callable[[], object] | None = None) -> None:
        project, self._began = self._project, True
        tools = Tools(
            verify=self._verify,
            probe=lambda names: smoke_tests.hold(project, names, prepared.desired.stack),
            back_up=lambda: note(f"backed up: {back_up()}") if back_up else None,
            restore=lambda: self._restore(prepared),
            release=self._identity,
            steps=self.steps,
        )
        Execution(project, prepared.desired, tools, prepared.state).carry_out(prepared.deploy.plan)

    def _restore(self, prepared: Prepared) -> None:
        name = self._project.stack.project
        record = f"{planner.repository(name)}:{prepared.desired.release}"
        kept_files.restore(self._project.engine, name, record, prepared.desired.files)

    def _guarded(
        self, fresh: Release, before: Prepared, work: Callable[[], Prepared], kept: Mapping[str, Any]
    ) -> Release | None:
        self._ran = self._as_it_ran(before)
        try:
            done = work()
            # The last word on whose release this is: whoever has lost the lock records nothing.
            self._verify()
            return self._recorded(fresh, done, kept) if self._keeps else None
        except LockLostError:
            raise  # whatever runs now is another one's to decide
        except PausedError as error:
            self._pause(fresh, error)
        except BaseException as error:
            if isinstance(error, RefusedError) and not self._began:
                raise  # nothing has changed: what was built says no more than the plan
            with undisturbed(_UNDISTURBED):
                self._await_engine()
                with _unless_lost():
                    self._verify()
                self._go_back(fresh, before, error)
            raise

    def _as_it_ran(self, before: Prepared) -> Mapping[str, Any] | None:
        """Return the model of the release that serves with the secrets that its containers have; None without one.

        Looked at while they run: a deploy that fails goes back with those.
        """
        project, last = self._project, planner.serving(self._known) if self._keeps else None
        if last is None or not all(project.engine.image(one.id) for one in last.images.values()):
            return None
        return redactions.as_it_ran(project, recorded_model(project, last.id), last, before.observed.containers)

    def _await_engine(self) -> None:
        """Wait until the engine answers: without it there is no way back, and it may be about to start again."""
        deadline = time.monotonic() + _ENGINE
        while True:
            try:
                self._project.engine.version()
                return
            except SlipwayError as error:
                if time.monotonic() > deadline:
                    return
                note(f"{error.message}; waiting for it")
                time.sleep(_ENGINE / 30)

    def _pause(self, fresh: Release, error: PausedError) -> NoReturn:
        """Leave everything as it is, record that, and say how to go on."""
        name, step = self._project.profile.environment, self._at()
        with postponed():
            self._record_failure(fresh, planner.PAUSED, f"{step}: {error.message}")
        back = f", inv deploy.rollback --env {name} goes back" if planner.serving(self._known) else ""
        raise PausedError(
            f"deploy of {self._project.stack.project} paused at {step}: {error.message}",
            "what served goes on serving, and the new containers stay to be looked at (update_config.failure_action: "
            f"pause); inv deploy.{name} begins again{back}",
        ) from None

    def _at(self) -> str:
        return str(self.steps[-1]["name"]) if self.steps else "start"

    # Back

    def _go_back(self, fresh: Release, before: Prepared, error: BaseException) -> None:
        """Let what served before serve again, and record what came of it; raises DeployError that says what serves."""
        message, step = outcomes.reason(error), self._at()
        note(f"{step}: {message}")
        failed = f"deploy of {self._project.stack.project} failed at {step}: {message}"
        status = f"inv deploy.status --env {self._project.profile.environment} shows what serves now"
        try:
            outcome, now = self._way_back(before)
        except Exception as second:
            why = outcomes.reason(second)
            self._record_failure(fresh, planner.FAILED, f"{step}: {message}; roll back: {why}")
            raise DeployError(f"{failed}; and so did the way back: {why}", status) from None
        self._record_failure(fresh, outcome, f"{step}: {message}")
        if isinstance(error, StoppedError | KeyboardInterrupt):
            note(f"{self._project.stack.project}: {now}")
            return  # the caller raises it again: the exit code is the signal's
        hint, cause = outcomes.hint(error), None if isinstance(error, SlipwayError) else error
        raise DeployError(failed, f"{now}{f'; {hint}' if hint else ''}") from cause

    def _way_back(self, before: Prepared) -> tuple[str, str]:
        """Go back, look what serves then, and return the outcome and what is to be said of it."""
        name = self._project.profile.environment
        nothing = f"inv deploy.status --env {name} shows what serves now; nothing was rolled back (KEEP_RELEASES=0)"
        if not self._keeps and not before.deploy.plan.rolled:
            return planner.FAILED, nothing
        if not any(not one.oneoff for one in before.observed.containers):
            self._remove_new()
            return planner.FAILED, "nothing ran before: what this one made is removed"
        entry: dict[str, Any] = {"name": planner.ROLL_BACK, "seconds": 0.0, "outcome": "failed"}
        started, steps = time.monotonic(), self.steps
        self.steps = []
        try:
            back = self._to_before(before)
            refuse(back.deploy.plan)
            self._carry_out(back)
            self._to_before(before, again=True)
            entry["outcome"] = "done"
        finally:
            entry["seconds"] = round(time.monotonic() - started, 3)
            steps.append(entry)
            self.steps = steps
        self._settled()
        return (planner.ROLLED_BACK, "the earlier release serves") if self._keeps else (planner.FAILED, nothing)

    def _settled(self) -> None:
        """Note that nothing of this deploy is left to be recorded."""
        state = states.read(self._project)
        if state.unrecorded:
            states.write(self._project, replace(state, unrecorded=False))

    def _to_before(self, before: Prepared, again: bool = False) -> Prepared:
        """Return the way to what is to serve again; ``again``: after it was gone, when nothing may be left of it."""
        project = self._project
        last = planner.serving(self._known) if self._keeps else None
        if last and self._ran is not None:
            redactions.refuse_unfilled(self._ran)
            back = prepare.earlier(project, last, self._ran)
        else:
            back = prepare.as_it_was(project, before, () if self._keeps else before.deploy.plan.rolled)
        left = [one for one in back.deploy.changed if again]
        if left:
            words = "; ".join(f"{one.service}: {', '.join(one.causes)}" for one in left)
            raise DeployError(f"the release before does not serve as it did: {words}")
        return back

    def _remove_new(self) -> None:
        project = self._project
        mounted = {volume for one in project.engine.containers(project.stack.project) for volume in one.volumes}
        source = Source(project.profile, project.cwd)
        project.runner.run(source.compose("down", "--remove-orphans", reason="there was nothing before"))
        there = project.engine.volumes(project.stack.project, mounted)
        made = sorted({one.name for one in there} - self._volumes)
        if made:
            project.runner.run(source.docker("volume", "rm", *made))
        self._settled()

    # Records

    def _recorded(self, fresh: Release, done: Prepared, kept: Mapping[str, Any]) -> Release:
        project = self._project
        images = dict(fresh.images) or records.images(project)
        content = fresh.content or planner.content(kept, images, done.desired, project.cwd)
        last = planner.serving(self._known)
        if last and last.content == content and last.secrets == fresh.secrets and not fresh.of:
            self._settled()
            return last  # nothing that a release is made of has changed
        # What is promoted, or brought back, keeps what its own scan found.
        scanned = scan_baseline.evidence(project, fresh.commit)
        evidence = {**scanned, **fresh.evidence, **sboms.evidence(project, images.values())}
        seconds = round(time.monotonic() - self._started, 1)
        services = tuple(done.desired.stack.services)
        told = replace(fresh, images=images, evidence=evidence, content=content, seconds=seconds, services=services)
        with outcomes.step(self.steps, "record"):
            records.write(project, told, planner.pinned(kept, images), kept_files.of(done.desired))
        self._settled()
        records.prune(project)
        return told

    def _record_failure(self, fresh: Release, outcome: str, reason: str) -> None:
        if self._keeps:
            seconds = round(time.monotonic() - self._started, 1)
            failed = replace(fresh, outcome=outcome, reason=concealed(reason), seconds=seconds, images={})
            records.write(self._project, failed, {}, {})


def recorded_model(project: Project, identity: int) -> Any:
    """Return the model that a release keeps."""
    name = f"{planner.repository(project.stack.project)}:{identity}"
    return model(project.engine.kept_file(name, "/model.yaml").decode())


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
