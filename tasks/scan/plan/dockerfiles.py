"""Reads the reports of hadolint and trivy on Dockerfiles, and of trivy on secrets."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from ...model.errors import CheckError
from ...model.finding import HIGH, LOW, MEDIUM, UNKNOWN, Finding, severity

_LEVELS = {"error": HIGH, "warning": MEDIUM, "info": LOW, "style": LOW}
# Raised above hadolint's own level: the last user is root, or the base image has no fixed version.
_SEVERE = {"DL3002": HIGH, "DL3006": HIGH, "DL3007": HIGH}


def hadolint(text: str, shown: Callable[[str], str]) -> tuple[Finding, ...]:
    """Return the findings of hadolint's JSON report; raises CheckError when it is no report.

    ``shown`` returns the name that a file has in reports.
    """
    try:
        return tuple(
            Finding(
                id=problem["code"],
                severity=_SEVERE.get(problem["code"], _LEVELS.get(problem["level"], UNKNOWN)),
                scanner="hadolint",
                where=f"{shown(problem['file'])}:{int(problem['line'])}",
                title=problem["message"],
                advice=f"https://github.com/hadolint/hadolint/wiki/{problem['code']}",
            )
            for problem in json.loads(text)
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckError(f"hadolint: printed no report: {error}", "run it by hand to see more") from None


def _trivy(text: str) -> list[Mapping[str, Any]]:
    report = json.loads(text)
    if report["SchemaVersion"] != 2:
        raise ValueError(f"SchemaVersion {report['SchemaVersion']}")
    return list(report.get("Results") or ())


def misconfigurations(text: str, shown: Callable[[str], str]) -> tuple[Finding, ...]:
    """Return the findings of ``trivy config``; raises CheckError when its output is no report.

    ``shown`` returns the name that a file has in reports.
    """
    try:
        return tuple(
            Finding(
                id=problem["ID"],
                severity=severity(problem["Severity"]),
                scanner="trivy",
                where=f"{shown(result['Target'])}:{int((problem.get('CauseMetadata') or {}).get('StartLine') or 1)}",
                title=f"{problem['Title']}: {problem['Message']}",
                advice=problem.get("Resolution") or "",
            )
            for result in _trivy(text)
            for problem in result.get("Misconfigurations") or ()
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckError(f"trivy: printed no report: {error}", "run it by hand to see more") from None


def secrets(text: str, shown: Callable[[str], str]) -> tuple[Finding, ...]:
    """Return the secrets that ``trivy fs`` found: their kind and place, never their value.

    ``shown`` returns the name that a file has in reports. Raises CheckError when the output is no report.
    """
    try:
        return tuple(
            Finding(
                id=secret["RuleID"],
                severity=severity(secret["Severity"]),
                scanner="trivy",
                where=f"{shown(result['Target'])}:{int(secret['StartLine'])}",
                title=secret["Title"],
                advice="revoke it where it is used, then remove it; what is in git stays in every clone",
            )
            for result in _trivy(text)
            for secret in result.get("Secrets") or ()
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckError(f"trivy: printed no report: {error}", "run it by hand to see more") from None
