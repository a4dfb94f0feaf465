"""The alert that an experiment names: it has to fire while the fault is there, and to be resolved when that is over."""

import time
from collections.abc import Callable
from typing import Any

from ..host.output import note
from ..host.project import Project
from ..model.engine.facts import MONITORS_LABEL
from ..model.errors import InputError, RefusedError
from ..model.units import show_duration
from ..monitor import compose_file, objectives
from ..monitor.check import documents
from ..monitor.plan import burn_rates, rules
from ..telemetry.prometheus import Prometheus
from .plan import alerts

LASTS = "30m"
"""How long a fault lasts that an alert is waited for: it is ended before, and by itself where its runner is killed."""
_FIRES, _RESOLVES = 20 * 60.0, 30 * 60.0  # seconds that the alert has; the longest window of a page is half an hour
_LOOK = 1.0  # seconds between two looks
_NOT_MONITORED = "not monitored"

Fires = Callable[[], bool]


class AlertCheck:
    """What became of an alert in a run. ``fires`` asks whether it fires now, None: nothing monitors the environment."""

    def __init__(
        self, name: str, fires: Fires | None, limits: tuple[float, float] = (_FIRES, _RESOLVES), look: float = _LOOK
    ) -> None:
        self.name, self._fires, self._limits, self._look = name, fires, limits, look
        self._began = self._ended = 0.0
        self._fired_after: float | None = None
        self._resolved_after: float | None = None
        self._waited, self._silent = False, ""

    @property
    def asked(self) -> bool:
        """Whether something monitors the environment, and is asked."""
        return self._fires is not None

    def begin(self) -> None:
        """Count from now on how long it takes until the alert fires."""
        self._began = time.monotonic()

    def await_firing(self) -> None:
        """Wait until the alert fires, once; the fault is in place, and is ended afterwards."""
        if self._waited or not self.asked:
            return
        self._waited = True
        note(f"{self.name}: waiting until it fires, for {show_duration(self._limits[0])} at most")
        self._fired_after = self._until(True, self._began, self._limits[0])
        self._ended = time.monotonic()
        self._tell("fires", "has not fired", self._fired_after)

    def await_resolved(self) -> None:
        """Wait until an alert that has fired is resolved."""
        if self._fired_after is None:
            return
        note(f"{self.name}: waiting until it is resolved, for {show_duration(self._limits[1])} at most")
        self._resolved_after = self._until(False, self._ended, self._limits[1])
        self._tell("resolved", "is not resolved", self._resolved_after)

    def _tell(self, done: str, missed: str, took: float | None) -> None:
        note(
            f"{self.name}: {missed}{self._silent}"
            if took is None
            else f"{self.name}: {done} after {show_duration(took)}"
        )

    def _until(self, firing: bool, since: float, limit: float) -> float | None:
        """Return how long after ``since`` the alert was as wanted, None when it was not within the limit."""
        deadline = time.monotonic() + limit
        while True:
            self._silent = ""
            try:
                if self._fires is not None and self._fires() is firing:
                    return time.monotonic() - since
            except RefusedError as error:  # a fault may be in the way to Prometheus: it is waited for all the same
                self._silent = f": {error.message}"
            if time.monotonic() > deadline:
                return None
            time.sleep(self._look)

    @property
    def as_it_should(self) -> bool:
        """Whether it has fired and is resolved, or nothing was asked."""
        return not alerts.why_not(self.document())

    def document(self) -> dict[str, Any]:
        """Return what a journal tells of it; times are in seconds, since the method began and since the fault ended."""
        return alerts.document(
            self.name, self._fired_after, self._resolved_after, None if self.asked else _NOT_MONITORED
        )


def refuse_unknown(project: Project, name: str, where: str) -> None:
    """Raise InputError for an alert that is in no rule of the project's monitoring."""
    directory = compose_file.configuration(project) / "prometheus" / "rules"
    known = {rule.name for rule in rules.parse(documents(directory)) if rule.alert}
    known |= burn_rates.alert_names(objectives.of_project(project))
    if name not in known:
        raise InputError(
            f"{where}: extensions: alert: no alert {name!r} in {project.settings.shown(directory)}"
            f"{alerts.alike(name, known)}",
            "docs/runbooks.md has a heading for each alert that comes with Slipway",
        )


def check(project: Project, name: str) -> AlertCheck:
    """Return what waits for an alert of an environment.

    Raises RefusedError when Prometheus does not answer, does not have the alert, or says that it fires already: then
    the experiment would prove nothing.
    """
    if project.clustered or not any(project.engine.labelled(f"{MONITORS_LABEL}={project.stack.project}")):
        note(f"{name}: not asked: {_NOT_MONITORED}")
        return AlertCheck(name, None)
    prometheus, environment = Prometheus.of(project), project.profile.environment
    if name not in {rule.name for rule in prometheus.rules()}:
        raise RefusedError(
            f"the Prometheus of {environment} has no alert {name}", f"inv monitor.up --env {environment}"
        )

    def fires() -> bool:
        return alerts.fires(prometheus.alerts(), name, project.stack.project)

    if fires():
        raise RefusedError(
            f"{name} of {project.stack.project} fires already: the experiment would prove nothing",
            f"inv monitor.status --env {environment} shows what fires; docs/runbooks.md says what to do",
        )
    return AlertCheck(name, fires)
