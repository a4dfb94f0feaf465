"""What clients saw while an experiment ran: samples of the requests of its hypothesis, as a journal has them.

They are in an extension of the journal with our name, in the shape that extensions of an experiment have: what reads a
journal of Chaos Toolkit reads past it.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ...model.record import Record
from . import tolerance
from .experiment import EXTENSION, HTTP, Activity, Experiment, extension

EVERY = 0.25  # seconds between two requests of a probe
_SAFE = ("GET", "HEAD")  # methods that change nothing (RFC 9110, 9.2.1)


class Sample(Record):
    """A request: when it was sent (seconds since the first), how long it took, its status (0: no answer).

    ``met``: it was what the probe tolerates.
    """

    at: float
    took: float
    status: int
    met: bool


def probes(experiment: Experiment) -> tuple[Activity, ...]:
    """Return the probes that can be asked again and again: requests that change nothing. None when it is not wanted.

    Not wanted: `extensions: [{name: slipway, measure: false}]`.
    """
    if extension(experiment.document).get("measure") is False:
        return ()
    return tuple(
        probe
        for probe in experiment.probes
        if probe["provider"]["type"] == HTTP and str(probe["provider"].get("method") or "GET").upper() in _SAFE
    )


def every(experiment: Experiment) -> float:
    """Return how many seconds there are between two requests of a probe.

    `extensions: [{name: slipway, measure: 200}]`: 200 a second.
    """
    rate = extension(experiment.document).get("measure", True)
    return EVERY if isinstance(rate, bool) else 1 / float(rate)


def within_time(provider: Mapping[str, Any], longest: float) -> dict[str, Any]:
    """Return a request that takes ``longest`` seconds at most."""
    given = provider.get("timeout") or longest
    return {**provider, "timeout": min(float(max(given) if isinstance(given, list) else given), longest)}


def sample(probe: Activity, at: float, took: float, output: Mapping[str, Any]) -> Sample:
    """Return the sample of a request from its answer, empty without one."""
    return Sample(at, took, int(output.get("status", 0)), bool(output) and tolerance.within(probe["tolerance"], output))


def document(began: float, series: Iterable[tuple[str, Sequence[Sample]]], unsent: int) -> dict[str, Any]:
    """Return what was measured as JSON data; ``began`` is in seconds since the epoch."""
    return {
        "name": EXTENSION,
        "start": datetime.fromtimestamp(began, UTC).isoformat(),
        "every": EVERY,
        "unsent": unsent,
        "measured": [
            {
                "probe": name,
                "samples": [
                    [round(one.at, 3), round(one.took, 3), one.status, one.met]
                    for one in sorted(samples, key=lambda one: one.at)
                ],
            }
            for name, samples in series
        ],
    }
