"""Curves over time as inline SVG that needs no script: with a title, a description, gaps, and marks of releases."""

import math
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

from ....model.record import Record
from .figures import Period

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 860, 200, 76, 12, 26, 24
_TICKS = 4  # steps of the y axis at most
_TIMES = 8  # marks of the x axis at most
_APART = 16  # between two numbers of marks
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_STEPS = (
    *(_MINUTE * number for number in (1, 2, 5, 10, 15, 30)),
    *(_HOUR * number for number in (1, 2, 3, 6, 12)),
    *(_DAY * number for number in (1, 2, 7, 14, 30, 90)),
)


class Curve(Record):
    """A curve: a value for each time of its period, None where there is no data."""

    name: str
    values: tuple[float | None, ...]

    @property
    def known(self) -> list[float]:
        """The values that there are."""
        return [value for value in self.values if value is not None]


class Mark(Record):
    """What happened at a time (seconds since the epoch): ``kind`` is ``release`` or ``failure``."""

    time: float
    text: str
    kind: str = "release"

    def document(self) -> dict[str, Any]:
        """Return the mark as JSON data."""
        return {"time": rfc3339(self.time), "text": self.text, "kind": self.kind}


class Chart(Record):
    """A chart: what it shows, its curves over a period, and how its values are spelled.

    ``top`` is the value that the y axis reaches at least, such as 1 for a share.
    """

    title: str
    curves: tuple[Curve, ...]
    during: Period
    spelled: Callable[[float | None], str]
    top: float = 0.0

    @property
    def has_data(self) -> bool:
        """Whether there is any value at all."""
        return any(curve.known for curve in self.curves)


class _Area:
    """Where times and values are in the drawing."""

    def __init__(self, chart: Chart) -> None:
        self.during = chart.during
        highest = max((value for curve in chart.curves for value in curve.known), default=0.0)
        self.tick = _nice(max(highest, chart.top) / _TICKS or 0.25)
        self.top = self.tick * max(math.ceil(max(highest, chart.top) / self.tick - 1e-9), 1)

    def x(self, time: float) -> float:
        """Return where a time is, from the left."""
        across = (time - self.during.start) / (self.during.length or 1.0)
        return _LEFT + across * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        """Return where a value is, from the top."""
        return _HEIGHT - _BOTTOM - max(value, 0.0) / self.top * (_HEIGHT - _BOTTOM - _TOP)


def svg(chart: Chart, marks: Sequence[Mark], name: str) -> str:
    """Return the drawing of a chart; ``name`` is unique in the page. A chart without data says so in a sentence."""
    if not chart.has_data:
        return f'<p class="none">No data: {escape(chart.title)}, {_between(chart.during)}.</p>'
    area, inside = _Area(chart), [mark for mark in marks if chart.during.start <= mark.time <= chart.during.end]
    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-labelledby="{name}-t {name}-d">',
        f'<title id="{name}-t">{escape(chart.title)}</title>',
        f'<desc id="{name}-d">{escape(described(chart, inside))}</desc>',
        *_gaps(chart, area),
        *_grid(chart, area),
        *_marks(inside, area),
        *(line for number, curve in enumerate(chart.curves) for line in _drawn(curve, number, area)),
        "</svg>",
    ]
    return "".join(parts)


def described(chart: Chart, marks: Sequence[Mark]) -> str:
    """Return in words what a chart shows, for who cannot see it."""
    sentences = [f"{_between(chart.during)}."]
    for curve in chart.curves:
        known = curve.known
        if not known:
            sentences.append(f"{curve.name}: no data.")
            continue
        least, most, newest = (chart.spelled(value) for value in (min(known), max(known), known[-1]))
        gaps = sum(value is None for value in curve.values)
        without = f", no data at {gaps} of {len(curve.values)} points" if gaps else ""
        sentences.append(f"{curve.name}: from {least} to {most}, at last {newest}{without}.")
    sentences += [f"{moment(mark.time)}: {mark.text}." for mark in marks]
    return " ".join(sentences)


