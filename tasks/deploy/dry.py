"""Prints a plan as shell lines that can be pasted; nothing is run."""

import json
import math
from collections.abc import Callable
from dataclasses import replace

from ..build import build
from ..host.project import Project
from ..model.command import Command
from ..model.compose import Source
from ..model.stack.upstream import ProxyTarget
from ..model.units import show_duration
from ..reconcile.plan import networks, rollout
from ..reconcile.plan.operation import (
    AWAIT,
    BACKUP,
    BUILD,
    CREATE,
    DRAIN,
    NAME,
    POINT,
    PULL,
    RECREATE,
    RELOAD,
    REMOVE,
    REST,
    RESTART,
    RUN,
    SETTLE,
    SMOKE,
    START,
    STOP,
    UNPAUSE,
    UP,
    WATCH,
    WEIGHT,
    Operation,
)
from ..reconcile.plan.placed import filled_volumes
from ..reconcile.plan.rollout import Proxy
from ..reconcile.proxy import find_proxy
from ..test import smoke
from .prepare import Prepared

_BY_DOCKER = {UNPAUSE: "unpause", RESTART: "restart", STOP: "stop"}
_BY_COMPOSE = {
    UP: ("up", "--detach", "--no-build"),
    CREATE: ("create", "--no-build", "--no-recreate"),
    RECREATE: ("create", "--no-build", "--force-recreate"),
}


def show_commands(project: Project, prepared: Prepared) -> None:
    """Print the commands of a deploy in their order; waits are printed between them as comments."""
    lines = _Lines(project, prepared)
    for operation in prepared.deploy.plan.operations:
        lines.show(operation)


