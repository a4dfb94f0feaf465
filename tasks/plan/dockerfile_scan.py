"""What hadolint and trivy say of Dockerfiles, and trivy of secrets."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from .errors import CheckError
from .finding import HIGH, LOW, MEDIUM, UNKNOWN, Finding, severity

_LEVELS = {"error": HIGH, "warning": MEDIUM, "info": LOW, "style": LOW}
# More than a matter of taste: what runs changes by itself, or runs as root.
_SEVERE = {"DL3002": HIGH, "DL3006": HIGH, "DL3007": HIGH}


def hadolint(text: str, shown: Callable[[str], str]) -> tuple[Finding, ...]:
    """Return the findings of hadolint's JSON report; ``shown`` names a file. Raises CheckError when it is none."""
    try:
        return tuple(
            Finding(
                id=one["code"],
                severity=_SEVERE.get(one["code"], _LEVELS.get(one["level"], UNKNOWN)),
                scanner="hadolint",
                where=f"{shown(one['file'])}:{int(one['line'])}",
                title=one["message"],
                advice=f"https://github.com/hadolint/hadolint/wiki/{one['code']}",
            )
            for one in json.loads(text)
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckError(f"hadolint: printed no report: {error}", "run it by hand to see more") from None


def _trivy(text: str) -> list[Mapping[str, Any]]:
    found = json.loads(text)
    if found["SchemaVersion"] != 2:
        raise ValueError(f"SchemaVersion {found['SchemaVersion']}")
    return list(found.get("Results") or ())


def misconfigurations(text: str, shown: Callable[[str], str]) -> tuple[Finding, ...]:
    """Return the findings of ``trivy config``; ``shown`` names a file. Raises CheckError when it is no report."""
    try:
        return tuple(
            Finding(
                id=one["ID"],
                severity=severity(one["Severity"]),
                scanner="trivy",
                where=f"{shown(result['Target'])}:{int((one.get('CauseMetadata') or {}).get('StartLine') or 1)}",
                title=f"{one['Title']}: {one['Message']}",
                advice=one.get("Resolution") or "",
            )
            for result in _trivy(text)
            for one in result.get("Misconfigurations") or ()
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckError(f"trivy: printed no report: {error}", "run it by hand to see more") from None


def secrets(text: str, shown: Callable[[str], str]) -> tuple[Finding, ...]:
    """Return the secrets that ``trivy fs`` found: which kind, and where, never what it is. Raises CheckError."""
    try:
        return tuple(
            Finding(
                id=one["RuleID"],
                severity=severity(one["Severity"]),
                scanner="trivy",
                where=f"{shown(result['Target'])}:{int(one['StartLine'])}",
                title=one["Title"],
                advice="make it worthless where it is used, then remove it; what is in git stays in every clone",
            )
            for result in _trivy(text)
            for one in result.get("Secrets") or ()
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckError(f"trivy: printed no report: {error}", "run it by hand to see more") from None
