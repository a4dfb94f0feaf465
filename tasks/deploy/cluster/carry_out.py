"""Carries a deploy to a cluster out, records how it ended, and sees to it that what served before serves again."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from ...db import backup
from ...host.forwarding import signals_ignored
from ...host.lock import LockHandle, user_at_host
from ...host.output import WARNING, mask_secrets, note
from ...host.project import Project
from ...host.steps import step
from ...host.story.story import current_step
from ...kube.live import history
from ...kube.live.cluster import Cluster, persistently
from ...kube.live.history import History
from ...kube.plan.live import difference, pods, revisions, takeover
from ...kube.plan.live.revisions import Revision, serves
from ...kube.plan.live.takeover import Takeover
from ...kube.plan.workloads.kinds import DEPLOYMENT
from ...model.command import Command
from ...model.errors import DeployError, LockLostError, RefusedError, SlipwayError, StoppedError
from ...model.stack.extension import CANARY
from ...reconcile import migrations
from ...reconcile.plan.operation import BACKUP, SETTLE, SWITCH, WATCH
from ...release.plan import release as release_plan
from ...release.plan.release import Basis, Pinned, Release
from ...test import cluster_smoke
from .. import report as deploy_report
from ..plan.agreed import AgreedPlan, refuse_more
from ..report import DeployReport
from . import canary, helm, switch
from .helm import Rollout, Upgrade
from .images import ready
from .prepare import ClusterDeploy, next_revision, written_chart
from .watch import watch

_JOBS = 600.0  # seconds that the jobs of a deploy may take together
_SLACK = 30.0  # seconds that a rollout may take besides waiting for health
_CONCLUDE = "remove what served before"  # the step's name
_UNDISTURBED = "going back to the earlier release; signals are ignored until that is done"


class ClusterDeployment:
    """One deploy or roll back under the lock; the report grows meanwhile."""

    def __init__(self, project: Project, lock: LockHandle, report: DeployReport) -> None:
        self._project, self._lock, self._report = project, lock, report
        self._cluster = Cluster(project)
        self._started = time.monotonic()
        self._counts: dict[str, int] = {}
        self._led: Takeover | None = None  # while Services lead to new Pods and the old ones are as they were

    # Forward

    def deploy(
        self, prepared: ClusterDeploy, basis: Basis, interrupt: bool, agreed: AgreedPlan | None = None
    ) -> Release:
        """Carry a deploy out and return its release; raises DeployError that says what serves when it fails.

        ``interrupt`` allows that services cannot be reached for a while. Raises RefusedError where, after a build,
        there is more to do than was ``agreed``.
        """
        fresh = release_plan.with_basis(begun(prepared), basis)
        made = ready(prepared, fresh, self._report, interrupt)
        if agreed:
            refuse_more(agreed, made.deploy.plan)
        fresh = replace(fresh, content=made.content)
        with self._guarded(fresh, made):
            self._back_up(made)
            self._verify()
            if made.secret.changed:
                with step(self._report.steps, "write secrets"):
                    persistently(made.secret.write)
            taking = switch.change(made)
            with step(self._report.steps, "roll out"):
                self._install(made, fresh, taking)
            if given := canary.shares(made, taking):
                with step(self._report.steps, CANARY):
                    self._verify()
                    self._led = taking
                    canary.give(made, taking, given, self._counts)
            self._prove(made, taking)
            if taking.moved:
                with step(self._report.steps, _CONCLUDE), written_chart(made) as directory:
                    self._verify()
                    self._led = None
                    upgrade = self._upgrade(f"{fresh.version} by {fresh.operator}", taking)
                    self._cluster.run(helm.conclude(self._cluster, directory, upgrade))
        self._tell_stranded(made)
        return self._recorded(fresh, made)

    def back_to(self, prepared: ClusterDeploy, wanted: Release) -> Release:
        """Go back to an earlier release by helm, and return its new record: no build, no job."""
        identity = next_revision(prepared.history)
        fresh = release_plan.rolled_back_to(wanted, identity, created=_now(), operator=user_at_host())
        services = tuple(prepared.stack.services)
        with self._guarded(fresh, prepared):
            patience, taking = self._patience(prepared, False), switch.change(prepared)
            command = helm.back(self._cluster, wanted.id, patience)
            with step(self._report.steps, "roll out"):
                if taking.moved:
                    self._install(prepared, fresh, taking)
                elif prepared.moved:
                    switch.bring_back(self._cluster, wanted.id, patience)
                else:
                    self._roll_out(prepared, command, services)
            self._prove(prepared, taking)
            if taking.moved:
                with step(self._report.steps, _CONCLUDE):
                    self._verify()
                    self._led = None
                    self._cluster.run(command)
        self._tell_stranded(prepared)
        return self._recorded(fresh, prepared)

    def _verify(self) -> None:
        persistently(self._lock.verify)

    def _back_up(self, prepared: ClusterDeploy) -> None:
        for operation in prepared.deploy.plan.operations:
            if operation.kind == BACKUP:
                with step(self._report.steps, f"backup {operation.subject}"):
                    current_step().result = f"backed up: {backup.backup(self._project, operation.subject)}"

    def _install(self, prepared: ClusterDeploy, fresh: Release, taking: Takeover) -> None:
        hooks = bool(prepared.deploy.plan.jobs)
        description, chart = f"{fresh.version} by {fresh.operator}", prepared
        switch.keep_numbers(self._cluster, prepared.state.live, prepared.objects.always)
        if taking.moved:
            description = revisions.beside(prepared.serving, description)
            chart = switch.beside(prepared, taking)
        with written_chart(chart) as directory:
            upgrade = self._upgrade(description, taking)
            command = helm.install(self._cluster, directory, upgrade, self._patience(prepared, hooks), hooks)
            changed = [change.service for change in prepared.deploy.changed]
            self._roll_out(prepared, command, changed)
        if taking.moved:
            made = [raw for raw in helm.look(self._cluster) if raw["kind"] == DEPLOYMENT]
            switch.keep_numbers(self._cluster, made, taking.scalers())

    def _roll_out(self, prepared: ClusterDeploy, command: Command, services: Sequence[str]) -> None:
        rollout = Rollout(self._cluster, prepared.names)
        rollout.run(command, services)
        self._counts = rollout.counts

    def _upgrade(self, description: str, taking: Takeover) -> Upgrade:
        keep, mark = self._project.profile.integer("KEEP_RELEASES"), self._lock.token.partition("/")[0] or "none"
        return Upgrade(description, keep, mark, bool(taking.moved))

    def _prove(self, prepared: ClusterDeploy, taking: Takeover) -> None:
        """Let the new Pods serve, and see whether they do it well."""
        if taking.moved:
            with step(self._report.steps, SWITCH):
                self._verify()
                self._led = taking
                persistently(lambda: switch.lead(self._cluster, taking.leading_on()))
        kinds = (WATCH, SETTLE)
        periods = {one.subject: one.seconds for one in prepared.deploy.plan.operations if one.kind in kinds}
        slots = {prepared.names[name]: slot for name, slot in taking.slots().items() if name in prepared.names}
        if periods:
            with step(self._report.steps, WATCH):
                watch(self._cluster, prepared.names, periods, slots, self._counts)
        self._smoke(prepared)

    def _patience(self, prepared: ClusterDeploy, hooks: bool) -> float:
        """Return how long helm waits, in seconds: the Pods of a service may come one after the other."""
        steps = [seconds * max(service.replicas, 1) for service, seconds in prepared.timeouts()]
        return max(steps, default=0.0) + _SLACK + (_JOBS if hooks else 0.0)

    def _smoke(self, prepared: ClusterDeploy) -> None:
        if any(service.slipway.smoke for service in prepared.stack.services.values()):
            with step(self._report.steps, "smoke test"):
                persistently(lambda: cluster_smoke.assert_smoke(self._cluster, prepared.stack, prepared.names))

    def _tell_stranded(self, prepared: ClusterDeploy) -> None:
        """Say which Pods of the release before may still run: helm and the controllers do not wait for them."""
        for problem in pods.stranded(persistently(lambda: helm.look(self._cluster)), prepared.names):
            note(str(problem), WARNING)
            note(f"  hint: {problem.hint}")

    # Back

    @contextlib.contextmanager
    def _guarded(self, fresh: Release, prepared: ClusterDeploy) -> Iterator[None]:
        """Go back to what served before where the block fails; raises DeployError that says what serves."""
        try:
            yield
        except LockLostError:
            raise  # another process has the lock, and decides what runs
        except BaseException as error:
            with signals_ignored(_UNDISTURBED):
                self._go_back(fresh, prepared, error)
            raise

    def _go_back(self, fresh: Release, prepared: ClusterDeploy, error: BaseException) -> None:
        message = deploy_report.reason(error)
        at = str(self._report.steps[-1]["name"]) if self._report.steps else "start"
        note(f"{at}: {message}", WARNING)
        failed = f"deploy of {self._cluster.name} failed at {at}: {message}"
        status = f"inv deploy.status --env {self._project.profile.environment} shows what serves now"
        try:
            outcome, now = self._way_back(fresh, prepared)
        except SlipwayError as second:
            self._record(replace(fresh, outcome=release_plan.FAILED, reason=f"{at}: {message}"))
            raise DeployError(f"{failed}; the roll back failed as well: {second.message}", status) from None
        self._record(replace(fresh, outcome=outcome, reason=mask_secrets(f"{at}: {message}")))
        if isinstance(error, StoppedError | KeyboardInterrupt):
            note(f"{self._cluster.name}: {now}")
            return
        hint, cause = deploy_report.hint(error), None if isinstance(error, SlipwayError) else error
        raise DeployError(failed, f"{now}{f'; {hint}' if hint else ''}") from cause

    def _way_back(self, fresh: Release, prepared: ClusterDeploy) -> tuple[str, str]:
        """See to it that the earlier release serves, and return the outcome and what was seen of it."""
        before = prepared.history.serving
        with step(self._report.steps, release_plan.ROLL_BACK):
            if led := self._led:  # first of all, since clients ask Pods that are not well
                canary.take_back(prepared, led)
                persistently(lambda: switch.lead(self._cluster, led.leading_back()))
                switch.await_asked_again(led.before)
            known = persistently(lambda: History(self._cluster).revisions)
            newest = known[-1] if known else None
            if before and newest and not serves(newest, before.id):
                patience = self._patience(prepared, False)
                persistently(lambda: switch.bring_back(self._cluster, before.id, patience))
            elif not before and newest and newest.status != "uninstalled":
                gone = self._cluster.helm("uninstall", self._cluster.release, "--wait", seconds=None)
                persistently(lambda: self._cluster.run(gone))
            persistently(prepared.secret.put_back)
        if before is None:
            return release_plan.FAILED, "nothing ran before: what this deploy made is removed"
        return release_plan.ROLLED_BACK, persistently(lambda: self._seen(prepared, before))

    def _seen(self, prepared: ClusterDeploy, before: Release) -> str:
        """Return what serves now: the release that helm calls deployed, and how many Pods are ready."""
        now = History(self._cluster).serving
        listed = takeover.led(helm.look(self._cluster))
        unready = [
            f"{difference.service_of(raw, prepared.names) or raw['metadata']['name']}: {words}"
            for raw in listed
            if raw["kind"] in difference.PODS and (words := difference.unready(raw))
        ]
        staying = (raw for raw in listed if raw["kind"] == "Pod" and not raw["metadata"].get("deletionTimestamp"))
        running = sum(pods.state(raw) == "running" for raw in staying)
        serving = f"release {now.of or now.id} serves" if now else f"release {before.id} was brought back"
        return f"{serving}, {running} containers run" + (
            f"; not ready: {', '.join(unready)}" if unready else ", all ready"
        )

    # A deploy that was stopped

    def take_back_stopped(self) -> None:
        """Go back from a deploy of ours that was killed; raises RefusedError where somebody else's helm is at work."""
        known = History(self._cluster)
        stopped = revisions.pending(known.revisions)
        if stopped is None:
            return
        if not self._is_ours(stopped):
            raise RefusedError(
                f"helm began {stopped.status.removeprefix('pending-')} {stopped.number} of {self._cluster.release} at "
                f"{stopped.updated}, not by Slipway, and has not ended",
                f"wait for it; if it is gone for sure: helm rollback {self._cluster.release}",
            )
        before = revisions.serving(known.revisions)
        note(f"an earlier deploy was stopped before it ended (release {stopped.number}): going back first", WARNING)
        with step(self._report.steps, "take back"):
            if before:
                switch.bring_back(self._cluster, before.number, _JOBS)
            else:
                self._cluster.run(self._cluster.helm("uninstall", self._cluster.release, "--wait", seconds=None))

    def _is_ours(self, stopped: Revision) -> bool:
        """Whether a deploy under our lock began a revision: its lock is gone, since we have the lock now."""
        name = revisions.secret_name(self._cluster.release, stopped.number)
        raw = self._cluster.read("get", "secret", name, missing="null")
        return bool(raw and raw["metadata"]["labels"].get("slipway"))

    # Records

    def _recorded(self, fresh: Release, prepared: ClusterDeploy) -> Release:
        now = persistently(lambda: revisions.serving(History(self._cluster).revisions))
        images = {
            name: Pinned(
                service.image, service.image, service.image if "@" in service.image else "", service.build is not None
            )
            for name, service in prepared.stack.services.items()
            if service.image
        }
        made = replace(
            fresh, id=now.number if now else fresh.id, images=fresh.images or images,
            seconds=round(time.monotonic() - self._started, 1),
        )  # fmt: skip
        with step(self._report.steps, "record"):
            persistently(lambda: history.write(self._cluster, made, _applied(prepared), prepared.source.model))
            persistently(lambda: history.prune(self._cluster))
        self._report.known = persistently(lambda: History(self._cluster).releases)
        return made

    def _record(self, failed: Release) -> None:
        made = replace(failed, seconds=round(time.monotonic() - self._started, 1), images={})
        try:
            if any(one.number == made.id for one in History(self._cluster).revisions):
                history.write(self._cluster, made)
        except SlipwayError as error:  # what the deploy failed of, and what serves now, is what counts
            note(f"this deploy is not in the history: {error.message}", WARNING)


def begun(prepared: ClusterDeploy) -> Release:
    """Return the release of a deploy that begins now."""
    project = prepared.cluster.project
    return Release(
        next_revision(prepared.history), project.profile.environment, project.version.text, project.version.commit,
        _now(), user_at_host(), fingerprint=release_plan.fingerprint(project.profile),
        services=tuple(prepared.stack.services),
    )  # fmt: skip


def _applied(prepared: ClusterDeploy) -> dict[str, dict[str, str]]:
    """Return the migrations that the jobs of a deploy have applied, by service."""
    model, promotion = prepared.cluster.project.model, prepared.deploy.promotion
    ran = prepared.deploy.plan.jobs
    jobs = [
        service
        for service in prepared.stack.services.values()
        # What a promoted image has applied is not what the checkout has.
        if service.name in ran and not (promotion and service.build)
    ]
    return {service.name: found for service in jobs if (found := migrations.of(service, model))}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
