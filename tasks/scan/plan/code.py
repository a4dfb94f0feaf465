"""The source code scanners of a service's ``security`` stage: how each is run, and how its output is read.

The stage has a shell, the sources in its working directory, and the scanners on its PATH.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...model.errors import CheckError
from ...model.finding import CLEAN, FOUND, HIGH, INVALID, LOW, MEDIUM, UNCHECKED, UNKNOWN, Finding, Scan
from ...sandbox.plan.container import ContainerResult

STAGE = "security"
DATABASE = "/go-database"  # where the advisories are mounted in a scanner's container
_NOT_FOUND = (126, 127)  # exit codes of a shell: the command cannot be executed, or is not there
_GOSEC = {"HIGH": HIGH, "MEDIUM": MEDIUM, "LOW": LOW}


@dataclass(frozen=True)
class ToolReport:
    """The content of one report; ``version`` and ``database`` are "" where the report does not have them."""

    findings: tuple[Finding, ...]
    version: str = ""
    database: str = ""


@dataclass(frozen=True)
class Tool:
    """A scanner: ``script`` writes ``/reports/<file>``, ``codes`` are the exit codes of a completed scan.

    ``database`` says whether it needs the Go vulnerability database.
    """

    name: str
    title: str
    script: str
    parse: Callable[[bytes, str], ToolReport]
    codes: tuple[int, ...] = (0,)
    database: bool = False

    @property
    def file(self) -> str:
        """The file name of the report."""
        return f"{self.name}.json"


@dataclass(frozen=True)
class ToolOutput:
    """The output of a scanner for one service: how its container ended, its report (None: it wrote none), its version.

    ``directory`` is where the container has the sources, ``prefix`` the path that replaces it in reports. ``fault``
    says why the output could not be read, "" when it could.
    """

    service: str
    facts: ContainerResult
    report: bytes | None = None
    version: str = ""
    directory: str = ""
    prefix: str = ""
    fault: str = ""


@dataclass(frozen=True)
class GoDatabase:
    """The Go vulnerability database: its directory and date, or in ``missing`` why there is none."""

    directory: str = ""
    date: str = ""
    missing: str = ""
    modules: Sequence[str] = field(default=(), compare=False)


def _fail(where: str, name: str, error: object) -> CheckError:
    return CheckError(f"{where}: is not a report of {name}: {error}", "see the log next to it")


def _documents(data: bytes) -> Iterator[Any]:
    """Yield the JSON documents of a stream; lines between them that start with # are skipped."""
    lines = (line for line in data.decode(errors="replace").splitlines() if not line.startswith("#"))
    text, decoder = "\n".join(lines).strip(), json.JSONDecoder()
    while text:
        document, end = decoder.raw_decode(text)
        yield document
        text = text[end:].lstrip()


def gosec(data: bytes, where: str) -> ToolReport:
    """Return the findings of gosec's JSON report; raises CheckError when it is no report, or lacks some sources."""
    try:
        report = json.loads(data)
        findings = tuple(
            Finding(
                id=issue["rule_id"],
                severity=_GOSEC.get(issue["severity"], UNKNOWN),
                scanner="gosec",
                where=f"{issue['file']}:{str(issue['line']).partition('-')[0]}",
                title=issue["details"],
                advice=f"https://github.com/securego/gosec, CWE-{issue['cwe']['id']}" if issue.get("cwe") else "",
            )
            for issue in report["Issues"] or ()
        )
        errors = [f"{file}: {entry['error']}" for file, entries in (report.get("Golang errors") or {}).items()
                  for entry in entries]  # fmt: skip
        files, version = int(report["Stats"]["files"]), str(report.get("GosecVersion") or "")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _fail(where, "gosec", error) from None
    if errors or not files:
        why = errors[0].strip() if errors else "it found no file"
        raise CheckError(f"gosec could not read all sources: {why}", "fix the code that does not compile")
    return ToolReport(findings, version)


