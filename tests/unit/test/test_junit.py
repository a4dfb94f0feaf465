"""Tests of reading the JUnit reports of several tools and of refusing other documents."""

import pytest

from tasks.model.errors import CheckError
from tasks.test.plan import junit
from tasks.test.plan.junit import Case

GOTESTSUM = b"""<?xml version="1.0" encoding="UTF-8"?>
<testsuites tests="3" failures="1" errors="0" time="0.5">
  <testsuite tests="3" failures="1" time="0.250" name="example.com/app/handlers">
    <testcase classname="handlers" name="TestList" time="0.010"></testcase>
    <testcase classname="handlers" name="TestCreate" time="0.020">
      <failure message="Failed" type="">users_test.go:9: got 500, want 201</failure>
    </testcase>
    <testcase classname="handlers" name="TestDatabase" time="0.000"><skipped message="no database"></skipped></testcase>
  </testsuite>
</testsuites>"""


def test_a_report_of_gotestsum_is_read_with_outcomes_times_and_messages_of_failures() -> None:
    report = junit.parse(GOTESTSUM, "junit.xml")
    assert report.packages == {"example.com/app/handlers": 0.25}
    assert [(case.name, case.outcome, case.seconds) for case in report.cases] == [
        ("TestList", "passed", 0.01),
        ("TestCreate", "failed", 0.02),
        ("TestDatabase", "skipped", 0.0),
    ]
    assert {case.classname for case in report.cases} == {"handlers"}
    assert report.failed()[0].output == "users_test.go:9: got 500, want 201"
    assert (report.count(), report.count("failed"), report.count("skipped")) == (3, 1, 1)


def test_a_report_whose_root_is_a_single_suite_is_read() -> None:
    report = junit.parse(b'<testsuite name="s"><testcase name="t"><error message="boom"/></testcase></testsuite>', "j")
    assert report.cases == (Case("s", "t", "failed", 0.0, "boom"),)


def test_a_time_with_a_thousands_comma_is_read() -> None:
    assert junit.parse(b'<testsuite><testcase name="t" time="1,234.5"/></testsuite>', "j").cases[0].seconds == 1234.5


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no element found"),
        (b"<testsuites>", "no element found"),
        (b"all tests passed", "syntax error"),
        (b"<html></html>", "its root is <html>, not <testsuites>"),
        (b'<!DOCTYPE x [<!ENTITY a "aaaa">]><testsuites/>', "it has a document type"),
        (b'<testsuite><testcase name="t" time="soon"/></testsuite>', "time='soon' is no number"),
        (b'<testsuite time="nan"/>', "time='nan' is no time"),
        (b"\xff\xfe<\x00", "no element found"),
    ],
)
def test_a_document_that_is_not_a_report_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(CheckError, match=r"web: /reports/junit\.xml: is not a JUnit report") as caught:
        junit.parse(data, "web: /reports/junit.xml")
    assert reason in caught.value.message or b"\xff" in data


def test_a_report_that_was_written_is_read_again() -> None:
    cases = (
        Case("shop", "web: metrics", "passed", 0.5, classname="web"),
        Case("shop", 'web: "a" <b> & \x00', "failed", 0.25, "no data & <no> line", "web"),
        Case("shop", "store: traces", "skipped", 0.0, "no spans", "store"),
    )
    read = junit.parse(junit.document("shop", cases, 1.5).encode(), "junit.xml")
    assert read.packages == {"shop": 1.5}
    assert read.cases == (
        cases[0],
        Case("shop", 'web: "a" <b> & \ufffd', "failed", 0.25, cases[1].output, "web"),
        cases[2],
    )
