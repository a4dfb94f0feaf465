"""The scanners of source code in a service's ``security`` stage: how each is run, and what its output says.

The stage has a shell, the sources in its working directory, and the scanners on its PATH.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .errors import CheckError
from .finding import CLEAN, FOUND, HIGH, INVALID, LOW, MEDIUM, UNCHECKED, UNKNOWN, Finding, Scan
from .unit import Facts

STAGE = "security"
DATABASE = "/go-database"  # where a scanner finds the advisories in its container
_NOT_FOUND = (126, 127)
_GOSEC = {"HIGH": HIGH, "MEDIUM": MEDIUM, "LOW": LOW}


@dataclass(frozen=True)
class Read:
    """What one report says; ``version`` and ``database`` only where the report itself tells."""

    findings: tuple[Finding, ...]
    version: str = ""
    database: str = ""


@dataclass(frozen=True)
class Tool:
    """One scanner. ``script`` writes ``/reports/<file>``; ``codes`` are the exit codes of one that did its work."""

    name: str
    title: str
    script: str
    parse: Callable[[bytes, str], Read]
    codes: tuple[int, ...] = (0,)
    database: bool = False

    @property
    def file(self) -> str:
        """The report's name."""
        return f"{self.name}.json"


@dataclass(frozen=True)
class Output:
    """What a scanner left of one service: how it ended, its report (None for none), version and directory.

    ``prefix`` is what the service's sources are called in reports.
    """

    service: str
    facts: Facts
    report: bytes | None = None
    version: str = ""
    directory: str = ""
    prefix: str = ""
    fault: str = ""


@dataclass(frozen=True)
class Database:
    """The advisories for a scanner: a directory and their date, or why there are none."""

    directory: str = ""
    date: str = ""
    missing: str = ""
    modules: Sequence[str] = field(default=(), compare=False)


def _fail(where: str, name: str, error: object) -> CheckError:
    return CheckError(f"{where}: is not a report of {name}: {error}", "see the log beside it")


def _documents(data: bytes) -> Iterator[Any]:
    """Yield the JSON documents that stand one after the other; lines that start with # are between them."""
    lines = (line for line in data.decode(errors="replace").splitlines() if not line.startswith("#"))
    text, decoder = "\n".join(lines).strip(), json.JSONDecoder()
    while text:
        found, end = decoder.raw_decode(text)
        yield found
        text = text[end:].lstrip()


def gosec(data: bytes, where: str) -> Read:
    """Return what gosec's JSON report says; raises CheckError when it is none, or not of all sources."""
    try:
        report = json.loads(data)
        found = tuple(
            Finding(
                id=one["rule_id"],
                severity=_GOSEC.get(one["severity"], UNKNOWN),
                scanner="gosec",
                where=f"{one['file']}:{str(one['line']).partition('-')[0]}",
                title=one["details"],
                advice=f"https://github.com/securego/gosec, CWE-{one['cwe']['id']}" if one.get("cwe") else "",
            )
            for one in report["Issues"] or ()
        )
        errors = [f"{file}: {one['error']}" for file, all_ in (report.get("Golang errors") or {}).items()
                  for one in all_]  # fmt: skip
        files, version = int(report["Stats"]["files"]), str(report.get("GosecVersion") or "")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _fail(where, "gosec", error) from None
    if errors or not files:
        why = errors[0].strip() if errors else "it found no file"
        raise CheckError(f"gosec could not read all sources: {why}", "mend what does not compile")
    return Read(found, version)


def govulncheck(data: bytes, where: str) -> Read:
    """Return what govulncheck's JSON stream says: one finding for each advisory, at the deepest level it reached."""
    config: dict[str, Any] = {}
    advisories: dict[str, Any] = {}
    best: dict[tuple[str, str], tuple[int, Any]] = {}
    try:
        for message in _documents(data):
            config = message.get("config") or config
            if (osv := message.get("osv")) is not None:
                advisories[osv["id"]] = osv
            if (one := message.get("finding")) is not None:
                first = one["trace"][0]
                level = 2 if first.get("function") else 1 if first.get("package") else 0
                key = (one["osv"], first["module"])
                if level >= best.get(key, (-1, None))[0]:
                    best[key] = (level, one)
        if not config:
            raise KeyError("config")
        found = tuple(_advisory(advisories.get(id_, {}), level, one) for (id_, _), (level, one) in best.items())
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise _fail(where, "govulncheck", error) from None
    return Read(found, str(config.get("scanner_version", "")), str(config.get("db_last_modified", "")))


def _advisory(osv: Mapping[str, Any], level: int, one: Mapping[str, Any]) -> Finding:
    """Return an advisory as a finding. Go's database has no severities: what is called counts as high."""
    places = [step["position"] for step in one["trace"][1:] if step.get("position")] if level == 2 else []
    first = one["trace"][0]
    aliases = [name for name in osv.get("aliases") or () if str(name).startswith("CVE-")]
    reached = ("the module is required, its vulnerable packages are not used", "its package is used, "
               "the vulnerable functions are not called", "vulnerable code is called")[level]  # fmt: skip
    called = f" at {places[0]['filename']}:{places[0]['line']}" if places else ""
    fixed = str(one.get("fixed_version") or "")
    return Finding(
        id=str(one["osv"]),
        severity=(LOW, MEDIUM, HIGH)[level],
        scanner="govulncheck",
        where=f"{first['module']} {first.get('version', '')}".strip(),
        title=f"{osv.get('summary') or one['osv']} ({', '.join((*aliases, reached))}{called})",
        fixed_in=fixed,
        advice=f"go get {first['module']}@{fixed}" if fixed else f"https://pkg.go.dev/vuln/{one['osv']}",
    )