def govulncheck(data: bytes, where: str) -> ToolReport:
    """Return the findings of govulncheck's JSON stream: one for each advisory and module, at its deepest level.

    The levels, from the deepest: a vulnerable function is called, its package is imported, its module is required.
    Raises CheckError when it is no report.
    """
    config: dict[str, Any] = {}
    advisories: dict[str, Any] = {}
    best: dict[tuple[str, str], tuple[int, Any]] = {}
    try:
        for message in _documents(data):
            config = message.get("config") or config
            if (osv := message.get("osv")) is not None:
                advisories[osv["id"]] = osv
            if (finding := message.get("finding")) is not None:
                first = finding["trace"][0]
                level = 2 if first.get("function") else 1 if first.get("package") else 0
                key = (finding["osv"], first["module"])
                if level >= best.get(key, (-1, None))[0]:
                    best[key] = (level, finding)
        if not config:
            raise KeyError("config")
        findings = tuple(
            _advisory(advisories.get(id_, {}), level, finding) for (id_, _), (level, finding) in best.items()
        )
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise _fail(where, "govulncheck", error) from None
    return ToolReport(findings, str(config.get("scanner_version", "")), str(config.get("db_last_modified", "")))


def _advisory(osv: Mapping[str, Any], level: int, finding: Mapping[str, Any]) -> Finding:
    """Return an advisory as a finding. Go's database has no severities: called vulnerable code counts as high."""
    calls = [step["position"] for step in finding["trace"][1:] if step.get("position")] if level == 2 else []
    first = finding["trace"][0]
    aliases = [name for name in osv.get("aliases") or () if str(name).startswith("CVE-")]
    reached = ("the module is required, its vulnerable packages are not used", "its package is used, "
               "the vulnerable functions are not called", "vulnerable code is called")[level]  # fmt: skip
    called = f" at {calls[0]['filename']}:{calls[0]['line']}" if calls else ""
    fixed_in = str(finding.get("fixed_version") or "")
    return Finding(
        id=str(finding["osv"]),
        severity=(LOW, MEDIUM, HIGH)[level],
        scanner="govulncheck",
        where=f"{first['module']} {first.get('version', '')}".strip(),
        title=f"{osv.get('summary') or finding['osv']} ({', '.join((*aliases, reached))}{called})",
        fixed_in=fixed_in,
        advice=f"go get {first['module']}@{fixed_in}" if fixed_in else f"https://pkg.go.dev/vuln/{finding['osv']}",
    )


def vet(data: bytes, where: str) -> ToolReport:
    """Return the findings of ``go vet -json``: an object by package, then by check, with a list of places each.

    Raises CheckError when it is no report, or when the code does not compile.
    """
    findings = []
    try:
        for document in _documents(data):
            for checks in document.values():
                for name, places in checks.items():
                    if isinstance(places, dict):
                        raise CheckError(f"go vet: {name}: {places['error']}", "fix the code that does not compile")
                    findings += [_vetted(name, place) for place in places]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _fail(where, "go vet", error) from None
    return ToolReport(tuple(findings))


def _vetted(name: str, entry: Mapping[str, Any]) -> Finding:
    place = str(entry["posn"]).rpartition(":")[0]
    advice = f"go doc cmd/vet, {name}"
    return Finding(f"vet-{name}", MEDIUM, "go vet", place, str(entry["message"]), advice=advice)


def staticcheck(data: bytes, where: str) -> ToolReport:
    """Return the findings of staticcheck's JSON lines.

    Raises CheckError when they are no report, or when the code does not compile: then it was not checked.
    """
    findings = []
    try:
        for problem in _documents(data):
            if problem["code"] == "compile":
                raise CheckError(f"staticcheck: {problem['message']}", "fix the code that does not compile")
            place, code = problem["location"], str(problem["code"])
            # SA checks find mistakes; S, ST, QF and U are about style and unused code.
            # https://staticcheck.dev/docs/checks
            severity = MEDIUM if code.startswith("SA") else LOW
            advice = f"https://staticcheck.dev/docs/checks/#{code}"
            line = f"{place['file']}:{place['line']}"
            findings.append(Finding(code, severity, "staticcheck", line, str(problem["message"]), advice=advice))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _fail(where, "staticcheck", error) from None
    return ToolReport(tuple(findings))


