"""Charts of measurements as a self-contained HTML page with inline SVG; it loads nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 860, 240, 80, 30, 14
_COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b")
_STEPS = 4
_STYLE = (
    "body{font:14px system-ui,sans-serif;margin:2em auto;max-width:60em;color:#222;background:#fff}"
    "table{border-collapse:collapse;margin:1em 0}td,th{padding:.2em .9em .2em 0;text-align:left}"
    "svg{width:100%;height:auto}text{font-size:11px;fill:#555}"
)


@dataclass(frozen=True)
class Line:
    """One line of a chart: (x, y) pairs, x ascending."""

    name: str
    points: tuple[tuple[float, float], ...]


def escape(text: object) -> str:
    """Return text escaped for HTML."""
    return str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def chart(title: str, unit: str, lines: Sequence[Line]) -> str:
    """Return a line chart as inline SVG; the y axis starts at zero."""
    points = [point for line in lines for point in line.points]
    if not points:
        return f"<h2>{escape(title)}</h2><p>nothing measured</p>"
    first, last = min(x for x, _ in points), max(x for x, _ in points)
    top = max(y for _, y in points) or 1.0

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - first) / (last - first) if last > first else 0.5
        up = y / top
        return (
            _LEFT + across * (_WIDTH - _LEFT - 10),
            _HEIGHT - _BOTTOM - up * (_HEIGHT - _BOTTOM - _TOP),
        )

    parts = [f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}">']
    for step in range(_STEPS + 1):
        value = top * step / _STEPS
        _, y = place(first, value)
        parts.append(f'<line x1="{_LEFT}" x2="{_WIDTH - 10}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{escape(f"{value:.3g} {unit}")}</text>')
    for x in sorted({first, last}):
        parts.append(f'<text x="{place(x, 0)[0]:.1f}" y="{_HEIGHT - 10}" text-anchor="middle">{x:g}</text>')
    for number, line in enumerate(lines):
        colour = _COLOURS[number % len(_COLOURS)]
        placed = [place(x, y) for x, y in line.points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.8"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.2" fill="{colour}"/>' for x, y in placed]
        parts.append(
            f'<text x="{_LEFT + 8 + 130 * number}" y="{_TOP}" style="fill:{colour}">{escape(line.name)}</text>'
        )
    return f"<h2>{escape(title)}</h2>" + "".join([*parts, "</svg>"])


def table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return an HTML table."""
    head = "".join(f"<th>{escape(header)}</th>" for header in headers)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def page(title: str, parts: Sequence[str]) -> str:
    """Return a whole HTML page."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>{''.join(parts)}</body></html>\n"
    )
