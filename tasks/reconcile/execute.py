"""Executes the operations of a plan, in parallel where their order allows. It decides nothing itself.

``Execution._work`` maps each kind of operation to the method that carries it out.
"""

import contextlib
import json
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ..host import reasons
from ..host.output import note
from ..host.project import Project
from ..host.readiness import not_ready_error, raise_not_ready, restart_loop
from ..host.story.story import current_step, step
from ..image.pulls import pulls_told
from ..model.compose import Source, time_limit
from ..model.engine.facts import Container
from ..model.errors import CommandError, DeployError, LockLostError, PausedError, SlipwayError
from ..model.stack.extension import CONTINUE, PAUSE
from ..model.stack.readiness import longest_health_timeout
from ..model.stack.verdict import verdict, verdict_on
from ..model.units import show_duration
from ..telemetry import membership
from .notes import Notes
from .parallel import Parallel, Steps, ThreadProject, Tools
from .placed_files import PlacedFiles
from .plan import networks
from .plan.desired import Desired
from .plan.observed import State
from .plan.operation import (  # fmt: skip
    AWAIT,
    BACKUP,
    CONNECT,
    CREATE,
    DISCONNECT,
    DRAIN,
    NAME,
    POINT,
    PROVE,
    RECREATE,
    RELOAD,
    REMOVE,
    REMOVE_NETWORK,
    REPLACE_NETWORK,
    REST,
    RESTART,
    RESTORE,
    RUN,
    SEED,
    SETTLE,
    SMOKE,
    START,
    STOP,
    UNPAUSE,
    UP,
    WATCH,
    WEIGHT,
    Operation,
    Plan,
)
from .plan.ordering import containers_to_remove
from .plan.rollout import levels, rollout_group
from .plan.spelling import spelled_as_created, with_counts, with_unlisted_services
from .proxy_operations import ProxyOperations
from .service_reload import ServiceReload
from .telling import HealthStory, plan_steps, titled, watching

if TYPE_CHECKING:
    from ..host.engine.client import Engine

# Seconds until a service has surely read its files again, or a proxy has looked up where a container is that was made
# or started anew: nobody is told when that is so.
_TAKES_EFFECT = 5.0
_EACH = 5.0  # seconds that each further service adds to the time limit of a Compose command


class BatchGivenUp(Exception):
    """New containers of a batch did not become ready, and ``update_config.failure_action: continue`` ignores that."""


