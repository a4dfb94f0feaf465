"""Carries a rollout out: new containers beside the old ones, the switch, the watch, and the way back."""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import NoReturn

from ..plan import rollout as planner
from ..plan.deploy import failed_containers, verdict, verdict_on
from ..plan.errors import CommandError, DeployError, LockLostError, SlipwayError
from ..plan.extension import BLUE_GREEN
from ..plan.facts import Container
from ..plan.rollout import Proxy, Source
from ..plan.stack import Service, Stack
from ..plan.units import show_duration
from .output import note
from .project import Project

_RELOAD = 10.0  # seconds that the proxy may take to start its new workers
_DRAIN = 60.0  # seconds that its old workers may take to finish; a limit of its own should end them before
_LOOK = 0.1
_LOG_LINES = 15
_SETTLE = 1.0  # seconds


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
        self._proxy = proxy(project, stack) if service.rollout == BLUE_GREEN else None
        self._old = tuple(one.name for one in self._mine())
        self._new: tuple[str, ...] = ()
        self._draining: list[tuple[str, tuple[str, ...]]] = []

    def _mine(self) -> list[Container]:
        found = self._project.engine.containers(self._stack.project)
        return [one for one in found if one.service == self._service.name and not one.oneoff]

    def carry_out(self) -> None:
        """Bring the new containers in and take the old ones out; raises DeployError with the old ones serving."""
        try:
            if self._proxy:
                self._at_once(self._proxy)
            else:
                self._in_batches()
        except LockLostError:
            raise  # another one deploys: what there is beside the old ones may be its
        except BaseException:
            try:
                self._undo()
            except SlipwayError as second:  # the first one is what the deploy failed of; what is left is repaired
                note(f"{self._service.name}: {second.message}")
            raise

    def _at_once(self, proxy: Proxy) -> None:
        # The service's own name would lead to the new containers before they are ready. Old workers of the proxy answer
        # on connections that clients keep, and by the name that they know.
        drained(self._project, proxy, switch(self._project, self._source, proxy, self._service.name, self._old))
        self._begin(self._service.replicas, len(self._old))
        self._verify()
        self._draining += switch(self._project, self._source, proxy, self._service.name, self._new)
        self._watch(self._new)
        if self._probe:
            self._probe()
        drained(self._project, proxy, self._draining)
        self._retire(self._old)

    def _in_batches(self) -> None:
        old = list(self._old)
        count = self._service.replicas
        for number, batch in enumerate(planner.batches(self._service, [""] * count)):
            if number:
                self._pause(self._service.update.delay)
            fresh = self._begin(len(batch), len(old) + len(self._new))
            self._verify()
            self._watch(fresh)
            leaving, old = old[: len(batch)], old[len(batch) :]
            self._retire(leaving)
        self._retire(old)

    def _pause(self, seconds: float) -> None:
        if self._dry:
            self._project.runner.show(f"wait {show_duration(seconds)} (update_config.delay)")
        else:
            time.sleep(seconds)

    def _begin(self, count: int, beside: int) -> tuple[str, ...]:
        """Create and start new containers, and wait until they are ready; returns their names."""
        before = {one.name for one in self._mine()} | set(self._new)
        planned = planner.new_names(self._stack.project, self._service.name, self._mine(), len(self._new) + count)
        self._run(self._source.create(self._service.name, beside + count))
        made = tuple(one.name for one in self._mine() if one.name not in before)
        fresh = planned[len(self._new) :] if self._dry else made
        self._new += fresh
        self._run(planner.start(self._source, fresh))
        self._wait(fresh)
        return fresh

    def _wait(self, names: Sequence[str]) -> None:
        timeout = self._source.profile.duration("HEALTH_TIMEOUT")
        if self._dry:
            self._project.runner.show(f"wait until {', '.join(names)} is healthy, at most {show_duration(timeout)}")
            return

        def judge(found: Sequence[Container]) -> str:
            return verdict_on(self._stack, self._service, found, names) or crashing(self._project, found, names)

        word = self._project.engine.wait(self._stack.project, judge, timeout)
        if word != "ready":
            reason = f"not healthy within {show_duration(timeout)} (HEALTH_TIMEOUT)" if word == "timeout" else word
            self._blame(names, reason)

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
        if word and self._service.update.failure_action == "continue":
            note(f"{self._service.name}: {word}; going on (update_config.failure_action: continue)")
        elif word:
            self._blame(names, f"{word} within {show_duration(seconds)} of taking over")

    def _blame(self, names: Sequence[str], reason: str) -> NoReturn:
        full = [one for name in names if (one := self._project.engine.inspect(name)) is not None]
        last_words(self._project, [one for one in full if one.state != "running" or one.health != "healthy"])
        raise DeployError(reason)

    def _retire(self, names: Sequence[str]) -> None:
        if names:
            for command in planner.stop(self._source, names):
                self._run(command)

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
            drained(
                self._project, self._proxy, switch(self._project, self._source, self._proxy, self._service.name, old)
            )
        self._retire(new)


