"""The logs of the Pods of a project, with the methods of the logs of an engine."""

import time
from collections.abc import Iterator

from ..host.engine.connection import NotThereError
from ..host.project import Project
from ..host.runner import Result
from ..kube.live.cluster import Cluster
from ..kube.plan import labels
from ..kube.plan.live import pods
from ..kube.plan.live.difference import Raw
from ..kube.plan.live.faults import is_missing
from ..kube.plan.names import by_label
from ..model.engine.log_lines import SECOND, LogLine
from ..model.errors import SlipwayError
from .plan import pod_log_lines

_LOOK = 1.0  # seconds between two looks for new Pods


class PodLogs:
    """The logs of the Pods of a project; threads may read at the same time. Times are nanoseconds since the epoch."""

    def __init__(self, project: Project) -> None:
        self._project, self._cluster = project, Cluster(project)
        self._names = by_label(project.stack.services)

    def listed(self) -> Iterator[tuple[str, str, str, int]]:
        """Yield name, name, service and time of creation of each Pod."""
        for pod in self._list():
            name, service = str(pod["metadata"]["name"]), str(pods.container_row(pod, self._names)["service"])
            if service:
                yield name, name, service, pod_log_lines.moment(pod["metadata"]["creationTimestamp"])

    def clock(self) -> int:
        """Return a time from before which all lines that were written are in the logs by now."""
        return time.time_ns() - SECOND // 2

    def read(self, container: str, since: int = 0, until: int = 0) -> Iterator[LogLine]:
        """Yield what a Pod wrote in a time; raises NotThereError when it is gone, as all methods do."""
        for line in pod_log_lines.parsed(self._said(container, *_since(since))):
            if since <= line.time and (not until or line.time < until):
                yield line

    def last(self, container: str, messages: int) -> tuple[list[LogLine], bool]:
        """Return the last lines of a log, and whether that is all."""
        lines = list(pod_log_lines.parsed(self._said(container, f"--tail={messages}")))
        return lines, len(lines) < messages

    def follow(self, container: str, since: int) -> Iterator[LogLine]:
        """Yield what a Pod wrote since then, and what it goes on to write until it ends."""
        command = self._cluster.kubectl(*self._words(container), "--follow", *_since(since), seconds=None)
        for text in self._project.runner.lines(command):
            for line in pod_log_lines.parsed(text):
                if line.time >= since:
                    yield line

    def running(self, container: str) -> bool:
        """Whether a Pod runs now."""
        pod = self._cluster.read("get", "pod", container, missing="null")
        return bool(pod and pods.state(pod) == "running")

    def started(self, project: str, since: int) -> Iterator[tuple[str, str, str]]:
        """Yield name, name and service of each Pod that is started from now on."""
        known: set[str] = set()
        while True:
            for pod in self._list():
                name = str(pod["metadata"]["name"])
                if name not in known and pods.started(pod):
                    known.add(name)
                    yield name, name, str(pods.container_row(pod, self._names)["service"])
            time.sleep(_LOOK)

    def _list(self) -> tuple[Raw, ...]:
        selector = f"{labels.PROJECT}={self._cluster.name}"
        return tuple(self._cluster.read("get", "pods", "--selector", selector, missing='{"items": []}')["items"])

    def _words(self, container: str) -> tuple[str, ...]:
        return ("logs", container, "--timestamps", "--all-containers=false")

    def _said(self, container: str, *words: str) -> str:
        command = self._cluster.kubectl(*self._words(container), *words)
        result: Result = self._cluster.tried(command)
        if result.exit_code == 0:
            return result.stdout
        if is_missing(result.stderr):
            raise NotThereError(f"{container} is gone")
        if pod_log_lines.has_not_begun(result.stderr):
            return ""
        error: SlipwayError = self._cluster.fault(result, command)
        raise error


def _since(moment: int) -> tuple[str, ...]:
    return (f"--since-time={pod_log_lines.text(moment)}",) if moment else ()
