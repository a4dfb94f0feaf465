"""Tells monitoring what a deploy did, when it has ended: a trace, metrics, an annotation; what fails is a warning.

Nothing is told, and nothing loaded for it, unless the environment has ``OTEL_EXPORTER_OTLP_ENDPOINT`` or
``GRAFANA_URL``, the profile ``DEPLOY_METRICS_DIR``, or the stack is monitored.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ...host.output import WARNING, note
from ...host.project import Project
from ...host.story.story import Renderer
from ...model.errors import SlipwayError
from ..report import DeployReport, outcome_of, reason

if TYPE_CHECKING:
    from .metrics import DeployMetrics

_TRACES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_UNCHANGED = "unchanged"


class Signals:
    """What is told of a deploy; ``renderers`` take its story."""

    def __init__(self, project: Project, task: str) -> None:
        self._project, self._task = project, task
        self._began = time.time()
        self._report: DeployReport | None = None
        self._metrics: DeployMetrics | None = None
        self._noting: threading.Thread | None = None
        self.renderers: list[Renderer] = []
        if any(os.environ.get(name) for name in _TRACES):
            from .spans import Spans

            self._spans = Spans(project, task)
            self.renderers.append(self._spans)

    def under_lock(self, report: DeployReport) -> None:
        """Tell that the deploy has the lock, beside its work, where somebody reads that."""
        self._report = report
        from ...telemetry import textfiles

        files = textfiles.find(self._project)
        if files is None:
            return
        from .metrics import DeployMetrics

        self._metrics = DeployMetrics(files.apart())
        self._noting = threading.Thread(target=self._told, args=("lock", self._metrics.locked), daemon=True)
        self._noting.start()

    def end(self, error: BaseException | None) -> None:
        """Tell how the deploy ended, unless it never began."""
        report, metrics = self._report, self._metrics
        if self._noting:
            self._noting.join()
        if report is None or (error is not None and not report.steps) or (not error and report.outcome == _UNCHANGED):
            if metrics:
                self._told("lock", metrics.unlocked)
            return
        outcome = outcome_of(error, report.steps) if error else report.outcome
        why = reason(error) if error else ""
        if self.renderers:
            self._told("trace", lambda: self._spans.send(outcome, why, report.release))
        if metrics:
            self._told("metrics", lambda: metrics.write(outcome, self._began, report))
        if os.environ.get("GRAFANA_URL"):
            self._told("annotation", lambda: self._annotate(outcome, why, report))

    def _annotate(self, outcome: str, why: str, report: DeployReport) -> None:
        from .annotation import annotate

        annotate(self._project, self._task, outcome, why, self._began, report.release)

    def _told(self, what: str, tell: Callable[[], None]) -> None:
        try:
            tell()
        except SlipwayError as error:
            note(f"the {what} of this deploy: {error.message}", WARNING)


@contextmanager
def signalled(project: Project, task: str) -> Iterator[Signals]:
    """Tell monitoring of the deploy in the block when it has ended, however it ends."""
    signals, ended = Signals(project, task), None
    try:
        yield signals
    except BaseException as error:
        ended = error
        raise
    finally:
        signals.end(ended)
