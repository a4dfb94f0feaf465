"""The suite ``security`` of ``inv test``: the source code scanners that need no advisory database."""

import hashlib
import json
import time

from ..host import reports
from ..host.project import Project
from ..host.reports import Run
from ..model.finding import SKIPPED as NOTHING
from ..model.finding import Scan
from ..model.suite import FAILED, INVALID, PASSED, SKIPPED, SuiteResult
from ..scan import accepted as scan_accepted
from ..scan import code as scan_code
from ..scan import scan
from ..scan.plan import code as code_plan
from ..scan.plan import gate
from ..scan.plan.gate import ScanReport

NAME = "security"
TOOLS = tuple(tool for tool in code_plan.TOOLS if not tool.database)


def parts(project: Project) -> dict[str, str]:
    """Return what the result depends on in addition to the sources: the gate, and the accepted findings."""
    today = reports.now()[:10]
    entries = [(vars(entry), entry.expired(today)) for entry in scan_accepted.read(project)]
    digest = hashlib.sha256(json.dumps(entries).encode()).hexdigest()[:32]
    return {"SCAN_FAIL_ON": project.profile.text("SCAN_FAIL_ON"), "accepted findings": digest}


def execute(project: Project, run: Run) -> SuiteResult:
    """Scan the sources and return the result; it fails on findings, and is invalid after an incomplete scan."""
    started = time.monotonic()
    accepted = scan_accepted.read(project)
    scans = scan_code.check(project, run, TOOLS)
    if all(result.outcome == NOTHING for result in scans):
        return SuiteResult(NAME, SKIPPED, reason=next((result.reason for result in scans), "a dry run"))
    return _result(run, scans, scan.judge(project, scans, accepted), time.monotonic() - started)


def _result(run: Run, scans: list[Scan], report: ScanReport, seconds: float) -> SuiteResult:
    incomplete = [result for result in report.scans if result.outcome in ("invalid", "not checked")]
    closing = [judged.finding for judged in report.findings if judged.closes]
    outcome = PASSED if report.outcome == gate.PASSED else FAILED if closing or not incomplete else INVALID
    lines = [f"{finding.where}: {finding.id} ({finding.severity}): {finding.title}" for finding in closing]
    files = sorted(path for tool in TOOLS for path in run.path(f"scan-{tool.name}").rglob("*") if path.is_file())
    return SuiteResult(
        NAME,
        outcome,
        tests=len(scans),
        failures=len(incomplete) + len({finding.scanner for finding in closing}),
        seconds=seconds,
        reports=tuple(run.relative(path) for path in files),
        reason="; ".join(report.reasons) or f"source scan by {', '.join(tool.title for tool in TOOLS)}; see `inv scan`",
        output="\n".join((*lines, *report.reasons)) if outcome != PASSED else "",
    )
