"""The report of a scan as a self-contained HTML page that loads nothing from elsewhere."""

from collections.abc import Iterable, Sequence
from html import escape

from ...model.finding import SEVERITIES
from .gate import FAILED, PASSED, JudgedFinding, ScanReport

_STYLE = """
body{font:16px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:75rem;padding:0 1rem;color:#1c2430;background:#fff}
h1{margin-bottom:.2rem}h2{margin-top:2.2rem}.about{color:#5a6573}
.verdict{border-left:.5rem solid;padding:.7rem 1rem;margin:1.2rem 0;background:#f5f7f9}
.verdict.yes{border-color:#1f883d}.verdict.no{border-color:#cf222e}.verdict.open{border-color:#bf8700}
.tiles{display:flex;gap:.8rem;flex-wrap:wrap}.tile{min-width:7rem;padding:.6rem 1rem;background:#f5f7f9}
.tile b{display:block;font-size:1.8rem}
table{border-collapse:collapse;width:100%;font-size:.9rem}
td,th{text-align:left;vertical-align:top;padding:.4rem .6rem;border-bottom:1px solid #d9dee3;overflow-wrap:anywhere}
th,td:first-child{white-space:nowrap}td:nth-child(2){overflow-wrap:normal}
.critical,.high{color:#b3261e;font-weight:600}.medium{color:#8a5a00}.low,.unknown{color:#5a6573}
"""


def page(report: ScanReport, facts: Sequence[tuple[str, str]]) -> str:
    """Return the page, with every text escaped; ``facts`` are (name, value) pairs such as the project and the time."""
    word, style, title = _verdict(report)
    counts = report.counts()
    tiles = "".join(
        f'<div class="tile {severity}"><b>{counts[severity]}</b>{severity}</div>' for severity in SEVERITIES
    )
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in report.reasons)
    closing = [judged for judged in report.findings if judged.closes]
    others = [judged for judged in report.findings if not judged.closes and not judged.accepted]
    about = " · ".join(f"{escape(name)} {escape(value)}" for name, value in facts if value)
    parts = [
        f"<h1>May this go to production?</h1><p class=about>{about}</p>",
        f'<div class="verdict {style}"><b>{word}</b> {escape(title)}<ul>{reasons}</ul></div>',
        f'<div class="tiles">{tiles}</div>',
        *_section("What closes the gate", _findings(closing)),
        *_section("Other findings", _findings(others)),
        *_section("Accepted findings and their owners", _accepted(report)),
        *_section("Scanners", _scanners(report)),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>Scan: {escape(report.outcome)}</title><style>{_STYLE}</style></head><body>"
        f"{''.join(parts)}</body></html>\n"
    )


def _verdict(report: ScanReport) -> tuple[str, str, str]:
    gate = "findings never close the gate" if report.gate.fail_on == "none" else (
        f"the gate closes at severity {report.gate.fail_on}"
    )  # fmt: skip
    if report.outcome == FAILED:
        return "No.", "no", f"Something has to be fixed first; {gate}."
    if report.outcome == PASSED and not report.reasons:
        return "Yes.", "yes", f"No finding closes the gate; {gate}."
    if report.outcome == PASSED:
        return "Yes, with a gap.", "open", f"Not everything was checked, and the profile allows that; {gate}."
    return "Not known.", "open", "Not everything was checked, so this does not pass."


def _section(title: str, table: str) -> tuple[str, ...]:
    return (f"<h2>{escape(title)}</h2>", table) if table else ()


def _table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table, "" without rows; the cells are HTML that the caller has escaped."""
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    head = "".join(f"<th>{escape(header)}</th>" for header in headers)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>" if body else ""


def _findings(findings: Iterable[JudgedFinding]) -> str:
    return _table(
        ("Severity", "Id", "Where", "What is wrong", "Fixed in", "How to fix it"),
        [
            (
                f'<span class="{escape(judged.finding.severity)}">{escape(judged.finding.severity)}</span>',
                escape(judged.finding.id),
                f"<code>{escape(judged.finding.where)}</code>",
                escape(judged.finding.title),
                escape(judged.finding.fixed_in) or "-",
                escape(judged.finding.advice) or "-",
            )
            for judged in findings
        ],
    )


def _accepted(report: ScanReport) -> str:
    return _table(
        ("Severity", "Id", "Where", "Owner", "Reason", "Until"),
        [
            tuple(
                escape(text)
                for text in (
                    judged.finding.severity,
                    judged.finding.id,
                    judged.finding.where,
                    judged.accepted.owner,
                    judged.accepted.reason,
                    judged.accepted.expires,
                )
            )
            for judged in report.findings
            if judged.accepted
        ],
    )


def _scanners(report: ScanReport) -> str:
    return _table(
        ("Scanner", "Version", "Database", "Outcome", ""),
        [
            tuple(escape(text) or "-" for text in (scan.name, scan.version, scan.database, scan.outcome, scan.reason))
            for scan in report.scans
        ],
    )
