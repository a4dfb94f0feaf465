"""Image scans: the trivy commands for an image, and how its report is read.

trivy reads the image from an archive that the engine saved, so that images of a remote engine are scanned like local
ones. It looks into every layer, so that files are scanned that a later layer removes.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...model.command import Command
from ...model.engine.facts import Image
from ...model.errors import CheckError, RefusedError
from ...model.finding import CLEAN, FOUND, INVALID, SKIPPED, UNCHECKED, Finding, Scan, severity
from ...model.lazy_pattern import lazy_pattern
from ...model.secret import Secret
from ...model.stack.stack import Stack
from ...model.units import show_duration
from .vulnerability_db import fault

TOOL = "trivy"
VULNERABILITIES, SECRETS = "trivy: vulnerabilities", "trivy: secrets in images"
ARCHIVE, REPORT = "image.tar", "report.json"
SCHEMA = "slipway/scan.image/v1"
_REPORT_SCHEMA = 2  # SchemaVersion of trivy's report
_QUIET = (
    *("--no-progress", "--skip-version-check", "--disable-telemetry", "--offline-scan", "--config", ""),
    *("--cache-backend", "memory", "--timeout", "24h"),  # SCAN_TIMEOUT is the limit, not trivy's own 5 minutes
)
_UNKNOWN_SYSTEM = lazy_pattern(r"WARN\s.*(?:not on the EOL list|[Uu]nsupported os)")
_NO_JAVA_INDEX = "it contains Java archives, for which there is no index"


@dataclass(frozen=True)
class Subject:
    """An image to scan: its reference in the Compose file, the image id it stands for now, the services that run it."""

    reference: str
    id: str
    services: tuple[str, ...]


@dataclass(frozen=True)
class ImageReport:
    """The result of scanning an image; ``vulnerabilities`` is None when they could not be looked up.

    ``packages`` is the number of recognised packages. The places of the findings are within the image. ``gap`` says
    what was not checked, ``note`` a limitation of the result.
    """

    version: str
    packages: int
    vulnerabilities: tuple[Finding, ...] | None
    secrets: tuple[Finding, ...]
    gap: str = ""
    note: str = ""


@dataclass(frozen=True)
class Outcome:
    """The outcome for an image: its report, or in words why there is none (``fault``) or a partial one (``gap``)."""

    report: ImageReport | None = None
    fault: str = ""
    gap: str = ""


def subjects(stack: Stack, images: Mapping[str, Image], environment: str) -> tuple[Subject, ...]:
    """Return each image of a stack once, pulled images too; raises RefusedError that lists all missing images."""
    by_id: dict[str, Subject] = {}
    missing: dict[str, bool] = {}
    for name, service in sorted(stack.services.items()):
        image = images.get(service.image)
        if image is None:
            missing[service.image] = missing.get(service.image, False) or service in stack.built()
        else:
            before = by_id.get(image.id, Subject(service.image, image.id, ()))
            by_id[image.id] = replace(before, services=(*before.services, name))
    if missing:
        pulled = [f"docker pull {name}" for name, built in missing.items() if not built]
        built_here = [f"inv build --env {environment}"] if any(missing.values()) else []
        raise RefusedError(f"not on the engine: {', '.join(sorted(missing))}", " && ".join([*built_here, *pulled]))
    return tuple(by_id.values())


def save(image: str, directory: str, env: Mapping[str, str | Secret], cwd: str) -> Command:
    """Return the command that saves an image as an archive; by its id, since a tag may move meanwhile."""
    words = ("docker", "image", "save", "--output", f"{directory}/{ARCHIVE}", image)
    return Command(words, env=env, cwd=cwd)


def scan(tool: str, directory: str, database: str, rules: str, settings: Mapping[str, str]) -> Command:
    """Return the command that scans the archive in a directory; without a database for secrets only.

    ``rules`` is the file with the rules for secrets; ``settings`` are environment variables that override the
    caller's own settings of trivy.
    """
    scanners = ("--scanners", "vuln,secret", "--cache-dir", database) if database else ("--scanners", "secret")
    words = (
        *("image", "--input", ARCHIVE, *_QUIET, "--skip-db-update", "--skip-java-db-update", *scanners),
        *("--image-config-scanners", "secret", "--secret-config", rules, "--ignorefile", ""),
        *("--format", "json", "--output", REPORT),
    )
    return Command((tool, *words), env={**settings, "TMPDIR": directory}, cwd=directory)


def document(tool: str, directory: str, kind: str, settings: Mapping[str, str]) -> Command:
    """Return the command that writes the bill of materials of the archive in a directory, in the format ``kind``."""
    words = ("image", "--input", ARCHIVE, *_QUIET, "--skip-java-db-update", "--format", kind, "--output", kind)
    return Command((tool, *words), env={**settings, "TMPDIR": directory}, cwd=directory)


def parse(data: bytes, log: str = "", vulnerabilities: bool = True) -> ImageReport:
    """Return the content of trivy's JSON report; raises CheckError when it is no report.

    ``log`` is trivy's log, ``vulnerabilities`` says whether it was asked to look for them.
    """
    try:
        report = json.loads(data)
        if report["SchemaVersion"] != _REPORT_SCHEMA or report["ArtifactType"] != "container_image":
            raise CheckError(f"{TOOL} wrote a report of an unknown version or type")
        results = report.get("Results") or []
        listed = [_vulnerability(result, entry) for result in results for entry in result.get("Vulnerabilities") or ()]
        secrets = [_secret(result, entry) for result in results for entry in result.get("Secrets") or ()]
        packages = sum(len(result.get("Packages") or ()) for result in results)
        version = str(report.get("Trivy", {}).get("Version", ""))
        gap, note = _system((report.get("Metadata") or {}).get("OS") or {}, log) if vulnerabilities else ("", "")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise CheckError(f"{TOOL} wrote a report that cannot be read") from None
    return ImageReport(version, packages, tuple(listed) if vulnerabilities else None, tuple(secrets), gap, note)


def _system(system: Mapping[str, Any], log: str) -> tuple[str, str]:
    """Return (gap, note) for an image's operating system: why its packages were not checked, else a limitation.

    trivy finds nothing in a version of a system that it does not know, and says so in its log only.
    """
    name = f"{system.get('Family', 'its operating system')} {system.get('Name', '')}".strip()
    if _UNKNOWN_SYSTEM.search(log):
        return f"{name} is not known to {TOOL}", ""
    return "", f"{name} gets no security updates any more" if system.get("EOSL") else ""


def _vulnerability(target: Mapping[str, Any], entry: Mapping[str, Any]) -> Finding:
    name, version = str(entry["PkgName"]), str(entry["InstalledVersion"])
    fixed_in = str(entry.get("FixedVersion") or "")
    place = entry.get("PkgPath") or (target.get("Target") if target.get("Class") == "lang-pkgs" else "")
    status = str(entry.get("Status") or "unknown").replace("_", " ")
    update = f"update {name} to {fixed_in} and build the image again"
    return Finding(
        str(entry["VulnerabilityID"]),
        severity(entry.get("Severity")),
        TOOL,
        f"{name} {version}" + (f" ({place})" if place else ""),
        str(entry.get("Title") or entry["VulnerabilityID"]),
        fixed_in,
        update if fixed_in else f"there is no fixed version ({status})",
    )


def _secret(target: Mapping[str, Any], entry: Mapping[str, Any]) -> Finding:
    name = str(target["Target"])
    # The target of secrets in the image's configuration (environment, labels, history) is the archive itself.
    place = "image configuration" if name == ARCHIVE else f"{name}:{entry.get('StartLine', 1)}"
    return Finding(
        str(entry["RuleID"]),
        severity(entry.get("Severity")),
        TOOL,
        place,
        f"{entry.get('Title') or entry['RuleID']} in an image layer",
        advice="revoke the secret, and build the image without it: removing it in a later layer only hides it",
    )


def needs_java_index(text: str) -> bool:
    """Whether trivy gave up because of Java archives, for which it needs an index of its own."""
    return "Java DB" in text


def without_index(report: ImageReport) -> Outcome:
    """Return the outcome of an image whose Java archives could not be looked up."""
    return Outcome(report, gap=_NO_JAVA_INDEX)


def failed(code: int, text: str, limit: float) -> Outcome:
    """Return the outcome of an image for which a command failed.

    ``code`` is the exit code (124: not done within ``limit`` seconds), ``text`` the command's error output.
    """
    if code == 124:
        return Outcome(fault=f"not done within {show_duration(limit)} (SCAN_TIMEOUT)")
    if needs_java_index(text):
        return Outcome(fault=_NO_JAVA_INDEX)
    if code == 137:
        return Outcome(fault="killed, perhaps because memory ran out")
    return Outcome(fault=f"exit code {code}: {fault(text)}")


def key(image: str, database: str, tool: str) -> str:
    """Return the key under which a result is stored: a hash of the image, the database and the tool."""
    return hashlib.sha256(json.dumps([SCHEMA, image, database, tool]).encode()).hexdigest()[:32]


def stored(image: str, report: ImageReport, about: Mapping[str, Any]) -> dict[str, Any]:
    """Return a report as JSON data to store, which ``restored`` reads; ``about`` describes the database."""
    vulnerabilities = None if report.vulnerabilities is None else [vars(finding) for finding in report.vulnerabilities]
    secrets = [vars(finding) for finding in report.secrets]
    shown = {"schema": SCHEMA, "image": image, "advisories": dict(about)}
    return {**shown, **vars(report), "vulnerabilities": vulnerabilities, "secrets": secrets}


def restored(data: Any, image: str) -> ImageReport | None:
    """Return the report from stored data, None when the data is not a report on this image."""
    try:
        if data["schema"] != SCHEMA or data["image"] != image:
            return None
        listed, secrets = data["vulnerabilities"], tuple(Finding(**finding) for finding in data["secrets"])
        vulnerabilities = None if listed is None else tuple(Finding(**finding) for finding in listed)
        said = str(data["gap"]), str(data["note"])
        return ImageReport(str(data["version"]), int(data["packages"]), vulnerabilities, secrets, *said)
    except (KeyError, TypeError, ValueError):
        return None


def with_services(findings: Iterable[Finding], subject: Subject) -> tuple[Finding, ...]:
    """Return findings with the names of the services that run the image in front of their places."""
    return tuple(replace(finding, where=f"{', '.join(subject.services)}: {finding.where}") for finding in findings)


def scans(outcomes: Mapping[Subject, Outcome], updated: str, state: str) -> list[Scan]:
    """Return the outcomes of all images as two scans: one for vulnerabilities, one for secrets.

    ``updated`` is the time of the database, "" without one; ``state`` says what is wrong with it, "" when nothing is.
    """
    if not outcomes:
        return [Scan(name, "", SKIPPED, reason="no service has an image") for name in (VULNERABILITIES, SECRETS)]
    version = next((outcome.report.version for outcome in outcomes.values() if outcome.report), "")
    vulnerabilities: list[Finding] = []
    secrets: list[Finding] = []
    for subject, outcome in outcomes.items():
        if outcome.report:
            vulnerabilities += with_services(outcome.report.vulnerabilities or (), subject)
            secrets += with_services(outcome.report.secrets, subject)
    faults = [f"{subject.reference}: {outcome.fault}" for subject, outcome in outcomes.items() if outcome.fault]
    reports = [(subject.reference, outcome.report) for subject, outcome in outcomes.items() if outcome.report]
    gaps = [f"{subject.reference}: {outcome.gap}" for subject, outcome in outcomes.items() if outcome.gap]
    gaps += [f"{name}: {report.gap}" for name, report in reports if report.gap]
    blank = [name for name, report in reports if not report.packages]
    if not updated:
        gaps, blank = [state], []
    notes = [state] if updated and state else []
    notes += [f"{name}: {report.note}" for name, report in reports if report.note]
    notes += [f"no packages recognised in {', '.join(blank)}"] if blank else []
    return [
        _scan(VULNERABILITIES, version, vulnerabilities, faults, gaps, notes, updated),
        _scan(SECRETS, version, secrets, faults, (), ()),
    ]


def _scan(
    name: str,
    version: str,
    findings: Sequence[Finding],
    faults: Sequence[str],
    gaps: Sequence[str],
    notes: Sequence[str],
    updated: str = "",
) -> Scan:
    outcome = INVALID if faults else UNCHECKED if gaps else FOUND if findings else CLEAN
    return Scan(name, version, outcome, updated, "; ".join((*faults, *gaps, *notes)), tuple(findings))


def evidence(scans: Sequence[Scan], images: Sequence[Subject]) -> str:
    """Return the text that a release records about scans that passed."""
    version = next((scan.version for scan in scans if scan.version), "")
    updated = next((scan.database for scan in scans if scan.database), "")
    about = f"advisories of {updated}" if updated else "vulnerabilities not checked"
    return f"passed: {len(images)} image{'s' if len(images) > 1 else ''}, {TOOL} {version}, {about}"
