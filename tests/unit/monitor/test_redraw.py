"""Lines that are drawn over those before."""

import pytest

from tasks.monitor.view.redraw import Redrawn
from tests.terminal import Emulator


def drawn(columns: int, lines: int, *frames: list[str]) -> Emulator:
    screen, redrawn = on_screen(columns, lines)
    for frame in frames:
        redrawn.show(frame)
    return screen


def on_screen(columns: int, lines: int) -> tuple[Emulator, Redrawn]:
    """Return a terminal, on which the kernel puts the cursor at the begin of the line that follows."""
    screen = Emulator(columns, lines)
    screen.feed("before\r\n")

    def write(text: str) -> None:
        screen.feed(f"{text}\n".replace("\n", "\r\n"))

    return screen, Redrawn(write, lambda: (screen.columns, screen.lines))


def texts(screen: Emulator) -> list[str]:
    return [line for line in screen.text() if line]


def test_a_frame_takes_the_place_of_the_one_before() -> None:
    screen = drawn(40, 10, ["SERVICE  RATE", "web    1.00/s"], ["SERVICE  RATE", "web    2.00/s"])
    assert texts(screen) == ["before", "SERVICE  RATE", "web    2.00/s"]


def test_of_a_longer_frame_nothing_stays() -> None:
    assert texts(drawn(40, 10, ["a long line", "another", "web: no data"], ["short"])) == ["before", "short"]


def test_colours_take_no_room() -> None:
    red = "\x1b[31m1.00 %\x1b[0m of 12345678901"
    assert texts(drawn(20, 10, [red], [red], ["next"])) == ["before", "next"]


def test_more_lines_than_the_terminal_has_are_not_drawn() -> None:
    many = [f"line {number}" for number in range(30)]
    assert texts(drawn(40, 6, many, many)) == ["before", *many[:5]]


@pytest.mark.parametrize("columns", [10, 15, 25, 39])
def test_a_terminal_that_becomes_narrower_loses_no_line_above(columns: int) -> None:
    screen, redrawn = on_screen(40, 12)
    redrawn.show(["a" * 30, "b" * 40])
    screen.resize(columns, 12)
    redrawn.show(["a" * 9, "b" * 9])
    assert texts(screen) == ["before", "a" * 9, "b" * 9]
