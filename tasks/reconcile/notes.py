"""Notes what happens while a plan is carried out: what containers were created with, job runs, interruptions."""

import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace

from ..model.engine.facts import Container
from ..model.stack.extension import JOBS
from .parallel import ThreadProject
from .plan.desired import Desired
from .plan.difference import job_digests
from .plan.observed import Ran, Stamp, State
from .plan.operation import AWAIT, DISCONNECT, Operation
from .plan.placed import configuration_digest, filled_volumes
from .state import write


class Notes:
    """The stored state of a project during a deploy; a thread has to own ``lock`` to change it."""

    def __init__(self, thread: ThreadProject, desired: Desired, release: int, state: State) -> None:
        self._thread, self._desired, self._stack, self._release = thread, desired, desired.stack, release
        self.lock = threading.RLock()
        self.state, self._saved = replace(state, unrecorded=True), state
        self._began: dict[str, float] = {}

    def _containers(self) -> tuple[Container, ...]:
        return self._thread.project.engine.containers(self._stack.project)

    def save(self) -> None:
        """Store the state on the engine if it has changed, without stamps of containers that are gone."""
        with self.lock:
            if self.state != self._saved:
                present = {container.id for container in self._containers()}
                self.state = self._saved = self.state.kept(present)
                write(self._thread.project, self.state)

    def measure(self, operation: Operation) -> None:
        """Note how long a service was interrupted, in seconds, from the operation that did it until it was healthy."""
        now = time.monotonic()
        # After a DISCONNECT clients can connect again at once, through the other network.
        away = operation.interrupts if operation.kind != DISCONNECT else ()
        with self.lock:
            self._began.update(dict.fromkeys((name for name in away if name not in self._began), now))
            if operation.kind == AWAIT:
                for name in [name for name in self._began if name in operation.services]:
                    seconds = round(now - self._began.pop(name), 1)
                    self.state = replace(self.state, seconds={**self.state.seconds, name: seconds})

    def stamp(self, services: Iterable[str], before: frozenset[str], proven: bool = True) -> None:
        """Note what new containers of services (those not in ``before``) were created with, before they serve."""
        fresh = {}
        for container in self._containers():
            if container.service in services and container.id not in before and not container.oneoff:
                fresh[container.id] = Stamp(
                    self._desired.wanted(container.service).contents, proven, self._configuration(container)
                )
        with self.lock:
            self.state = self.state.stamped(fresh)
            if any(stamp.references or not stamp.proven for stamp in fresh.values()):
                self.save()

    def _configuration(self, container: Container) -> str:
        return configuration_digest(self._desired.model, container.service) if filled_volumes(container) else ""

    def prove(self, names: Iterable[str]) -> None:
        """Note that the rollout of containers was watched to the end."""
        fresh = {container.id: container for container in self._containers() if container.name in names}
        with self.lock:
            stamps = {container_id: self.state.stamps.get(container_id, Stamp()) for container_id in fresh}
            self.state = self.state.stamped({name: replace(stamp, proven=True) for name, stamp in stamps.items()})
            self.save()

    def jobs(self, services: Iterable[str]) -> None:
        """Note the jobs among services that have ended."""
        containers = {container.service: container for container in self._containers()}
        with self.lock:
            for name in services:
                container = containers.get(name)
                if container and self._stack.one_off(self._stack.service(name)) and container.state == "exited":
                    ran = Ran(job_digests(self._desired.wanted(name)), self._release, self._migrations(name))
                    self.state = replace(self.state, jobs={**self.state.jobs, name: ran})
            self.save()

    def _migrations(self, service: str) -> Mapping[str, str] | None:
        """Return the migrations that a job had, None where they are not known: it may have a promoted image."""
        job = self._stack.service(service)
        if job.slipway.job != JOBS[0] or self._desired.release or (job.build and self._desired.origin):
            return None
        from .migrations import of

        return of(job, self._desired.model)

    def reloaded(self, containers: Iterable[Container]) -> None:
        """Note that containers of a service have read its current configuration."""
        with self.lock:
            stamps = {}
            for container in containers:
                stamp, contents = (
                    self.state.stamps.get(container.id, Stamp()),
                    self._desired.wanted(container.service).contents,
                )
                stamps[container.id] = replace(stamp, references=contents, configuration=self._configuration(container))
            self.stamps(stamps)

    def stamps(self, stamps: Mapping[str, Stamp | None]) -> None:
        """Set the stamps of containers, by id; None removes a stamp."""
        with self.lock:
            kept = {name: stamp for name, stamp in self.state.stamps.items() if name not in stamps}
            given = {name: stamp for name, stamp in stamps.items() if stamp is not None}
            self.state = replace(self.state, stamps={**kept, **given})
            self.save()
