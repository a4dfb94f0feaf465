"""Carries a rollout out: new containers beside the old ones, the switch, the watch, and the way back."""

import time
from collections.abc import Callable, Sequence

from ..plan import rollout as planner
from ..plan.deploy import verdict_on
from ..plan.errors import DeployError, LockLostError, PausedError, SlipwayError
from ..plan.extension import CONTINUE, PAUSE
from ..plan.facts import Container
from ..plan.rollout import Aim, Batch, Source
from ..plan.stack import Service, Stack
from ..plan.units import show_duration
from .output import note
from .project import Project
from .proxies import Draining, drained, front_of, named, switch
from .readiness import crashing, last_words

_KNOWN, _ASKING = 1.0, "in which the proxy asks for the addresses of new names"  # seconds


class Rollout:
    """One service whose new containers take over from the old ones.

    ``verify`` raises when this deploy has lost its lock; it is asked before anything that clients would notice.
    ``probe`` raises when what serves now does not answer as it should; it is asked while the old containers still run.
    """

    def __init__(
        self,
        project: Project,
        source: Source,
        stack: Stack,
        service: Service,
        verify: Callable[[], None],
        probe: Callable[[], None] | None = None,
    ) -> None:
        self._project, self._source, self._stack, self._service = project, source, stack, service
        self._verify, self._probe = verify, probe
        self._run = project.runner.run
        self._dry = project.runner.dry
        self._proxy = front_of(project, stack, service)
        mine = self._mine()
        self._old = tuple(one.name for one in mine)
        self._serving = tuple(one.name for one in mine if one.state == "running")
        self._there = list(self._old)
        self._new: tuple[str, ...] = ()

    def _mine(self) -> list[Container]:
        found = self._project.engine.containers(self._stack.project)
        return [one for one in found if one.service == self._service.name and not one.oneoff]

    def carry_out(self) -> None:
        """Bring the new containers in and take the old ones out; raises DeployError with the old ones serving."""
        try:
            self._in_batches()
        except (LockLostError, PausedError):
            raise  # another one deploys: what there is beside the old ones may be its; or it is to stay as it is
        except BaseException:
            try:
                self._undo()
            except SlipwayError as second:  # the first one is what the deploy failed of; what is left is repaired
                note(f"{self._service.name}: {second.message}")
            raise

    def _in_batches(self) -> None:
        # The service's own name would lead to the new containers before they are ready. Old workers of the proxy answer
        # on connections that clients keep, and by the name that they know.
        self._begin_with_names()
        taken = 0
        for number, batch in enumerate(planner.batches(self._service, self._old)):
            if number:
                self._rest(self._service.update.delay, "update_config.delay")
            taken += self._take_over(batch)
        if not taken:
            raise DeployError(f"no new container of {self._service.name} became ready")

    def _begin_with_names(self) -> None:
        """Let the proxy lead to the old containers by their own names, where it does not do so yet."""
        if self._proxy is None:
            return
        now = named(self._project, self._proxy, self._service)
        if set(now) != set(self._serving):
            self._drained(self._lead(now, coming=[one for one in self._serving if one not in now]))
            self._rest(_KNOWN, _ASKING)
        self._drained(self._lead(self._serving))

    def _take_over(self, batch: Batch) -> bool:
        """Let new containers take over from those that leave; returns whether they did, and not the old ones stay."""
        fresh = self._begin(batch.count)
        if not self._ready(fresh):
            self._retire(fresh)
            return False
        self._verify()
        staying = tuple(one for one in self._serving if one not in batch.leaving)
        draining = self._lead(self._serving, coming=fresh)
        if self._proxy:
            self._rest(_KNOWN, _ASKING)
            self._verify()
        draining += self._lead((*staying, *fresh), [one for one in batch.leaving if one in self._serving])
        self._watch(fresh)
        if self._proxy and self._probe and not set(staying) & set(self._old):
            self._hold(fresh, self._probe)
        self._drained(draining)
        self._lead((*staying, *fresh))
        self._retire(batch.leaving)
        self._serving = (*staying, *fresh)
        return True

    def _lead(self, names: Sequence[str], backups: Sequence[str] = (), coming: Sequence[str] = ()) -> Draining:
        if self._proxy is None:
            return []
        return switch(self._project, self._source, self._proxy, self._service.name, Aim(names, backups, coming))

    def _drained(self, draining: Draining) -> None:
        if self._proxy:
            drained(self._project, self._proxy, draining)

    def _rest(self, seconds: float, reason: str) -> None:
        if self._dry:
            self._project.runner.show(f"wait {show_duration(seconds)} ({reason})")
        else:
            time.sleep(seconds)

    def _begin(self, count: int) -> tuple[str, ...]:
        """Create and start new containers; returns their names."""
        there = self._mine()
        before = {one.name for one in there}
        planned = planner.new_names(self._stack.project, self._service.name, there, len(self._new) + count)
        self._run(self._source.create(self._service.name, len(self._there) + count))
        made = tuple(one.name for one in self._mine() if one.name not in before)
        fresh = planned[len(self._new) :] if self._dry else made
        self._new += fresh
        self._there += fresh
        self._run(planner.start(self._source, fresh))
        return fresh

    def _ready(self, names: Sequence[str]) -> bool:
        """Wait until new containers are ready; returns whether they are, where the rollout goes on without them."""
        timeout = self._source.profile.duration("HEALTH_TIMEOUT")
        if self._dry:
            self._project.runner.show(f"wait until {', '.join(names)} is healthy, at most {show_duration(timeout)}")
            return True

        def judge(found: Sequence[Container]) -> str:
            return verdict_on(self._stack, self._service, found, names) or crashing(self._project, found, names)

        word = self._project.engine.wait(self._stack.project, judge, timeout)
        if word == "ready":
            return True
        word = f"not healthy within {show_duration(timeout)} (HEALTH_TIMEOUT)" if word == "timeout" else word
        self._failed(names, word)
        return False

    def _watch(self, names: Sequence[str]) -> None:
        """Look at new containers while they serve; raises DeployError when they do not stay healthy."""
        seconds = self._service.update.monitor
        if self._dry:
            self._project.runner.show(f"watch {', '.join(names)} for {show_duration(seconds)} (update_config.monitor)")
            return

        def judge(found: Sequence[Container]) -> str:
            bad = planner.trouble(self._service, found, names)
            return "; ".join(bad) if planner.too_many_failed(self._service, len(bad), len(names)) else ""

        word = self._project.engine.wait(self._stack.project, judge, seconds)
        full = [one for name in names if (one := self._project.engine.inspect(name)) is not None]
        word = judge(full) if word == "timeout" else word
        if word:
            self._failed(names, f"{word} within {show_duration(seconds)} of taking over")

    def _hold(self, names: Sequence[str], probe: Callable[[], None]) -> None:
        """Ask what serves now; what it answers wrong is for update_config.failure_action to judge as well."""
        try:
            probe()
        except DeployError as error:
            if isinstance(error, LockLostError) or self._service.update.failure_action != PAUSE:
                raise
            self._failed(names, error.message)

    def _failed(self, names: Sequence[str], reason: str) -> None:
        """Do what update_config.failure_action asks for; returns when that is to go on."""
        action = self._service.update.failure_action
        full = [one for name in names if (one := self._project.engine.inspect(name)) is not None]
        last_words(self._project, [one for one in full if one.state != "running" or one.health != "healthy"])
        if action == CONTINUE:
            note(f"{self._service.name}: {reason}; going on (update_config.failure_action: continue)")
            return
        if action == PAUSE:
            self._verify()
            self._lead(self._serving)
            raise PausedError(reason)
        raise DeployError(reason)

    def _retire(self, names: Sequence[str]) -> None:
        if names:
            for command in planner.stop(self._source, names):
                self._run(command)
        self._there = [one for one in self._there if one not in names]

    def _undo(self) -> None:
        """Let the old containers serve alone again: whatever has happened, they still run."""
        if self._dry:
            return
        there = {one.name for one in self._mine()}
        old = [name for name in self._old if name in there]
        if not old:
            return  # the new ones serve; what comes after decides
        new = [name for name in there if name not in self._old]
        if self._proxy and new:
            self._drained(self._lead([one for one in self._serving if one in old] or old))
        self._retire(new)
