"""Carries a release out, records what came of it, and goes back when it fails."""

import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NoReturn

from ..plan import build as build_planner
from ..plan import deploy as deploy_planner
from ..plan import release as planner
from ..plan import rollout
from ..plan.errors import CommandError, DeployError, LockLostError, PausedError, SlipwayError, StoppedError
from ..plan.extension import RECREATE
from ..plan.facts import Container
from ..plan.release import Basis, Before, Pinned, Release
from ..plan.rollout import Move, Source
from ..plan.stack import Stack, parse
from ..plan.units import show_duration
from . import backups, builds, records, sboms, scan_baseline, smoke_tests
from .forwarding import postponed, undisturbed
from .output import note
from .project import Project, model
from .proxies import follow
from .readiness import blame, crashing, settled
from .repairs import repair
from .rollouts import Rollout

_ENGINE = 60.0  # seconds that an engine may take to start again
_UNDISTURBED = "going back to the earlier release; that ends by itself"


def deploy(
    project: Project,
    plan: deploy_planner.Plan,
    verify: Callable[[], None],
    operator: str,
    steps: list[dict[str, Any]],
    basis: Basis,
) -> Release:
    """Carry a plan out under the lock and return its release; ``steps`` is filled on the way."""
    return Deployment(project, verify, operator, steps).deploy(plan, basis)


def back_to(
    project: Project, wanted: Release, verify: Callable[[], None], operator: str, steps: list[dict[str, Any]]
) -> Release:
    """Bring a release back under the lock and return what that made."""
    return Deployment(project, verify, operator, steps).back_to(wanted)


def unrecorded(project: Project) -> bool:
    """Whether what runs is no release yet: the deploy that brought it was killed before it could record it."""
    last = planner.serving(records.history(project))
    return last is None or bool(planner.moved(last.images, records.images(project)))


def adopt(project: Project, verify: Callable[[], None], operator: str, steps: list[dict[str, Any]]) -> Release:
    """Record what runs as a release."""
    return Deployment(project, verify, operator, steps).deploy(deploy_planner.Plan((), ()), Basis())


