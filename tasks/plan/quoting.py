"""How the output of others is quoted: without escape sequences, each line at a width that a person can read."""

import re
from collections.abc import Callable, Iterator

WIDTH = 400  # characters of a quoted line
MESSAGE = 1500  # characters of a line of an error's own message, which may name many things
_END = 100  # characters of a long line that are shown of its end, where a fault often stands
_HELD = 8000  # characters of a line that are held while it is read
_PIECE = 65536

# Sequences of ECMA-48 (CSI …, OSC … BEL or ST, two characters), whole: without their ESC they would read as noise.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-~])")


def plain(text: str) -> str:
    """Return text without the escape sequences of a terminal."""
    return _ESCAPES.sub("", text) if "\x1b" in text else text


def cut(line: str, width: int = WIDTH, unseen: int = 0) -> str:
    """Return a line, or its beginning and its end when it has more than ``width`` characters.

    ``unseen`` is how many more characters of it there were between what is known of its beginning and its end.
    """
    if len(line) <= width and not unseen:
        return line
    end = line[-min(_END, width // 4) :]
    begin = line[: min(width, len(line)) - len(end)]
    return f"{begin} … [{len(line) + unseen - len(begin) - len(end)} characters left out] … {end}"


def quoted(text: str, width: int = WIDTH) -> str:
    """Return text with every line cut at a width, without escape sequences."""
    if len(text) <= width and "\x1b" not in text:
        return text
    return "\n".join(cut(line, width) for line in plain(text).split("\n"))


def read_lines(read: Callable[[int], str], most: int = _HELD) -> Iterator[str]:
    """Yield the lines of a stream of any size, each cut at ``most`` characters and without its escape sequences.

    ``read`` is ``readline`` of a text stream: it returns at most as many characters as it is asked for, to the end of
    the line at the furthest, and "" at the end.
    """
    begin, end, beyond, open_ = "", "", 0, False
    while piece := read(_PIECE):
        open_ = not piece.endswith("\n")
        text = piece if open_ else piece[:-1]
        room = most - len(begin)
        begin, rest = begin + text[:room], text[room:]
        beyond += len(rest)
        end = (end + rest)[-_END:]
        if not open_:
            yield _joined(begin, end, beyond, most)
            begin, end, beyond = "", "", 0
    if open_:
        yield _joined(begin, end, beyond, most)


def _joined(begin: str, end: str, beyond: int, most: int) -> str:
    text = plain(begin + end)
    return cut(text, most, beyond - len(end)) if beyond else text
