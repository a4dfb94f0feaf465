"""Carries the operations of a plan out, in their order; decides nothing."""

import contextlib
import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..plan import operation as kinds
from ..plan.desired import Desired
from ..plan.difference import identity
from ..plan.errors import CommandError, DeployError, LockLostError, PausedError, SlipwayError
from ..plan.extension import CONTINUE, PAUSE
from ..plan.facts import Container
from ..plan.observed import Ran, Stamp, State
from ..plan.operation import Operation, Plan
from ..plan.rollout import Proxy, Source, too_many_failed, trouble, write
from ..plan.spelling import scaled_for, spelled, with_others
from ..plan.units import show_duration
from ..plan.upstream import Aim
from ..plan.verdict import verdict, verdict_on
from . import reasons, states
from .output import note
from .project import Project
from .proxies import Draining, drained, proxy, switch
from .readiness import blame, crashing, explained


class GivenUp(Exception):
    """New containers of a batch never became ready, and ``update_config.failure_action: continue`` goes on without."""


@dataclass
class Tools:
    """What operations need beside the engine.

    ``verify`` raises when the lock is lost, ``probe`` when what serves does not answer as declared (the containers that
    it is to ask are given), ``back_up`` saves the database's data.
    """

    verify: Callable[[], None]
    probe: Callable[[Sequence[str]], None]
    back_up: Callable[[], None]
    restore: Callable[[], None] = lambda: None
    release: int = 0
    steps: list[dict[str, Any]] = field(default_factory=list)


