"""Sizes and durations: reading and printing."""

import pytest

from tasks.model.errors import InputError
from tasks.model.profile.schema import seconds
from tasks.model.units import parse_duration, parse_size, show_duration, show_size


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("512", 512),
        ("512B", 512),
        ("20MB", 20_000_000),
        ("20 MB", 20_000_000),
        (" 20MB ", 20_000_000),
        ("1kB", 1_000),
        ("1KB", 1_000),
        ("1KiB", 1_024),
        ("1kiB", 1_024),
        ("1.5GiB", 1_610_612_736),
        ("1.5GB", 1_500_000_000),
        ("0.5MiB", 524_288),
        ("6.9MB", 6_900_000),
    ],
)
def test_a_size_is_read_in_decimal_and_binary_units(text: str, expected: int) -> None:
    assert parse_size(text) == expected


@pytest.mark.parametrize(
    "text", ["", "MB", "-1MB", "1e3", "20mb", "20M", "1,5GB", "1.GB", ".5GB", "1 000", "٢MB", "1TB", "1MB2"]
)
def test_what_is_no_size_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_size(text, "services.web.x-slipway.size-budget")

    assert caught.value.message == f"services.web.x-slipway.size-budget: expected a size such as 20MB, got {text!r}"
    assert caught.value.hint == "units: B, kB, MB, GB, KiB, MiB, GiB"


DURATIONS = [
    ("30s", 30.0),
    ("0s", 0.0),
    ("500ms", 0.5),
    ("1m30s", 90.0),
    ("2h", 7200.0),
    ("1h2m3s4ms", 3723.004),
    ("1.5m", 90.0),
    ("1m500ms", 60.5),
]
NO_DURATIONS = ["", "30", "s", "30 s", "-1s", "1m 30s", "1w", "30S", "1.s", ".5s", "1e3s", "٣s", "30sx", "x30s", "soon"]


@pytest.mark.parametrize(("text", "expected"), DURATIONS)
def test_a_duration_is_read_in_seconds(text: str, expected: float) -> None:
    assert parse_duration(text) == pytest.approx(expected)


@pytest.mark.parametrize("text", NO_DURATIONS)
def test_what_is_no_duration_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_duration(text, "--since")

    assert caught.value.message == f"--since: expected a duration such as 30s, got {text!r}"


@pytest.mark.parametrize(("text", "expected"), [*DURATIONS, *((text, None) for text in NO_DURATIONS)])
def test_the_profile_reads_durations_in_the_same_way(text: str, expected: float | None) -> None:
    assert seconds(text) == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (0, "0 B"),
        (1, "1 B"),
        (999, "999 B"),
        (1_000, "1.0 kB"),
        (6_940_000, "6.9 MB"),
        (1_500_000_000, "1.5 GB"),
        (5_000_000_000_000, "5000.0 GB"),
        (-1_500_000, "-1.5 MB"),
    ],
)
def test_a_size_is_shown_in_the_largest_unit_that_fits(size: int, expected: str) -> None:
    assert show_size(size) == expected


@pytest.mark.parametrize(("size", "expected"), [(999_999, "1.0 MB"), (999_960_000, "1.0 GB")])
def test_a_size_that_rounds_up_to_a_thousand_is_shown_in_the_next_unit(size: int, expected: str) -> None:
    assert show_size(size) == expected


@pytest.mark.parametrize(
    ("seconds_", "expected"),
    [
        (0, "0.0 s"),
        (0.44, "0.4 s"),
        (59.9, "59.9 s"),
        (60, "1 m 0 s"),
        (200, "3 m 20 s"),
        (3599.4, "59 m 59 s"),
        (3599.6, "1 h 0 m"),
        (7500, "2 h 5 m"),
        (100_000, "27 h 46 m"),
    ],
)
def test_a_duration_is_shown_for_a_person(seconds_: float, expected: str) -> None:
    assert show_duration(seconds_) == expected


def test_almost_a_minute_is_shown_as_a_minute() -> None:
    assert show_duration(59.96) == "1 m 0 s"
