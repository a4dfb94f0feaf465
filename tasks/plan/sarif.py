"""The report of a scan in SARIF 2.1.0, which code hosts and editors show beside the code.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

import hashlib
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from .baseline import identity
from .finding import CRITICAL, HIGH, INVALID, LOW, MEDIUM, UNCHECKED, UNKNOWN, Scan
from .scan import Judged, Report

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {CRITICAL: "error", HIGH: "error", MEDIUM: "warning", LOW: "note", UNKNOWN: "warning"}
# What code hosts sort by: a CVSS score.
_SCORES = {CRITICAL: "9.5", HIGH: "8.0", MEDIUM: "5.5", LOW: "2.0", UNKNOWN: "0.0"}
_PLACE = re.compile(r"(?P<path>[^:\s][^:]*):(?P<line>[1-9][0-9]{0,8})(?::(?P<column>[1-9][0-9]{0,8}))?")


def document(report: Report) -> dict[str, Any]:
    """Return the report as a SARIF log: one run for each scanner."""
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [_run(one, report) for one in report.scans]}


def _run(scan: Scan, report: Report) -> dict[str, Any]:
    wanted = {(one.id, one.where) for one in scan.findings}
    found = [one for one in report.findings if (one.finding.id, one.finding.where) in wanted]
    rules = list(dict.fromkeys(one.finding.id for one in found))
    driver = {"name": scan.name, "rules": [_rule(id_, found) for id_ in rules]}
    if scan.version:
        driver["version"] = scan.version
    return {
        "tool": {"driver": driver},
        "invocations": [_invocation(scan)],
        "results": [_result(one, rules.index(one.finding.id)) for one in found],
        "properties": {"outcome": scan.outcome, "advisories": scan.database or None},
    }


def _invocation(scan: Scan) -> dict[str, Any]:
    """Return whether the scanner did its work: a consumer must not take a run without results for a clean one."""
    done = scan.outcome not in (INVALID, UNCHECKED)
    told = {"level": "error", "message": {"text": f"{scan.outcome}: {scan.reason}"}}
    return {"executionSuccessful": done, **({} if done else {"toolExecutionNotifications": [told]})}


def _rule(id_: str, found: Sequence[Judged]) -> dict[str, Any]:
    first = next(one.finding for one in found if one.finding.id == id_)
    rule: dict[str, Any] = {
        "id": id_,
        "shortDescription": {"text": first.title or id_},
        "defaultConfiguration": {"level": _LEVELS[first.severity]},
        "properties": {"security-severity": _SCORES[first.severity], "tags": ["security"]},
    }
    return {**rule, "help": {"text": first.advice}} if first.advice else rule


def _result(judged: Judged, rule: int) -> dict[str, Any]:
    one, entry = judged.finding, judged.accepted
    fixed = f" (fixed in {one.fixed_in})" if one.fixed_in else ""
    digest = hashlib.sha256("\0".join(identity(one.id, one.where)).encode()).hexdigest()[:32]
    result: dict[str, Any] = {
        "ruleId": one.id,
        "ruleIndex": rule,
        "level": _LEVELS[one.severity],
        "message": {"text": f"{one.title or one.id}{fixed}"},
        "locations": [_location(one.where)],
        "partialFingerprints": {"slipway/v1": digest},
        "properties": {"severity": one.severity, "where": one.where, "new": judged.new},
    }
    if entry:
        why = f"{entry.reason} (owner {entry.owner}, until {entry.expires})"
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": why}]
    return result


def _location(where: str) -> dict[str, Any]:
    """Return a place: a file and its line where the text says so, else something with a name."""
    match = _PLACE.fullmatch(where)
    if match is None:
        return {"logicalLocations": [{"fullyQualifiedName": where}]}
    region = {"startLine": int(match["line"])}
    if match["column"]:
        region["startColumn"] = int(match["column"])
    uri = quote(match["path"].removeprefix("./"), safe="/")
    return {"physicalLocation": {"artifactLocation": {"uri": uri}, "region": region}}
