"""The suite ``security`` of ``inv test``: the scanners of source code that need no advisories."""

import hashlib
import json
import time

from ..plan import code_scan, scan
from ..plan.finding import SKIPPED as NOTHING
from ..plan.finding import Scan
from ..plan.scan import Report
from ..plan.suites import FAILED, INVALID, PASSED, SKIPPED, SuiteResult
from . import accepted_files, code_scans, reports, scans
from .project import Project
from .reports import Run

NAME = "security"
TOOLS = tuple(tool for tool in code_scan.TOOLS if not tool.database)


def parts(project: Project) -> dict[str, str]:
    """Return what the result depends on beside the sources: the gate, and who answers for what until when."""
    today = reports.now()[:10]
    entries = [(vars(one), one.expired(today)) for one in accepted_files.read(project)]
    digest = hashlib.sha256(json.dumps(entries).encode()).hexdigest()[:32]
    return {"SCAN_FAIL_ON": project.profile.text("SCAN_FAIL_ON"), "accepted findings": digest}


def execute(project: Project, run: Run) -> SuiteResult:
    """Scan the sources; a finding closes the gate, and so does a scan that did not see everything."""
    started = time.monotonic()
    accepted = accepted_files.read(project)
    found = code_scans.check(project, run, TOOLS)
    if all(one.outcome == NOTHING for one in found):
        return SuiteResult(NAME, SKIPPED, reason=next((one.reason for one in found), "a dry run"))
    return _result(run, found, scans.judge(project, found, accepted), time.monotonic() - started)


def _result(run: Run, found: list[Scan], report: Report, seconds: float) -> SuiteResult:
    bad = [one for one in report.scans if one.outcome in ("invalid", "not checked")]
    shut = [one.finding for one in report.findings if one.closes]
    outcome = PASSED if report.outcome == scan.PASSED else FAILED if shut or not bad else INVALID
    told = [f"{one.where}: {one.id} ({one.severity}): {one.title}" for one in shut]
    files = sorted(path for tool in TOOLS for path in run.path(f"scan-{tool.name}").rglob("*") if path.is_file())
    return SuiteResult(
        NAME,
        outcome,
        tests=len(found),
        failures=len(bad) + len({one.scanner for one in shut}),
        seconds=seconds,
        reports=tuple(run.relative(path) for path in files),
        reason="; ".join(report.reasons) or f"source scan by {', '.join(tool.title for tool in TOOLS)}; see `inv scan`",
        output="\n".join((*told, *report.reasons)) if outcome != PASSED else "",
    )
