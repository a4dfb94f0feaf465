"""The table of ``monitor.status``: a line for each service, and the sentences that its dashes need."""

import textwrap
from collections.abc import Iterable, Sequence

from ....model.quoting import without_escapes
from ....model.record import Record
from ....model.story.look import Look, cells, fit
from . import shown
from .figures import ServiceFigures

_HEADERS = ("SERVICE", "RATE", "", "ERRORS", "", "P50", "P95", "P99", "", "CPU", "MEMORY")
_RIGHT = frozenset({1, 3, 5, 6, 7, 9, 10})  # columns of numbers
_TRENDS = {2: "rate", 8: "p99", 4: "errors"}  # of which column, the most telling first
_WIDEST, _NARROWEST = 20, 6  # characters of a sparkline
_ERRORS, _FULL, _NEARLY = 0.01, 0.9, 0.75  # shares from which a figure is coloured
_BETWEEN = "  "


class Cell(Record):
    """A cell of the table, and its colour."""

    text: str
    colour: str = ""


def frame(figures: Sequence[ServiceFigures], remarks: Iterable[tuple[str, str]], width: int, look: Look) -> list[str]:
    """Return the lines of the table, none of them wider than ``width`` cells; 0 for any width.

    Sparklines get what room there is; where there is too little for all of them, fewer are drawn, and no shorter ones.
    ``remarks`` are services and sentences.
    """
    drawn = _drawn(figures)
    room = _room(figures, drawn, width, look)
    while drawn and width and room < _NARROWEST:
        drawn = drawn[:-1]
        room = _room(figures, drawn, width, look)
    rows = [_row(one, room, look) for one in figures]
    columns = _columns(drawn)
    lines = [_line([Cell(header, "bold") for header in _HEADERS], rows, columns, look)]
    lines += [_line(row, rows, columns, look) for row in rows]
    bare = [without_escapes(line) for line in lines]
    lines = [line if not width or cells(text) <= width else fit(text, width, look)
             for line, text in zip(lines, bare, strict=True)]  # fmt: skip
    sentences = [look.text(f"{service}: {sentence}") for service, sentence in remarks]
    return [*lines, *(part for sentence in sentences for part in _broken(sentence, width))]


def _broken(sentence: str, width: int) -> list[str]:
    """Return a sentence as lines that are no wider than the terminal."""
    return textwrap.wrap(sentence, width, subsequent_indent=_BETWEEN) if width else [sentence]


def _drawn(figures: Iterable[ServiceFigures]) -> list[int]:
    """Return the columns of sparklines that have anything to show, the most telling first."""
    figures = list(figures)
    return [number for number, name in _TRENDS.items() if any(one.trends.get(name) for one in figures)]


def _columns(drawn: Iterable[int]) -> list[int]:
    return [number for number in range(len(_HEADERS)) if number not in _TRENDS or number in drawn]


def _room(figures: Sequence[ServiceFigures], drawn: Sequence[int], width: int, look: Look) -> int:
    """Return how many characters each sparkline has."""
    if not width or not drawn:
        return _WIDEST
    rows = [_row(one, 0, look) for one in figures]
    plain = Look(look.unicode)
    used = cells(_line([Cell(header) for header in _HEADERS], rows, _columns(()), plain))
    return min((width - used) // len(drawn) - 1, _WIDEST)


def _row(one: ServiceFigures, room: int, look: Look) -> list[Cell]:
    lines = {
        number: Cell(shown.sparkline(one.trends.get(name, ()), look.unicode, room) if room else "", "cyan")
        for number, name in _TRENDS.items()
    }
    return [
        Cell(one.service),
        Cell(shown.rate(one.rate)),
        lines[2],
        Cell(shown.share(one.errors), "red" if (one.errors or 0.0) >= _ERRORS else ""),
        lines[4],
        Cell(shown.seconds(one.p50)),
        Cell(shown.seconds(one.p95)),
        Cell(shown.seconds(one.p99)),
        lines[8],
        Cell(_processor(one), _colour(one.cpu if one.cpu_of == "limit" else None)),
        Cell(shown.share(one.memory) if one.memory is not None else shown.size(one.bytes), _colour(one.memory)),
    ]


def _processor(one: ServiceFigures) -> str:
    """Return the share of its limit of cores in per cent; without a limit the cores, which are a bare number."""
    if one.cpu is not None and one.cpu_of == "limit":
        return shown.share(one.cpu)
    return shown.NO_DATA if one.cores is None else f"{one.cores:.2f}"


def _colour(share: float | None) -> str:
    if share is None or share < _NEARLY:
        return ""
    return "red" if share >= _FULL else "yellow"


def _line(row: Sequence[Cell], rows: Sequence[Sequence[Cell]], columns: Iterable[int], look: Look) -> str:
    """Return a line of the table; every column is as wide as its widest cell."""
    line = ""
    for number in columns:
        wide = max(cells(_HEADERS[number]), *(cells(other[number].text) for other in rows), 0)
        text = row[number].text
        blank = " " * (wide - cells(text))
        drawn = look.paint(text, row[number].colour)
        between = "" if not line else " " if number in _TRENDS else _BETWEEN
        line += between + (f"{blank}{drawn}" if number in _RIGHT else f"{drawn}{blank}")
    return line.rstrip()
