"""Image scans: how trivy is asked about an image, and what its answer means.

The image is an archive that the engine gave out, so that an engine elsewhere is scanned like the one here; trivy looks
into each of its layers, those too whose files a later layer removes.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .advisories import fault
from .command import Command
from .errors import CheckError, RefusedError
from .facts import Image
from .finding import CLEAN, FOUND, INVALID, SKIPPED, UNCHECKED, Finding, Scan, severity
from .secret import Secret
from .stack import Stack
from .units import show_duration

TOOL = "trivy"
VULNERABILITIES, SECRETS = "trivy: vulnerabilities", "trivy: secrets in images"
ARCHIVE, REPORT = "image.tar", "report.json"
SCHEMA = "slipway/scan.image/v1"
_ANSWER = 2  # SchemaVersion of trivy's report
_QUIET = (
    *("--no-progress", "--skip-version-check", "--disable-telemetry", "--offline-scan", "--config", ""),
    *("--cache-backend", "memory", "--timeout", "24h"),  # the time limit is ours
)
_UNKNOWN_SYSTEM = re.compile(r"WARN\s.*(?:not on the EOL list|[Uu]nsupported os)")
_JAVA = "it holds Java archives, and there is no index of those"


@dataclass(frozen=True)
class Subject:
    """One image to look at: the name in the Compose file, the image that it stands for now, who runs it."""

    reference: str
    id: str
    services: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """What a look at an image came to; ``vulnerabilities`` is None when they could not be looked up.

    The places of the findings are within the image. ``gap`` says what of the image was not looked up, ``note`` what
    makes the result less than it seems.
    """

    version: str
    packages: int
    vulnerabilities: tuple[Finding, ...] | None
    secrets: tuple[Finding, ...]
    gap: str = ""
    note: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of one image: its report, or in words why there is none (``fault``) or only half of one (``gap``)."""

    report: Report | None = None
    fault: str = ""
    gap: str = ""


def subjects(stack: Stack, images: Mapping[str, Image], environment: str) -> tuple[Subject, ...]:
    """Return the images of a stack, those of others too, each once; raises RefusedError naming each missing one."""
    found: dict[str, Subject] = {}
    missing: dict[str, bool] = {}
    for name, service in sorted(stack.services.items()):
        image = images.get(service.image)
        if image is None:
            missing[service.image] = missing.get(service.image, False) or service in stack.built()
        else:
            before = found.get(image.id, Subject(service.image, image.id, ()))
            found[image.id] = replace(before, services=(*before.services, name))
    if missing:
        pulled = [f"docker pull {name}" for name, built in missing.items() if not built]
        mends = [f"inv build --env {environment}"] if any(missing.values()) else []
        raise RefusedError(f"not on the engine: {', '.join(sorted(missing))}", " && ".join([*mends, *pulled]))
    return tuple(found.values())


def save(image: str, directory: str, env: Mapping[str, str | Secret], cwd: str) -> Command:
    """Return the command that has the engine give an image out, by its id: a name may move meanwhile."""
    words = ("docker", "image", "save", "--output", f"{directory}/{ARCHIVE}", image)
    return Command(words, env=env, cwd=cwd)


def scan(tool: str, directory: str, database: str, rules: str, settings: Mapping[str, str]) -> Command:
    """Return the command that scans the archive in a directory; without a database for secrets only.

    ``rules`` is the file that says what secrets are looked for, ``settings`` keep the caller's own settings out.
    """
    looked = ("--scanners", "vuln,secret", "--cache-dir", database) if database else ("--scanners", "secret")
    words = (
        *("image", "--input", ARCHIVE, *_QUIET, "--skip-db-update", "--skip-java-db-update", *looked),
        *("--image-config-scanners", "secret", "--secret-config", rules, "--ignorefile", ""),
        *("--format", "json", "--output", REPORT),
    )
    return Command((tool, *words), env={**settings, "TMPDIR": directory}, cwd=directory)


