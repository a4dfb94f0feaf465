"""How texts are written: output of other programs without escape sequences and shortened, and data as JSON."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .lazy_pattern import lazy_pattern

WIDTH = 400  # characters of a quoted line
MESSAGE = 1500  # characters of a line of an error message, which may list many names
_END = 100  # characters shown of the end of a long line, where the error often is
_LINE_LIMIT = 8000  # characters of a line that are kept in memory while it is read
_PIECE = 65536

# Sequences of ECMA-48 (CSI …, OSC … BEL or ST, two characters), whole: without their ESC the rest would be noise.
_ESCAPES = lazy_pattern(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-~])")


def without_escapes(text: str) -> str:
    """Return text without the escape sequences of a terminal."""
    return _ESCAPES.sub("", text) if "\x1b" in text else text


def json_text(document: Mapping[str, Any], indent: int | None = None) -> str:
    """Return a document as JSON that can be written as UTF-8.

    Python spells a byte of a file name that is no UTF-8 as a lone surrogate: only JSON's own escapes can write that.
    """
    import json  # not at the top: most tasks write none

    text = json.dumps(document, indent=indent, ensure_ascii=False)
    return text.encode(errors="backslashreplace").decode()


def cut(line: str, width: int = WIDTH, unseen: int = 0) -> str:
    """Return a line, or its beginning and its end when it has more than ``width`` characters.

    ``unseen`` is the number of characters that were dropped from the middle of it already.
    """
    if len(line) <= width and not unseen:
        return line
    end = line[-min(_END, width // 4) :]
    begin = line[: min(width, len(line)) - len(end)]
    return f"{begin} … [{len(line) + unseen - len(begin) - len(end)} characters left out] … {end}"


def quoted(text: str, width: int = WIDTH) -> str:
    """Return text without escape sequences, every line shortened to ``width`` characters."""
    if len(text) <= width and "\x1b" not in text:
        return text
    return "\n".join(cut(line, width) for line in without_escapes(text).split("\n"))


def read_lines(read: Callable[[int], str], most: int = _LINE_LIMIT) -> Iterator[str]:
    """Yield the lines of a stream of any size, without escape sequences and shortened to ``most`` characters.

    ``read`` is ``readline`` of a text stream: it returns up to as many characters as asked for, not beyond the end of
    the line, and "" at the end of the stream.
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
    text = without_escapes(begin + end)
    return cut(text, most, beyond - len(end)) if beyond else text
