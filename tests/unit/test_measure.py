"""What a figure of a benchmark is judged by."""

import random

import pytest

from tests.bench.measure import Figure, estimate


@pytest.mark.parametrize(
    ("interval", "verdict"),
    [((1.00, 1.03), "ok"), ((0.99, 1.04), "not decided"), ((1.04, 1.06), "OVER"), (None, "ok")],
)
def test_a_figure_is_judged_where_all_of_its_interval_is_on_one_side(
    interval: tuple[float, float] | None, verdict: str
) -> None:
    figure = Figure("on ÷ off", 1.02, 1.0, 1.03, "", interval)
    assert figure.verdict == verdict and figure.line().endswith(f"(bar 1.03) {verdict}")


def test_the_interval_has_the_true_median_about_as_often_as_it_says() -> None:
    drawn = random.Random(1)
    estimates = [estimate([drawn.gauss(0.98, 0.05) for _ in range(36)], 200) for _ in range(60)]
    assert 52 <= sum(one.low <= 0.98 <= one.high for one in estimates) < 60
    assert all(one.low <= one.middle <= one.high for one in estimates)
