"""Reports what the running containers of an environment may do."""

from ..host.output import emit_json, emit_table, note
from ..host.project import Project
from ..model.errors import CheckError, RefusedError
from ..model.finding import CLEAN, FOUND, HIGH, Scan
from .plan import hardening


def run(project: Project, json: bool) -> None:
    """Report how the containers differ from the benchmark; raises CheckError for findings of SCAN_FAIL_ON or worse.

    Raises RefusedError when no container runs: there is nothing to check then.
    """
    inspected = _inspected(project)
    host, containers = inspected.host, inspected.containers
    if not containers:
        environment = project.profile.environment
        raise RefusedError(f"no container of {project.stack.project} is running", f"inv deploy.{environment}")
    report = hardening.judge(inspected, project.stack.accepts())
    scan = Scan(
        hardening.SCANNER, hardening.BENCHMARK, FOUND if report.findings else CLEAN, reason="; ".join(report.unchecked)
    )
    fail_on = project.profile.text("SCAN_FAIL_ON") or HIGH
    closing = hardening.closing(report.findings, fail_on)
    if json:
        emit_json(
            {
                "schema": "slipway/scan.hardening/v1",
                "environment": project.profile.environment,
                "outcome": "failed" if closing else "passed",
                "scanners": [scan.document()],
                "findings": [finding.document() for finding in report.findings],
                "accepted": [{**entry.finding.document(), "reason": entry.reason} for entry in report.accepted],
                "unchecked": list(report.unchecked),
                "containers": [container.document(host) for container in containers],
            }
        )
    else:
        emit_table(hardening.HEADERS, [container.row(host) for container in containers])
        _tables(report)
    if closing:
        names = ", ".join(dict.fromkeys(f"{finding.where} {finding.id}" for finding in closing))
        raise CheckError(
            f"{project.stack.project}: {len(closing)} findings of {fail_on} or worse (SCAN_FAIL_ON): {names}",
            "the last column is the line of the Compose file that fixes it; x-slipway.accept accepts an item",
        )


def _inspected(project: Project) -> hardening.Inspected:
    if not project.clustered:
        return hardening.Inspected(project.engine.confined(project.stack.project), project.engine.confines())
    from ..kube.live import confinement  # nothing of it is loaded for an environment on an engine

    found = confinement.of_pods(project)
    return hardening.of_pods(found.containers, found.with_token, found.nameless)


def _tables(report: hardening.HardeningReport) -> None:
    if report.findings:
        rows = [
            (finding.severity, finding.id, finding.where, finding.title, finding.advice) for finding in report.findings
        ]
        emit_table(("SEVERITY", "ITEM", "SERVICE", "WHAT DIFFERS", "FIX"), rows)
    else:
        note(f"nothing differs from the items of the {hardening.BENCHMARK} about running containers")
    for entry in report.accepted:
        note(f"accepted: {entry.finding.where} {entry.finding.id}: {entry.finding.title} ({entry.reason})")
    for line in report.unchecked:
        note(f"not checked: {line}")