class _Lines:
    def __init__(self, project: Project, prepared: Prepared) -> None:
        self._project, self._prepared = project, prepared
        self._run, self._say = project.runner.run, project.runner.show
        self._desired = prepared.desired
        model = json.dumps(prepared.desired.model) if prepared.desired.release else ""
        self._source = Source(project.profile, project.cwd, model)
        self._printers: dict[str, Callable[[Operation], None]] = {
            RUN: self._job,
            NAME: self._name,
            **dict.fromkeys(networks.NETWORK_KINDS, self._network),
            RELOAD: self._reload,
            BUILD: lambda _: build.carry_out(project, prepared.deploy.build),
            PULL: self._pull,
            SMOKE: lambda _: smoke.assert_smoke(project),
            BACKUP: self._backup,
            **dict.fromkeys((POINT, WEIGHT, DRAIN), self._proxy),
            AWAIT: self._wait,
            **dict.fromkeys((SETTLE, WATCH, REST), self._pause),
        }

    def show(self, operation: Operation) -> None:
        """Print the commands of an operation."""
        if operation.kind in _BY_COMPOSE:
            scale = [f"--scale={name}={count}" for name, count in operation.counts.items() if count != 1]
            self._run(self._compose(operation, *_BY_COMPOSE[operation.kind], *scale))
        elif operation.kind in _BY_DOCKER:
            self._run(self._docker(operation, _BY_DOCKER[operation.kind], *operation.names))
        elif operation.kind == START:
            self._run(self._docker(operation, "start", *operation.names))
        elif operation.kind == REMOVE:
            self._run(self._docker(operation, "rm", "--volumes", *operation.names))
        elif operation.kind in self._printers:
            self._printers[operation.kind](operation)

    def _pull(self, operation: Operation) -> None:
        self._run(self._source.compose("pull", *operation.services, reason=_reason(operation)))

    def _name(self, operation: Operation) -> None:
        for name in operation.names:
            self._run(self._docker(operation, "tag", self._desired.names[name], name))

    def _network(self, operation: Operation) -> None:
        for words in networks.network_commands(operation):
            self._run(self._docker(operation, *words))

    def _compose(self, operation: Operation, *words: str) -> Command:
        """Return a Compose command; networks that have another name for now are renamed by an override on stdin."""
        command = self._source.compose(*words, *operation.services, reason=_reason(operation))
        if not operation.through:
            return command
        renamed = networks.with_network_names(self._desired.model, operation.through)
        if self._source.model:
            return replace(command, stdin=json.dumps(renamed))
        names = {key: {"name": raw["name"]} for key, raw in renamed["networks"].items() if "name" in raw}
        profile, files = self._project.profile, (*self._project.profile.compose_files(), "-")
        env = {**command.env, "COMPOSE_FILE": (profile.text("COMPOSE_PATH_SEPARATOR") or ":").join(files)}
        return replace(command, env=env, stdin=json.dumps({"networks": names}))

    def _docker(self, operation: Operation, *words: str) -> Command:
        return self._source.docker(*words, reason=_reason(operation))

    def _job(self, operation: Operation) -> None:
        self._run(self._compose(operation, "create", "--no-build", "--force-recreate"))
        name = f"{self._desired.stack.project}-{operation.subject}-1"
        self._run(self._docker(operation, "start", "--attach", name))

    def _reload(self, operation: Operation) -> None:
        reload = self._desired.stack.service(operation.subject).slipway.reload
        for container in self._prepared.observed.running(operation.subject) if reload else ():
            for target, volume in filled_volumes(container).items():
                self._say(f"fill {volume}, which {container.name} mounts at {target}, with the wanted files")
            if reload and reload.check:
                self._run(self._docker(operation, "exec", container.name, *reload.check))
            self._run(self._docker(operation, "kill", f"--signal={reload.signal if reload else 'HUP'}", container.name))

    def _pause(self, operation: Operation) -> None:
        what = {SETTLE: "see whether it goes on running", WATCH: "watch"}.get(operation.kind, "wait")
        what += f" at {operation.share} % of the requests" if operation.share else ""
        against = f", compared with {', '.join(operation.against)} by numbers" if operation.against else ""
        names = ", ".join(operation.names or operation.services)
        self._say(f"{what}: {names} for {show_duration(operation.seconds)}{against}")

    def _backup(self, operation: Operation) -> None:
        from ..db import backup

        self._say(f"backed up: {backup.backup(self._project, operation.subject)}")

    def _proxy(self, operation: Operation) -> None:
        front = find_proxy(self._project, self._desired.stack)
        if front is None:
            return
        if operation.kind == DRAIN:
            workers = bool(front.settings.workers) or not front.settings.drain
            self._say(
                "wait until the old workers of the proxy have finished their requests"
                if workers
                else "wait until the proxy has no connection to the old containers of "
                f"{operation.subject}, at most {show_duration(front.settings.drain)}"
            )
        elif operation.aim:
            if operation.share:
                self._say(f"give {', '.join(operation.names)} {operation.share} % of the requests")
            self._lead(front, operation.subject, operation.aim)

    def _lead(self, front: Proxy, service: str, aim: ProxyTarget) -> None:
        """Print the commands that point the proxy at containers of a service, from what its file says now."""
        file = front.file(service)
        for name in front.containers:
            text = self._project.engine.file(name, file).decode()
            wanted = front.language.retarget(text, service, aim)
            if wanted != text:
                for command in rollout.write(self._source, name, file, wanted):
                    self._run(command)
                for command in rollout.check(self._source, front, name):
                    self._run(command)
                further = rollout.further_files(front, self._desired.stack.service(service), wanted)
                for command in rollout.switch(self._source, front, name, further):
                    self._run(command)

    def _wait(self, operation: Operation) -> None:
        """Print a wait: a comment, or for the last one a Compose command that waits as Slipway does on events."""
        if operation.names or self._desired.release or operation.group != "verify":
            names = ", ".join(operation.names or operation.services)
            self._say(f"wait until {names} is healthy, at most {show_duration(operation.seconds)}")
            return
        # Compose takes whole seconds, and 0 for no limit.
        seconds = max(math.ceil(operation.seconds), 1)
        words = ("up", "--detach", "--no-build", "--no-recreate", "--wait", f"--wait-timeout={seconds}")
        reason = "wait until every service is healthy (Slipway itself listens to the engine's events)"
        self._run(replace(self._source.compose(*words, reason=reason)))


def _reason(operation: Operation) -> str:
    causes = f": {'; '.join(operation.cause)}" if operation.cause else ""
    return f"{operation.kind} {operation.subject}{causes}"
