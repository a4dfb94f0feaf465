"""Carries out the operations of a plan that change the proxy: its upstream files and where they point."""

import threading

from ..host import reasons
from ..model.compose import Source
from ..model.stack.stack import Stack
from ..model.stack.upstream import ProxyTarget
from .parallel import ThreadProject
from .plan.operation import Operation
from .plan.rollout import Proxy, first_files
from .proxy import Draining, find_proxy, lead_proxy, wait_until_drained


class ProxyOperations:
    """Changes the proxy of a stack, one thread at a time."""

    def __init__(self, thread: ThreadProject, source: Source, stack: Stack) -> None:
        self._thread, self._source, self._stack = thread, source, stack
        self._lock = threading.Lock()
        self._draining: dict[str, Draining] = {}
        self._led: dict[str, tuple[str, ...]] = {}

    def _front(self) -> Proxy | None:
        return find_proxy(self._thread.project, self._stack)

    def _switch(self, front: Proxy, service: str, aim: ProxyTarget, again: bool = False) -> Draining:
        with self._lock:  # the proxy checks all its files: a bad one would look like the fault of every thread
            return lead_proxy(self._thread.project, self._source, self._stack, front, service, aim, again)

    def point(self, operation: Operation) -> None:
        """Point the proxy to other containers of a service; its old workers are drained later, by ``drain``."""
        if operation.aim is None:
            return
        if operation.aim.settled:
            self._led[operation.subject] = tuple(operation.aim.containers)
        if front := self._front():
            old = self._switch(front, operation.subject, operation.aim, operation.begun)
            self._draining.setdefault(operation.subject, []).extend(old)

    def back(self, service: str) -> None:
        """Point the proxy back to the containers that served before the rollout of a service, and wait until they do.

        Old workers of the proxy may take requests for a moment after its reload.
        """
        front = self._front()
        if service in self._led and front:
            old = self._switch(front, service, ProxyTarget(self._led[service]))
            wait_until_drained(self._thread.project, self._source, front, old)

    def seed(self, operation: Operation) -> None:
        """Write the first upstream file of a service."""
        front, service = self._front(), self._stack.service(operation.subject)
        with self._lock:
            for name in front.containers if front else ():
                for command in first_files(self._source, front, name, service, operation.text) if front else ():
                    reasons.run(self._thread.project, command)

    def drain(self, operation: Operation) -> None:
        """Wait until old workers of the proxy have finished their requests."""
        if front := self._front():
            old = self._draining.pop(operation.subject, [])
            wait_until_drained(self._thread.project, self._source, front, old)
