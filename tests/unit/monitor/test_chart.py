"""Curves as SVG."""

import re
from xml.etree import ElementTree

import pytest

from tasks.monitor.view.plan import shown
from tasks.monitor.view.plan.chart import Chart, Curve, Mark, described, moment, svg
from tasks.monitor.view.plan.figures import Period

START = 1_795_910_400.0  # 2026-11-29 00:00 UTC
DURING = Period(START, START + 3600, 360.0, 360.0)
VALUES = (1.0, 2.0, None, 4.0, None, None, 7.0, 8.0, 9.0, 10.0, 0.0)
MARK = Mark(START + 720, "web <1.4.3>")


def chart(*curves: Curve, during: Period = DURING, top: float = 0.0) -> Chart:
    return Chart("Requests & more", curves or (Curve("requests", VALUES),), during, shown.rate, top)


def drawing(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text)


def paths(text: str, name: str) -> list[str]:
    return [path.get("d", "") for path in drawing(text).iter("path") if name in path.get("class", "").split()]


def test_a_drawing_says_what_it_shows_to_who_cannot_see_it() -> None:
    root = drawing(svg(chart(), [MARK], "a"))
    title, description = root.find("title"), root.find("desc")
    assert title is not None and description is not None
    assert (root.get("role"), root.get("aria-labelledby")) == ("img", f"{title.get('id')} {description.get('id')}")
    assert title.text == "Requests & more"
    assert description.text == (
        "2026-11-29 00:00 to 2026-11-29 01:00 UTC. requests: from 0.00/s to 10.0/s, at last 0.00/s, "
        "no data at 3 of 11 points. 2026-11-29 00:12: web <1.4.3>."
    )


def test_a_curve_has_no_line_where_there_is_no_data_and_a_dot_where_it_stands_alone() -> None:
    text = svg(chart(), [], "a")
    (line,) = paths(text, "curve")
    assert re.sub(r"[\d. ]+", "", line) == "MLMMLLLL"
    assert len(list(drawing(text).iter("circle"))) == 1


def test_a_time_in_which_nothing_has_data_is_marked() -> None:
    one, other = Curve("a", VALUES), Curve("b", (None, None, None, 1.0, 1.0, None, None, None, None, None, None))
    gaps = [rect for rect in drawing(svg(chart(one, other), [], "a")).iter("rect")]
    assert len(gaps) == 2


def test_a_chart_without_data_says_so_and_draws_nothing() -> None:
    text = svg(chart(Curve("requests", ()), Curve("others", (None,) * 11)), [], "a")
    assert text == '<p class="none">No data: Requests &amp; more, 2026-11-29 00:00 to 2026-11-29 01:00 UTC.</p>'


def test_curves_stay_inside_of_the_drawing() -> None:
    text = svg(chart(Curve("a", (0.0, 1e-9, 123_456.0) + (5.0,) * 8)), [], "a")
    numbers = [
        tuple(map(float, point.split())) for point in re.findall(r"[ML]([\d.]+ [\d.]+)", paths(text, "curve")[0])
    ]
    assert all(0 <= x <= 860 and 0 <= y <= 200 for x, y in numbers)


def test_the_axis_ends_at_a_round_value_above_the_highest() -> None:
    texts = [text.text for text in drawing(svg(chart(), [], "a")).iter("text") if text.get("text-anchor") == "end"]
    assert texts == ["0.00/s", "5.00/s", "10.0/s"]
    shares = Chart("Errors", (Curve("errors", (0.0,) * 11),), DURING, shown.share, 0.01)
    assert "1.00 %" in svg(shares, [], "a")


def test_times_are_round_and_days_are_named() -> None:
    day = Period(START - 43_200, START + 43_200, 360.0, 360.0)
    text = svg(chart(Curve("a", (1.0,) * len(day.times)), during=day), [], "a")
    assert re.findall(r'"middle">([^<]+)<', text) == ["12:00", "15:00", "18:00", "21:00", "29 Nov", "03:00", "06:00",
                                                      "09:00", "12:00"]  # fmt: skip


def test_a_release_outside_of_the_time_is_not_drawn() -> None:
    text = svg(chart(), [Mark(START - 1, "before"), MARK, Mark(START + 1000, "failed", "failure")], "a")
    assert len(paths(text, "release")) == len(paths(text, "failure")) == 1 and "before" not in text


def test_releases_that_are_close_share_a_number() -> None:
    marks = [Mark(START + second, f"release {second}") for second in range(100)]
    text = svg(chart(), marks, "a")
    assert len(paths(text, "release")) == 100 and text.count('<text class="mark"') < 3


@pytest.mark.parametrize("values", [(0.0,) * 11, (1e-12,) * 11, (1e15,) * 11])
def test_any_height_can_be_drawn(values: tuple[float, ...]) -> None:
    assert paths(svg(chart(Curve("a", values)), [], "a"), "curve")


def test_a_curve_without_data_is_described_as_such() -> None:
    assert "b: no data." in described(chart(Curve("a", VALUES), Curve("b", ())), [])


def test_a_time_is_in_utc() -> None:
    assert moment(START) == "2026-11-29 00:00"
