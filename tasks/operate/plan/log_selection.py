"""Which lines of the logs are wanted, and the time that they are from."""

import re
from collections.abc import Mapping

from ...model.engine.log_lines import LogLine
from ...model.errors import InputError
from ...model.lazy_pattern import lazy_pattern
from ...model.moments import moment
from ...model.record import Record
from ...telemetry.plan.log_fields import LEVELS, continues, fields, without_colours

ALL = -1  # lines
_ALIASES = {"warning": "warn", "err": "error", "critical": "fatal", "crit": "fatal"}
_TRACE = lazy_pattern(
    r"(?:[0-9a-f]{2}-(?P<parent>[0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}|(?:0{16})?(?P<id>[0-9a-f]{32}|[0-9a-f]{16}))"
)


class Selection(Record):
    """Which lines are wanted: times in nanoseconds since the epoch, 0 for none; the last ``tail`` of all services."""

    since: int = 0
    until: int = 0
    tail: int = ALL
    grep: "re.Pattern[str] | None" = None
    level: str = ""
    trace: "re.Pattern[str] | None" = None

    @property
    def looks(self) -> bool:
        """Whether it depends on what a line says."""
        return bool(self.grep or self.level or self.trace)


class Sieve:
    """Takes the lines of one container that are wanted; ``seen`` and ``taken`` count those in time, and the wanted.

    A line that goes on with the line before, as those of a stack trace do, has its level.
    """

    def __init__(self, wanted: Selection) -> None:
        self.seen = self.taken = 0
        self._wanted = wanted
        self._high = LEVELS[LEVELS.index(wanted.level) :] if wanted.level else ()
        self._level: dict[str, str] = {}  # of the last line of each stream

    def takes(self, line: LogLine) -> bool:
        """Whether a line is wanted."""
        wanted = self._wanted
        if line.time < wanted.since or (wanted.until and line.time >= wanted.until):
            return False
        self.seen += 1
        if wanted.level and self._level_of(line) not in self._high:
            return False
        if wanted.trace and not wanted.trace.search(line.text):
            return False
        if wanted.grep and not wanted.grep.search(without_colours(line.text)):
            return False
        self.taken += 1
        return True

    def _level_of(self, line: LogLine) -> str:
        level = fields(line.text).level
        if not level and continues(line.text):
            return self._level.get(line.stream, "")
        self._level[line.stream] = level
        return level


def selection(options: Mapping[str, str], now: int) -> Selection:
    """Return what the options since, until, tail, grep, level and trace select; ``now`` in nanoseconds."""
    since, until = (moment(options[name], f"--{name}", now) for name in ("since", "until"))
    if until and since >= until:
        raise InputError(
            f"--since {options['since']} is not before --until {options['until']}", "--since 2h --until 1h"
        )
    tail = options["tail"] or "all"
    if tail != "all" and not re.fullmatch(r"\d{1,9}", tail, re.ASCII):
        raise InputError(f"--tail: expected a number of lines or all, got {tail!r}", "--tail 100")
    level = _ALIASES.get(options["level"].lower(), options["level"].lower())
    if level and level not in LEVELS:
        raise InputError(
            f"--level: there is no level {options['level']!r}", "levels: trace, debug, info, warn, error, fatal"
        )
    number = ALL if tail == "all" else int(tail)
    return Selection(since, until, number, _grep(options["grep"]), level, _trace(options["trace"]))


def _grep(text: str) -> "re.Pattern[str] | None":
    try:
        return re.compile(text) if text else None
    except re.error as error:
        raise InputError(
            f"--grep {text!r}: not a regular expression: {error}", "quote it, or escape its special characters"
        ) from None


def _trace(text: str) -> "re.Pattern[str] | None":
    """Return what finds a trace in a line, whatever the field is called: W3C's id, or the 64 bits of B3."""
    if not text:
        return None
    match = _TRACE.fullmatch(text.strip().replace("-", "").lower() if text.count("-") == 4 else text.strip().lower())
    identity = (match["parent"] or match["id"]) if match else ""
    if not identity.strip("0"):
        raise InputError(
            f"--trace: expected the id of a trace, 32 hexadecimal digits, got {text!r}",
            "for another id, such as that of a request: --grep ID",
        )
    zeros = "(?:0{16})?" if len(identity) == 16 else ""
    # As a UUID, as some libraries write it, or as it is.
    either = f"{identity}|{'-'.join(_uuid(identity))}" if len(identity) == 32 else identity
    return re.compile(f"(?<![0-9a-z]){zeros}(?:{either})(?![0-9a-z])", re.I)


def _uuid(identity: str) -> tuple[str, ...]:
    return identity[:8], identity[8:12], identity[12:16], identity[16:20], identity[20:]