class Execution:
    """One plan being carried out. Raises DeployError, PausedError, or what its tools raise; undoes nothing."""

    def __init__(self, project: Project, desired: Desired, tools: Tools, state: State) -> None:
        self._project, self._desired, self._tools = project, desired, tools
        self._stack, self._engine = desired.stack, project.engine
        self._source = Source(project.profile, project.cwd)
        self._state, self._saved = replace(state, unrecorded=True), state
        self._draining: dict[str, Draining] = {}
        self._led: dict[str, tuple[str, ...]] = {}
        self._began: dict[str, float] = {}
        self._work: dict[str, Callable[[Operation], None]] = {
            kinds.RESTORE: lambda _: tools.restore(),
            kinds.BACKUP: lambda _: tools.back_up(),
            kinds.SMOKE: self._smoke,
            kinds.NAME: self._name,
            kinds.REPLACE_NETWORK: self._replace_network,
            kinds.RUN: self._run_job,
            kinds.UP: self._up,
            kinds.CREATE: self._create,
            kinds.RECREATE: self._recreate,
            kinds.START: self._start,
            kinds.UNPAUSE: self._each("unpause"),
            kinds.RESTART: self._each("restart"),
            kinds.STOP: self._each("stop"),
            kinds.REMOVE: self._remove,
            kinds.AWAIT: self._await,
            kinds.SETTLE: self._settle,
            kinds.WATCH: self._watch,
            kinds.SEED: self._seed,
            kinds.POINT: self._point,
            kinds.REST: lambda one: time.sleep(one.seconds),
            kinds.DRAIN: self._drain,
            kinds.PROVE: self._prove,
            kinds.RELOAD: self._reload,
        }

    def carry_out(self, plan: Plan) -> None:
        """Carry out every operation of a plan; those of one group are one step of the report."""
        try:
            self._steps(plan)
            self._stamp(self._stack.services, frozenset(self._state.stamps))
        finally:
            with contextlib.suppress(SlipwayError):  # the engine is away: what was noted is looked at anew
                self._save()

    def _steps(self, plan: Plan) -> None:
        if plan.operations:
            self._save()  # from here on something may be left that is no release
        entry: dict[str, Any] = {}
        given_up = ""
        for one in plan.operations:
            if one.group == given_up:
                continue
            if entry.get("name") != one.group:
                entry = {"name": one.group, "seconds": 0.0, "outcome": "failed"}
                self._tools.steps.append(entry)
            entry["outcome"], started = "failed", time.monotonic()
            try:
                self._tools.verify()
                self._work[one.kind](one)
                entry["outcome"] = "done"
            except GivenUp:
                given_up, entry["outcome"] = one.group, "done"
            finally:
                entry["seconds"] = round(entry["seconds"] + time.monotonic() - started, 3)
            self._measure(one)

    # State: what containers were made with

    def _measure(self, one: Operation) -> None:
        """Note how long a service could not be reached, from the operation that took it away until it was ready."""
        now = time.monotonic()
        self._began.update(dict.fromkeys((name for name in one.interrupts if name not in self._began), now))
        if one.kind == kinds.AWAIT:
            for name in [name for name in self._began if name in one.services]:
                seconds = round(now - self._began.pop(name), 1)
                self._state = replace(self._state, seconds={**self._state.seconds, name: seconds})

    def _save(self) -> None:
        if self._state != self._saved:
            there = {one.id for one in self._containers()}
            self._state = self._saved = self._state.kept(there)
            states.write(self._project, self._state)

    def _stamp(self, services: Iterable[str], before: frozenset[str], proven: bool = True) -> None:
        """Note what new containers of services were made with, before they serve."""
        fresh = {}
        for one in self._containers():
            if one.service in services and one.id not in before and not one.oneoff:
                fresh[one.id] = Stamp(self._desired.wanted(one.service).contents, proven)
        if any(one.references or not one.proven for one in fresh.values()):
            self._state = self._state.stamped(fresh)
            self._save()
        else:
            self._state = self._state.stamped(fresh)

    def _prove(self, one: Operation) -> None:
        fresh = {found.id: found for found in self._containers() if found.name in one.names}
        known = {identity: self._state.stamps.get(identity, Stamp()) for identity in fresh}
        self._state = self._state.stamped({name: replace(stamp, proven=True) for name, stamp in known.items()})
        self._save()

    # Containers, by Compose and by docker

    def _containers(self) -> tuple[Container, ...]:
        return self._engine.containers(self._stack.project)

    def _of(self, services: Sequence[str]) -> list[Container]:
        return [one for one in self._containers() if one.service in services and not one.oneoff]

    def _compose(self, one: Operation, *words: str) -> None:
        """Let Compose work on the services of an operation, with every other one spelled and counted as it is."""
        there = self._containers()
        model = with_others(spelled(self._desired.model, there, leave=one.services), there)
        text = json.dumps(scaled_for(model, there, one.counts))
        before = frozenset(found.id for found in there)
        source = replace(self._source, model=text)
        try:
            reasons.run(self._project, source.compose(*words, *one.services, reason=one.group))
        except CommandError as error:
            blame(self._project, self._stack, error.message, error.hint)
        finally:
            self._stamp(one.services, before, not one.begun)

    def _docker(self, *words: str) -> None:
        reasons.run(self._project, self._source.docker(*words))

    def _up(self, one: Operation) -> None:
        self._compose(one, "up", "--detach", "--no-build")
        self._remember_jobs(one.services)

    def _create(self, one: Operation) -> None:
        self._compose(one, "create", "--no-build", "--no-recreate")

    def _recreate(self, one: Operation) -> None:
        self._compose(one, "create", "--no-build", "--force-recreate")

    def _start(self, one: Operation) -> None:
        wanted = one.names if one.begun else [c.name for c in self._of(one.services)]
        names = [c.name for c in self._of(one.services) if c.name in wanted and c.state not in ("running", "paused")]
        if not names:
            return
        try:
            self._docker("start", *names)
        except CommandError as error:
            blame(self._project, self._stack, error.message, error.hint)

    def _each(self, verb: str) -> Callable[[Operation], None]:
        def work(one: Operation) -> None:
            there = [found.name for found in self._containers() if found.name in one.names]
            if there:
                self._docker(verb, *there)

        return work

    def _remove(self, one: Operation) -> None:
        there = [found.name for found in self._containers() if found.name in one.names]
        if there:
            self._docker("rm", "--volumes", *there)

    def _name(self, one: Operation) -> None:
        for name in one.names:
            self._docker("tag", self._desired.names[name], name)

    def _replace_network(self, one: Operation) -> None:
        for name in one.names:
            self._docker("network", "disconnect", "--force", one.subject, name)
        self._docker("network", "rm", one.subject)

    def _run_job(self, one: Operation) -> None:
        self._compose(replace(one, counts={one.subject: 1}), "create", "--no-build", "--force-recreate")
        self._start(one)
        self._await(replace(one, seconds=self._project.profile.duration("HEALTH_TIMEOUT")))
        self._remember_jobs(one.services)

    def _remember_jobs(self, services: Iterable[str]) -> None:
        """Note what jobs ran, where they have ended well."""
        there = {one.service: one for one in self._containers()}
        for name in services:
            found = there.get(name)
            if found and self._stack.one_off(self._stack.service(name)) and found.state == "exited":
                ran = Ran(identity(self._desired.wanted(name)), self._tools.release)
                self._state = replace(self._state, jobs={**self._state.jobs, name: ran})
        self._save()

    # Waiting, and what it is that went wrong

    def _await(self, one: Operation) -> None:
        names = one.names if one.failure else ()
        timeout = one.seconds or self._project.profile.duration("HEALTH_TIMEOUT")

        def judge(found: tuple[Container, ...]) -> str:
            if names:
                word = verdict_on(self._stack, self._stack.service(one.subject), found, names)
                return word or crashing(self._project, found, names)
            mine = [each.name for each in found if each.service in one.services]
            return verdict(self._stack, found, one.services) or crashing(self._project, found, mine)

        word = self._engine.wait(self._stack.project, judge, timeout)
        if word == "ready":
            return
        reason = f"not healthy within {show_duration(timeout)} (HEALTH_TIMEOUT)" if word == "timeout" else word
        if not names:
            blame(self._project, self._stack, reason)
        self._failed(one, reason)
        self._retire(names)
        raise GivenUp

    def _settle(self, one: Operation) -> None:
        """Look whether services without a health check go on running: that they began to says little."""
        before = {found.id: found for found in self._full(self._of(one.services))}

        def judge(_: tuple[Container, ...]) -> str:
            for found in self._full(self._of(one.services)):
                known = before.get(found.id)
                if known and found.restarts > known.restarts:
                    return f"{found.name} was restarted, exit code {found.exit_code}"
                if found.state not in ("running", "restarting") or found.restarting:
                    return f"{found.name} ended with exit code {found.exit_code}"
            return ""

        word = self._engine.wait(self._stack.project, judge, one.seconds)
        if word != "timeout":
            blame(self._project, self._stack, f"{word} within {show_duration(one.seconds)} of its start")

    def _full(self, containers: Iterable[Container]) -> list[Container]:
        return [found for one in containers if (found := self._engine.inspect(one.id)) is not None]

    def _watch(self, one: Operation) -> None:
        """Look at new containers while they serve."""
        service = self._stack.service(one.subject)

        def judge(found: Sequence[Container]) -> str:
            bad = trouble(service, found, one.names)
            return "; ".join(bad) if too_many_failed(service, len(bad), len(one.names)) else ""

        word = self._engine.wait(self._stack.project, judge, one.seconds)
        full = self._full(each for each in self._containers() if each.name in one.names)
        word = judge(full) if word == "timeout" else word
        if word:
            self._failed(one, f"{word} within {show_duration(one.seconds)} of taking over")

    def _smoke(self, one: Operation) -> None:
        try:
            self._tools.probe(one.names)
        except DeployError as error:
            if isinstance(error, LockLostError) or one.failure != PAUSE:
                raise
            self._failed(one, error.message)

    def _failed(self, one: Operation, reason: str) -> None:
        """Do what update_config.failure_action asks for; returns when that is to go on."""
        full = self._full(each for each in self._containers() if each.name in one.names)
        bad = [each for each in full if each.state != "running" or each.health != "healthy"]
        error = explained(self._project, self._stack, bad, reason)
        if one.failure == CONTINUE:
            note(f"{one.subject}: {error.message}; going on (update_config.failure_action: continue)")
            return
        if one.failure == PAUSE:
            self._tools.verify()
            if one.subject in self._led:
                self._switch(one.subject, Aim(self._led[one.subject]))
            raise PausedError(error.message, error.hint)
        raise error

    def _retire(self, names: Sequence[str]) -> None:
        self._docker("stop", *names)
        self._docker("rm", "--volumes", *names)

    # The proxy, and configuration that is read again

    def _front(self) -> Proxy | None:
        return proxy(self._project, self._stack)

    def _switch(self, service: str, aim: Aim, again: bool = False) -> Draining:
        front = self._front()
        return switch(self._project, self._source, front, service, aim, again) if front else []

    def _point(self, one: Operation) -> None:
        if one.aim is None:
            return
        if one.aim.coming:
            self._led[one.subject] = tuple(one.aim.containers)
        self._draining.setdefault(one.subject, []).extend(self._switch(one.subject, one.aim, one.begun))

    def _seed(self, one: Operation) -> None:
        front = self._front()
        for name in front.containers if front else ():
            for command in write(self._source, name, front.file(one.subject) if front else "", one.text, fresh=True):
                reasons.run(self._project, command)

    def _drain(self, one: Operation) -> None:
        if front := self._front():
            drained(self._project, front, self._draining.pop(one.subject, []))

    def _reload(self, one: Operation) -> None:
        """Let a service read its configuration again where it accepts it; what it was made with is noted anew."""
        told = self._stack.service(one.subject).slipway.reload
        there = [found for found in self._of(one.services) if found.state == "running"]
        if told is None:
            return
        try:
            for found in there if told.check else ():
                self._docker("exec", found.name, *told.check)
        except CommandError as error:
            raise DeployError(f"{one.subject} does not accept its configuration: {error.message}", error.hint) from None
        for found in there:
            self._docker("kill", f"--signal={told.signal}", found.name)
        contents = self._desired.wanted(one.subject).contents
        known = {found.id: self._state.stamps.get(found.id, Stamp()) for found in there}
        self._state = self._state.stamped({name: replace(had, references=contents) for name, had in known.items()})
        self._save()
