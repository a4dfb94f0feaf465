"""Reads the output of the source code scanners."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tasks.model.errors import CheckError
from tasks.model.finding import CLEAN, FOUND, HIGH, INVALID, LOW, MEDIUM, UNCHECKED
from tasks.sandbox.plan.container import ContainerResult
from tasks.scan.plan import code
from tasks.scan.plan.code import Tool, ToolOutput, ToolReport

TOOLS = {tool.name: tool for tool in code.TOOLS}
ISSUE = {
    "file": "/src/src/a.go", "line": "7-9", "rule_id": "G404", "severity": "HIGH", "details": "weak random",
    "cwe": {"id": "338"},
}  # fmt: skip


def gosec_report(*issues: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"Issues": list(issues), "Stats": {"files": 3}, "GosecVersion": "2.30.0", **more}).encode()


def stream(*messages: dict[str, Any]) -> bytes:
    """Return govulncheck's output: a stream of JSON documents."""
    config = {"config": {"scanner_version": "v1.9.0", "db_last_modified": "2024-05-20T16:03:47Z"}}
    return "\n".join(json.dumps(message, indent=2) for message in (config, *messages)).encode()


OSV = {"osv": {"id": "GO-2021-0113", "aliases": ["CVE-2021-38561", "GHSA-x"], "summary": "Out-of-bounds read"}}
MODULE = {"module": "golang.org/x/text", "version": "v0.3.5"}
PACKAGE = {**MODULE, "package": "golang.org/x/text/language"}
CALLED = {**PACKAGE, "function": "Parse"}
CALLER = {"module": "x", "function": "main", "position": {"filename": "main.go", "line": 16}}


def advisory(*trace: dict[str, Any]) -> dict[str, Any]:
    return {"finding": {"osv": "GO-2021-0113", "fixed_version": "v0.3.7", "trace": list(trace)}}


def test_a_finding_of_gosec_has_its_line_and_severity() -> None:
    read = code.gosec(gosec_report(ISSUE), "r")

    finding = read.findings[0]
    assert (finding.id, finding.severity, finding.where, finding.title) == (
        "G404",
        HIGH,
        "/src/src/a.go:7",
        "weak random",
    )
    assert read.version == "2.30.0"


def test_sources_that_gosec_could_not_read_are_not_clean() -> None:
    errors = {"/src/a.go": [{"line": 1, "error": "oops"}]}

    with pytest.raises(CheckError, match=r"could not read all sources: /src/a\.go: oops"):
        code.gosec(gosec_report(**{"Golang errors": errors}), "r")
    with pytest.raises(CheckError, match="it found no file"):
        code.gosec(gosec_report(Stats={"files": 0}), "r")


def test_an_advisory_is_one_finding_at_its_deepest_level() -> None:
    read = code.govulncheck(
        stream(OSV, advisory(MODULE), advisory(PACKAGE), advisory(CALLED, CALLER), advisory(MODULE)), "r"
    )

    (finding,) = read.findings
    assert (finding.id, finding.severity, finding.fixed_in) == ("GO-2021-0113", HIGH, "v0.3.7")
    assert finding.title == "Out-of-bounds read (CVE-2021-38561, vulnerable code is called at main.go:16)"
    assert finding.advice == "go get golang.org/x/text@v0.3.7"
    assert (read.version, read.database) == ("v1.9.0", "2024-05-20T16:03:47Z")


@pytest.mark.parametrize(("trace", "severity"), [(MODULE, LOW), (PACKAGE, MEDIUM), (CALLED, HIGH)])
def test_an_advisory_is_as_severe_as_the_code_reaches_it(trace: dict[str, Any], severity: str) -> None:
    assert code.govulncheck(stream(OSV, advisory(trace)), "r").findings[0].severity == severity


@pytest.mark.parametrize("begin", ["", "# example.com/x\n# [example.com/x]\n"])
def test_go_vet_is_read_with_and_without_the_names_of_packages(begin: str) -> None:
    place = {"posn": "/src/src/a.go:14:15", "message": "wrong type"}
    read = code.vet((begin + json.dumps({"x": {"printf": [place]}}) + "\n{}\n").encode(), "r")

    assert [(finding.id, finding.where) for finding in read.findings] == [("vet-printf", "/src/src/a.go:14")]


