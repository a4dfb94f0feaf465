"""What happened in a time: releases, alerts that fired, containers that were started again."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ....model.record import Record
from ....telemetry.plan.series import Series
from .chart import Mark, rfc3339
from .figures import Period

_OF_RULES = ("sloth_id", "sloth_service", "sloth_severity")
_HIDDEN = ("__name__", "alertname", "alertstate", "severity", "project", "job", *_OF_RULES)
_NO_TROUBLE = "none"  # the severity of an alert that fires all the time, to show that alerts arrive
_OUTCOMES = {"deployed": "deployed", "rolled-back": "rolled back", "failed": "failed"}
_DONE = "deployed"
RELEASE, FAILURE = "release", "failure"
TOLD = (
    "max by (service, version) (app_build_info)",
    "max by (outcome) (slipway_deploy_last_timestamp_seconds)",
    "max by (release, version) (slipway_release_info)",
)
"""The expressions that tell of releases: which version a service says it is, when deploys ended, what is deployed."""
FIRING = 'ALERTS{alertstate="firing"}'
"""The expression for the alerts that fire."""


class Fired(Record):
    """A time in which an alert fired: seconds since the epoch. ``still``: it fires at the end of the period."""

    name: str
    severity: str
    labels: str
    start: float
    end: float
    still: bool = False

    def document(self) -> dict[str, Any]:
        """Return the time as JSON data; ``until`` is null while it fires."""
        end = None if self.still else rfc3339(self.end)
        return {"alert": self.name, "severity": self.severity, "labels": self.labels, "since": rfc3339(self.start),
                "until": end}  # fmt: skip


class Restarted(Record):
    """How often a container was started again by the engine, and how often because its memory was full."""

    container: str
    restarts: int
    out_of_memory: int

    def document(self) -> dict[str, Any]:
        """Return the numbers as JSON data."""
        return {"container": self.container, "restarts": self.restarts, "out_of_memory": self.out_of_memory}


def fired(series: Iterable[Series], during: Period) -> tuple[Fired, ...]:
    """Return when alerts fired, the newest first; one that fires again counts again."""
    found = [times for one in series if one.labels.get("severity") != _NO_TROUBLE for times in _fired(one, during)]
    return tuple(sorted(found, key=lambda times: (-times.start, times.name, times.labels)))


def _fired(series: Series, during: Period) -> Iterator[Fired]:
    labels = series.labels
    about = ", ".join(f"{name}={value}" for name, value in sorted(labels.items()) if name not in _HIDDEN)
    times = [time for time, value in series.points if value]
    for start, end in _together(times, during.step * 1.5):
        still = end >= during.end - during.step
        yield Fired(labels.get("alertname", ""), labels.get("severity", ""), about, start, end, still)


def _together(times: Sequence[float], furthest: float) -> Iterator[tuple[float, float]]:
    """Yield the first and the last of times that are no further from their neighbours."""
    begun = 0
    for at, time in enumerate(times):
        if at + 1 == len(times) or times[at + 1] - time > furthest:
            yield times[begun], time
            begun = at + 1


def releases(
    builds: Iterable[Series], deploys: Iterable[Series], versions: Iterable[Series], during: Period
) -> tuple[Mark, ...]:
    """Return the releases of a period, the oldest first.

    They are those that deploys have told of, and the services that say they are another version than before.
    """
    told = tuple(_deploys(deploys, tuple(versions), during))
    near = max(2 * during.step, 120.0)  # seconds: a new version is scraped after its deploy has begun, or ended
    done = [mark.time for mark in told if mark.kind == RELEASE]
    seen = [mark for mark in _changes(builds, during) if not any(abs(mark.time - time) <= near for time in done)]
    return tuple(sorted((*told, *seen), key=lambda mark: (mark.time, mark.text)))


def _deploys(deploys: Iterable[Series], versions: Sequence[Series], during: Period) -> Iterator[Mark]:
    """Yield a mark for each time that a deploy is said to have ended at."""
    for one in deploys:
        outcome = one.labels.get("outcome", "")
        for time in sorted({value for _, value in one.points}):
            if during.start <= time <= during.end:
                version = _version(versions, time) if outcome == _DONE else ""
                text = f"{_OUTCOMES.get(outcome, outcome)} {version}".strip()
                yield Mark(time, text, RELEASE if outcome == _DONE else FAILURE)


def _version(versions: Sequence[Series], time: float) -> str:
    """Return the version that is said to be deployed from a time on, "" when nobody says so."""
    after = [
        (at, one.labels.get("version", "")) for one in versions for at, value in one.points if value and at >= time
    ]
    return min(after, default=(0.0, ""))[1]


def _changes(builds: Iterable[Series], during: Period) -> Iterator[Mark]:
    """Yield a mark for each version of a service that appears in the period, also one that has been there before."""
    known = list(builds)
    for service in sorted({one.labels.get("service", "") for one in known}):
        own = [one for one in known if one.labels.get("service", "") == service]
        first = min(one.points[0][0] for one in own)
        for one in own:
            others = [time for other in own if other is not one for time, _ in other.points]
            before = None
            for start, end in _together([time for time, _ in one.points], during.step * 1.5):
                # Where nothing was seen of the service, it was not another version.
                if start > first and (before is None or any(before < time < start for time in others)):
                    yield Mark(start, f"{service} {one.labels.get('version', '')}".strip())
                before = end


def restarted(restarts: Iterable[Series], out_of_memory: Iterable[Series]) -> tuple[Restarted, ...]:
    """Return the containers that were started again, the worst first, from the increase of both counters."""
    counts: dict[str, list[int]] = {}
    for at, answers in enumerate((restarts, out_of_memory)):
        for one in answers:
            counts.setdefault(one.labels.get("container", ""), [0, 0])[at] = round(one.value)
    found = (Restarted(name, *numbers) for name, numbers in counts.items() if any(numbers))
    return tuple(sorted(found, key=lambda one: (-one.restarts, -one.out_of_memory, one.container)))
