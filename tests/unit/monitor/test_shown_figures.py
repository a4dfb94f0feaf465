"""Figures as people read them."""

import pytest

from tasks.monitor.view.plan import shown


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0.0, "0.00/s"), (0.42, "0.42/s"), (9.996, "10.0/s"), (12.44, "12.4/s"), (1240.2, "1,240/s")],
)
def test_a_rate_is_per_second(value: float | None, text: str) -> None:
    assert shown.rate(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0.0, "0 %"), (0.00001, "<0.01 %"), (0.0025, "0.25 %"), (0.125, "12.5 %"), (1.0, "100.0 %")],
)
def test_a_share_that_is_not_zero_does_not_look_like_zero(value: float | None, text: str) -> None:
    assert shown.share(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0.00081, "0.8 ms"), (0.0182, "18 ms"), (0.9996, "1.00 s"), (1.239, "1.24 s"), (0.00996, "10 ms")],
)
def test_a_latency_is_in_milliseconds_below_a_second(value: float | None, text: str) -> None:
    assert shown.seconds(value) == text


def test_a_sparkline_goes_from_zero_to_the_highest_value() -> None:
    assert shown.sparkline([0, 1, 4, 8], unicode=True) == "▁▂▅█"


def test_a_sparkline_has_a_gap_where_nothing_was_measured() -> None:
    assert shown.sparkline([8, None, 0], unicode=True) == "█ ▁"
    assert shown.sparkline([8, None, 0], unicode=False) == "@ ."


def test_only_zero_is_at_the_bottom_of_a_sparkline() -> None:
    assert shown.sparkline([0, 0.001, 100], unicode=True) == "▁▂█"


def test_a_sparkline_without_a_value_is_empty() -> None:
    assert shown.sparkline([None, None], unicode=True) == ""
    assert shown.sparkline([], unicode=True) == ""


def test_a_sparkline_that_is_too_long_keeps_its_peaks() -> None:
    assert shown.sparkline([0, 0, 0, 8, 0, 0, 0, None], unicode=True, width=4) == "▁█▁▁"
    assert len(shown.sparkline(list(range(100)), unicode=False, width=7)) == 7


def test_a_sparkline_of_zeros_is_flat() -> None:
    assert shown.sparkline([0, 0, 0], unicode=True) == "▁▁▁"


@pytest.mark.parametrize(
    ("value", "text"), [(300.0, "5 m"), (86_400.0, "24 h"), (5_400.0, "1 h 30 m"), (45.0, "45.0 s")]
)
def test_a_time_has_no_part_that_is_nothing(value: float, text: str) -> None:
    assert shown.length(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0.0, "0"), (0.00512, "0.00512"), (2.5, "2.5"), (12.0, "12"), (99.96, "100"), (1234.5, "1,234")],
)
def test_a_number_keeps_the_digits_that_tell(value: float | None, text: str) -> None:
    assert shown.number(value) == text
