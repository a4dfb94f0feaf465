"""The report of a scan as one page of HTML that explains itself; it loads nothing from anywhere."""

from collections.abc import Iterable, Sequence
from html import escape

from .finding import SEVERITIES
from .scan import FAILED, PASSED, Judged, Report

_STYLE = """
body{font:16px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:75rem;padding:0 1rem;color:#1c2430;background:#fff}
h1{margin-bottom:.2rem}h2{margin-top:2.2rem}.about{color:#5a6573}
.verdict{border-left:.5rem solid;padding:.7rem 1rem;margin:1.2rem 0;background:#f5f7f9}
.verdict.yes{border-color:#1f883d}.verdict.no{border-color:#cf222e}.verdict.open{border-color:#bf8700}
.tiles{display:flex;gap:.8rem;flex-wrap:wrap}.tile{min-width:7rem;padding:.6rem 1rem;background:#f5f7f9}
.tile b{display:block;font-size:1.8rem}
table{border-collapse:collapse;width:100%;font-size:.9rem}
td,th{text-align:left;vertical-align:top;padding:.4rem .6rem;border-bottom:1px solid #d9dee3;overflow-wrap:anywhere}
.critical,.high{color:#b3261e;font-weight:600}.medium{color:#8a5a00}.low,.unknown{color:#5a6573}
"""


def page(report: Report, facts: Sequence[tuple[str, str]]) -> str:
    """Return the page; ``facts`` say what was looked at, and when. Every text in it is escaped."""
    word, style, title = _verdict(report)
    counts = report.counts()
    tiles = "".join(f'<div class="tile {one}"><b>{counts[one]}</b>{one}</div>' for one in SEVERITIES)
    reasons = "".join(f"<li>{escape(one)}</li>" for one in report.reasons)
    about = " · ".join(f"{escape(name)} {escape(value)}" for name, value in facts if value)
    parts = [
        f"<h1>May this go to production?</h1><p class=about>{about}</p>",
        f'<div class="verdict {style}"><b>{word}</b> {escape(title)}<ul>{reasons}</ul></div>',
        f'<div class="tiles">{tiles}</div>',
        *_section("What closes the gate", _findings(one for one in report.findings if one.closes)),
        *_section("Other findings", _findings(one for one in report.findings if not one.closes and not one.accepted)),
        *_section("Accepted, somebody answers for them", _accepted(report)),
        *_section("What was looked at, and with what", _scanners(report)),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>Scan: {escape(report.outcome)}</title><style>{_STYLE}</style></head><body>"
        f"{''.join(parts)}</body></html>\n"
    )


def _verdict(report: Report) -> tuple[str, str, str]:
    gate = "findings never close the gate" if report.gate.fail_on == "none" else (
        f"the gate closes at severity {report.gate.fail_on}"
    )  # fmt: skip
    if report.outcome == FAILED:
        return "No.", "no", f"Something has to be mended first; {gate}."
    if report.outcome == PASSED and not report.reasons:
        return "Yes.", "yes", f"Nothing was found that keeps it back; {gate}."
    if report.outcome == PASSED:
        return "Yes, with a gap.", "open", f"Not everything was checked, and the profile allows that; {gate}."
    return "Not known.", "open", "Not everything was checked, so this is no pass."


def _section(title: str, table: str) -> tuple[str, ...]:
    return (f"<h2>{escape(title)}</h2>", table) if table else ()


def _table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of cells that are escaped already, "" without rows."""
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    head = "".join(f"<th>{escape(one)}</th>" for one in headers)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>" if body else ""


def _findings(found: Iterable[Judged]) -> str:
    return _table(
        ("Severity", "Id", "Where", "What is wrong", "Fixed in", "How to mend it"),
        [
            (
                f'<span class="{escape(one.finding.severity)}">{escape(one.finding.severity)}</span>',
                escape(one.finding.id),
                f"<code>{escape(one.finding.where)}</code>",
                escape(one.finding.title),
                escape(one.finding.fixed_in) or "-",
                escape(one.finding.advice) or "-",
            )
            for one in found
        ],
    )


def _accepted(report: Report) -> str:
    return _table(
        ("Severity", "Id", "Where", "Owner", "Reason", "Until"),
        [
            tuple(
                escape(text)
                for text in (
                    one.finding.severity,
                    one.finding.id,
                    one.finding.where,
                    one.accepted.owner,
                    one.accepted.reason,
                    one.accepted.expires,
                )
            )
            for one in report.findings
            if one.accepted
        ],
    )


def _scanners(report: Report) -> str:
    return _table(
        ("Scanner", "Version", "Database", "Outcome", ""),
        [
            tuple(escape(text) or "-" for text in (one.name, one.version, one.database, one.outcome, one.reason))
            for one in report.scans
        ],
    )
