"""The page of ``chaos.report``: HTML that loads nothing and runs no script, with a time line of each experiment."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from html import escape

from ...model.lazy_pattern import lazy_pattern
from ...model.units import show_duration
from ...monitor.view.plan.html_table import table
from .measured import Sample
from .timeline import FaultSpan, ProbeSamples, Timeline, phases, recovery

_WIDTH, _LEFT, _RIGHT, _TOP, _HEIGHT, _ERRORS = 860, 64, 12, 22, 190, 24
_BASE = _HEIGHT - 46  # of the latencies; the errors are below
_TICKS = 8
_STYLE = """
:root{color-scheme:light dark;--ink:#1c2430;--soft:#5a6573;--line:#d9dee3;--back:#fff;--bad:#b3261e;--good:#1f7a3d;
--dot:#0b62a8;--fault:#b45309}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ed;--soft:#a3adb9;--line:#39424d;--back:#14181d;--bad:#ff8a80;
--good:#6fd08c;--dot:#6cb6ff;--fault:#f0b061}}
body{font:16px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:62rem;padding:0 1rem;color:var(--ink);
background:var(--back)}
h1{margin-bottom:.2rem}h2{margin-top:2.4rem;border-bottom:1px solid var(--line)}h3{font-size:1rem;margin:1.2rem 0 0}
.about{color:var(--soft)}.bad{color:var(--bad);font-weight:600}.good{color:var(--good);font-weight:600}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:.9rem;margin:.6rem 0}
td,th{text-align:left;vertical-align:top;padding:.3rem .9rem .3rem 0;border-bottom:1px solid var(--line)}
td{overflow-wrap:anywhere}td.n,th.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
svg{width:100%;height:auto;display:block;min-width:36rem}svg text{font-size:11px;fill:var(--soft)}
.grid{stroke:var(--line);fill:none}.dot{fill:var(--dot)}.miss{stroke:var(--bad);stroke-width:2;fill:none}
.making{fill:var(--fault);fill-opacity:.12}.fault{fill:var(--fault);fill-opacity:.28}
svg text.fault{fill:var(--fault);fill-opacity:1}
"""
# Control characters, bidirectional overrides, and what is no character: a name may not reorder the page.
_UNSAFE = lazy_pattern("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def page(timelines: Sequence[Timeline]) -> str:
    """Return the page, with every text escaped."""
    title = "What the experiments showed"
    parts = [_overview(timelines)] if len(timelines) > 1 else []
    parts += [part for number, one in enumerate(timelines) for part in _experiment(one, number)]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{title}</title><style>{_STYLE}</style></head><body><main><h1>{title}</h1>{''.join(parts)}"
        "</main></body></html>\n"
    )


def _safe(text: str) -> str:
    return escape(_shown(text))


def _shown(text: str) -> str:
    return _UNSAFE.sub("\N{REPLACEMENT CHARACTER}", text)


def _verdict(one: Timeline) -> str:
    if one.good:
        return '<span class="good">as expected</span>'
    return f'<span class="bad">{_safe("deviated" if one.status == "completed" else one.status or "not ended")}</span>'


def _overview(timelines: Sequence[Timeline]) -> str:
    rows = [
        (_safe(one.title), _verdict(one), _safe(_spelled(one.faults)), show_duration(one.seconds)) for one in timelines
    ]
    return table("All experiments", ("Experiment", "Outcome", "Faults", "Took#"), rows)


def _spelled(spans: Sequence[FaultSpan]) -> str:
    return ", ".join(f"{one.name} {one.service}".strip() for one in spans) or "-"


def _experiment(one: Timeline, number: int) -> Iterator[str]:
    began = datetime.fromtimestamp(one.start, UTC).strftime("%Y-%m-%d %H:%M:%S")
    yield f"<h2>{_safe(one.title) or 'Experiment'}</h2>"
    yield f'<p class="about">{began} UTC · {show_duration(one.seconds)} · {_verdict(one)}</p>'
    yield f"<p>{_safe(one.description)}</p>"
    if one.alert:
        yield f"<p>Alert: {_safe(one.alert)}.</p>"
    for index, series in enumerate(one.series):
        yield f"<h3>{_safe(series.probe)}</h3><p>{escape(recovery(series, one.faults))}</p>"
        yield f'<div class="wide">{_drawn(one, series, f"c{number}-{index}")}</div>'
        yield table(
            _shown(f"{series.probe}: in figures"),
            ("Time", "Requests#", "Failed#", "p50#", "p95#"),
            _figures(one, series),
        )
    if not one.series:
        yield '<p class="about">The journal has no latencies: chaos.run measures the requests of the hypothesis.</p>'
    if one.unsent:
        yield f'<p class="about">{one.unsent} requests were not sent: too many waited for an answer.</p>'
    yield f"<h3>Time line</h3>{table('Time line', ('At#', 'Took#', 'Part', 'What', 'Seen'), _rows(one))}"


def _figures(one: Timeline, series: ProbeSamples) -> Iterator[tuple[str, ...]]:
    for phase in phases(series, one.faults):
        failed = f'<span class="bad">{phase.failed}</span>' if phase.failed else "0"
        yield phase.name, str(phase.requests), failed, _milliseconds(phase.p50), _milliseconds(phase.p95)


def _milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _rows(one: Timeline) -> Iterator[tuple[str, ...]]:
    """Yield what was done and seen, and when faults were in effect and over, by the time."""
    rows = [
        (event.at, f"{event.seconds:.1f} s", event.part, f"{event.kind}: {event.name}", event.said, event.good)
        for event in one.events
    ]
    for span in one.faults:
        named = f"{span.name} {span.service}".strip()
        rows.append((span.begin, f"{span.end - span.begin:.1f} s", "fault", f"{named}: in effect", "", True))
        rows.append((span.end, "", "fault", f"{named}: over, at the latest", "", True))
    for at, took, part, what, said, good in sorted(rows, key=lambda row: row[0]):
        seen = _safe(said) if good else f'<span class="bad">{_safe(said) or "failed"}</span>'
        yield f"{at:.1f} s", took, escape(part), _safe(what), seen


class _Frame:
    """Where times and latencies are in the drawing."""

    def __init__(self, one: Timeline, series: ProbeSamples) -> None:
        self.seconds = max(one.seconds, 0.1)
        self.top = _nice(max((sample.took for sample in series.samples if sample.met), default=0.0) or 0.1)

    def x(self, at: float) -> float:
        """Return where a time of the experiment is, from the left."""
        return _LEFT + min(max(at / self.seconds, 0.0), 1.0) * (_WIDTH - _LEFT - _RIGHT)

    def y(self, took: float) -> float:
        """Return where a latency is, from the top."""
        return _BASE - min(took / self.top, 1.0) * (_BASE - _TOP)


def _drawn(one: Timeline, series: ProbeSamples, name: str) -> str:
    area = _Frame(one, series)
    return "".join(
        [
            f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-labelledby="{name}-t {name}-d">',
            f'<title id="{name}-t">{_safe(series.probe)}: latency and errors</title>',
            f'<desc id="{name}-d">{escape(recovery(series, one.faults))}</desc>',
            *_spans(one.faults, area),
            *_grid(area),
            *_samples(series.samples, area),
            "</svg>",
        ]
    )


def _spans(spans: Sequence[FaultSpan], area: _Frame) -> Iterator[str]:
    """Yield a band for the time in which a fault was made, one for the time of its effect, and its name above it."""
    for span in spans:
        for kind, begin, end in (("making", span.at, span.begin), ("fault", span.begin, span.end)):
            left, right = area.x(begin), area.x(end)
            yield (
                f'<rect class="{kind}" x="{left:.1f}" y="{_TOP}" width="{max(right - left, 1):.1f}" '
                f'height="{_HEIGHT - 22 - _TOP}"/>'
            )
        named = f"{span.name} {span.service}".strip()
        yield f'<text class="fault" x="{area.x(span.begin):.1f}" y="{_TOP - 8}">{_safe(named)}</text>'


def _grid(area: _Frame) -> Iterator[str]:
    for part in range(5):
        y = area.y(area.top * part / 4)
        yield f'<path class="grid" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>'
        spelled = _milliseconds(area.top * part / 4)
        yield f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{spelled}</text>'
    yield f'<text x="{_LEFT - 6}" y="{_HEIGHT - 28}" text-anchor="end">errors</text>'
    step, at = _nice(area.seconds / _TICKS), 0.0
    while at <= area.seconds:
        yield f'<text x="{area.x(at):.1f}" y="{_HEIGHT - 6}" text-anchor="middle">{at:g} s</text>'
        at += step


def _samples(samples: Sequence[Sample], area: _Frame) -> Iterator[str]:
    """Yield a dot for each answer, and a line among the errors for each one that is not tolerated."""
    for one in samples:
        x = area.x(one.at)
        told = f"<title>{one.at:.1f} s: {one.status or 'no answer'}, {_milliseconds(one.took)}</title>"
        if one.met:
            yield f'<circle class="dot" cx="{x:.1f}" cy="{area.y(one.took):.1f}" r="2">{told}</circle>'
        else:
            yield f'<path class="miss" d="M{x:.1f} {_HEIGHT - 38}v12">{told}</path>'


def _nice(least: float) -> float:
    """Return the smallest of 1, 2, 5, 10, … times a power of ten that is no smaller."""
    power = 1e-6
    while power * 10 <= least:
        power *= 10
    return next((factor * power for factor in (1, 2, 5) if factor * power >= least), 10 * power)
