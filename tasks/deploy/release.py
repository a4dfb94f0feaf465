"""Carries a release out, records how it ended, and goes back to the earlier release when it fails."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NoReturn

from ..db import backup
from ..host.forwarding import signals_ignored, signals_postponed
from ..host.output import WARNING, mask_secrets, note
from ..host.project import Project, model
from ..host.readiness import inspected
from ..host.steps import step
from ..host.story.story import current_step
from ..host.story.story import step as story_step
from ..model.compose import Source, time_limit
from ..model.errors import DeployError, LockLostError, PausedError, RefusedError, SlipwayError, StoppedError
from ..reconcile import configurations, kept_files
from ..reconcile import state as reconcile_state
from ..reconcile.execute import Execution
from ..reconcile.parallel import Tools
from ..reconcile.placed_files import remove_unused
from ..reconcile.plan import desired
from ..release import redactions, store
from ..release.plan import release
from ..release.plan.release import Basis, Release
from ..scan import baseline, sbom
from ..test import smoke
from . import prepare, prune, report
from .plan.deploy import refuse
from .prepare import Prepared

_ENGINE = 60.0  # seconds that an engine may take to start again
_UNDISTURBED = "going back to the earlier release; signals are ignored until that is done"
Steps = list[dict[str, Any]]


def target(project: Project, wanted: int) -> Release:
    """Return the release that a roll back goes to."""
    containers = project.engine.containers(project.stack.project)
    return release.target(store.history(project), wanted, containers, reconcile_state.read(project).unrecorded)


@contextmanager
def _unless_lost() -> Iterator[None]:
    """Ignore every Slipway error but the loss of the lock: an engine that does not answer may do so in a moment."""
    try:
        yield
    except LockLostError:
        raise
    except SlipwayError:
        return


class Deployment:
    """One deploy or roll back under the lock; ``verify`` raises when the lock is lost, the report grows meanwhile."""

    def __init__(self, project: Project, verify: Callable[[], None], operator: str, told: report.DeployReport) -> None:
        self._project, self._verify, self._operator, self.steps = project, verify, operator, told.steps
        self._watched = told.watched
        self._started = time.monotonic()
        self._volumes: frozenset[str] = frozenset()  # that existed before a first deploy
        self._ran: Mapping[str, Any] | None = None
        self._began = False
        self._known = store.history(project)
        self._identity = max((known.id for known in self._known), default=0) + 1

    # Forward

    def deploy(self, prepared: Prepared, basis: Basis, ready: Callable[[Prepared], Prepared]) -> Release:
        """Carry a deploy out and return its release; raises DeployError that says what serves when it fails.

        ``ready`` builds and pulls the images and returns the deploy as planned with them.
        """
        project = self._project
        kept = redactions.recordable(project)
        fresh = Release(
            self._identity, project.profile.environment, project.version.text, project.version.commit, _now(),
            self._operator, fingerprint=release.fingerprint(project.profile), secrets=kept.fingerprints,
        )  # fmt: skip
        if not prepared.observed.containers:
            self._volumes = project.volumes()

        def work() -> Prepared:
            made = ready(prepared)
            self._carry_out(made, lambda service: backup.backup(project, service))
            return made

        return self._guarded(release.with_basis(fresh, basis), prepared, work, kept.model)

    def back_to(
        self, wanted: Release, prepared: Prepared, kept: Mapping[str, Any], secrets: Mapping[str, str]
    ) -> Release:
        """Go back to an earlier release and return its new record: no build, no pull, no job."""
        recordable = redactions.recordable(self._project, kept, secrets)
        fresh = release.rolled_back_to(
            wanted, self._identity, created=_now(), operator=self._operator, secrets=recordable.fingerprints,
            environment=self._project.profile.environment,
        )  # fmt: skip

        def work() -> Prepared:
            self._carry_out(prepared)
            return prepared

        return self._guarded(fresh, prepared, work, recordable.model)

    def _carry_out(self, prepared: Prepared, back_up: Callable[[str], object] | None = None) -> None:
        project, self._began = self._project, True
        tools = Tools(
            verify=self._verify,
            probe=lambda own, names, patience: smoke.assert_smoke(own, names, prepared.desired.stack, patience),
            back_up=lambda service: self._back_up(back_up, service),
            restore=lambda: self._restore(prepared),
            release=self._identity,
            steps=self.steps,
            watched=self._watched,
        )
        Execution(project, prepared.desired, tools, prepared.state).carry_out(prepared.deploy.plan)

    def _back_up(self, back_up: Callable[[str], object] | None, service: str) -> None:
        if back_up:
            current_step().result = f"backed up: {back_up(service)}"

    def _restore(self, prepared: Prepared) -> None:
        name = self._project.stack.project
        record = f"{release.repository(name)}:{prepared.desired.release}"
        kept_files.restore(self._project.engine, name, record, prepared.desired.files)

    def _guarded(
        self, fresh: Release, before: Prepared, work: Callable[[], Prepared], kept: Mapping[str, Any]
    ) -> Release:
        self._ran = self._as_it_ran(before)
        try:
            done = work()
            # A process that has lost the lock records nothing: another deploy decides what serves.
            self._verify()
            return self._recorded(fresh, done, kept)
        except LockLostError:
            raise  # another process has the lock, and decides what runs
        except PausedError as error:
            self._pause(fresh, error)
        except BaseException as error:
            if isinstance(error, RefusedError) and not self._began:
                raise  # nothing has changed: there is nothing to go back from
            with signals_ignored(_UNDISTURBED):
                self._await_engine()
                with _unless_lost():
                    self._verify()
                self._go_back(fresh, before, error)
            raise

    def _as_it_ran(self, before: Prepared) -> Mapping[str, Any] | None:
        """Return the model of the release that serves, with the secrets that its containers have; None without one.

        Read while the containers run: a deploy that fails goes back with these secrets.
        """
        project, last = self._project, release.serving(self._known)
        if last is None or not all(project.engine.image(image.id) for image in last.images.values()):
            return None
        return redactions.with_running_secrets(
            project, recorded_model(project, last.id), last, before.observed.containers
        )

    def _await_engine(self) -> None:
        """Wait up to 60 seconds until the engine answers: it may be restarting, and nothing goes back without it."""
        deadline = time.monotonic() + _ENGINE
        while True:
            try:
                self._project.engine.version()
                return
            except SlipwayError as error:
                if time.monotonic() > deadline:
                    return
                note(f"{error.message}; waiting for it", WARNING)
                time.sleep(_ENGINE / 30)

    def _pause(self, fresh: Release, error: PausedError) -> NoReturn:
        """Record the pause, change nothing, and raise PausedError that says how to go on."""
        name, step = self._project.profile.environment, self._at()
        with signals_postponed():
            self._record_failure(fresh, release.PAUSED, f"{step}: {error.message}")
        back = f", inv deploy.rollback --env {name} goes back" if release.serving(self._known) else ""
        raise PausedError(
            f"deploy of {self._project.stack.project} paused at {step}: {error.message}",
            "the earlier containers go on serving, and the new ones stay for inspection (update_config.failure_action: "
            f"pause); inv deploy.{name} begins again{back}",
        ) from None

    def _at(self) -> str:
        return str(self.steps[-1]["name"]) if self.steps else "start"

    # Back

    def _go_back(self, fresh: Release, before: Prepared, error: BaseException) -> None:
        """Go back to what served before and record the outcome; raises DeployError that says what serves.

        After a signal it returns instead: the caller raises the signal's error again, for its exit code.
        """
        message, step = report.reason(error), self._at()
        note(f"{step}: {message}", WARNING)
        failed = f"deploy of {self._project.stack.project} failed at {step}: {message}"
        status = f"inv deploy.status --env {self._project.profile.environment} shows what serves now"
        try:
            outcome, now = self._way_back(before)
        except Exception as second:
            why = report.reason(second)
            self._record_failure(fresh, release.FAILED, f"{step}: {message}; roll back: {why}")
            raise DeployError(f"{failed}; the roll back failed as well: {why}", status) from None
        self._record_failure(fresh, outcome, f"{step}: {message}")
        if isinstance(error, StoppedError | KeyboardInterrupt):
            note(f"{self._project.stack.project}: {now}")
            return
        hint, cause = report.hint(error), None if isinstance(error, SlipwayError) else error
        raise DeployError(failed, f"{now}{f'; {hint}' if hint else ''}") from cause

    def _way_back(self, before: Prepared) -> tuple[str, str]:
        """Go back, check what serves then, and return the outcome and a sentence about it."""
        if not any(not container.oneoff for container in before.observed.containers):
            self._remove_new()
            return release.FAILED, "nothing ran before: what this deploy made is removed"
        steps, self.steps = self.steps, []  # the whole way back counts as one step of the deploy
        try:
            with step(steps, release.ROLL_BACK):
                way_back = self._to_before(before)
                refuse(way_back.deploy.plan)
                self._carry_out(way_back)
                self._to_before(before, again=True)
        finally:
            self.steps = steps
        self._settled()
        return release.ROLLED_BACK, "the earlier release serves"

    def _settled(self) -> None:
        """Note in the engine's state that nothing of this deploy is left to be recorded."""
        state = reconcile_state.read(self._project)
        if state.unrecorded:
            reconcile_state.write(self._project, replace(state, unrecorded=False))

    def _to_before(self, before: Prepared, again: bool = False) -> Prepared:
        """Return the plan that goes back to what served before.

        ``again``: check after it was carried out; raises DeployError when something still differs.
        """
        project = self._project
        last = release.serving(self._known)
        if last and self._ran is not None:
            redactions.refuse_unset_secrets(self._ran)
            way_back = prepare.earlier(project, last, self._ran, undo=True)
        else:
            way_back = prepare.as_it_was(project, before)
        differences = [change for change in way_back.deploy.changed if again]
        if differences:
            words = "; ".join(f"{operation.service}: {', '.join(operation.causes)}" for operation in differences)
            raise DeployError(f"the earlier release does not serve as it did: {words}")
        return way_back

    def _remove_new(self) -> None:
        project = self._project
        mounted = {
            volume for container in project.engine.containers(project.stack.project) for volume in container.volumes
        }
        source = Source(project.profile, project.cwd)
        seconds = time_limit(container.grace for container in inspected(project, project.stack.project))
        down = source.compose("down", "--remove-orphans", reason="nothing ran before", seconds=seconds)
        with story_step("remove what this deploy made"):
            project.runner.run(down)
        volumes = project.engine.volumes(project.stack.project, mounted)
        remove_unused(project.engine, project.stack.project)
        new_names = sorted({volume.name for volume in volumes} - self._volumes)
        if new_names:
            project.runner.run(source.docker("volume", "rm", *new_names))
        self._settled()

    # Records

    def _recorded(self, fresh: Release, done: Prepared, kept: Mapping[str, Any]) -> Release:
        project = self._project
        images = dict(fresh.images) or store.images(project)
        content = fresh.content or desired.release_digest(kept, images, done.desired, project.cwd)
        last = release.serving(self._known)
        if last and last.content == content and last.secrets == fresh.secrets and not fresh.of:
            self._settled()
            return last  # nothing that makes up a release has changed
        # A promoted release, or one that a roll back returns to, keeps the evidence of its own scan.
        scanned = baseline.evidence(project, fresh.commit)
        evidence = {**scanned, **fresh.evidence, **sbom.evidence(project, images.values())}
        seconds = round(time.monotonic() - self._started, 1)
        recorded = replace(
            fresh, images=images, evidence=evidence, content=content, seconds=seconds,
            services=tuple(done.desired.stack.services), watched=report.watched_lines(self._watched),
        )  # fmt: skip
        with step(self.steps, "record"):
            files = {**self._files(done), **configurations.hashes_file(project)}
            store.write(project, recorded, release.pinned(kept, images), files)
        self._settled()
        prune.prune(project)
        return recorded

    def _files(self, done: Prepared) -> dict[str, bytes]:
        return kept_files.record_files(self._project.engine, self._project.stack.project, done.desired)

    def _record_failure(self, fresh: Release, outcome: str, reason: str) -> None:
        if self._project.profile.integer("KEEP_RELEASES"):
            seconds = round(time.monotonic() - self._started, 1)
            failed = replace(
                fresh, outcome=outcome, reason=mask_secrets(reason), seconds=seconds, images={},
                watched=report.watched_lines(self._watched),
            )  # fmt: skip
            try:
                store.write(self._project, failed, {}, {})
            except SlipwayError as error:  # what the deploy failed of, and what serves now, is what counts
                note(f"this deploy is not in the history: {error.message}", WARNING)


def recorded_model(project: Project, identity: int) -> Any:
    """Return the Compose model that a release recorded."""
    name = f"{release.repository(project.stack.project)}:{identity}"
    return model(project.engine.data.file(name, "/model.yaml").decode())


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
