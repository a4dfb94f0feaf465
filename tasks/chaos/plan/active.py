"""The faults that are there: what their helper containers say."""

from collections.abc import Iterable

from ...model.engine.facts import Container, LabelledResource
from ...model.record import Record
from . import injection

ACTIVE, UNDONE, LEFT = "active", "undone", "left"


class Active(Record):
    """A fault that a helper container made.

    ``state``: ``active`` while it keeps the time, ``undone`` when nothing of the fault is left, ``left`` when the
    helper ended without undoing it. ``since`` is RFC 3339, ``seconds`` how long the fault was to last.
    """

    helper: str
    fault: str
    service: str
    target: str
    seconds: float
    state: str
    since: str = ""


def active(resource: LabelledResource, helper: Container) -> Active:
    """Return the fault of a helper container, from its labels and its state."""
    labels = resource.labels
    seconds = labels.get(injection.SECONDS, "")
    return Active(
        resource.name,
        labels.get(injection.FAULT, "?"),
        labels.get(injection.SERVICE, "?"),
        labels.get(injection.TARGET, "?"),
        float(seconds) if seconds.replace(".", "", 1).isdigit() else 0.0,
        _state(helper),
        helper.started,
    )


def _state(helper: Container) -> str:
    if helper.state in ("running", "restarting", "paused"):
        return ACTIVE
    return UNDONE if helper.state == "exited" and helper.exit_code == 0 else LEFT


def of_service(faults: Iterable[Active], service: str) -> tuple[Active, ...]:
    """Return the faults of a service, all when none is named."""
    return tuple(one for one in faults if service in ("", one.service))
