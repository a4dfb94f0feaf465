"""Shows the result of a scan, and writes it as JSON, SARIF and HTML."""

from collections.abc import Mapping
from typing import Any

from ..host.output import emit, emit_table, note
from ..host.reports import Run, write_json
from ..model.finding import SEVERITIES
from .plan import html, sarif
from .plan.gate import JudgedFinding, ScanReport

DOCUMENT = "scan.json"
_WIDE = 100  # characters of a column; the reports have the whole text


def write(report: ScanReport, run: Run, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Write the reports of a run and return the JSON document; ``facts`` are members to add to it."""
    document = report.document()
    complete = {"schema": document.pop("schema"), "outcome": document.pop("outcome"), **facts, **document}
    write_json(run.directory / DOCUMENT, complete)
    write_json(run.directory / "scan.sarif", sarif.document(report))
    shown = [(name, str(facts[name])) for name in ("project", "environment", "version", "created")]
    page = html.page(report, [("", value) for _, value in shown])
    (run.directory / "scan.html").write_text(page, encoding="utf-8")
    return complete


def show(report: ScanReport, complete: bool, since: str = "") -> None:
    """Print the counts, the findings and the scanners.

    ``complete`` says whether every kind was scanned: only then an entry without a finding is reported as unused.
    ``since`` says what findings were compared with.
    """
    counts = report.counts()
    summary = ", ".join(f"{counts[severity]} {severity}" for severity in SEVERITIES if counts[severity]) or "none"
    accepted = sum(judged_finding.accepted is not None for judged_finding in report.findings)
    if since:
        emit(f"compared: {since}")
    emit(f"findings: {summary}{f' ({accepted} more accepted)' if accepted else ''}")
    if report.findings:
        emit("")
        headers = ("SEVERITY", "ID", "WHERE", "TITLE", "FIXED IN", "ADVICE", "")
        emit_table(headers, [_row(judged) for judged in report.findings])
    emit("")
    emit_table(
        ("SCANNER", "VERSION", "DATABASE", "OUTCOME", ""),
        [
            (scan.name, scan.version or "-", scan.database or "-", scan.outcome, _short(scan.reason))
            for scan in report.scans
        ],
    )
    for entry in report.unused if complete else ():
        note(f"{entry.origin}: {entry.id} is no longer found: remove the entry")


def _row(judged: JudgedFinding) -> tuple[str, ...]:
    finding = judged.finding
    state = f"accepted by {judged.accepted.owner} until {judged.accepted.expires}" if judged.accepted else ""
    texts = (finding.where, finding.title)
    return (
        finding.severity,
        finding.id,
        *map(_short, texts),
        finding.fixed_in or "-",
        _short(finding.advice) or "-",
        state,
    )


def _short(text: str) -> str:
    return text if len(text) <= _WIDE else f"{text[: _WIDE - 1]}…"
