"""The report of a scan in SARIF 2.1.0, which code hosts and editors show next to the code.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

import hashlib
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from ...model.finding import CRITICAL, HIGH, INVALID, LOW, MEDIUM, UNCHECKED, UNKNOWN, Scan
from ...model.lazy_pattern import lazy_pattern
from .baseline import identity
from .gate import JudgedFinding, ScanReport

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {CRITICAL: "error", HIGH: "error", MEDIUM: "warning", LOW: "note", UNKNOWN: "warning"}
# CVSS scores, by which code hosts sort.
_SCORES = {CRITICAL: "9.5", HIGH: "8.0", MEDIUM: "5.5", LOW: "2.0", UNKNOWN: "0.0"}
_PLACE = lazy_pattern(r"(?P<path>[^:\s][^:]*):(?P<line>[1-9][0-9]{0,8})(?::(?P<column>[1-9][0-9]{0,8}))?")


def document(report: ScanReport) -> dict[str, Any]:
    """Return the report as a SARIF log, with a run for each scanner."""
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [_run(scan, report) for scan in report.scans]}


def _run(scan: Scan, report: ScanReport) -> dict[str, Any]:
    wanted = {(finding.id, finding.where) for finding in scan.findings}
    findings = [judged for judged in report.findings if (judged.finding.id, judged.finding.where) in wanted]
    rules = list(dict.fromkeys(judged.finding.id for judged in findings))
    driver = {"name": scan.name, "rules": [_rule(id_, findings) for id_ in rules]}
    if scan.version:
        driver["version"] = scan.version
    return {
        "tool": {"driver": driver},
        "invocations": [_invocation(scan)],
        "results": [_result(judged, rules.index(judged.finding.id)) for judged in findings],
        "properties": {"outcome": scan.outcome, "advisories": scan.database or None},
    }


def _invocation(scan: Scan) -> dict[str, Any]:
    """Return whether the scanner succeeded, so that no consumer takes a failed run without results for a clean one."""
    successful = scan.outcome not in (INVALID, UNCHECKED)
    error = {"level": "error", "message": {"text": f"{scan.outcome}: {scan.reason}"}}
    return {"executionSuccessful": successful, **({} if successful else {"toolExecutionNotifications": [error]})}


def _rule(id_: str, findings: Sequence[JudgedFinding]) -> dict[str, Any]:
    first = next(judged.finding for judged in findings if judged.finding.id == id_)
    rule: dict[str, Any] = {
        "id": id_,
        "shortDescription": {"text": first.title or id_},
        "defaultConfiguration": {"level": _LEVELS[first.severity]},
        "properties": {"security-severity": _SCORES[first.severity], "tags": ["security"]},
    }
    return {**rule, "help": {"text": first.advice}} if first.advice else rule


def _result(judged: JudgedFinding, rule: int) -> dict[str, Any]:
    finding, entry = judged.finding, judged.accepted
    fixed = f" (fixed in {finding.fixed_in})" if finding.fixed_in else ""
    digest = hashlib.sha256("\0".join(identity(finding.id, finding.where)).encode()).hexdigest()[:32]
    result: dict[str, Any] = {
        "ruleId": finding.id,
        "ruleIndex": rule,
        "level": _LEVELS[finding.severity],
        "message": {"text": f"{finding.title or finding.id}{fixed}"},
        "locations": [_location(finding.where)],
        "partialFingerprints": {"slipway/v1": digest},
        "properties": {"severity": finding.severity, "where": finding.where, "new": judged.new},
    }
    if entry:
        why = f"{entry.reason} (owner {entry.owner}, until {entry.expires})"
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": why}]
    return result


def _location(where: str) -> dict[str, Any]:
    """Return a place as a SARIF location: ``path:line[:column]`` as a file, any other text as a logical location."""
    match = _PLACE.fullmatch(where)
    if match is None:
        return {"logicalLocations": [{"fullyQualifiedName": where}]}
    region = {"startLine": int(match["line"])}
    if match["column"]:
        region["startColumn"] = int(match["column"])
    uri = quote(match["path"].removeprefix("./"), safe="/")
    return {"physicalLocation": {"artifactLocation": {"uri": uri}, "region": region}}
