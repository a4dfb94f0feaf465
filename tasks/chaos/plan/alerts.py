"""What an alert has to do with an experiment: whether it fires, what a journal tells of it, and what a page says."""

import difflib
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ...model.units import show_duration
from ...telemetry.plan.series import ActiveAlert

_FIRING = "firing"


def fires(active: Iterable[ActiveAlert], name: str, project: str) -> bool:
    """Whether an alert fires for a project; one without a label of it does, since a Prometheus has one project only."""
    return any(
        alert.name == name and alert.state == _FIRING and alert.labels.get("project", project) == project
        for alert in active
    )


def alike(name: str, known: Collection[str]) -> str:
    """Return what a person may have meant, such as "; is it ServiceErrors?", "" when nothing is called alike."""
    near = difflib.get_close_matches(name, sorted(known))
    return f"; is it {', '.join(near)}?" if near else ""


def document(name: str, fired: float | None, resolved: float | None, not_asked: str | None) -> dict[str, Any]:
    """Return what became of an alert as JSON data; ``not_asked`` says why nobody was asked, None when somebody was."""
    return {
        "name": name,
        "fired_after": None if fired is None else round(fired, 1),
        "resolved_after": None if resolved is None else round(resolved, 1),
        "not_asked": not_asked,
    }


def why_not(told: Mapping[str, Any]) -> str:
    """Return why an alert was not as it had to be, "" when it was, or was not asked for."""
    if not told or told.get("not_asked"):
        return ""
    if told.get("fired_after") is None:
        return f"{told.get('name')} has not fired"
    return f"{told.get('name')} is not resolved" if told.get("resolved_after") is None else ""


def sentence(told: Mapping[str, Any]) -> str:
    """Return what became of an alert, for a person."""
    name, fired, resolved = told.get("name"), told.get("fired_after"), told.get("resolved_after")
    if told.get("not_asked"):
        return f"{name}: not asked: {told['not_asked']}"
    if not isinstance(fired, int | float):
        return f"{name} has not fired"
    text = f"{name} fired after {show_duration(fired)}"
    if not isinstance(resolved, int | float):
        return f"{text}, and is not resolved"
    return f"{text}, resolved {show_duration(resolved)} after the fault was ended"