class Execution:
    """Carries out one plan. Raises DeployError, PausedError, or what its tools raise; it never rolls back itself.

    Operations may run in several threads. Only one thread at a time changes the notes, verifies the lock or changes
    the proxy.
    """

    def __init__(self, project: Project, desired: Desired, tools: Tools, state: State) -> None:
        self._thread, self._desired, self._tools, self._stack = ThreadProject(project), desired, tools, desired.stack
        self._verifying, self._source = threading.Lock(), Source(project.profile, project.cwd)
        self._notes = Notes(self._thread, desired, tools.release, state)
        self._leading = ProxyOperations(self._thread, self._source, desired.stack)
        self._placed = PlacedFiles(self._thread, self._source, desired, self._notes.lock)
        self._reloading = ServiceReload(desired, self._notes, self._placed, self._docker)
        self._given_up: set[str] = set()
        self._heard_later = False  # a service reads its files again, or a proxy looks names up that have moved
        self._numbers: dict[int, int] = {}  # of the steps that are told, by those of operations
        self._left = False  # the monitoring has left a network that is replaced
        self._work: dict[str, Callable[[Operation], None]] = {
            RESTORE: lambda _: tools.restore(),
            BACKUP: lambda operation: tools.back_up(operation.subject),
            SMOKE: self._smoke,
            NAME: self._tag_images,
            **dict.fromkeys(networks.NETWORK_KINDS, self._network),
            RUN: self._run_job,
            UP: self._up,
            CREATE: self._create,
            RECREATE: self._recreate,
            START: self._start,
            UNPAUSE: self._act_on_each("unpause"),
            RESTART: self._act_on_each("restart"),
            STOP: self._act_on_each("stop"),
            REMOVE: self._remove,
            AWAIT: self._await,
            SETTLE: self._settle,
            WATCH: self._watch,
            SEED: self._leading.seed,
            **dict.fromkeys((POINT, WEIGHT), self._leading.point),
            REST: lambda operation: self._engine.watch.pause(operation.seconds),
            DRAIN: self._leading.drain,
            PROVE: lambda operation: self._notes.prove(operation.names),
            RELOAD: self._reload,
        }

    @property
    def _project(self) -> Project:
        return self._thread.project

    @property
    def _engine(self) -> "Engine":
        return self._thread.project.engine

    def carry_out(self, plan: Plan) -> None:
        """Carry out all operations of a plan; a group of operations is one step of the report."""
        try:
            if plan.operations:
                self._notes.save()  # marks the state as unrecorded: a killed deploy may leave changes behind
            steps = Steps(self._tools.steps, plan.operations)
            self._numbers = plan_steps(plan.operations, self._stack)
            Parallel(self._project, plan.operations, self._carry_out_one, steps).carry_out()
            self._notes.stamp(self._stack.services, frozenset(self._notes.state.stamps))
            self._placed.clean()
        finally:
            with contextlib.suppress(SlipwayError):  # the engine is gone: the next deploy observes everything anew
                self._notes.save()
            if self._left:
                self._let_monitoring_rejoin()

    def _let_monitoring_rejoin(self) -> None:
        try:
            for words in membership.joining(self._engine, self._stack.project):
                self._docker(*words)
        except SlipwayError as error:
            note(f"the monitoring is not in the new networks: {error.message}")
            note(f"  hint: inv monitor.up --env {self._project.profile.environment}")

    def _carry_out_one(self, project: Project, operation: Operation) -> None:
        """Carry out an operation in the current thread; skip it if its batch was given up."""
        self._thread.project = project
        if operation.group in self._given_up:
            return
        title = titled(operation, self._stack)
        with step(title, self._numbers.get(operation.number, 0)):
            self._verify_lock()
            try:
                self._work[operation.kind](operation)
            except BatchGivenUp:
                self._given_up.add(operation.group)
            self._heard_later = self._heard_later or self._moves(operation)
            self._notes.measure(operation)

    def _moves(self, operation: Operation) -> bool:
        """Whether an operation gives a name another address; in a rollout the proxy is told of new names beforehand."""
        services = (self._stack.services[name] for name in operation.services if name in self._stack.services)
        rollouts = [rollout_group(service) for service in services]
        return operation.kind in (UP, RECREATE, START, RESTART) and operation.group not in rollouts

    def _verify_lock(self) -> None:
        with self._verifying:
            self._tools.verify()

    # Containers, by Compose and by docker

    def _containers(self) -> tuple[Container, ...]:
        return self._engine.containers(self._stack.project)

    def _containers_of(self, services: Sequence[str]) -> list[Container]:
        return [container for container in self._containers() if container.service in services and not container.oneoff]

    def _compose(self, operation: Operation, *words: str, waits: float = 0.0) -> None:
        """Run a Compose command on the services of an operation.

        In the model that Compose gets, every other service is spelled and scaled like its containers, so that Compose
        leaves it alone. If the command fails, containers that it created and did not start are removed. ``waits``:
        seconds that the command may take in addition, for services to become ready.
        """
        containers = self._containers()
        model = self._placed.fill(self._desired.model, operation.services, containers, self._notes.state)
        model = networks.with_network_names(model, operation.through)
        model = with_unlisted_services(spelled_as_created(model, containers, leave=operation.services), containers)
        text = json.dumps(with_counts(model, containers, operation.counts))
        before = frozenset(container.id for container in containers)
        source = replace(self._source, model=text)
        graces = self._graces(container for container in containers if container.service in operation.services)
        pulls = not all(self._desired.wanted(name).image for name in operation.services)
        seconds = time_limit(graces, pulls, waits + _EACH * (len(operation.services) - 1), self._tools.answer)
        try:
            reasons.run(
                self._project, source.compose(*words, *operation.services, reason=operation.group, seconds=seconds)
            )
        except BaseException as error:
            self._remove_unstarted(operation, containers)
            if isinstance(error, CommandError):
                raise_not_ready(self._project, self._stack, error.message, error.hint, operation.services)
            raise
        finally:
            self._notes.stamp(operation.services, before, not operation.begun)

    def _remove_unstarted(self, operation: Operation, before: Iterable[Container]) -> None:
        """Remove containers that a failed operation created and did not start."""
        with contextlib.suppress(SlipwayError):  # the error of the operation is the one to report
            self._verify_lock()
            if names := containers_to_remove(operation, before, self._containers()):
                self._docker("rm", "--volumes", *names)

    def _docker(self, *words: str, graces: Iterable[float] = ()) -> None:
        seconds = time_limit(graces, answer=self._tools.answer)
        reasons.run(self._project, self._source.docker(*words, seconds=seconds))

    def _graces(self, containers: Iterable[Container]) -> list[float]:
        return [container.grace for container in self._inspected(containers)]

    def _stop(self, verb: str, names: Sequence[str]) -> None:
        graces = self._graces(container for container in self._containers() if container.name in names)
        self._docker(verb, *names, graces=graces)

    def _up(self, operation: Operation) -> None:
        # Compose starts a service only when its dependencies are ready and their jobs have ended.
        waits = sum(longest_health_timeout(group, self._project.profile) for group in levels(self._stack))
        # Compose pulls what the engine does not have.
        with watching(self._project, self._stack, operation), pulls_told():
            self._compose(operation, "up", "--detach", "--no-build", waits=waits)
        self._notes.jobs(operation.services)

    def _create(self, operation: Operation) -> None:
        self._compose(operation, "create", "--no-build", "--no-recreate")

    def _recreate(self, operation: Operation) -> None:
        self._compose(operation, "create", "--no-build", "--force-recreate")

    def _start(self, operation: Operation) -> None:
        wanted = operation.names if operation.begun else [c.name for c in self._containers_of(operation.services)]
        names = [
            c.name
            for c in self._containers_of(operation.services)
            if c.name in wanted and c.state not in ("running", "paused")
        ]
        if not names:
            return
        try:
            self._docker("start", *names)
        except CommandError as error:
            raise_not_ready(self._project, self._stack, error.message, error.hint, operation.services)

    def _act_on_each(self, verb: str) -> Callable[[Operation], None]:
        def work(operation: Operation) -> None:
            names = [container.name for container in self._containers() if container.name in operation.names]
            if names:
                self._stop(verb, names)

        return work

    def _remove(self, operation: Operation) -> None:
        names = [container.name for container in self._containers() if container.name in operation.names]
        if names:
            self._docker("rm", "--volumes", *names)

    def _tag_images(self, operation: Operation) -> None:
        for name in operation.names:
            self._docker("tag", self._desired.names[name], name)

    def _network(self, operation: Operation) -> None:
        """Change a network or its members; skip containers that are connected as wanted already, or gone."""
        if operation.kind in (CONNECT, DISCONNECT):
            connected = {container.name: operation.subject in container.networks for container in self._containers()}
            expected = operation.kind == DISCONNECT
            operation = replace(
                operation, names=tuple(name for name in operation.names if connected.get(name) is expected)
            )
        if operation.kind in (REMOVE_NETWORK, REPLACE_NETWORK):
            self._left = True
            for words in membership.leaving(self._engine, self._stack.project, operation.subject):
                self._docker(*words)
        for words in networks.network_commands(operation):
            self._docker(*words)

    def _run_job(self, operation: Operation) -> None:
        self._compose(replace(operation, counts={operation.subject: 1}), "create", "--no-build", "--force-recreate")
        self._start(operation)
        self._await(replace(operation, seconds=self._project.profile.duration("HEALTH_TIMEOUT")))
        self._notes.jobs(operation.services)

    # Wait, and explain failures

    def _await(self, operation: Operation) -> None:
        names = operation.names if operation.failure else ()
        timeout = operation.seconds or self._project.profile.duration("HEALTH_TIMEOUT")
        told = HealthStory(self._project, self._stack, operation, timeout)

        def judge(containers: tuple[Container, ...]) -> str:
            told.see(containers)
            if names:
                outcome = verdict_on(self._stack, self._stack.service(operation.subject), containers, names)
                return outcome or restart_loop(self._project, containers, names)
            service_containers = [container.name for container in containers if container.service in operation.services]
            return verdict(self._stack, containers, operation.services) or restart_loop(
                self._project, containers, service_containers
            )

        outcome = self._engine.watch.wait(self._stack.project, judge, timeout, told.ask)
        if outcome == "ready":
            return
        reason = f"not healthy within {show_duration(timeout)} (HEALTH_TIMEOUT)" if outcome == "timeout" else outcome
        if not names:
            raise_not_ready(self._project, self._stack, reason, services=operation.services)
        self._failed(operation, reason)
        self._retire(names)
        raise BatchGivenUp

    def _settle(self, operation: Operation) -> None:
        """Watch whether services without a health check keep running for a while after their start."""
        current_step().wait(operation.seconds)
        before = {container.id: container for container in self._inspected(self._containers_of(operation.services))}

        def judge(_: tuple[Container, ...]) -> str:
            for container in self._inspected(self._containers_of(operation.services)):
                earlier = before.get(container.id)
                if earlier and container.restarts > earlier.restarts:
                    return f"{container.name} was restarted, exit code {container.exit_code}"
                if container.state not in ("running", "restarting") or container.restarting:
                    return f"{container.name} ended with exit code {container.exit_code}"
            return ""

        outcome = self._engine.watch.wait(self._stack.project, judge, operation.seconds)
        if outcome != "timeout":
            reason = f"{outcome} within {show_duration(operation.seconds)} of its start"
            raise_not_ready(self._project, self._stack, reason, services=operation.services)

    def _inspected(self, containers: Iterable[Container]) -> list[Container]:
        return [full for container in containers if (full := self._engine.inspect(container.id)) is not None]

    def _watch(self, operation: Operation) -> None:
        """Watch new containers while they serve; fail if more than ``max_failure_ratio`` of them have trouble."""
        from .proving import watch  # loaded only where there is a rollout

        service = self._stack.service(operation.subject)
        if reason := watch(self._project, service, operation, self._tools.watched):
            self._failed(operation, reason)

    def _smoke(self, operation: Operation) -> None:
        try:
            self._tools.probe(self._project, operation.names, _TAKES_EFFECT if self._heard_later else 0.0)
        except DeployError as error:
            if isinstance(error, LockLostError) or operation.failure != PAUSE:
                raise
            self._failed(operation, error.message)

    def _failed(self, operation: Operation, reason: str) -> None:
        """Apply ``update_config.failure_action``: return on `continue`, else raise PausedError or DeployError."""
        full = self._inspected(container for container in self._containers() if container.name in operation.names)
        bad = [container for container in full if container.state != "running" or container.health != "healthy"]
        error = not_ready_error(self._project, self._stack, bad, reason)
        if operation.failure == CONTINUE:
            note(f"{operation.subject}: {error.message}; going on (update_config.failure_action: continue)")
            return
        if operation.failure == PAUSE:
            self._verify_lock()
            self._leading.back(operation.subject)
            raise PausedError(error.message, error.hint)
        raise error

    def _retire(self, names: Sequence[str]) -> None:
        self._stop("stop", names)
        self._docker("rm", "--volumes", *names)

    def _reload(self, operation: Operation) -> None:
        running = tuple(
            container for container in self._containers_of(operation.services) if container.state == "running"
        )
        self._reloading.reload(operation, running)
        self._heard_later = True