TOOLS = (
    Tool("gosec", "gosec", "gosec -fmt=json -out=/reports/gosec.json ./...", gosec, (0, 1)),
    Tool("govulncheck", "govulncheck: vulnerabilities",
         f"govulncheck -format json -db file://{DATABASE} ./... >/reports/govulncheck.json", govulncheck,
         database=True),
    # Before Go 1.26 `go vet -json` wrote to stderr, with lines that name the packages.
    Tool("vet", "go vet", "go version >/reports/version; go vet -json ./... >/reports/vet.json 2>&1", vet),
    Tool("staticcheck", "staticcheck",
         "staticcheck -version >/reports/version; staticcheck -f json ./... >/reports/staticcheck.json",
         staticcheck, (0, 1)),
)  # fmt: skip


def arguments(tool: Tool) -> tuple[str, ...]:
    """Return the arguments for the stage's shell; it also writes down the directory of the sources."""
    return ("-c", f"pwd >/reports/directory; {tool.script}")


def scan(tool: Tool, outputs: Sequence[ToolOutput]) -> Scan:
    """Return the result of a scanner over all services: the worst outcome, with all findings."""
    results = [_scan_service(tool, output) for output in outputs]
    for outcome in (INVALID, UNCHECKED):
        reasons = [result.reason for result in results if result.outcome == outcome]
        if reasons:
            break
    else:
        outcome = FOUND if any(result.findings for result in results) else CLEAN
    return Scan(
        name=tool.title,
        version=next((result.version for result in results if result.version), ""),
        outcome=outcome,
        database=next((result.database for result in results if result.database), ""),
        reason="; ".join(reasons),
        findings=tuple(finding for result in results for finding in result.findings),
    )


def _scan_service(tool: Tool, output: ToolOutput) -> Scan:
    result, name = output.facts, output.service
    if result.oom_killed or result.stopped:
        why = "killed for memory" if result.oom_killed else result.stopped
        return Scan(tool.title, "", INVALID, reason=f"{name}: {why}")
    if result.exit_code in _NOT_FOUND:
        return Scan(tool.title, "", UNCHECKED, reason=f"{name}: its stage {STAGE!r} has no {tool.title.split(':')[0]}")
    if output.fault:
        return Scan(tool.title, "", INVALID, reason=f"{name}: {output.fault}")
    if result.exit_code not in tool.codes or output.report is None:
        end = "and wrote no report" if output.report is None else "which a completed scan never has"
        lines = result.log.strip().splitlines()
        last_line = f": {lines[-1]}" if lines else ""
        return Scan(
            tool.title, "", INVALID, reason=f"{name}: it ended with exit code {result.exit_code} {end}{last_line}"
        )
    try:
        report = tool.parse(output.report, f"{name}: {tool.file}")
    except CheckError as error:
        return Scan(tool.title, "", INVALID, reason=error.message)
    placed = tuple(_placed(finding, output) for finding in report.findings)
    version = report.version or _version(output.version)
    return Scan(tool.title, version, FOUND if placed else CLEAN, report.database, findings=placed)


def _placed(finding: Finding, output: ToolOutput) -> Finding:
    """Return a finding with its path in the project instead of its path in the container."""
    inside = output.directory.rstrip("/") + "/"
    prefix = f"{output.prefix}/" if output.prefix else ""
    if finding.scanner == "govulncheck":
        where = f"{output.service}: {finding.where}"
    elif finding.where.startswith(inside):
        where = prefix + finding.where.removeprefix(inside)
    else:
        where = finding.where if finding.where.startswith("/") else prefix + finding.where
    return Finding(**{**vars(finding), "where": where})


def _version(text: str) -> str:
    """Return the version in a tool's output such as ``go version go1.27.4 linux/amd64``, "" without one."""
    words = [word.strip("()") for word in text.split()]
    return next((word.removeprefix("go") for word in words if word.removeprefix("go")[:1].isdigit()), "")
