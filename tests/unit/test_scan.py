"""Whether findings close the gate, and how that is told."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from support import profile

from tasks.plan import accepted, baseline, sarif, scan, scan_page
from tasks.plan.accepted import Field, Raw
from tasks.plan.errors import InputError
from tasks.plan.finding import CLEAN, CRITICAL, FOUND, HIGH, INVALID, LOW, MEDIUM, UNCHECKED, UNKNOWN, Finding, Scan
from tasks.plan.scan import Accepted, Gate, Report, judge

TODAY = "2026-11-24"
DEFAULT = Gate("high", only_fixed=False, offline=False)
SCHEMA = json.loads((Path(__file__).parents[1] / "data" / "sarif-schema-2.1.0.json").read_text(encoding="utf-8"))
HOSTILE = "a\x1b[31mred\x07\u202e.go:3"


def finding(severity: str = HIGH, id: str = "G204", where: str = "src/a.go:3", **more: str) -> Finding:
    """Return a finding."""
    return Finding(id, severity, "gosec", where, "command injection", **more)


def found(*findings: Finding, name: str = "gosec") -> Scan:
    """Return a scan that found something."""
    return Scan(name, "2.30.0", FOUND if findings else CLEAN, findings=findings)


def entry(id: str = "G204", where: str = "", expires: str = "2027-01-31") -> Accepted:
    """Return an entry of the file of accepted findings."""
    return Accepted(id, where, "ann", "cannot be reached", expires, ".slipway-ignore.yaml:2")


def outcome(*scans: Scan, gate: Gate = DEFAULT, entries: tuple[Accepted, ...] = ()) -> str:
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
    assert outcome(found(finding(severity)), gate=Gate(fail_on, False, False)) == expected


def test_the_gate_is_what_the_profile_says() -> None:
    assert scan.gate(profile()) == DEFAULT
    set_ = profile(SCAN_FAIL_ON="low", SCAN_ONLY_FIXED="true", SCAN_OFFLINE="allow")
    assert scan.gate(set_) == Gate("low", only_fixed=True, offline=True)


def test_what_was_not_checked_is_no_pass_unless_the_profile_allows_it() -> None:
    gap = Scan("trivy: vulnerabilities", "0.76.0", UNCHECKED, reason="no database")

    assert outcome(gap) == "not checked"
    assert outcome(gap, gate=Gate("high", False, True)) == "passed"
    allowed = judge([gap], Gate("high", False, True), (), TODAY)
    assert allowed.reasons == ("trivy: vulnerabilities: not checked (no database)",)


def test_a_scanner_that_went_wrong_is_never_a_pass() -> None:
    broken = Scan("trivy", "", INVALID, reason="killed")

    assert outcome(broken, gate=Gate("none", False, True)) == "failed"
    assert not scan.holds([broken])


def test_a_closed_gate_outweighs_a_gap() -> None:
    gap = Scan("trivy", "", UNCHECKED, reason="no database")

    report = judge([gap, found(finding())], DEFAULT, (), TODAY)

    assert report.outcome == "failed"
    assert report.reasons == ("1 finding of severity high or worse", "trivy: not checked (no database)")


def test_only_fixed_lets_pass_what_no_version_mends() -> None:
    only = Gate("high", only_fixed=True, offline=False)

    assert outcome(found(finding(), name="trivy: vulnerabilities"), gate=only) == "passed"
    assert outcome(found(finding(fixed_in="1.2"), name="trivy: vulnerabilities"), gate=only) == "failed"
    assert outcome(found(finding()), gate=only) == "failed"  # no vulnerability: there is no such version


def test_a_scanner_that_says_clean_and_has_findings_is_not_clean() -> None:
    liar = Scan("gosec", "", CLEAN, findings=(finding(),))

    assert judge([liar], DEFAULT, (), TODAY).scans[0].outcome == FOUND


# Accepted findings


def test_a_finding_that_somebody_answers_for_does_not_close_the_gate() -> None:
    report = judge([found(finding())], DEFAULT, [entry()], TODAY)

    assert report.outcome == "passed"
    assert report.findings[0].accepted == entry()
    assert report.counts()[HIGH] == 0


@pytest.mark.parametrize(("where", "expected"), [("src/*.go:*", "passed"), ("other/*", "failed")])
def test_an_entry_may_be_for_a_place(where: str, expected: str) -> None:
    assert outcome(found(finding()), entries=(entry(where=where),)) == expected


def test_an_expired_entry_closes_the_gate_and_says_so() -> None:
    report = judge([found()], DEFAULT, [entry(expires="2026-11-23")], TODAY)

    assert report.outcome == "failed"
    assert report.reasons == (".slipway-ignore.yaml:2: G204: expired on 2026-11-23 (owner ann)",)
    assert outcome(found(), entries=(entry(expires=TODAY),)) == "passed"


def test_an_entry_that_meets_nothing_is_told() -> None:
    assert judge([found()], DEFAULT, [entry()], TODAY).unused == (entry(),)


def raw(line: int = 2, **fields: str) -> Raw:
    """Return an entry as it is written, a field a line."""
    return Raw({name: Field(text, line + number) for number, (name, text) in enumerate(fields.items())}, line)


GOOD = {"id": "G204", "owner": "ann", "reason": "r", "expires": "2027-01-31"}


def test_the_entries_of_a_file_are_read() -> None:
    assert accepted.read([raw(**GOOD)], "f.yaml") == (Accepted("G204", "", "ann", "r", "2027-01-31", "f.yaml:2"),)


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


def test_what_the_last_release_had_is_not_new_though_its_line_moved() -> None:
    before = baseline.known(judge([found(finding(where="src/a.go:3"))], DEFAULT, (), TODAY).document())

    report = judge([found(finding(where="src/a.go:9"), finding(id="G404"))], DEFAULT, (), TODAY, before, True)

    assert [one.finding.id for one in report.findings] == ["G404"]


def test_without_an_earlier_report_everything_is_new() -> None:
    assert baseline.known({"no": "report"}) is None
    assert len(judge([found(finding())], DEFAULT, (), TODAY, None, True).findings) == 1


# Reports


def report_of(*findings: Finding, **more: Any) -> Report:
    """Return the report of a scan that found these."""
    scans = [found(*findings), Scan("trivy", "", UNCHECKED, reason="no database"), Scan("x", "", INVALID, reason="b")]
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


def test_the_sarif_schema_refuses_what_is_none() -> None:
    document = sarif.document(report_of(*MANY))
    document["runs"][0]["results"][0]["level"] = "high"

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft4Validator(SCHEMA).validate(document)


def test_sarif_places_a_finding_in_its_file_and_says_who_answers_for_it() -> None:
    runs = sarif.document(report_of(*MANY))["runs"]
    by_id = {one["ruleId"]: one for one in runs[0]["results"]}

    place = by_id["G204"]["locations"][0]["physicalLocation"]
    assert (place["artifactLocation"]["uri"], place["region"]["startLine"]) == ("src/a.go", 3)
    place = by_id["DL3006"]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "a%20dir/Dockerfile"
    assert by_id["G999"]["suppressions"][0]["justification"] == "cannot be reached (owner ann, until 2027-01-31)"
    assert [one["invocations"][0]["executionSuccessful"] for one in runs] == [True, False, False]


def test_the_page_escapes_every_text_and_loads_nothing() -> None:
    evil = "<script>alert(1)</script>"
    page = scan_page.page(report_of(finding(id=evil, where=evil, advice=evil, fixed_in=evil)), [("", evil)])

    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 5
    assert not re.search(r"(?:src|href)=|url\(|@import", page)


@pytest.mark.parametrize(
    ("scans", "gate", "word"),
    [
        ([found()], DEFAULT, "Yes."),
        ([found(finding())], DEFAULT, "No."),
        ([Scan("t", "", UNCHECKED, reason="r")], DEFAULT, "Not known."),
        ([Scan("t", "", UNCHECKED, reason="r")], Gate("high", False, True), "Yes, with a gap."),
    ],
)
def test_the_page_answers_in_one_word(scans: list[Scan], gate: Gate, word: str) -> None:
    assert f"<b>{word}</b>" in scan_page.page(judge(scans, gate, (), TODAY), [])


def test_no_control_character_of_a_finding_gets_into_a_report() -> None:
    report = report_of(*MANY)

    texts = [json.dumps(report.document(), ensure_ascii=False), scan_page.page(report, [])]
    assert all(not set(text) & set("\x1b\x07\u202e") for text in texts)
    assert r"a\x1b[31mred\x07\u202e.go:3" in [one.finding.where for one in report.findings]


def test_the_document_has_the_members_that_the_command_line_promises() -> None:
    document = report_of(finding()).document()

    assert document["schema"] == "slipway/scan/v1"
    assert {"name", "version", "database", "outcome"} <= document["scanners"][0].keys()
    assert {"id", "severity", "scanner", "where", "fixed_in", "advice"} <= document["findings"][0].keys()


def test_scans_survive_being_written_down() -> None:
    scans = (found(finding(fixed_in="1")), Scan("trivy", "", UNCHECKED, reason="no database"))

    assert scan.scans({"scans": [scan.scan_document(one) for one in scans]}) == scans
    assert scan.scans({"scans": [{"name": 1}]}) == ()
    assert scan.scans(None) == ()