def crashing(project: Project, containers: Iterable[Container], names: Sequence[str]) -> str:
    """Return which of these containers keeps ending and being started again, "" for none."""
    suspect = [one for one in containers if one.name in names and one.health != "healthy"]
    full = [found for one in suspect if (found := project.engine.inspect(one.id)) is not None]
    return planner.crashing(full)


def last_words(project: Project, guilty: Iterable[Container]) -> None:
    """Show the last lines of containers that keep a deploy from being ready."""
    for one in guilty:
        note(f"--- last lines of {one.name} ({one.state}{', ' + one.health if one.health else ''}):")
        for line in project.engine.logs(one.id, _LOG_LINES).splitlines():
            note(f"    {line}")


def blame(project: Project, stack: Stack, reason: str) -> NoReturn:
    """Show the last words of what failed, and raise the DeployError that names it."""
    guilty = failed_containers(stack, project.engine.containers(stack.project))
    last_words(project, guilty)
    names = ", ".join(one.name for one in guilty)
    raise DeployError(f"{reason}{f' ({names})' if names and names not in reason else ''}")


def settled(project: Project, stack: Stack) -> str:
    """Return "ready" when services without a health check still run after a moment, else what has happened to one.

    "running" alone is no sign of health.
    """
    if all(one.health_check or stack.one_off(one) for one in stack.services.values()):
        return "ready"

    def judge(containers: tuple[Container, ...]) -> str:
        word = verdict(stack, containers)
        return "" if word == "ready" else word or "a container has stopped"

    word = project.engine.wait(stack.project, judge, _SETTLE)
    return "ready" if word == "timeout" else word


def proxy(project: Project, stack: Stack) -> Proxy | None:
    """Return the proxy that leads to other services, None when it does not run."""
    for service in stack.services.values():
        if service.slipway.proxy.upstreams:
            found = project.engine.containers(stack.project)
            names = tuple(one.name for one in found if one.service == service.name and one.state == "running")
            return Proxy(service, names) if names else None
    return None


def switch(
    project: Project, source: Source, proxy: Proxy, service: str, containers: Sequence[str], again: bool = False
) -> list[tuple[str, tuple[str, ...]]]:
    """Let the proxy lead to these containers; returns its old workers, which finish their requests.

    ``again``: reload it also when its file says so already, since it need not have read it. Raises DeployError, with
    the file as it was, when the proxy does not accept it.
    """
    file, run = proxy.file(service), project.runner.run
    draining = []
    for name in proxy.containers:
        text = project.engine.file(name, file).decode()
        wanted = planner.pointed(text, service, containers)
        if wanted == text and not again:
            continue
        try:
            for command in planner.write(source, name, file, wanted):
                run(command)
            try:
                for command in planner.check(source, proxy, name):
                    run(command)
            except CommandError:
                run(planner.back(source, name, file))
                raise
        except CommandError as error:
            raise DeployError(f"the proxy does not accept the servers of {service}: {error.message}") from None
        draining.append((name, _reload(project, source, proxy, name)))
    return draining


def _reload(project: Project, source: Source, proxy: Proxy, name: str) -> tuple[str, ...]:
    """Reload one container of the proxy; returns its old workers once the new ones are there."""
    before = _workers(project, proxy, name)
    project.runner.run(planner.reload(source, proxy, name))
    if project.runner.dry or not proxy.settings.workers:
        return ()
    deadline = time.monotonic() + _RELOAD
    while not set(_workers(project, proxy, name)) - set(before):
        if time.monotonic() > deadline:
            raise DeployError(f"{name} did not start new workers within {show_duration(_RELOAD)} of its reload")
        time.sleep(_LOOK)
    return before


def _workers(project: Project, proxy: Proxy, name: str) -> tuple[str, ...]:
    return planner.workers(proxy, project.engine.processes(name)) if proxy.settings.workers else ()


def drained(project: Project, proxy: Proxy, draining: Sequence[tuple[str, tuple[str, ...]]]) -> None:
    """Wait until old workers have finished their requests."""
    if project.runner.dry:
        project.runner.show("wait until the old workers of the proxy have finished their requests")
        return
    deadline = time.monotonic() + _DRAIN
    for name, old in draining:
        while set(old) & set(_workers(project, proxy, name)):
            if time.monotonic() > deadline:
                note(f"{name}: old workers still have requests after {show_duration(_DRAIN)}; going on")
                break
            time.sleep(_LOOK)
