"""What a journal of Chaos Toolkit tells, in the order of its times: faults, what was done, what clients saw."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ...model.errors import InputError
from ...model.record import Record
from ...model.units import show_duration
from . import faults
from .alerts import sentence
from .experiment import LASTS, extension, filled, ours
from .measured import Sample

BEFORE, METHOD, AFTER, ROLLBACK = "hypothesis before", "method", "hypothesis after", "rollback"
_SAID = 300  # characters of what an activity said


class Event(Record):
    """An activity: ``at`` and ``seconds`` of the experiment, whether it went well, and what came of it."""

    part: str
    kind: str
    name: str
    at: float
    seconds: float
    good: bool
    said: str


class FaultSpan(Record):
    """A fault: made from ``at``, in effect from ``begin`` to ``end`` at the latest (seconds of the experiment)."""

    name: str
    service: str
    at: float
    begin: float
    end: float


class ProbeSamples(Record):
    """The samples of a probe, by the time at which they were sent (seconds of the experiment)."""

    probe: str
    samples: tuple[Sample, ...]


class Timeline(Record):
    """A run of an experiment; ``start`` is in seconds since the epoch. ``unsent`` requests were not measured.

    ``alert``: what became of the alert that it names, "" when it names none.
    """

    title: str
    description: str
    status: str
    deviated: bool
    start: float
    seconds: float
    events: tuple[Event, ...]
    faults: tuple[FaultSpan, ...]
    series: tuple[ProbeSamples, ...]
    unsent: int = 0
    alert: str = ""

    @property
    def good(self) -> bool:
        """Whether it went as expected."""
        return self.status == "completed" and not self.deviated


class Phase(Record):
    """What clients saw in a part of the time; ``p50`` and ``p95`` in seconds, of the answers that were as tolerated."""

    name: str
    requests: int
    failed: int
    p50: float | None
    p95: float | None


def timeline(journal: Any, name: str) -> Timeline:
    """Return what a journal tells; raises InputError for what is none."""
    if not isinstance(journal, Mapping) or not isinstance(journal.get("experiment"), Mapping) or "run" not in journal:
        raise InputError(
            f"{name}: is no journal of an experiment", "chaos.run writes one: reports/…/chaos/journal.json"
        )
    experiment, start = journal["experiment"], _moment(journal.get("start"), name)
    told = extension(journal)
    values = {key: _value(key, value, told) for key, value in _mapping(experiment.get("configuration")).items()}
    done = list(_activities(journal, values))
    events = tuple(_event(part, activity, one, start) for part, activity, one in done)
    last = max((event.at + event.seconds for event in events), default=0.0)
    seconds = max(_number(journal.get("duration")), last)
    series, unsent = _measured(journal, start)
    return Timeline(
        _text(experiment.get("title")), _text(experiment.get("description")), _text(journal.get("status")),
        bool(journal.get("deviated")), start, seconds, events,
        _spans([(activity, event) for (_, activity, _), event in zip(done, events, strict=True)], seconds),
        series, unsent, sentence(_mapping(told["alert"])) if "alert" in told else "",
    )  # fmt: skip


def _value(key: str, value: Any, told: Mapping[str, Any]) -> Any:
    """Return a variable of an experiment: what was chosen for its faults, else its default, else its name."""
    if not isinstance(value, Mapping):
        return value
    chosen = told.get("lasts") if value.get("key") == LASTS else None
    return chosen or value.get("default", f"${{{key}}}")


def _activities(
    journal: Mapping[str, Any], values: Mapping[str, Any]
) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    """Yield the part of each activity, the activity with its variables, and what came of it."""
    states = _mapping(journal.get("steady_states"))
    for part, known in (
        (BEFORE, _mapping(states.get("before")).get("probes")),
        (METHOD, journal["run"]),
        (AFTER, _mapping(states.get("after")).get("probes")),
        (ROLLBACK, journal.get("rollbacks")),
    ):
        for one in known if isinstance(known, list) else ():
            if isinstance(one, Mapping) and "start" in one:
                yield part, _mapping(filled(_mapping(one.get("activity")), values)), one


def _event(part: str, activity: Mapping[str, Any], done: Mapping[str, Any], start: float) -> Event:
    return Event(
        part,
        _text(activity.get("type")),
        _text(activity.get("name")),
        max(_moment(done.get("start"), part) - start, 0.0),
        max(_number(done.get("duration")), 0.0),
        done.get("status") == "succeeded" and done.get("tolerance_met") is not False,
        _said(done),
    )


def _said(done: Mapping[str, Any]) -> str:
    """Return in a line what came of an activity: a status, the end of what was said, an error."""
    if done.get("exception"):
        text = "".join(map(str, done["exception"])) if isinstance(done["exception"], list) else str(done["exception"])
        return _short(text)
    output = done.get("output")
    if not isinstance(output, Mapping):
        return _short("" if output is None else _text(output))
    text = output.get("stderr") or output.get("stdout") or output.get("body") or ""
    return _short(f"{_text(output.get('status'))} {_text(text)}".strip())


def _short(text: str) -> str:
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    shown = lines[0] if len(lines) == 1 else f"{lines[0]} … {lines[-1]}" if lines else ""
    return shown if len(shown) <= _SAID else f"{shown[:_SAID]}…"


def _spans(done: Sequence[tuple[Mapping[str, Any], Event]], seconds: float) -> tuple[FaultSpan, ...]:
    """Return the faults of ours that were made, until their time was over or an action ended them."""
    spans: list[FaultSpan] = []
    for activity, event in done:
        argv = ours(activity)
        options = _options(argv)
        if argv[1:2] == ("chaos.inject",) and event.good and len(argv) > 2:
            begin = event.at + event.seconds
            end = begin + lasts(argv[2], options)
            if "--stay" in argv:
                begin, end = max(event.at, begin - (end - begin)), begin
            spans.append(FaultSpan(argv[2], options.get("--service", ""), event.at, begin, end))
        elif argv[1:2] == ("chaos.stop",) and event.good:
            ended, service = event.at + event.seconds, options.get("--service", "")
            spans = [
                FaultSpan(one.name, one.service, one.at, one.begin, min(one.end, max(ended, one.begin)))
                if service in ("", one.service)
                else one
                for one in spans
            ]
    return tuple(FaultSpan(one.name, one.service, one.at, one.begin, min(one.end, seconds)) for one in spans)


def lasts(name: str, options: Mapping[str, str]) -> float:
    """Return how many seconds a fault of the command line lasts; endless when that cannot be told."""
    try:
        return 0.0 if faults.fault(name).momentary else faults.duration(options.get("--for", "10s"), "--for")
    except InputError:
        return math.inf


def _options(argv: Sequence[str]) -> dict[str, str]:
    known: dict[str, str] = {}
    for word, following in zip(argv, (*argv[1:], ""), strict=False):
        name, equals, value = word.partition("=")
        if name.startswith("--"):
            known[name] = value if equals else following
    return known


def _measured(journal: Mapping[str, Any], start: float) -> tuple[tuple[ProbeSamples, ...], int]:
    """Return what chaos.run has measured, nothing of a journal of another tool."""
    ours = extension(journal)
    if "measured" not in ours:
        return (), 0
    later = _moment(ours.get("start"), "extensions") - start
    series = []
    for one in ours["measured"] if isinstance(ours["measured"], list) else ():
        rows = _mapping(one).get("samples")
        samples = [
            Sample(_number(row[0]) + later, max(_number(row[1]), 0.0), int(_number(row[2])), row[3] is True)
            for row in (rows if isinstance(rows, list) else ())
            if isinstance(row, list) and len(row) == 4
        ]
        series.append(
            ProbeSamples(_text(_mapping(one).get("probe")), tuple(sorted(samples, key=lambda sample: sample.at)))
        )
    return tuple(series), int(_number(ours.get("unsent")))


def phases(series: ProbeSamples, spans: Sequence[FaultSpan]) -> tuple[Phase, ...]:
    """Return what clients saw before the first fault, until the last one was over, and afterwards."""
    if not spans:
        return (_phase("the whole time", series.samples),)
    begin, end = min(one.at for one in spans), max(one.end for one in spans)
    return (
        _phase("before", [one for one in series.samples if one.at < begin]),
        _phase("fault", [one for one in series.samples if begin <= one.at <= end]),
        _phase("afterwards", [one for one in series.samples if one.at > end]),
    )


def _phase(name: str, samples: Sequence[Sample]) -> Phase:
    took = sorted(one.took for one in samples if one.met)
    return Phase(name, len(samples), len(samples) - len(took), _quantile(took, 0.5), _quantile(took, 0.95))


def _quantile(ordered: Sequence[float], share: float) -> float | None:
    """Return the nearest-rank quantile, None of nothing."""
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)] if ordered else None


def recovery(series: ProbeSamples, spans: Sequence[FaultSpan]) -> str:
    """Return in a sentence when clients were not served, and when they were again."""
    bad = [one for one in series.samples if not one.met]
    if not series.samples:
        return "Nothing was measured."
    if not bad:
        return f"All of {len(series.samples)} requests were as tolerated."
    seen = ", ".join(f"{status or 'no answer'} ({count})" for status, count in _counted(bad))
    text = f"{len(bad)} of {len(series.samples)} requests were not as tolerated: {seen}; the first at {bad[0].at:.1f} s"
    again = next((one for one in series.samples if one.met and one.at > bad[-1].at), None)
    if again is None:
        return f"{text}. Not served again until the end."
    text += f", served again from {again.at:.1f} s"
    if not spans:
        return f"{text}."
    later = again.at - max(one.end for one in spans)
    when = f"{show_duration(later)} after" if later > 0 else "before"
    return f"{text}: {when} the fault was over."


def _counted(samples: Sequence[Sample]) -> list[tuple[int, int]]:
    counts: dict[int, int] = {}
    for one in samples:
        counts[one.status] = counts.get(one.status, 0) + 1
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value, default=str)


def _number(value: Any) -> float:
    good = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9
    return float(value) if good else 0.0  # not for NaN, which is no less than anything


def _moment(value: Any, where: str) -> float:
    """Return a time of a journal in seconds since the epoch; one without a zone is UTC, as Chaos Toolkit writes it."""
    try:
        time = datetime.fromisoformat(str(value))
    except ValueError:
        raise InputError(f"{where}: {_short(str(value))!r} is no time", "times of a journal are ISO 8601") from None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
