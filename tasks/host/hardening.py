"""The report of what the running containers of an environment may do."""

from ..plan import hardening as planner
from ..plan.errors import CheckError, RefusedError
from ..plan.finding import CLEAN, FOUND, HIGH, Scan
from .output import emit_json, emit_table, note
from .project import Project


def run(project: Project, json: bool) -> None:
    """Report it; raises CheckError when something at or above SCAN_FAIL_ON differs from the benchmark.

    Raises RefusedError when nothing runs: that is no clean result.
    """
    host, found = project.engine.confines(), project.engine.confined(project.stack.project)
    if not found:
        environment = project.profile.environment
        raise RefusedError(f"no container of {project.stack.project} is running", f"inv deploy.{environment}")
    report = planner.judge(found, host, project.stack.accepts())
    scan = Scan(
        planner.SCANNER, planner.BENCHMARK, FOUND if report.findings else CLEAN, reason="; ".join(report.unchecked)
    )
    fail_on = project.profile.text("SCAN_FAIL_ON") or HIGH
    closing = planner.closing(report.findings, fail_on)
    if json:
        emit_json(
            {
                "schema": "slipway/scan.hardening/v1",
                "environment": project.profile.environment,
                "outcome": "failed" if closing else "passed",
                "scanners": [scan.document()],
                "findings": [one.document() for one in report.findings],
                "accepted": [{**one.finding.document(), "reason": one.reason} for one in report.accepted],
                "unchecked": list(report.unchecked),
                "containers": [one.document(host) for one in found],
            }
        )
    else:
        emit_table(planner.HEADERS, [one.row(host) for one in found])
        _tables(report)
    if closing:
        names = ", ".join(dict.fromkeys(f"{one.where} {one.id}" for one in closing))
        raise CheckError(
            f"{project.stack.project}: {len(closing)} findings of {fail_on} or worse (SCAN_FAIL_ON): {names}",
            "the last column says the line of the Compose file that mends it; x-slipway.accept accepts an item",
        )


def _tables(report: planner.Report) -> None:
    if report.findings:
        rows = [(one.severity, one.id, one.where, one.title, one.advice) for one in report.findings]
        emit_table(("SEVERITY", "ITEM", "SERVICE", "WHAT DIFFERS", "MEND"), rows)
    else:
        note(f"nothing differs from the {planner.BENCHMARK}, as far as it speaks of running containers")
    for one in report.accepted:
        note(f"accepted: {one.finding.where} {one.finding.id}: {one.finding.title} ({one.reason})")
    for line in report.unchecked:
        note(f"not checked: {line}")
