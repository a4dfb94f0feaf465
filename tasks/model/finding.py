"""Findings and scan results: every scanner's output is converted to these types."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

CRITICAL, HIGH, MEDIUM, LOW, UNKNOWN = "critical", "high", "medium", "low", "unknown"
SEVERITIES = (CRITICAL, HIGH, MEDIUM, LOW, UNKNOWN)  # the worst first

# The outcomes of one scanner. Only the first two mean that everything was checked.
CLEAN, FOUND, UNCHECKED, INVALID, SKIPPED = "clean", "found", "not checked", "invalid", "skipped"


@dataclass(frozen=True)
class Finding:
    """One thing to fix.

    ``id`` is the tool's rule or the advisory (``CVE-2026-1234``, ``G204``, ``DL3006``), ``severity`` one of SEVERITIES,
    ``scanner`` the tool, ``where`` the place (``path:line``, or ``service: package version``), ``title`` what is wrong,
    ``fixed_in`` the first version without it ("" when there is none or it does not apply), ``advice`` how to fix it.
    The texts come from untrusted files: they may contain control characters until ``printable`` escapes them.
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
    """The result of one scanner on one kind of subject.

    ``name`` is the tool and what it looks for (``trivy: vulnerabilities``), ``version`` the tool's own, ``database``
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
    """Return the severity that a scanner's word stands for; ``unknown`` for any other word."""
    word = str(text).lower()
    return word if word in SEVERITIES else UNKNOWN


def printable(text: str) -> str:
    r"""Return untrusted text as one line that is safe to print: control characters are escaped, as ``\x1b``."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def merged(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the findings without duplicates (same id at the same place), the worst first.

    Of two duplicates the worse severity is kept.
    """
    order = {severity: rank for rank, severity in enumerate(SEVERITIES)}
    kept: dict[tuple[str, str], Finding] = {}
    for finding in sorted(findings, key=lambda finding: order[finding.severity]):
        kept.setdefault((finding.id, finding.where), finding)
    return tuple(sorted(kept.values(), key=lambda finding: (order[finding.severity], finding.where, finding.id)))