def test_go_vet_of_code_that_does_not_compile_is_refused() -> None:
    with pytest.raises(CheckError, match="go vet: printf: could not type-check"):
        code.vet(b'{"x": {"printf": {"error": "could not type-check"}}}', "r")


def test_staticcheck_finds_mistakes_and_matters_of_style() -> None:
    place = {"file": "/src/a.go", "line": 3}
    lines = [{"code": id_, "location": place, "message": "m"} for id_ in ("SA5009", "ST1000")]
    read = code.staticcheck("\n".join(map(json.dumps, lines)).encode(), "r")

    assert [(finding.id, finding.severity) for finding in read.findings] == [("SA5009", MEDIUM), ("ST1000", LOW)]
    with pytest.raises(CheckError, match="undefined: x"):
        code.staticcheck(b'{"code": "compile", "message": "undefined: x", "location": {}}', "r")


@pytest.mark.parametrize("parse", [tool.parse for tool in code.TOOLS])
@pytest.mark.parametrize("data", [b"[1]", b"{", b'"x"', b"null", b"panic: oops", b'{"Issues": [{}]}', b"[" * 100_000])
def test_other_data_than_a_report_is_refused(parse: Callable[[bytes, str], ToolReport], data: bytes) -> None:
    with pytest.raises(CheckError, match="is not a report of"):
        parse(data, "app: r.json")


@pytest.mark.parametrize("parse", [code.gosec, code.govulncheck])
def test_an_empty_report_is_refused(parse: Callable[[bytes, str], ToolReport]) -> None:
    with pytest.raises(CheckError):
        parse(b"", "r")


# The result of a scanner


def output(report: bytes | None = b"", code: int = 0, **facts: Any) -> ToolOutput:
    return ToolOutput(
        "app", ContainerResult("app", code, **facts), report, "go version go1.27.4 linux/amd64", "/src", "project/app"
    )


def outcome_and_reason(tool: Tool, *outputs: ToolOutput) -> tuple[str, str]:
    scan = code.scan(tool, outputs)
    return scan.outcome, scan.reason


def test_a_finding_is_placed_where_the_project_has_the_file() -> None:
    scan = code.scan(TOOLS["gosec"], [output(gosec_report(ISSUE), 1)])

    assert (scan.outcome, scan.version) == (FOUND, "2.30.0")
    assert scan.findings[0].where == "project/app/src/a.go:7"


def test_a_vulnerable_module_is_placed_at_its_service() -> None:
    scan = code.scan(TOOLS["govulncheck"], [output(stream(OSV, advisory(CALLED, CALLER)))])

    assert (scan.name, scan.database) == ("govulncheck: vulnerabilities", "2024-05-20T16:03:47Z")
    assert scan.findings[0].where == "app: golang.org/x/text v0.3.5"


@pytest.mark.parametrize(
    ("given", "outcome", "reason"),
    [
        (output(None, 127), UNCHECKED, "app: its stage 'security' has no gosec"),
        (output(None, 2, log="panic: runtime error\n"), INVALID, "exit code 2 and wrote no report: panic"),
        (output(gosec_report(), 2), INVALID, "exit code 2 which a completed scan never has"),
        (output(gosec_report(), 137, oom_killed=True), INVALID, "app: killed for memory"),
        (output(gosec_report(), stopped="not done within SCAN_TIMEOUT=1s"), INVALID, "app: not done within"),
        (output(b"%!garbage"), INVALID, "app: gosec.json: is not a report of gosec"),
        (output(gosec_report()), CLEAN, ""),
    ],
)
def test_only_a_completed_scan_is_clean(given: ToolOutput, outcome: str, reason: str) -> None:
    actual_outcome, actual_reason = outcome_and_reason(TOOLS["gosec"], given)

    assert actual_outcome == outcome
    assert reason in actual_reason


def test_a_failure_for_one_service_makes_the_scan_invalid() -> None:
    assert outcome_and_reason(TOOLS["gosec"], output(gosec_report(ISSUE), 1), output(None, 2))[0] == INVALID


def test_go_vet_takes_its_version_from_go() -> None:
    assert code.scan(TOOLS["vet"], [output(b"{}")]).version == "1.27.4"
