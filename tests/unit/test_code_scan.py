"""What the scanners of source code say, read from their own output."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tasks.plan import code_scan
from tasks.plan.code_scan import Output, Read, Tool
from tasks.plan.errors import CheckError
from tasks.plan.finding import CLEAN, FOUND, HIGH, INVALID, LOW, MEDIUM, UNCHECKED
from tasks.plan.unit import Facts

TOOLS = {tool.name: tool for tool in code_scan.TOOLS}
ISSUE = {
    "file": "/src/src/a.go", "line": "7-9", "rule_id": "G404", "severity": "HIGH", "details": "weak random",
    "cwe": {"id": "338"},
}  # fmt: skip


def gosec_report(*issues: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"Issues": list(issues), "Stats": {"files": 3}, "GosecVersion": "2.30.0", **more}).encode()


def stream(*messages: dict[str, Any]) -> bytes:
    """Return govulncheck's output: documents one after the other."""
    config = {"config": {"scanner_version": "v1.9.0", "db_last_modified": "2024-05-20T16:03:47Z"}}
    return "\n".join(json.dumps(one, indent=2) for one in (config, *messages)).encode()


OSV = {"osv": {"id": "GO-2021-0113", "aliases": ["CVE-2021-38561", "GHSA-x"], "summary": "Out-of-bounds read"}}
MODULE = {"module": "golang.org/x/text", "version": "v0.3.5"}
PACKAGE = {**MODULE, "package": "golang.org/x/text/language"}
CALLED = {**PACKAGE, "function": "Parse"}
CALLER = {"module": "x", "function": "main", "position": {"filename": "main.go", "line": 16}}


def advisory(*trace: dict[str, Any]) -> dict[str, Any]:
    return {"finding": {"osv": "GO-2021-0113", "fixed_version": "v0.3.7", "trace": list(trace)}}


def test_a_finding_of_gosec_has_its_line_and_severity() -> None:
    read = code_scan.gosec(gosec_report(ISSUE), "r")

    one = read.findings[0]
    assert (one.id, one.severity, one.where, one.title) == ("G404", HIGH, "/src/src/a.go:7", "weak random")
    assert read.version == "2.30.0"


def test_sources_that_gosec_could_not_read_are_not_clean() -> None:
    errors = {"/src/a.go": [{"line": 1, "error": "oops"}]}

    with pytest.raises(CheckError, match=r"could not read all sources: /src/a\.go: oops"):
        code_scan.gosec(gosec_report(**{"Golang errors": errors}), "r")
    with pytest.raises(CheckError, match="it found no file"):
        code_scan.gosec(gosec_report(Stats={"files": 0}), "r")


def test_an_advisory_is_one_finding_at_its_deepest_level() -> None:
    read = code_scan.govulncheck(
        stream(OSV, advisory(MODULE), advisory(PACKAGE), advisory(CALLED, CALLER), advisory(MODULE)), "r"
    )

    (one,) = read.findings
    assert (one.id, one.severity, one.fixed_in) == ("GO-2021-0113", HIGH, "v0.3.7")
    assert one.title == "Out-of-bounds read (CVE-2021-38561, vulnerable code is called at main.go:16)"
    assert one.advice == "go get golang.org/x/text@v0.3.7"
    assert (read.version, read.database) == ("v1.9.0", "2024-05-20T16:03:47Z")


@pytest.mark.parametrize(("trace", "severity"), [(MODULE, LOW), (PACKAGE, MEDIUM), (CALLED, HIGH)])
def test_an_advisory_is_as_severe_as_the_code_reaches_it(trace: dict[str, Any], severity: str) -> None:
    assert code_scan.govulncheck(stream(OSV, advisory(trace)), "r").findings[0].severity == severity


@pytest.mark.parametrize("begin", ["", "# example.com/x\n# [example.com/x]\n"])
def test_go_vet_is_read_with_and_without_the_names_of_packages(begin: str) -> None:
    place = {"posn": "/src/src/a.go:14:15", "message": "wrong type"}
    read = code_scan.vet((begin + json.dumps({"x": {"printf": [place]}}) + "\n{}\n").encode(), "r")

    assert [(one.id, one.where) for one in read.findings] == [("vet-printf", "/src/src/a.go:14")]


