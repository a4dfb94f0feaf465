"""What a line of a log says of itself: its level and its trace, in the forms that are in common use."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ...model.lazy_pattern import lazy_pattern
from ...model.record import Record

LEVELS = ("trace", "debug", "info", "warn", "error", "fatal")
_WORDS = {
    **dict.fromkeys(("trace", "trc", "trce", "finest", "finer", "silly"), "trace"),
    **dict.fromkeys(
        ("debug", "dbg", "dbug", "verbose", "fine", "debug1", "debug2", "debug3", "debug4", "debug5"), "debug"
    ),
    **dict.fromkeys(
        ("info", "inf", "information", "informational", "notice", "note", "log", "system", "config"), "info"
    ),
    **dict.fromkeys(("warn", "wrn", "warning"), "warn"),
    **dict.fromkeys(("error", "err", "eror", "fail", "severe"), "error"),
    **dict.fromkeys(("fatal", "ftl", "critical", "crit", "panic", "dpanic", "alert", "emerg", "emergency"), "fatal"),
}
# RFC 5424, 6.2.1; GELF has the same numbers.
_SYSLOG = ("fatal", "fatal", "fatal", "error", "warn", "info", "info", "debug")
_LETTERS = {"T": "trace", "D": "debug", "V": "debug", "I": "info", "N": "info", "W": "warn", "E": "error", "F": "fatal"}
_REDIS = {".": "debug", "-": "debug", "*": "info", "#": "warn"}
# Names of fields in lower case and without "_", "-" and ".".
_LEVEL_KEYS = ("level", "severity", "lvl", "loglevel", "levelname", "severitytext", "@l")
_TRACE_KEYS = ("traceid", "oteltraceid", "logginggoogleapiscom/trace", "xtraceid", "trace", "@tr")
_SPAN_KEYS = ("spanid", "otelspanid", "logginggoogleapiscom/spanid", "span", "@sp")
_UNSPELLED = str.maketrans("", "", "_-.")
_ID = lazy_pattern(r"(?<![0-9a-zA-Z])(?:[0-9a-f]{32}|[0-9a-f]{16})(?![0-9a-zA-Z])", re.I)
_PARENT = lazy_pattern(r"(?<![0-9a-f])[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(?![0-9a-f])")
_PAIR = lazy_pattern(r"""(?<![^\s{\[(,;])([A-Za-z_@][\w.@/-]*)=(?:"((?:[^"\\]|\\.)*)"|([^\s"]*))""")
COLOUR = lazy_pattern("(\x1b\\[[0-9;:]*m)")

_NAMES = "|".join(sorted(_WORDS, key=len, reverse=True))
_PLAIN = (
    # [error] of nginx and MySQL, [core:error] of Apache, <warn>, | WARN |
    lazy_pattern(rf"[\[<|(]\s*(?:\w+:)?({_NAMES})\s*(?:\]|>|\||\)|:)", re.I),
    # ERROR:root:…, warning: …, fail: …, LOG:  … of PostgreSQL
    lazy_pattern(rf"(?:^|\s)({_NAMES})\s?:(?!//)", re.I),
    lazy_pattern(r"(?<![\w./=-])(TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|SEVERE|CRITICAL|FATAL|PANIC)(?![\w./=-])"),
)
# What comes with the message before: of PostgreSQL, and of stack traces.
_DETAIL = lazy_pattern(r"(?:^|\s)(?:DETAIL|HINT|CONTEXT|STATEMENT|QUERY|LOCATION):  ")
_CONTINUES = lazy_pattern(r"[ \t)}]|Caused by:|goroutine \d")
# The beginning or the end of a stack trace that nobody gave a level.
_THROWN = lazy_pattern(r"Traceback \(most recent|Exception in thread|[A-Za-z_][\w.$]*(?:Error|Exception)(?::|$)")
_SPECIAL = (
    lazy_pattern(r"^(?P<letter>[IWEF])\d{4} \d\d:\d\d:\d\d"),  # glog, klog
    lazy_pattern(r"^\d+:[A-Z] \d\d \w{3} \d{4} [\d:.]+ (?P<redis>[.*#-]) "),
    lazy_pattern(r"^<(?P<syslog>\d{1,3})>"),
    lazy_pattern(r"^(?P<letter>[TDVIWEF])[/ ](?=\S)(?:\w+[:(]|\[)"),  # logcat; `I [time]` of others
    lazy_pattern(r"^(?P<letter>[TDIWEF]), \["),  # Ruby's logger
)
_HEAD = 120  # characters in which a line of text says its level
# Common Log Format and what follows it: a line of access to a server, with the status.
_ACCESS = lazy_pattern(r'"(?:[A-Z]+ \S+ HTTP/[\d.]+|-|)" (?P<status>[1-5]\d\d)(?: |$)')


class Fields(Record):
    """What a line says of itself, "" for what it does not say; ``data`` is the line where it is a JSON object."""

    level: str = ""
    trace_id: str = ""
    span_id: str = ""
    data: Mapping[str, Any] | None = None


def without_colours(text: str) -> str:
    """Return text without the escape sequences that colour it."""
    return COLOUR.sub("", text) if "\x1b" in text else text


def fields(text: str) -> Fields:
    """Return what a line says of itself."""
    text = without_colours(text)
    data = _object(text)
    pairs = _spelled(data) if data is not None else _logfmt(text)
    trace, span = _trace(pairs, text)
    return Fields(
        _level(pairs) or ("" if data is not None else _plain(text)) or _of_access(pairs, text), trace, span, data
    )


def continues(text: str) -> bool:
    """Whether a line goes on with what the line before it says, as the lines of a stack trace do."""
    return bool(_CONTINUES.match(text) or _DETAIL.search(text[:_HEAD]))


def _object(text: str) -> Mapping[str, Any] | None:
    """Return the JSON object that a line is, None for any other line."""
    if text[:1] == "{" or text[:2] == " {":
        try:
            data = json.loads(text, parse_constant=_finite, parse_float=_finite)
        except (ValueError, RecursionError):
            return None
        return data if isinstance(data, dict) else None
    return None


def _finite(text: str) -> float:
    """Return a number; raises ValueError for what JSON does not have: NaN and infinite numbers."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _spelled(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a JSON object by their names in one spelling: ``trace: {id}`` is ``traceid``."""
    nested = [(f"{key}{inner}", value) for key, part in data.items() if isinstance(part, dict)
              for inner, value in part.items()]  # fmt: skip
    spelled = [(key.lower().translate(_UNSPELLED), value) for key, value in (*data.items(), *nested)]
    return {key: value for key, value in reversed(spelled) if not isinstance(value, dict)}