def vet(data: bytes, where: str) -> Read:
    """Return what ``go vet -json`` says: an object of packages, of checks, of places."""
    found = []
    try:
        for document in _documents(data):
            for checks in document.values():
                for name, places in checks.items():
                    if isinstance(places, dict):
                        raise CheckError(f"go vet: {name}: {places['error']}", "mend what does not compile")
                    found += [_vetted(name, one) for one in places]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _fail(where, "go vet", error) from None
    return Read(tuple(found))


def _vetted(name: str, one: Mapping[str, Any]) -> Finding:
    place = str(one["posn"]).rpartition(":")[0]
    advice = f"go doc cmd/vet, {name}"
    return Finding(f"vet-{name}", MEDIUM, "go vet", place, str(one["message"]), advice=advice)


def staticcheck(data: bytes, where: str) -> Read:
    """Return what staticcheck's JSON lines say; what does not compile was not looked at."""
    found = []
    try:
        for one in _documents(data):
            if one["code"] == "compile":
                raise CheckError(f"staticcheck: {one['message']}", "mend what does not compile")
            place, code = one["location"], str(one["code"])
            # SA checks find mistakes; S, ST, QF and U are about style and code that nobody uses.
            severity = MEDIUM if code.startswith("SA") else LOW
            advice = f"https://staticcheck.dev/docs/checks/#{code}"
            where_ = f"{place['file']}:{place['line']}"
            found.append(Finding(code, severity, "staticcheck", where_, str(one["message"]), advice=advice))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _fail(where, "staticcheck", error) from None
    return Read(tuple(found))


TOOLS = (
    Tool("gosec", "gosec", "gosec -fmt=json -out=/reports/gosec.json ./...", gosec, (0, 1)),
    Tool("govulncheck", "govulncheck: vulnerabilities",
         f"govulncheck -format json -db file://{DATABASE} ./... >/reports/govulncheck.json", govulncheck,
         database=True),
    # Before Go 1.26 it wrote to its error output, the names of packages between.
    Tool("vet", "go vet", "go version >/reports/version; go vet -json ./... >/reports/vet.json 2>&1", vet),
    Tool("staticcheck", "staticcheck",
         "staticcheck -version >/reports/version; staticcheck -f json ./... >/reports/staticcheck.json",
         staticcheck, (0, 1)),
)  # fmt: skip


def arguments(tool: Tool) -> tuple[str, ...]:
    """Return what the shell of the stage gets: it also says where the sources are."""
    return ("-c", f"pwd >/reports/directory; {tool.script}")


def scan(tool: Tool, outputs: Sequence[Output]) -> Scan:
    """Return what a scanner came to on all services."""
    parts = [_one(tool, output) for output in outputs]
    for outcome in (INVALID, UNCHECKED):
        reasons = [one.reason for one in parts if one.outcome == outcome]
        if reasons:
            break
    else:
        outcome = FOUND if any(one.findings for one in parts) else CLEAN
    return Scan(
        name=tool.title,
        version=next((one.version for one in parts if one.version), ""),
        outcome=outcome,
        database=next((one.database for one in parts if one.database), ""),
        reason="; ".join(reasons),
        findings=tuple(found for one in parts for found in one.findings),
    )


def _one(tool: Tool, output: Output) -> Scan:
    facts, name = output.facts, output.service
    if facts.oom_killed or facts.stopped:
        why = "killed for memory" if facts.oom_killed else facts.stopped
        return Scan(tool.title, "", INVALID, reason=f"{name}: {why}")
    if facts.exit_code in _NOT_FOUND:
        return Scan(tool.title, "", UNCHECKED, reason=f"{name}: its stage {STAGE!r} has no {tool.title.split(':')[0]}")
    if output.fault:
        return Scan(tool.title, "", INVALID, reason=f"{name}: {output.fault}")
    if facts.exit_code not in tool.codes or output.report is None:
        end = "and wrote no report" if output.report is None else "which is not one of a scan that was done"
        lines = facts.log.strip().splitlines()
        said = f": {lines[-1]}" if lines else ""
        return Scan(tool.title, "", INVALID, reason=f"{name}: it ended with exit code {facts.exit_code} {end}{said}")
    try:
        read = tool.parse(output.report, f"{name}: {tool.file}")
    except CheckError as error:
        return Scan(tool.title, "", INVALID, reason=error.message)
    found = tuple(_placed(one, output) for one in read.findings)
    version = read.version or _version(output.version)
    return Scan(tool.title, version, FOUND if found else CLEAN, read.database, findings=found)


def _placed(one: Finding, output: Output) -> Finding:
    """Return a finding at its place in the project: the container has the sources somewhere else."""
    inside = output.directory.rstrip("/") + "/"
    prefix = f"{output.prefix}/" if output.prefix else ""
    if one.scanner == "govulncheck":
        where = f"{output.service}: {one.where}"
    elif one.where.startswith(inside):
        where = prefix + one.where.removeprefix(inside)
    else:
        where = one.where if one.where.startswith("/") else prefix + one.where
    return Finding(**{**vars(one), "where": where})


def _version(text: str) -> str:
    """Return the version in what a tool says of itself: ``go version go1.27.4 linux/amd64``."""
    words = [word.strip("()") for word in text.split()]
    return next((word.removeprefix("go") for word in words if word.removeprefix("go")[:1].isdigit()), "")
