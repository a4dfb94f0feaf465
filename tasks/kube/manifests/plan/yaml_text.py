"""Writes data as YAML that every reader reads alike, with the same bytes each time.

What some reader could take for a number, a date or a truth value is quoted: the rules of YAML 1.1 and 1.2 and the
readers of Kubernetes and of Helm differ there (``1e3``, ``on``, ``0x1``, ``22:30``).
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

from ....model.lazy_pattern import lazy_pattern
from ....model.record import Record

_PLAIN = lazy_pattern(r"[A-Za-z_/](?:[A-Za-z0-9_./@+=,%-]|:(?=[A-Za-z0-9/]))*")
_LEAVES = frozenset({str, int, float, bool, type(None)})
_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n", "nan", "inf", "infinity"})
# https://yaml.org/spec/1.2.2/#51-character-set, without those that end a line for some readers.
_PRINTABLE = lazy_pattern(r"[\t\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]*")
_UNPRINTABLE = lazy_pattern(r"[^\t\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_BLANK_LINE = lazy_pattern(r"^[ \t]+$", re.MULTILINE)


class Expression(Record):
    """A value that a template engine fills in: ``text`` is written as it is."""

    text: str


class Given(Record):
    """An entry of a mapping or of a list that is there under a condition of the template engine.

    ``before`` and ``after`` are the lines around it; ``otherwise`` is what is there after the line ``between``, if that
    is not empty.
    """

    before: str
    after: str
    value: Any
    between: str = ""
    otherwise: Any = None


Spelling = Callable[[str], str]
"""Returns literal text as a template engine has to have it."""


def document(data: Any, spelling: Spelling = str) -> str:
    """Return data as a YAML document that ends with a newline."""
    lines: list[str] = []
    _lines(lines, data, "", spelling)
    return "\n".join(lines) + "\n"


# What follows appends lines to ``out``: handing them up level by level took most of the time. Kinds are asked for by
# their exact type first, which nearly all values have: ``isinstance`` of ``Mapping`` takes ten times as long.


def _lines(out: list[str], data: Any, indent: str, spelling: Spelling) -> None:
    if _mapping(data) and data:
        for key, value in data.items():
            if type(value) is Given:
                _around(out, value, partial(_entry, out, key, indent=indent, spelling=spelling))
            else:
                _entry(out, key, value, indent, spelling)
    elif isinstance(data, (list, tuple)) and data:
        for item in data:
            if type(item) is Given:
                _around(out, item, partial(_item, out, indent=indent, spelling=spelling))
            else:
                _item(out, item, indent, spelling)
    else:
        out.append(indent + _scalar(data, indent, spelling))


def _around(out: list[str], value: Any, write: Callable[[Any], None]) -> None:
    if not isinstance(value, Given):
        write(value)
        return
    out.append(value.before)
    _around(out, value.value, write)
    if value.between:
        out.append(value.between)
        _around(out, value.otherwise, write)
    out.append(value.after)


def _entry(out: list[str], key: str, value: Any, indent: str, spelling: Spelling) -> None:
    name = spelling(_text(str(key)))
    if type(value) in _LEAVES or not _nested(value):
        out.append(f"{indent}{name}: {_scalar(value, indent, spelling)}")
        return
    out.append(f"{indent}{name}:")
    _lines(out, value, indent + "  " if _mapping(value) else indent, spelling)


def _item(out: list[str], value: Any, indent: str, spelling: Spelling) -> None:
    if not _nested(value):
        out.append(f"{indent}- {_scalar(value, indent, spelling)}")
    elif any(isinstance(inner, Given) for inner in _first(value)):
        out.append(f"{indent}-")  # the dash needs a line of its own: what follows it may not be there
        _lines(out, value, f"{indent}  ", spelling)
    else:
        place = len(out)
        _lines(out, value, f"{indent}  ", spelling)
        out[place] = f"{indent}- {out[place][len(indent) + 2 :]}"


def _first(value: Any) -> Sequence[Any]:
    return list(value.values() if isinstance(value, Mapping) else value)[:1]


def _nested(value: Any) -> bool:
    return type(value) not in _LEAVES and (isinstance(value, (list, tuple)) or _mapping(value)) and bool(value)


def _mapping(value: Any) -> bool:
    return type(value) is dict or isinstance(value, Mapping)


def _scalar(value: Any, indent: str, spelling: Spelling) -> str:
    if isinstance(value, str):
        return _block(value, indent, spelling) if _is_block(value) else spelling(_text(value))
    if isinstance(value, Expression):
        return value.text
    if isinstance(value, (list, tuple)) or _mapping(value):
        return "{}" if _mapping(value) else "[]"
    text = json.dumps(value)
    # 1e-07 is a number to JSON and a text to YAML 1.1.
    return re.sub(r"\A(-?\d+)e", r"\1.0e", text) if isinstance(value, float) else text


@lru_cache(maxsize=4096)  # keys, and names of kinds and images, come again and again
def _text(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    # A string of JSON is one of YAML.
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(text, ensure_ascii=False))


def _is_block(text: str) -> bool:
    """Whether a text is written line by line; what a reader of blocks could take otherwise is quoted."""
    if "\n" not in text or not text.strip("\n") or text.removesuffix("\n")[-1] in " \t\n":
        return False  # a template that takes blanks away would take those at its end
    return bool(_PRINTABLE.fullmatch(text)) and not _BLANK_LINE.search(text)


def _block(text: str, indent: str, spelling: Spelling) -> str:
    # Where the first line begins with a blank, or is empty, the reader has to be told how far the block is indented.
    head = "|" + ("2" if text[0] in " \t\n" else "") + ("" if text.endswith("\n") else "-")
    lines = text.removesuffix("\n").split("\n")
    return "\n".join((head, *(f"{indent}  {spelling(line)}" if line else "" for line in lines)))