def document(tool: str, directory: str, kind: str, settings: Mapping[str, str]) -> Command:
    """Return the command that writes what the archive in a directory consists of, as ``kind`` calls it."""
    words = ("image", "--input", ARCHIVE, *_QUIET, "--skip-java-db-update", "--format", kind, "--output", kind)
    return Command((tool, *words), env={**settings, "TMPDIR": directory}, cwd=directory)


def parse(data: bytes, log: str = "", vulnerabilities: bool = True) -> Report:
    """Return what trivy's JSON says; raises CheckError when it is none.

    ``log`` is what it wrote on the way, ``vulnerabilities`` says whether it was asked about them.
    """
    try:
        found = json.loads(data)
        if found["SchemaVersion"] != _ANSWER or found["ArtifactType"] != "container_image":
            raise CheckError(f"{TOOL} answered in a form that is not understood")
        results = found.get("Results") or []
        weak = [_weakness(result, one) for result in results for one in result.get("Vulnerabilities") or ()]
        secrets = [_secret(result, one) for result in results for one in result.get("Secrets") or ()]
        packages = sum(len(result.get("Packages") or ()) for result in results)
        version = str(found.get("Trivy", {}).get("Version", ""))
        gap, note = _system((found.get("Metadata") or {}).get("OS") or {}, log) if vulnerabilities else ("", "")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise CheckError(f"{TOOL} printed what cannot be read") from None
    return Report(version, packages, tuple(weak) if vulnerabilities else None, tuple(secrets), gap, note)


def _system(system: Mapping[str, Any], log: str) -> tuple[str, str]:
    """Return what is not looked up of an operating system, and what is known of it that makes a result doubtful.

    Of a version that trivy does not know it finds nothing, and says so in its log only.
    """
    name = f"{system.get('Family', 'its operating system')} {system.get('Name', '')}".strip()
    if _UNKNOWN_SYSTEM.search(log):
        return f"{name} is not known to {TOOL}", ""
    return "", f"{name} gets no security updates any more" if system.get("EOSL") else ""


def _weakness(result: Mapping[str, Any], one: Mapping[str, Any]) -> Finding:
    name, version, fixed = str(one["PkgName"]), str(one["InstalledVersion"]), str(one.get("FixedVersion") or "")
    place = one.get("PkgPath") or (result.get("Target") if result.get("Class") == "lang-pkgs" else "")
    status = str(one.get("Status") or "unknown").replace("_", " ")
    advice = f"update {name} to {fixed} and build the image again" if fixed else f"there is no fixed version ({status})"
    return Finding(
        str(one["VulnerabilityID"]),
        severity(one.get("Severity")),
        TOOL,
        f"{name} {version}" + (f" ({place})" if place else ""),
        str(one.get("Title") or one["VulnerabilityID"]),
        fixed,
        advice,
    )


def _secret(result: Mapping[str, Any], one: Mapping[str, Any]) -> Finding:
    target = str(result["Target"])
    # The image's configuration is a target by the name of the archive: environment, labels, and history.
    place = "image configuration" if target == ARCHIVE else f"{target}:{one.get('StartLine', 1)}"
    return Finding(
        str(one["RuleID"]),
        severity(one.get("Severity")),
        TOOL,
        place,
        f"{one.get('Title') or one['RuleID']} in an image layer",
        advice="withdraw the secret, and build the image without it: a later layer that removes it hides it only",
    )


def needs_java_index(text: str) -> bool:
    """Whether trivy gave up because of Java archives, which it looks up in an index of their own."""
    return "Java DB" in text


def without_index(report: Report) -> Outcome:
    """Return the outcome of an image whose Java archives could not be looked up."""
    return Outcome(report, gap=_JAVA)


