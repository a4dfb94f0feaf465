"""What every scanner's output is turned into: one model of findings, whatever tool found them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

CRITICAL, HIGH, MEDIUM, LOW, UNKNOWN = "critical", "high", "medium", "low", "unknown"
SEVERITIES = (CRITICAL, HIGH, MEDIUM, LOW, UNKNOWN)  # the worst first

# The outcomes of one scanner. Only the first two say that everything was looked at.
CLEAN, FOUND, UNCHECKED, INVALID, SKIPPED = "clean", "found", "not checked", "invalid", "skipped"


@dataclass(frozen=True)
class Finding:
    """One thing to mend.

    ``id`` is the tool's rule or the advisory (``CVE-2026-1234``, ``G204``, ``DL3006``), ``severity`` one of SEVERITIES,
    ``scanner`` the tool, ``where`` the place (``path:line``, or ``service: package version``), ``title`` what is wrong,
    ``fixed_in`` the version that is free of it ("" when there is none or it does not apply), ``advice`` how to mend it.
    The texts come from files that somebody else wrote: they may hold control characters until ``printable`` took them.
    """

    id: str
    severity: str
    scanner: str
    where: str
    title: str
    fixed_in: str = ""
    advice: str = ""

    def document(self) -> dict[str, Any]:
        """Return the finding as JSON data."""
        return {
            "id": self.id,
            "severity": self.severity,
            "scanner": self.scanner,
            "where": self.where,
            "title": self.title,
            "fixed_in": self.fixed_in or None,
            "advice": self.advice or None,
        }


@dataclass(frozen=True)
class Scan:
    """What one scanner came to on one kind of subject.

    ``name`` is the tool and what it looked for (``trivy: vulnerabilities``), ``version`` the tool's own, ``database``
    the date of its advisories (RFC 3339, "" when it needs none). ``outcome`` is clean, found, not checked (``reason``
    says what was missing: never a pass), invalid (it crashed, hung, or printed what cannot be read) or skipped (there
    is nothing of its kind here).
    """

    name: str
    version: str
    outcome: str
    database: str = ""
    reason: str = ""
    findings: tuple[Finding, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return the scan as JSON data, without its findings."""
        return {key: value or None for key, value in vars(self).items() if key != "findings"}


def severity(text: object) -> str:
    """Return the severity that a scanner's word stands for, unknown for one that is none."""
    found = str(text).lower()
    return found if found in SEVERITIES else UNKNOWN


def printable(text: str) -> str:
    r"""Return a text of foreign origin as one line that a terminal only shows: controls as ``\x1b``."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)


def merged(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the findings without duplicates (same id at the same place), the worst first.

    Of two with the same id and place the one with the worse severity stays.
    """
    order = {severity: rank for rank, severity in enumerate(SEVERITIES)}
    kept: dict[tuple[str, str], Finding] = {}
    for one in sorted(findings, key=lambda one: order[one.severity]):
        kept.setdefault((one.id, one.where), one)
    return tuple(sorted(kept.values(), key=lambda one: (order[one.severity], one.where, one.id)))