def _logfmt(text: str) -> dict[str, Any]:
    if "=" not in text:
        return {}
    pairs = [(match[1], match[3] if match[2] is None else match[2]) for match in _PAIR.finditer(text)]
    return {key.lower().translate(_UNSPELLED): value for key, value in reversed(pairs)}


def _level(pairs: Mapping[str, Any]) -> str:
    for key in _LEVEL_KEYS:
        if key in pairs and (level := _of_value(pairs[key])):
            return level
    if isinstance(pairs.get("s"), str):  # MongoDB
        return _LETTERS.get(pairs["s"].rstrip("12345"), "")
    number = pairs.get("severitynumber")  # OpenTelemetry: 1 to 24, four for each level
    return LEVELS[(number - 1) // 4] if isinstance(number, int) and 0 < number <= 24 else ""


def _of_value(value: Any) -> str:
    """Return the level that a value means: a word, a number of pino and bunyan (from 10 on), or one of syslog."""
    if isinstance(value, str):
        word = value.strip()
        if word.isascii() and word.isdigit():
            return _of_value(int(word))
        return _WORDS.get(word.lower(), "") or _LETTERS.get(word.rstrip("12345"), "")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 100:
        return ""
    return _SYSLOG[int(value)] if value < len(_SYSLOG) else LEVELS[min(max(int(value) // 10 - 1, 0), len(LEVELS) - 1)]


def _plain(text: str) -> str:
    head = text[:_HEAD]
    if _DETAIL.search(head):
        return ""
    if _THROWN.match(head):
        return "error"
    for form in _SPECIAL:
        if match := form.search(head):
            found = match.groupdict()
            if "syslog" in found:
                return _SYSLOG[int(found["syslog"]) % 8]
            return _LETTERS.get(found.get("letter", ""), "") or _REDIS.get(found.get("redis", ""), "")
    matches = [match for form in _PLAIN if (match := form.search(head))]
    return _WORDS[min(matches, key=lambda match: match.start(1))[1].lower()] if matches else ""


def _of_access(pairs: Mapping[str, Any], text: str) -> str:
    """Return the level of a line of access: ``error`` when the server failed, "" for a line that is none."""
    status = pairs.get("status") if "method" in pairs or "request" in pairs else None
    match = _ACCESS.search(text) if status is None else None
    shown = str(match["status"] if match else status)
    return "" if not re.fullmatch(r"[1-5]\d\d", shown) else "error" if shown >= "500" else "info"


def _trace(pairs: Mapping[str, Any], text: str) -> tuple[str, str]:
    trace = next(_ids(pairs, _TRACE_KEYS), "")
    span = next(_ids(pairs, _SPAN_KEYS), "")
    parent = _PARENT.search(text) if not trace else None
    return (parent[1], span or parent[2]) if parent else (trace, span)


def _ids(pairs: Mapping[str, Any], keys: tuple[str, ...]) -> Iterator[str]:
    for key in keys:
        value = pairs.get(key)
        if isinstance(value, str) and (match := _ID.search(value)) and match[0].strip("0"):
            yield match[0].lower()
