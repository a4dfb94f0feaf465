"""Counts the requests in a proxy's access log, and those that nothing behind it answered."""

import json
from collections.abc import Iterable

from ...model.lazy_pattern import lazy_pattern

_LEAST = 0.5  # the share of lines that have to be requests: else the log is no access log
# The request, its status and its bytes in the Common Log Format, which Apache's and nginx's "combined" begin with.
_COMMON = lazy_pattern(r'"[A-Z]+ [^"]*" (?P<status>[1-5]\d\d) (?:\d+|-)')
_UNANSWERED = {502, 503, 504}


def _status(line: str) -> int:
    """Return the status of the request that a line tells, 0 when it tells none."""
    if line.startswith("{"):
        try:
            status = json.loads(line).get("status", 0)
        except ValueError:
            return 0
        return int(status) if str(status).isdecimal() else 0
    match = _COMMON.search(line)
    return int(match["status"]) if match else 0


def requests(lines: Iterable[str]) -> str:
    """Return how many requests a proxy has had, and how many were lost: answered with 502, 503 or 504.

    "" when the lines do not tell: most of them are no requests, neither in the Common Log Format nor JSON objects with
    a ``status``.
    """
    statuses = [_status(line) for line in lines if line.strip()]
    known = [status for status in statuses if 100 <= status < 600]
    if not known or len(known) < _LEAST * len(statuses):
        return ""
    lost = sum(status in _UNANSWERED for status in known)
    return f"{len(known)}, {lost or 'none'} answered with 502, 503 or 504"
