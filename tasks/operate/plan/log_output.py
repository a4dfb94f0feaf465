"""Lines of logs as they are shown: with the name of their container, or as JSON; and what is said without any."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ...model.engine.log_lines import SECOND
from ...model.record import Record
from ...telemetry.plan.log_fields import COLOUR, fields, without_colours
from .log_order import LogEntry, Origin
from .log_selection import Selection

_SCHEMA = "slipway/logs/v1"
_COLOURS = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)
# What JSON leaves as it is and could drive a terminal, C1 control characters and bidirectional overrides; and halves of
# characters, which no encoding has.
_RANGES = ((127, 160), (0x202A, 0x202F), (0x2066, 0x206A), (0xD800, 0xE000))
_ESCAPED = {code: f"\\u{code:04x}" for start, end in _RANGES for code in range(start, end)}


class Prefix:
    """Puts the name of its container in front of a line, as wide as the widest so far."""

    def __init__(self, known: Iterable[Origin], colours: bool, environments: bool) -> None:
        self._colours, self._environments = colours, environments
        self._width = max((len(self._name(origin)) for origin in known), default=0)

    def _name(self, origin: Origin) -> str:
        return f"{origin.environment} {origin.container}" if self._environments else origin.container

    def line(self, origin: Origin, text: str) -> str:
        """Return the text of a line with its name."""
        name = self._name(origin)
        self._width = max(self._width, len(name))
        shown = f"{name:<{self._width}}  |"
        if self._colours:
            shown = f"\x1b[{_COLOURS[origin.order % len(_COLOURS)]}m{shown}\x1b[0m"
        return f"{shown} {text}"


def parts(text: str, coloured: bool) -> Iterator[tuple[str, bool]]:
    """Yield the parts of a line for people, and whether a part is a colour; of a line drawn over only what is left."""
    text = text.rpartition("\r")[2]
    if not coloured or "\x1b" not in text:
        yield without_colours(text), False
        return
    for number, part in enumerate((*COLOUR.split(text), "\x1b[0m")):
        yield part, number % 2 == 1


def document(environments: Sequence[str], entries: Iterable[LogEntry]) -> Iterator[str]:
    """Yield the lines of the JSON document with all lines of the logs; it is never in memory as a whole."""
    head = json.dumps({"schema": _SCHEMA, "environments": list(environments), "lines": []}, ensure_ascii=False)
    yield head.removesuffix("]}")
    comma = ""
    for entry in entries:
        yield comma + _json(_member(entry))
        comma = ","
    yield "]}"


def batch(environments: Sequence[str], entries: Iterable[LogEntry]) -> str:
    """Return a JSON document on one line with the lines that have come."""
    lines = [_member(entry) for entry in entries]
    return _json({"schema": _SCHEMA, "environments": list(environments), "lines": lines})


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False).translate(_ESCAPED)


def _member(entry: LogEntry) -> dict[str, Any]:
    says = fields(entry.line.text)
    return {
        "time": shown_time(entry.line.time, exact=True),
        "environment": entry.origin.environment,
        "service": entry.origin.service,
        "container": entry.origin.container,
        "stream": entry.line.stream,
        "level": says.level or None,
        "trace_id": says.trace_id or None,
        "span_id": says.span_id or None,
        "text": entry.line.text,
        "fields": says.data,
    }


def shown_time(moment: int, exact: bool = False) -> str:
    """Return a time in nanoseconds since the epoch as RFC 3339; ``exact``: with the nanoseconds."""
    date = datetime.fromtimestamp(moment // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{date}.{moment % SECOND:09}Z" if exact else f"{date}Z"


class LogOutcome(Record):
    """What has come of reading the logs of a project: numbers of containers, of logs that cannot be read, of lines.

    ``begins`` is when the first container of each service was made, in nanoseconds since the epoch; ``missing`` are
    services without a container.
    """

    project: str
    containers: int
    unread: int
    seen: int
    taken: int
    begins: Mapping[str, int]
    missing: Sequence[str] = ()


def remarks(wanted: Selection, outcome: LogOutcome) -> Iterator[str]:
    """Yield what people should know: why there are no lines, and of which part of the time nothing is kept."""
    project = outcome.project
    if not outcome.containers:
        of = f" of {', '.join(outcome.missing)}" if outcome.missing else ""
        yield f"{project}: no containers{of}, so there are no logs"
        return
    if outcome.missing:
        yield f"{project}: no container of {', '.join(outcome.missing)}"
    if not wanted.tail or (outcome.unread and not outcome.seen):
        return  # nobody knows
    if not outcome.seen:
        yield f"{project}: no data: nothing was written{_range(wanted)}"
    elif not outcome.taken:
        yield f"{project}: none of {outcome.seen} lines{_range(wanted)} matches"
    later = {name: moment for name, moment in outcome.begins.items() if wanted.since and moment > wanted.since + SECOND}
    if later:
        times = ", ".join(f"{name} {shown_time(moment)}" for name, moment in sorted(later.items()))
        yield f"{project}: nothing is kept from before the containers were made: {times}"


def _range(wanted: Selection) -> str:
    since = f" since {shown_time(wanted.since)}" if wanted.since else ""
    return since + (f" until {shown_time(wanted.until)}" if wanted.until else "")
