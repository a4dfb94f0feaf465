"""Whether findings close the gate, and how reports show it."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from support import profile

from tasks.model.errors import InputError
from tasks.model.finding import CLEAN, CRITICAL, FOUND, HIGH, INVALID, LOW, MEDIUM, UNCHECKED, UNKNOWN, Finding, Scan
from tasks.scan.plan import accepted, baseline, gate, html, sarif
from tasks.scan.plan.accepted import AcceptedEntry, AcceptedField
from tasks.scan.plan.gate import AcceptedFinding, Gate, ScanReport, judge
from tasks.scan.plan.production import production

TODAY = "2026-11-24"
DEFAULT = Gate("high", only_fixed=False, offline=False)
SCHEMA = json.loads((Path(__file__).parents[2] / "data" / "sarif-schema-2.1.0.json").read_text(encoding="utf-8"))
HOSTILE = "a\x1b[31mred\x07\u202e.go:3"


def finding(severity: str = HIGH, id: str = "G204", where: str = "src/a.go:3", **more: str) -> Finding:
    """Return a finding."""
    return Finding(id, severity, "gosec", where, "command injection", **more)


def scan_with(*findings: Finding, name: str = "gosec") -> Scan:
    """Return a scan with these findings, clean without any."""
    return Scan(name, "2.30.0", FOUND if findings else CLEAN, findings=findings)


def entry(id: str = "G204", where: str = "", expires: str = "2027-01-31") -> AcceptedFinding:
    """Return an entry of the file of accepted findings."""
    return AcceptedFinding(id, where, "ann", "cannot be reached", expires, ".slipway-ignore.yaml:2")


def outcome(*scans: Scan, gate: Gate = DEFAULT, entries: tuple[AcceptedFinding, ...] = ()) -> str:
    """Return the outcome of a report."""
    return judge(scans, gate, entries, TODAY).outcome


# The gate


@pytest.mark.parametrize(
    ("severity", "fail_on", "expected"),
    [
        (CRITICAL, "critical", "failed"),
        (HIGH, "critical", "passed"),
        (HIGH, "high", "failed"),
        (MEDIUM, "high", "passed"),
        (MEDIUM, "medium", "failed"),
        (LOW, "low", "failed"),
        (CRITICAL, "none", "passed"),
        (UNKNOWN, "medium", "passed"),
        (UNKNOWN, "low", "failed"),
    ],
)
def test_a_finding_closes_the_gate_from_the_severity_of_the_profile(severity: str, fail_on: str, expected: str) -> None:
    assert outcome(scan_with(finding(severity)), gate=Gate(fail_on, False, False)) == expected


def test_the_gate_is_what_the_profile_says() -> None:
    assert gate.gate(profile()) == DEFAULT
    set_ = profile(SCAN_FAIL_ON="low", SCAN_ONLY_FIXED="true", SCAN_OFFLINE="allow")
    assert gate.gate(set_) == Gate("low", only_fixed=True, offline=True)


def test_an_unchecked_scan_passes_only_when_the_profile_allows_it() -> None:
    gap = Scan("trivy: vulnerabilities", "0.76.0", UNCHECKED, reason="no database")

    assert outcome(gap) == "not checked"
    assert outcome(gap, gate=Gate("high", False, True)) == "passed"
    allowed = judge([gap], Gate("high", False, True), (), TODAY)
    assert allowed.reasons == ("trivy: vulnerabilities: not checked (no database)",)


def test_an_invalid_scan_never_passes() -> None:
    broken = Scan("trivy", "", INVALID, reason="killed")

    assert outcome(broken, gate=Gate("none", False, True)) == "failed"
    assert not gate.can_be_reused([broken])


def test_a_closed_gate_outweighs_a_gap() -> None:
    gap = Scan("trivy", "", UNCHECKED, reason="no database")

    report = judge([gap, scan_with(finding())], DEFAULT, (), TODAY)

    assert report.outcome == "failed"
    assert report.reasons == ("1 finding of severity high or worse", "trivy: not checked (no database)")


def test_only_fixed_lets_vulnerabilities_without_a_fixed_version_pass() -> None:
    only = Gate("high", only_fixed=True, offline=False)

    assert outcome(scan_with(finding(), name="trivy: vulnerabilities"), gate=only) == "passed"
    assert outcome(scan_with(finding(fixed_in="1.2"), name="trivy: vulnerabilities"), gate=only) == "failed"
    assert outcome(scan_with(finding()), gate=only) == "failed"  # no vulnerability: there is no such version


def test_a_scanner_that_says_clean_and_has_findings_is_not_clean() -> None:
    liar = Scan("gosec", "", CLEAN, findings=(finding(),))

    assert judge([liar], DEFAULT, (), TODAY).scans[0].outcome == FOUND


# Accepted findings


def test_an_accepted_finding_does_not_close_the_gate() -> None:
    report = judge([scan_with(finding())], DEFAULT, [entry()], TODAY)

    assert report.outcome == "passed"
    assert report.findings[0].accepted == entry()
    assert report.counts()[HIGH] == 0


@pytest.mark.parametrize(("where", "expected"), [("src/*.go:*", "passed"), ("other/*", "failed")])
def test_an_entry_may_be_for_a_place(where: str, expected: str) -> None:
    assert outcome(scan_with(finding()), entries=(entry(where=where),)) == expected


def test_an_expired_entry_closes_the_gate_and_says_so() -> None:
    report = judge([scan_with()], DEFAULT, [entry(expires="2026-11-23")], TODAY)

    assert report.outcome == "failed"
    assert report.reasons == (".slipway-ignore.yaml:2: G204: expired on 2026-11-23 (owner ann)",)
    assert outcome(scan_with(), entries=(entry(expires=TODAY),)) == "passed"


def test_an_entry_without_a_finding_is_reported_as_unused() -> None:
    assert judge([scan_with()], DEFAULT, [entry()], TODAY).unused == (entry(),)


def raw(line: int = 2, **fields: str) -> AcceptedEntry:
    """Return an entry as it is written, a field a line."""
    return AcceptedEntry(
        {name: AcceptedField(text, line + number) for number, (name, text) in enumerate(fields.items())}, line
    )


GOOD = {"id": "G204", "owner": "ann", "reason": "r", "expires": "2027-01-31"}


def test_the_entries_of_a_file_are_read() -> None:
    assert accepted.read([raw(**GOOD)], "f.yaml") == (
        AcceptedFinding("G204", "", "ann", "r", "2027-01-31", "f.yaml:2"),
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({**GOOD, "ovner": "x"}, "f.yaml:6: unknown field 'ovner'"),
        ({**GOOD, "expires": "soon"}, "f.yaml:5: expires: expected a date such as 2027-01-31, got 'soon'"),
        ({**GOOD, "expires": "2027-02-30"}, "f.yaml:5: expires: expected a date"),
        ({**GOOD, "owner": " "}, "f.yaml:3: owner: is empty"),
        ({"id": "G204"}, "f.yaml:2: owner, reason, expires: missing"),
        ({**GOOD, "a\x1b[31m": "x"}, r"f.yaml:6: unknown field 'a\\x1b[31m'"),
    ],
)
def test_a_fault_in_the_file_names_its_line(fields: dict[str, str], expected: str) -> None:
    with pytest.raises(InputError) as caught:
        accepted.read([raw(**fields)], "f.yaml")

    assert expected in caught.value.message
    assert "\x1b" not in caught.value.message


# New since the last release


def test_a_finding_of_the_last_release_is_not_new_when_its_line_moved() -> None:
    before = baseline.report_fingerprints(
        judge([scan_with(finding(where="src/a.go:3"))], DEFAULT, (), TODAY).document()
    )

    report = judge([scan_with(finding(where="src/a.go:9"), finding(id="G404"))], DEFAULT, (), TODAY, before, True)

    assert [judged.finding.id for judged in report.findings] == ["G404"]


def test_without_an_earlier_report_everything_is_new() -> None:
    assert baseline.report_fingerprints({"no": "report"}) is None
    assert len(judge([scan_with(finding())], DEFAULT, (), TODAY, None, True).findings) == 1


# Reports


def report_of(*findings: Finding, **more: Any) -> ScanReport:
    """Return the report of a scan with these findings."""
    scans = [
        scan_with(*findings),
        Scan("trivy", "", UNCHECKED, reason="no database"),
        Scan("x", "", INVALID, reason="b"),
    ]
    return judge(scans, DEFAULT, **{"accepted": [entry("G999")], "today": TODAY, **more})


MANY = (
    finding(),
    finding(id="G999"),
    finding(MEDIUM, id="SLIP009", where="web: volumes: /var/run/docker.sock"),
    finding(LOW, id="DL3006", where="a dir/Dockerfile:1"),
    finding(UNKNOWN, id="CVE-2026-1", where="", fixed_in="1.2", advice="upgrade"),
    finding(id=HOSTILE, where=HOSTILE),
    finding(id="key", where="commit 1a2b3c4: config/a.env:3"),
)


def test_the_sarif_report_is_valid_by_its_schema() -> None:
    document = sarif.document(report_of(*MANY))

    jsonschema.Draft4Validator(SCHEMA).validate(document)
    jsonschema.Draft4Validator(SCHEMA).validate(sarif.document(judge([], DEFAULT, (), TODAY)))


def test_the_sarif_schema_refuses_an_invalid_document() -> None:
    document = sarif.document(report_of(*MANY))
    document["runs"][0]["results"][0]["level"] = "high"

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft4Validator(SCHEMA).validate(document)


def test_sarif_has_the_place_of_a_finding_and_the_owner_who_accepts_it() -> None:
    runs = sarif.document(report_of(*MANY))["runs"]
    by_id = {result["ruleId"]: result for result in runs[0]["results"]}

    place = by_id["G204"]["locations"][0]["physicalLocation"]
    assert (place["artifactLocation"]["uri"], place["region"]["startLine"]) == ("src/a.go", 3)
    place = by_id["DL3006"]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "a%20dir/Dockerfile"
    assert by_id["G999"]["suppressions"][0]["justification"] == "cannot be reached (owner ann, until 2027-01-31)"
    assert [run["invocations"][0]["executionSuccessful"] for run in runs] == [True, False, False]


def test_the_page_escapes_every_text_and_loads_nothing() -> None:
    evil = "<script>alert(1)</script>"
    page = html.page(report_of(finding(id=evil, where=evil, advice=evil, fixed_in=evil)), [("", evil)])

    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 5
    assert not re.search(r"(?:src|href)=|url\(|@import", page)


@pytest.mark.parametrize(
    ("scans", "gate", "word"),
    [
        ([scan_with()], DEFAULT, "Yes."),
        ([scan_with(finding())], DEFAULT, "No."),
        ([Scan("t", "", UNCHECKED, reason="r")], DEFAULT, "Not known."),
        ([Scan("t", "", UNCHECKED, reason="r")], Gate("high", False, True), "Yes, with a gap."),
    ],
)
def test_the_page_answers_in_one_word(scans: list[Scan], gate: Gate, word: str) -> None:
    assert f"<b>{word}</b>" in html.page(judge(scans, gate, (), TODAY), [])


def test_no_control_character_of_a_finding_gets_into_a_report() -> None:
    report = report_of(*MANY)

    texts = [json.dumps(report.document(), ensure_ascii=False), html.page(report, [])]
    assert all(not set(text) & set("\x1b\x07\u202e") for text in texts)
    assert r"a\x1b[31mred\x07\u202e.go:3" in [judged.finding.where for judged in report.findings]


def test_the_document_has_the_members_that_the_command_line_promises() -> None:
    document = report_of(finding()).document()

    assert document["schema"] == "slipway/scan/v1"
    assert {"name", "version", "database", "outcome"} <= document["scanners"][0].keys()
    assert {"id", "severity", "scanner", "where", "fixed_in", "advice"} <= document["findings"][0].keys()


def test_scans_are_read_back_as_they_were_written() -> None:
    scans = (scan_with(finding(fixed_in="1")), Scan("trivy", "", UNCHECKED, reason="no database"))

    assert gate.scans({"scans": [gate.scan_document(scan) for scan in scans]}) == scans
    assert gate.scans({"scans": [{"name": 1}]}) == ()
    assert gate.scans(None) == ()


@pytest.mark.parametrize(
    ("promotions", "expected"),
    [
        ({"dev": "", "prod": "", "zone": "prod"}, "prod"),
        ({"dev": "", "qa": "dev", "live": "qa", "demo": "dev"}, "live"),
        ({"dev": "", "demo": "dev", "berlin": "dev"}, "berlin"),
        ({"dev": "", "staging": ""}, "dev"),
        ({"a": "b", "b": "a"}, "a"),
        ({}, "dev"),
    ],
)
def test_a_scan_is_about_what_goes_to_production(promotions: dict[str, str], expected: str) -> None:
    assert production(promotions, "dev") == expected
