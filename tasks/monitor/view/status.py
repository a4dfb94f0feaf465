"""Shows how the services of an environment have done in the last minutes."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from ...host import output
from ...host.project import Project
from ...host.reports import now
from ...model.errors import InputError, RefusedError
from ...model.quoting import json_text
from ...model.stack.stack import Service
from ...model.story.look import Look, fit
from ...model.units import parse_duration
from ...telemetry.plan.servers import metrics_of
from ...telemetry.prometheus import Prometheus
from .gather import Measurements, chosen, clock, interval
from .plan import shown
from .plan.figures import Period, ServiceFigures, period, remark
from .plan.frame import frame
from .redraw import Redrawn

_SCHEMA = "slipway/monitor.status/v1"
_LEAST_SCRAPES = 4  # that a time has to have: Prometheus' own advice for rate()
_PER_SCRAPE = 3  # frames
_LOOKS = 0.5  # seconds after which is looked whether anybody still reads


def run(project: Project, services: Sequence[str], since: str, watch: bool, json: bool) -> None:
    """Report how services have done; with ``watch`` again and again until a signal, or the reader is gone.

    Raises InputError for a time that is too short to say anything, RefusedError when Prometheus does not answer.
    """
    seconds, every = parse_duration(since, "--since"), interval(project)
    if seconds < _LEAST_SCRAPES * every:
        least = shown.length(_LEAST_SCRAPES * every)
        raise InputError(
            f"--since {since}: too short to say anything: metrics are read every {shown.length(every)}",
            f"{least} or more, or a smaller MONITOR_INTERVAL in the profile",
        )
    status = _Status(project, chosen(project, services), seconds)
    show = _documents(watch) if json else _drawing(project, seconds, watch)
    gathered, trouble = status.gather(), ""
    show(gathered, trouble)
    while watch:
        _wait(max(every / _PER_SCRAPE, 1.0))
        try:
            gathered, trouble = status.gather(), ""
        except RefusedError as error:  # it may be started again meanwhile
            if json or output.data_size() is None:
                raise
            trouble = error.message
        show(gathered, trouble)


class _Gathered:
    """The figures of the services at a time."""

    def __init__(self, status: "_Status", during: Period, figures: Sequence[ServiceFigures]) -> None:
        self.project, self.during, self.figures = status.project, during, figures
        self.remarks = [
            (service.name, sentence)
            for service, one in zip(status.services, figures, strict=True)
            if (sentence := remark(one, metrics_of(service), status.seconds))
        ]
        self._services = status.services

    def document(self) -> dict[str, Any]:
        """Return the figures as JSON data."""
        rows = zip(self._services, self.figures, strict=True)
        return {
            "schema": _SCHEMA,
            "environment": self.project.profile.environment,
            "time": now(),
            "since": self.during.length,
            "step": self.during.step,
            "services": [one.document(metrics_of(service), self.during.length) for service, one in rows],
        }


class _Status:
    """Gathers the figures of services over the last ``seconds``."""

    def __init__(self, project: Project, services: Sequence[Service], seconds: float) -> None:
        self.project, self.services, self.seconds = project, services, seconds
        self._prometheus = Prometheus.of(project)

    def gather(self) -> _Gathered:
        """Return the figures of now; raises RefusedError when Prometheus does not answer."""
        end = clock(self._prometheus)
        during = period(end - self.seconds, end, interval(self.project))
        measurements = Measurements(self.project, self._prometheus, during)
        return _Gathered(self, during, measurements.services(self.services, trends=True))


_Show = Callable[[_Gathered, str], None]
"""What shows figures, and why there are no newer ones, "" when there are."""


def _documents(watch: bool) -> _Show:
    """Return what writes JSON documents; of several each is on a line."""

    def show(gathered: _Gathered, _trouble: str) -> None:
        output.emit(json_text(gathered.document(), None if watch else 2))
        output.flush()

    return show


def _drawing(project: Project, seconds: float, watch: bool) -> _Show:
    """Return what shows tables to people: on a terminal that can move its cursor, one over the other."""
    size = output.data_size()
    look = Look(output.has_unicode(), size is not None and output.has_colour())
    redrawn = Redrawn(output.emit, lambda: output.data_size() or (80, 24)) if watch and size else None

    def show(gathered: _Gathered, trouble: str) -> None:
        columns, _ = output.data_size() or (0, 0)
        lines = frame(gathered.figures, gathered.remarks, columns, look)
        if watch:
            about = f"{project.stack.project} - {project.profile.environment} - last {shown.length(seconds)} - {now()}"
            lines = [look.text(about.replace(" - ", " · ")), *lines, *([trouble] if trouble else [])]
            lines = [fit(line, columns, look) if "\x1b" not in line else line for line in lines] if columns else lines
        if redrawn:
            redrawn.show(lines)
        else:
            output.emit("\n".join([*lines, *([""] if watch else [])]))
        output.flush()

    return show


def _wait(seconds: float) -> None:
    """Wait for the next frame; raises BrokenPipeError as soon as the reader is gone."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, _LOOKS))
        if output.reader_gone():
            raise BrokenPipeError
