"""Moments as people give them: a time, or how long it is ago."""

import re
from datetime import UTC, datetime, timedelta

from .engine.log_lines import SECOND
from .errors import InputError, SlipwayError
from .lazy_pattern import lazy_pattern
from .units import parse_duration

_MOMENT = lazy_pattern(
    r"(?P<date>\d{4}-\d\d-\d\d)"
    r"(?:[Tt ](?P<time>\d\d:\d\d(?::\d\d)?)(?:[.,](?P<fraction>\d{1,9}))?)?"
    r"(?P<zone>[Zz]|[+-]\d\d:?\d\d)?",
    re.ASCII,
)
_EPOCH = lazy_pattern(r"(?P<seconds>\d{9,11})(?:\.(?P<fraction>\d{1,9}))?", re.ASCII)
_FORMS = "such as 10m, 2h, 2026-11-29, or 2026-11-29T08:00:00Z (without a zone: UTC)"


def moment(text: str, option: str, now: int) -> int:
    """Return a moment in nanoseconds since the epoch, 0 for none: a time, or how long it is ago."""
    if not text:
        return 0
    if match := _EPOCH.fullmatch(text.strip()):
        return int(match["seconds"]) * SECOND + int((match["fraction"] or "").ljust(9, "0"))
    if match := _MOMENT.fullmatch(text.strip()):
        zone = (match["zone"] or "Z").upper().replace("Z", "+00:00")
        try:
            date = datetime.fromisoformat(f"{match['date']}T{match['time'] or '00:00'}{zone}")
        except ValueError:
            raise InputError(f"{option}: there is no time {text!r}", _FORMS) from None
        since_epoch = date - datetime(1970, 1, 1, tzinfo=UTC)
        return since_epoch // timedelta(seconds=1) * SECOND + int((match["fraction"] or "").ljust(9, "0"))
    try:
        return now - round(parse_duration(text) * SECOND)
    except SlipwayError:
        raise InputError(f"{option}: expected a time, got {text!r}", _FORMS) from None
