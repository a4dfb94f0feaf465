"""How output of other programs is quoted."""

import io

import pytest

from tasks.model.errors import DeployError
from tasks.model.quoting import MESSAGE, WIDTH, cut, quoted, read_lines, without_escapes


def test_a_line_of_ordinary_length_is_quoted_as_it_is() -> None:
    assert cut("x" * WIDTH) == "x" * WIDTH


def test_of_a_long_line_its_beginning_and_its_end_are_shown_and_how_much_was_cut() -> None:
    line = "begin" + "x" * 1_000_000 + "the fault"
    shown = cut(line)
    assert shown.startswith("beginxxx")
    assert shown.endswith("xxxthe fault")
    assert f"[{len(line) - WIDTH} characters left out]" in shown
    assert len(shown) < WIDTH + 50


def test_every_line_of_a_text_is_cut_for_itself() -> None:
    first, second, third = quoted(f"short\n{'y' * 5000}\nend").split("\n")
    assert (first, third) == ("short", "end")
    assert len(second) < WIDTH + 50


@pytest.mark.parametrize(
    "sequence", ["\x1b[31m", "\x1b[1;2H", "\x1b[?25l", "\x1b]0;title\x07", "\x1b]8;;http://x\x1b\\", "\x1bc", "\x1b(B"]
)
def test_escape_sequences_are_taken_out_whole(sequence: str) -> None:
    assert without_escapes(f"a{sequence}b") == "ab"


def test_a_stream_is_read_by_lines_however_long_they_are() -> None:
    text = "one\n" + "z" * 300_000 + "fault\n\nlast without an end"
    lines = list(read_lines(io.StringIO(text).readline, most=1000))
    assert [lines[0], lines[2], lines[3]] == ["one", "", "last without an end"]
    assert lines[1].startswith("zzz")
    assert lines[1].endswith("zzfault")
    assert f"[{300_005 - 1000} characters left out]" in lines[1]
    assert len(lines[1]) < 1050


def test_a_stream_is_never_asked_for_more_than_a_piece() -> None:
    asked: list[int] = []
    stream = io.StringIO("q" * 1_000_000)

    def read(most: int) -> str:
        asked.append(most)
        return stream.readline(most)

    assert len(list(read_lines(read))) == 1
    assert max(asked) <= 65536


def test_a_line_that_just_fits_is_not_marked() -> None:
    assert list(read_lines(io.StringIO("a" * 10 + "\n").readline, most=10)) == ["a" * 10]


def test_the_message_of_an_error_has_a_width_whatever_it_quotes() -> None:
    error = DeployError(f"failed: {'w' * 100_000}", "a hint")
    assert len(error.message) < MESSAGE + 50
    assert str(error) == error.message