def target(project: Project, wanted: int) -> Release:
    """Return the release that a roll back goes to."""
    return planner.target(records.history(project), wanted, project.engine.containers(project.stack.project))


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
    """One deploy or roll back under the lock; ``verify`` raises when the lock is lost."""

    def __init__(
        self, project: Project, verify: Callable[[], None], operator: str, steps: list[dict[str, Any]]
    ) -> None:
        self._project, self._verify, self._operator, self._steps = project, verify, operator, steps
        self._source = Source(project.profile, project.cwd)
        self._stale: frozenset[str] = frozenset()
        self._probe: Callable[[], None] | None = None
        self._started = time.monotonic()
        self._known = records.history(project)
        self._identity = max((one.id for one in self._known), default=0) + 1

    def _step(self, name: str, work: Callable[[], None]) -> None:
        started = time.monotonic()
        entry: dict[str, Any] = {"name": name, "seconds": 0.0, "outcome": "failed"}
        self._steps.append(entry)
        try:
            work()
            entry["outcome"] = "done"
        finally:
            entry["seconds"] = round(time.monotonic() - started, 3)

    def deploy(self, plan: deploy_planner.Plan, basis: Basis) -> Release:
        """Carry a plan out; raises DeployError with the earlier release serving when a step fails."""
        project, stack = self._project, self._project.stack
        rollout.refuse_impossible(stack)
        planner.refuse_secrets(project.model_text, project.profile)
        before = self._before()
        self._stale = frozenset(plan.stale)
        changed = {one.service: one.action for one in plan.changed}
        fresh = Release(
            self._identity, project.profile.environment, project.version.text, project.version.commit, _now(),
            self._operator, fingerprint=planner.fingerprint(project.profile),
        )  # fmt: skip
        fresh = planner.based(fresh, basis)
        if any(one.slipway.smoke for one in stack.services.values()):
            self._probe = lambda: smoke_tests.hold(project)
        return self._guarded(fresh, before, lambda: self._bring(self._source, stack, changed, plan))

    def back_to(self, wanted: Release) -> Release:
        """Bring an earlier release back: nothing is built, nothing is pulled."""
        project = self._project
        kept = self._model(wanted.id)
        source, stack = self._restored(kept, wanted.images)
        before = self._before()
        changed = self._changed(source, stack, before, wanted)
        known = {name for one in self._known for name in one.images} & set(before.hashes)
        gone = known - set(stack.services)
        fresh = planner.rolled_back_to(
            wanted, self._identity, created=_now(), operator=self._operator, environment=project.profile.environment
        )
        return self._guarded(fresh, before, lambda: self._return(source, stack, wanted, changed, gone), kept)

    def _guarded(
        self, fresh: Release, before: Before, work: Callable[[], None], kept: Mapping[str, Any] | None = None
    ) -> Release:
        try:
            work()
            # The last word on whose release this is: whoever has lost the lock records nothing.
            self._verify()
            done = self._recorded(fresh, kept)
        except LockLostError:
            raise  # whatever runs now is another one's to decide
        except PausedError as error:
            self._pause(fresh, error)
        except (SlipwayError, KeyboardInterrupt) as error:
            if self._project.runner.dry:
                raise
            with undisturbed(_UNDISTURBED):
                self._await_engine()
                with _unless_lost():
                    self._verify()
                self._go_back(fresh, before, error)
            raise
        return done

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
        name, step = self._project.profile.environment, self._steps[-1]["name"]
        with postponed():
            self._record_failure(fresh, planner.PAUSED, f"{step}: {error.message}")
        back = f", inv deploy.rollback --env {name} goes back" if planner.serving(self._known) else ""
        raise PausedError(
            f"deploy of {self._project.stack.project} paused at {step}: {error.message}",
            "what served goes on serving, and the new containers stay to be looked at (update_config.failure_action: "
            f"pause); inv deploy.{name} begins again{back}",
        ) from None

    def _bring(self, source: Source, stack: Stack, changed: Mapping[str, str], plan: deploy_planner.Plan) -> None:
        running = {one.service for one in self._project.engine.containers(stack.project) if one.state == "running"}
        if plan.promoted:
            self._step("promote", lambda: self._promote(plan.promoted))
        for step in plan.steps:
            if step.name == "build":
                built = build_planner.BuildPlan((), step.command, {})
                self._step("build", lambda built=built: builds.carry_out(self._project, built))  # type: ignore[misc]
            elif step.name in ("unpause", "restart"):
                self._step(step.name, lambda step=step: self._project.runner.run(step.command))  # type: ignore[misc]
        if self._project.profile.flag("BACKUP_BEFORE_MIGRATE"):
            self._back_up(source, stack, changed, running)
        self._converge(source, stack, changed)
        if self._probe:
            self._step("smoke", self._probe)

    def _back_up(self, source: Source, stack: Stack, changed: Mapping[str, str], running: set[str]) -> None:
        if idle := planner.idle_database(stack, changed, running, self._project.volumes()):
            self._step(f"start {idle}", lambda: self._move(source, stack, Move(RECREATE, (idle,))))
        if rollout.to_back_up(stack, changed, {*running, idle}):
            self._step("backup", lambda: note(f"backed up: {backups.backup(self._project)}"))

    def _promote(self, images: Mapping[str, str]) -> None:
        for reference, image in images.items():
            self._project.runner.run(self._source.docker("tag", image, reference))

    def _changed(self, source: Source, stack: Stack, before: Before, wanted: Release) -> dict[str, str]:
        """Return the services that a release runs from another image, or as another configuration."""
        wants = self._hashes(source)
        other = {name for name, now in before.hashes.items() if name in stack.services and wants.get(name, now) != now}
        other = {name for name in other if not stack.one_off(stack.services[name])}
        return dict.fromkeys([*before.differing(wanted.images), *sorted(other)], "recreate")

    def _hashes(self, source: Source) -> dict[str, str]:
        """Return the configurations of a release's services by Compose's own measure."""
        containers = self._project.engine.containers(self._project.stack.project)
        return self._project.hashes_of(json.loads(source.model), containers)

    def _return(
        self, source: Source, stack: Stack, wanted: Release, changed: Mapping[str, str], gone: Collection[str]
    ) -> None:
        self._step("images", lambda: self._name_images(wanted.images))
        self._converge(source, stack, changed)
        if gone:
            kept = {one.service for one in self._project.engine.containers(stack.project)} - set(gone)
            self._step(f"remove {' '.join(sorted(gone))}", lambda: self._retire_others(kept))

    def _converge(self, source: Source, stack: Stack, changed: Mapping[str, str]) -> None:
        """Bring every changed service in, each after those it depends on, and hold that all is healthy at the end."""
        running = {one.service for one in self._project.engine.containers(stack.project) if one.state == "running"}
        for move in rollout.moves(stack, changed, running):
            name = f"{'up' if move.kind == RECREATE else move.kind} {' '.join(move.services)}"
            self._step(name, lambda move=move: self._move(source, stack, move))  # type: ignore[misc]
        self._step("verify", lambda: self._healthy(source, stack, ()))

    def _move(self, source: Source, stack: Stack, move: Move) -> None:
        self._verify()
        if move.kind == RECREATE:
            try:
                self._project.runner.run(source.up(move.services))
                if stale := [one for one in move.services if one in self._stale]:
                    self._project.runner.run(source.up(stale, anew=True))
            except CommandError as error:
                blame(self._project, stack, error.message)
            self._healthy(source, stack, move.services)
            follow(self._project, source, stack, move.services)
        else:
            Rollout(
                self._project, source, stack, stack.services[move.services[0]], self._verify, self._probe
            ).carry_out()

    def _healthy(self, source: Source, stack: Stack, names: tuple[str, ...]) -> None:
        timeout = source.profile.duration("HEALTH_TIMEOUT")
        if self._project.runner.dry:
            self._project.runner.show(f"wait until {', '.join(names) or 'every service'} is healthy")
            return

        def judge(found: tuple[Container, ...]) -> str:
            mine = [one.name for one in found if not names or one.service in names]
            return deploy_planner.verdict(stack, found, names) or crashing(self._project, found, mine)

        word = self._project.engine.wait(stack.project, judge, timeout)
        if word == "ready" and not names:
            word = settled(self._project, stack)
        if word != "ready":
            reason = f"not healthy within {show_duration(timeout)} (HEALTH_TIMEOUT)" if word == "timeout" else word
            blame(self._project, stack, reason)

    # What there was, and the way back to it

    def _before(self) -> Before:
        project = self._project
        name = project.stack.project
        found = [one for one in project.engine.containers(name) if not one.oneoff]
        hashes = {one.service: one.config_hash for one in found}
        ran = {name: frozenset(one.image_id for one in found if one.service == name) for name in hashes}
        last = planner.serving(self._known)
        if last and ran and all(project.engine.image(one.id) for one in last.images.values()):
            return Before(last.images, self._model(last.id), project.volumes(), hashes, ran)
        # Of what nobody recorded, today's model is the best guess.
        names = {one.name: one.image for one in project.stack.services.values()}
        images = {one.service: Pinned(names[one.service], one.image_id) for one in found if one.service in names}
        return Before(images, model(project.model_text), project.volumes(), hashes, ran)

    def _go_back(self, fresh: Release, before: Before, error: BaseException) -> None:
        """Let the earlier release serve again, and record that; raises DeployError that says what serves now."""
        message = error.message if isinstance(error, SlipwayError) else "stopped by SIGINT"
        step = self._steps[-1]["name"] if self._steps else "start"
        note(f"{step}: {message}")
        try:
            if before.images:
                source, stack = self._restored(before.model, before.images)
                self._step(planner.ROLL_BACK, lambda: self._undo(source, stack, before))
                outcome, now = planner.ROLLED_BACK, "the earlier release serves"
            else:
                self._step("remove", lambda: self._remove_new(before))
                outcome, now = planner.FAILED, "nothing ran before: what this one made is removed"
        except SlipwayError as second:
            self._record_failure(fresh, planner.FAILED, f"{step}: {message}; roll back: {second.message}")
            raise DeployError(
                f"deploy of {self._project.stack.project} failed at {step}: {message}; and so did the way back: "
                f"{second.message}",
                f"inv deploy.status --env {self._project.profile.environment} shows what serves now",
            ) from None
        self._record_failure(fresh, outcome, f"{step}: {message}")
        if isinstance(error, StoppedError | KeyboardInterrupt):
            note(f"{self._project.stack.project}: {now}")
            return  # the caller raises it again: the exit code is the signal's
        hint = error.hint if isinstance(error, SlipwayError) else ""
        raise DeployError(
            f"deploy of {self._project.stack.project} failed at {step}: {message}",
            f"{now}{f'; {hint}' if hint else ''}",
        ) from None

    def _undo(self, source: Source, stack: Stack, before: Before) -> None:
        self._name_images(before.images)
        repair(self._project, source, stack, before.images)
        found = self._project.engine.containers(stack.project)
        hashes = {**before.hashes, **self._hashes(source)}
        changed = planner.to_bring_back(stack, before.images, hashes, found)
        running = {one.service for one in found if one.state == "running"}
        for move in rollout.moves(stack, changed, running):
            if move.kind == RECREATE:
                self._project.runner.run(source.up(move.services))
                self._healthy(source, stack, move.services)
                follow(self._project, source, stack, move.services)
            else:
                Rollout(self._project, source, stack, stack.services[move.services[0]], lambda: None).carry_out()
        self._retire_others(planner.kept_services(stack.services, self._project.stack.services, before.hashes))
        self._retire(planner.stale_jobs(stack, before.images, self._project.engine.containers(stack.project)))

    def _retire_others(self, services: Collection[str]) -> None:
        """Stop and remove the containers of services that a release does not have."""
        project = self._project
        found = project.engine.containers(project.stack.project)
        self._retire([one.name for one in found if one.service not in services and not one.oneoff])

    def _retire(self, names: Sequence[str]) -> None:
        for command in rollout.stop(self._source, names) if names else ():
            self._project.runner.run(command)

    def _remove_new(self, before: Before) -> None:
        project = self._project
        containers = project.engine.containers(project.stack.project)
        mounted = {volume for one in containers for volume in one.volumes}
        project.runner.run(self._source.compose("down", "--remove-orphans", reason="there was nothing before"))
        made = sorted({one.name for one in project.engine.volumes(project.stack.project, mounted)} - before.volumes)
        if made:
            project.runner.run(self._source.docker("volume", "rm", *made))

    # Images and records

    def _name_images(self, images: Mapping[str, Pinned]) -> None:
        """Let the names of the Compose file stand for the images of a release again."""
        for one in {image.reference: image for image in images.values()}.values():
            self._project.runner.run(self._source.docker("tag", one.id, one.reference))

    def _restored(self, kept: Mapping[str, Any], images: Mapping[str, Pinned]) -> tuple[Source, Stack]:
        found = planner.restored(kept, images)
        return Source(self._project.profile, self._project.cwd, json.dumps(found)), parse(found)

    def _model(self, identity: int) -> Any:
        name = f"{planner.repository(self._project.stack.project)}:{identity}"
        return model(self._project.engine.kept_file(name, "/model.yaml").decode())

    def _recorded(self, fresh: Release, kept: Mapping[str, Any] | None) -> Release:
        project = self._project
        images = dict(fresh.images) or records.images(project)
        # What is promoted, or brought back, keeps what its own scan found.
        scanned = scan_baseline.evidence(project, fresh.commit)
        evidence = {**scanned, **fresh.evidence, **sboms.evidence(project, images.values())}
        told = {"images": images, "evidence": evidence}
        done = Release(**{**vars(fresh), **told, "seconds": round(time.monotonic() - self._started, 1)})
        pinned = planner.pinned(kept or model(project.model_text), images)
        self._step("record", lambda: records.write(project, done, pinned))
        records.prune(project)
        return done

    def _record_failure(self, fresh: Release, outcome: str, reason: str) -> None:
        seconds = round(time.monotonic() - self._started, 1)
        failed = Release(**{**vars(fresh), "outcome": outcome, "reason": reason, "seconds": seconds, "images": {}})
        records.write(self._project, failed, {})


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