def failed(code: int, text: str, limit: float) -> Outcome:
    """Return the outcome of an image that a command failed on; ``code`` is its exit code, 124 past the time limit."""
    if code == 124:
        return Outcome(fault=f"not done within {show_duration(limit)} (SCAN_TIMEOUT)")
    if needs_java_index(text):
        return Outcome(fault=_JAVA)
    if code == 137:
        return Outcome(fault="killed, perhaps for memory")
    return Outcome(fault=f"exit code {code}: {fault(text)}")


def key(image: str, database: str, tool: str) -> str:
    """Return what a result is stored under: the image, the database and the tool that it depends on."""
    return hashlib.sha256(json.dumps([SCHEMA, image, database, tool]).encode()).hexdigest()[:32]


def stored(image: str, report: Report, about: Mapping[str, Any]) -> dict[str, Any]:
    """Return a report as the data that is stored; ``about`` is what the database says of itself."""
    weak = None if report.vulnerabilities is None else [vars(one) for one in report.vulnerabilities]
    secrets = [vars(one) for one in report.secrets]
    shown = {"schema": SCHEMA, "image": image, "advisories": dict(about)}
    return {**shown, **vars(report), "vulnerabilities": weak, "secrets": secrets}


def restored(found: Any, image: str) -> Report | None:
    """Return a report out of stored data, None when it is not one of this image."""
    try:
        if found["schema"] != SCHEMA or found["image"] != image:
            return None
        weak, secrets = found["vulnerabilities"], tuple(Finding(**one) for one in found["secrets"])
        vulnerabilities = None if weak is None else tuple(Finding(**one) for one in weak)
        said = str(found["gap"]), str(found["note"])
        return Report(str(found["version"]), int(found["packages"]), vulnerabilities, secrets, *said)
    except (KeyError, TypeError, ValueError):
        return None


def placed(findings: Iterable[Finding], subject: Subject) -> tuple[Finding, ...]:
    """Return findings with the services that run the image before their places."""
    return tuple(replace(one, where=f"{', '.join(subject.services)}: {one.where}") for one in findings)


def scans(outcomes: Mapping[Subject, Outcome], updated: str, state: str) -> list[Scan]:
    """Return what became of all images, as one scan for vulnerabilities and one for secrets.

    ``updated`` is the time of the database, "" without one; ``state`` says what is wrong with it, if anything is.
    """
    if not outcomes:
        return [Scan(name, "", SKIPPED, reason="no service has an image") for name in (VULNERABILITIES, SECRETS)]
    version = next((one.report.version for one in outcomes.values() if one.report), "")
    weak: list[Finding] = []
    secrets: list[Finding] = []
    for subject, one in outcomes.items():
        if one.report:
            weak += placed(one.report.vulnerabilities or (), subject)
            secrets += placed(one.report.secrets, subject)
    faults = [f"{subject.reference}: {one.fault}" for subject, one in outcomes.items() if one.fault]
    reports = [(subject.reference, one.report) for subject, one in outcomes.items() if one.report]
    gaps = [f"{subject.reference}: {one.gap}" for subject, one in outcomes.items() if one.gap]
    gaps += [f"{name}: {one.gap}" for name, one in reports if one.gap]
    blank = [name for name, one in reports if not one.packages]
    if not updated:
        gaps, blank = [state], []
    notes = [state] if updated and state else []
    notes += [f"{name}: {one.note}" for name, one in reports if one.note]
    notes += [f"no packages recognised in {', '.join(blank)}"] if blank else []
    return [
        _scan(VULNERABILITIES, version, weak, faults, gaps, notes, updated),
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


def evidence(found: Sequence[Scan], images: Sequence[Subject]) -> str:
    """Return what a release records of a scan that passed."""
    version = next((one.version for one in found if one.version), "")
    updated = next((one.database for one in found if one.database), "")
    about = f"advisories of {updated}" if updated else "vulnerabilities not checked"
    return f"passed: {len(images)} image{'s' if len(images) > 1 else ''}, {TOOL} {version}, {about}"