def test_go_vet_of_what_does_not_compile_is_no_result() -> None:
    with pytest.raises(CheckError, match="go vet: printf: could not type-check"):
        code_scan.vet(b'{"x": {"printf": {"error": "could not type-check"}}}', "r")


def test_staticcheck_finds_mistakes_and_matters_of_style() -> None:
    place = {"file": "/src/a.go", "line": 3}
    lines = [{"code": code, "location": place, "message": "m"} for code in ("SA5009", "ST1000")]
    read = code_scan.staticcheck("\n".join(map(json.dumps, lines)).encode(), "r")

    assert [(one.id, one.severity) for one in read.findings] == [("SA5009", MEDIUM), ("ST1000", LOW)]
    with pytest.raises(CheckError, match="undefined: x"):
        code_scan.staticcheck(b'{"code": "compile", "message": "undefined: x", "location": {}}', "r")


@pytest.mark.parametrize("parse", [tool.parse for tool in code_scan.TOOLS])
@pytest.mark.parametrize("data", [b"[1]", b"{", b'"x"', b"null", b"panic: oops", b'{"Issues": [{}]}', b"[" * 100_000])
def test_what_is_no_report_is_refused(parse: Callable[[bytes, str], Read], data: bytes) -> None:
    with pytest.raises(CheckError, match="is not a report of"):
        parse(data, "app: r.json")


@pytest.mark.parametrize("parse", [code_scan.gosec, code_scan.govulncheck])
def test_an_empty_report_is_no_clean_one(parse: Callable[[bytes, str], Read]) -> None:
    with pytest.raises(CheckError):
        parse(b"", "r")


# What a scanner came to


def output(report: bytes | None = b"", code: int = 0, **facts: Any) -> Output:
    return Output("app", Facts("app", code, **facts), report, "go version go1.27.4 linux/amd64", "/src", "project/app")


def one_scan(tool: Tool, *outputs: Output) -> tuple[str, str]:
    found = code_scan.scan(tool, outputs)
    return found.outcome, found.reason


def test_a_finding_is_placed_where_the_project_has_the_file() -> None:
    found = code_scan.scan(TOOLS["gosec"], [output(gosec_report(ISSUE), 1)])

    assert (found.outcome, found.version) == (FOUND, "2.30.0")
    assert found.findings[0].where == "project/app/src/a.go:7"


def test_a_vulnerable_module_is_placed_at_its_service() -> None:
    found = code_scan.scan(TOOLS["govulncheck"], [output(stream(OSV, advisory(CALLED, CALLER)))])

    assert (found.name, found.database) == ("govulncheck: vulnerabilities", "2024-05-20T16:03:47Z")
    assert found.findings[0].where == "app: golang.org/x/text v0.3.5"


@pytest.mark.parametrize(
    ("given", "outcome", "reason"),
    [
        (output(None, 127), UNCHECKED, "app: its stage 'security' has no gosec"),
        (output(None, 2, log="panic: runtime error\n"), INVALID, "exit code 2 and wrote no report: panic"),
        (output(gosec_report(), 2), INVALID, "exit code 2 which is not one of a scan that was done"),
        (output(gosec_report(), 137, oom_killed=True), INVALID, "app: killed for memory"),
        (output(gosec_report(), stopped="not done within SCAN_TIMEOUT=1s"), INVALID, "app: not done within"),
        (output(b"%!garbage"), INVALID, "app: gosec.json: is not a report of gosec"),
        (output(gosec_report()), CLEAN, ""),
    ],
)
def test_only_a_scan_that_was_done_is_clean(given: Output, outcome: str, reason: str) -> None:
    found = one_scan(TOOLS["gosec"], given)

    assert found[0] == outcome
    assert reason in found[1]


def test_one_service_that_went_wrong_makes_the_scan_invalid() -> None:
    assert one_scan(TOOLS["gosec"], output(gosec_report(ISSUE), 1), output(None, 2))[0] == INVALID


def test_go_vet_takes_its_version_from_go() -> None:
    assert code_scan.scan(TOOLS["vet"], [output(b"{}")]).version == "1.27.4"
