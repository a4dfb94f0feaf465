"""Shows a plan as shell lines that can be pasted; nothing is run."""

import json
import math
from collections.abc import Callable
from dataclasses import replace

from ..plan import operation as kinds
from ..plan.command import Command
from ..plan.operation import Operation
from ..plan.rollout import Source
from ..plan.units import show_duration
from . import builds, smoke_tests
from .prepare import Prepared
from .project import Project
from .proxies import drained, proxy, switch

_BY_DOCKER = {kinds.UNPAUSE: "unpause", kinds.RESTART: "restart", kinds.STOP: "stop"}
_BY_COMPOSE = {
    kinds.UP: ("up", "--detach", "--no-build"),
    kinds.CREATE: ("create", "--no-build", "--no-recreate"),
    kinds.RECREATE: ("create", "--no-build", "--force-recreate"),
}


def show(project: Project, found: Prepared) -> None:
    """Print what a deploy would run, in its order; what it waits for stands between as remarks."""
    lines = _Lines(project, found)
    for one in found.deploy.plan.operations:
        lines.show(one)


class _Lines:
    def __init__(self, project: Project, found: Prepared) -> None:
        self._project, self._found = project, found
        self._run, self._say = project.runner.run, project.runner.show
        self._desired = found.desired
        model = json.dumps(found.desired.model) if found.desired.release else ""
        self._source = Source(project.profile, project.cwd, model)
        self._ways: dict[str, Callable[[Operation], None]] = {
            kinds.RUN: self._job,
            kinds.NAME: self._name,
            kinds.REPLACE_NETWORK: self._replace_network,
            kinds.RELOAD: self._reload,
            kinds.BUILD: lambda _: builds.carry_out(project, found.deploy.build),
            kinds.PULL: lambda one: self._run(self._source.compose("pull", *one.services, reason=_reason(one))),
            kinds.SMOKE: lambda _: smoke_tests.hold(project),
            kinds.BACKUP: self._backup,
            kinds.POINT: self._proxy,
            kinds.DRAIN: self._proxy,
            kinds.AWAIT: self._wait,
            **dict.fromkeys((kinds.SETTLE, kinds.WATCH, kinds.REST), self._pause),
        }

    def show(self, one: Operation) -> None:
        """Print one operation."""
        if one.kind in _BY_COMPOSE:
            scale = [f"--scale={name}={count}" for name, count in one.counts.items() if count != 1]
            self._run(self._source.compose(*_BY_COMPOSE[one.kind], *scale, *one.services, reason=_reason(one)))
        elif one.kind in _BY_DOCKER:
            self._run(self._docker(one, _BY_DOCKER[one.kind], *one.names))
        elif one.kind == kinds.START:
            self._run(self._docker(one, "start", *one.names))
        elif one.kind == kinds.REMOVE:
            self._run(self._docker(one, "rm", "--volumes", *one.names))
        elif one.kind in self._ways:
            self._ways[one.kind](one)

    def _name(self, one: Operation) -> None:
        for name in one.names:
            self._run(self._docker(one, "tag", self._desired.names[name], name))

    def _replace_network(self, one: Operation) -> None:
        for name in one.names:
            self._run(self._docker(one, "network", "disconnect", "--force", one.subject, name))
        self._run(self._docker(one, "network", "rm", one.subject))

    def _docker(self, one: Operation, *words: str) -> Command:
        return self._source.docker(*words, reason=_reason(one))

    def _job(self, one: Operation) -> None:
        create = ("create", "--no-build", "--force-recreate", *one.services)
        self._run(self._source.compose(*create, reason=_reason(one)))
        name = f"{self._desired.stack.project}-{one.subject}-1"
        self._run(self._docker(one, "start", "--attach", name))

    def _reload(self, one: Operation) -> None:
        told = self._desired.stack.service(one.subject).slipway.reload
        for found in self._found.observed.running(one.subject) if told else ():
            if told and told.check:
                self._run(self._docker(one, "exec", found.name, *told.check))
            self._run(self._docker(one, "kill", f"--signal={told.signal if told else 'HUP'}", found.name))

    def _pause(self, one: Operation) -> None:
        what = {kinds.SETTLE: "see whether it goes on running", kinds.WATCH: "watch"}.get(one.kind, "wait")
        self._say(f"{what}: {', '.join(one.names or one.services)} for {show_duration(one.seconds)}")

    def _backup(self, _: Operation) -> None:
        from . import backups

        self._say(f"backed up: {backups.backup(self._project)}")

    def _proxy(self, one: Operation) -> None:
        front = proxy(self._project, self._desired.stack)
        if front is None:
            return
        if one.kind == kinds.DRAIN:
            drained(self._project, front, [])
        elif one.aim:
            switch(self._project, self._source, front, one.subject, one.aim)

    def _wait(self, one: Operation) -> None:
        """Print the wait as what does by hand what Slipway does by the engine's events."""
        if one.names or self._desired.release or one.group != "verify":
            names = ", ".join(one.names or one.services)
            self._say(f"wait until {names} is healthy, at most {show_duration(one.seconds)}")
            return
        # Compose takes whole seconds, and 0 for no limit.
        seconds = max(math.ceil(one.seconds), 1)
        words = ("up", "--detach", "--no-build", "--no-recreate", "--wait", f"--wait-timeout={seconds}")
        reason = "wait until every service is healthy (Slipway itself listens to the engine's events)"
        self._run(replace(self._source.compose(*words, reason=reason)))


def _reason(one: Operation) -> str:
    return f"{one.kind} {one.subject}: {'; '.join(one.cause)}" if one.cause else f"{one.kind} {one.subject}"