def moment(time: float) -> str:
    """Return a time as people read it, in UTC: ``2026-11-29 14:05``."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M")


def rfc3339(time: float) -> str:
    """Return a time as JSON documents have it: ``2026-11-29T14:05:00Z``."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _between(during: Period) -> str:
    return f"{moment(during.start)} to {moment(during.end)} UTC"


def _nice(least: float) -> float:
    """Return the smallest of 1, 2, 5, 10, … times a power of ten that is no smaller."""
    power = 10.0 ** math.floor(math.log10(least))
    return next((factor * power for factor in (1, 2, 5) if factor * power >= least * (1 - 1e-9)), 10 * power)


def _grid(chart: Chart, area: _Area) -> Iterator[str]:
    """Yield the lines of the values and of the times, and what they are."""
    for number in range(round(area.top / area.tick) + 1):
        y = area.y(number * area.tick)
        yield f'<path class="grid" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>'
        spelled = escape(chart.spelled(number * area.tick))
        yield f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{spelled}</text>'
    for time, text in _times(chart.during):
        x = area.x(time)
        yield f'<path class="grid" d="M{x:.1f} {_HEIGHT - _BOTTOM}v4"/>'
        yield f'<text x="{x:.1f}" y="{_HEIGHT - 6}" text-anchor="middle">{text}</text>'


def _times(during: Period) -> Iterator[tuple[float, str]]:
    """Yield round times of a period, and what they are called: the day where a day begins, else the hour."""
    step = next((step for step in _STEPS if during.length / step <= _TIMES), _STEPS[-1])
    time = math.ceil(during.start / step) * step
    while time <= during.end:
        date = datetime.fromtimestamp(time, UTC)
        yield time, f"{date.day} {date:%b}" if time % _DAY == 0 else f"{date:%H:%M}"
        time += step


def _gaps(chart: Chart, area: _Area) -> Iterator[str]:
    """Yield the times in which no curve has a value."""
    times = chart.during.times
    empty = [all(curve.values[at : at + 1] in ((), (None,)) for curve in chart.curves) for at in range(len(times))]
    begun: float | None = None
    for at, time in enumerate((*times, math.inf)):
        if at < len(times) and empty[at]:
            begun = time if begun is None else begun
        elif begun is not None:
            half = chart.during.step / 2
            left, right = area.x(max(begun - half, times[0])), area.x(min(times[at - 1] + half, times[-1]))
            place = f'x="{left:.1f}" y="{_TOP}" width="{max(right - left, 1):.1f}" height="{_HEIGHT - _BOTTOM - _TOP}"'
            yield f'<rect class="gap" {place}><title>no data</title></rect>'
            if right - left > _LEFT:
                yield f'<text x="{(left + right) / 2:.1f}" y="{_HEIGHT / 2:.0f}" text-anchor="middle">no data</text>'
            begun = None


def _marks(marks: Sequence[Mark], area: _Area) -> Iterator[str]:
    """Yield a line at each mark, and its number in the list of releases where there is room for it."""
    last = -math.inf
    for number, mark in enumerate(marks, 1):
        x = area.x(mark.time)
        title = f"<title>{moment(mark.time)} {escape(mark.text)}</title>"
        yield f'<path class="mark {mark.kind}" d="M{x:.1f} {_TOP - 8}V{_HEIGHT - _BOTTOM}">{title}</path>'
        if x - last >= _APART:
            yield f'<text class="mark" x="{x:.1f}" y="{_TOP - 12}" text-anchor="middle">{number}</text>'
            last = x


def _drawn(curve: Curve, number: int, area: _Area) -> Iterator[str]:
    """Yield a curve: lines between neighbours that both have a value, and a dot for a value without neighbours."""
    path, dots, open_ = [], [], False
    values = curve.values
    for at, (time, value) in enumerate(zip(area.during.times, values, strict=False)):
        if value is None:
            open_ = False
            continue
        x, y = area.x(time), area.y(value)
        if not open_ and (at + 1 >= len(values) or values[at + 1] is None):
            dots.append(f'<circle class="c{number} dot" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>')
        path.append(f"{'L' if open_ else 'M'}{x:.1f} {y:.1f}")
        open_ = True
    yield f'<path class="curve c{number}" d="{"".join(path)}"/>'
    yield from dots
