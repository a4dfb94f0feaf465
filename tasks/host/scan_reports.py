"""Shows what a scan came to, and writes it down: JSON, SARIF, and a page to read."""

from collections.abc import Mapping
from typing import Any

from ..plan import sarif, scan_page
from ..plan.finding import SEVERITIES
from ..plan.scan import Judged, Report
from .output import emit, emit_table, note
from .reports import Run, write_json

DOCUMENT = "scan.json"
_WIDE = 100  # characters of a column; the reports have the rest


def write(report: Report, run: Run, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Write the reports of a run and return its document."""
    document = report.document()
    whole = {"schema": document.pop("schema"), "outcome": document.pop("outcome"), **facts, **document}
    write_json(run.directory / DOCUMENT, whole)
    write_json(run.directory / "scan.sarif", sarif.document(report))
    shown = [(name, str(facts[name])) for name in ("project", "environment", "version", "created")]
    page = scan_page.page(report, [("", value) for _, value in shown])
    (run.directory / "scan.html").write_text(page, encoding="utf-8")
    return whole


def show(report: Report, complete: bool, since: str = "") -> None:
    """Print the counts, the findings and the scanners.

    ``complete`` when every kind was looked at, ``since`` says what the findings are new to.
    """
    counts = report.counts()
    told = ", ".join(f"{counts[one]} {one}" for one in SEVERITIES if counts[one]) or "none"
    accepted = sum(one.accepted is not None for one in report.findings)
    if since:
        emit(f"compared: {since}")
    emit(f"findings: {told}{f' ({accepted} more accepted)' if accepted else ''}")
    if report.findings:
        emit("")
        headers = ("SEVERITY", "ID", "WHERE", "TITLE", "FIXED IN", "ADVICE", "")
        emit_table(headers, [_row(one) for one in report.findings])
    emit("")
    emit_table(
        ("SCANNER", "VERSION", "DATABASE", "OUTCOME", ""),
        [(one.name, one.version or "-", one.database or "-", one.outcome, _short(one.reason)) for one in report.scans],
    )
    for entry in report.unused if complete else ():
        note(f"{entry.origin}: {entry.id} is found no more: the entry can go")


def _row(one: Judged) -> tuple[str, ...]:
    found = one.finding
    state = f"accepted by {one.accepted.owner} until {one.accepted.expires}" if one.accepted else ""
    texts = (found.where, found.title)
    return found.severity, found.id, *map(_short, texts), found.fixed_in or "-", _short(found.advice) or "-", state


def _short(text: str) -> str:
    return text if len(text) <= _WIDE else f"{text[: _WIDE - 1]}…"
