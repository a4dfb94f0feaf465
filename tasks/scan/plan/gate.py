"""The gate: decides from the findings of all scanners whether the project may go to production."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from ...model.finding import CLEAN, FOUND, INVALID, SEVERITIES, SKIPPED, UNCHECKED, Finding, Scan, merged, printable
from ...model.profile.profile import Profile
from .baseline import fingerprint

SCHEMA = "slipway/scan/v1"
PASSED, FAILED = "passed", "failed"
KINDS = ("code", "dockerfiles", "images", "secrets")
VULNERABILITIES = "vulnerabilities"  # end of a scan's name; its findings may be fixed in a later version
NONE = "none"
_WORST = SEVERITIES[:-1]


@dataclass(frozen=True)
class AcceptedFinding:
    """A finding that its owner accepts until a date (``expires``, ``YYYY-MM-DD``); ``origin`` is file and line."""

    id: str
    where: str
    owner: str
    reason: str
    expires: str
    origin: str

    def covers(self, finding: Finding) -> bool:
        """Whether the entry applies to a finding: the same id, and its place where the entry names one."""
        return self.id == finding.id and (not self.where or fnmatchcase(finding.where, self.where))

    def expired(self, today: str) -> bool:
        """Whether the entry has expired; on the day itself it is still valid."""
        return self.expires < today


@dataclass(frozen=True)
class Gate:
    """The gate's settings, from the profile.

    ``fail_on`` is the lowest severity that closes it, ``only_fixed`` leaves out vulnerabilities without a fixed
    version, ``offline`` lets scans pass that could not be done.
    """

    fail_on: str
    only_fixed: bool
    offline: bool

    def document(self) -> dict[str, Any]:
        """Return the settings as JSON data."""
        return {
            "fail_on": self.fail_on,
            "only_fixed": self.only_fixed,
            "offline": "allow" if self.offline else "refuse",
        }


@dataclass(frozen=True)
class JudgedFinding:
    """A finding with its judgement: the entry that accepts it, whether it is new, whether it closes the gate."""

    finding: Finding
    accepted: AcceptedFinding | None = None
    new: bool = True
    closes: bool = False

    def document(self) -> dict[str, Any]:
        """Return the finding and its judgement as JSON data."""
        entry = self.accepted
        accepted = {"owner": entry.owner, "reason": entry.reason, "expires": entry.expires} if entry else None
        return {**self.finding.document(), "new": self.new, "closes": self.closes, "accepted": accepted}


@dataclass(frozen=True)
class ScanReport:
    """The result of a scan: ``outcome`` is passed, failed (the gate is closed) or not checked."""

    outcome: str
    scans: tuple[Scan, ...]
    findings: tuple[JudgedFinding, ...]
    gate: Gate
    expired: tuple[AcceptedFinding, ...] = ()
    unused: tuple[AcceptedFinding, ...] = ()
    reasons: tuple[str, ...] = ()
    fingerprints: tuple[str, ...] = ()  # of all findings, those too that ``findings`` leaves out as not new

    def counts(self) -> dict[str, int]:
        """Return the number of findings that are not accepted, by severity."""
        open_ = [judged.finding.severity for judged in self.findings if judged.accepted is None]
        return {severity: open_.count(severity) for severity in SEVERITIES}

    def document(self) -> dict[str, Any]:
        """Return the report as JSON data."""
        return {
            "schema": SCHEMA,
            "outcome": self.outcome,
            "reasons": list(self.reasons),
            "gate": self.gate.document(),
            "counts": self.counts(),
            "scanners": [scan.document() for scan in self.scans],
            "findings": [judged.document() for judged in self.findings],
            "expired": [vars(entry) for entry in self.expired],
            "fingerprints": list(self.fingerprints),
        }


def gate(profile: Profile) -> Gate:
    """Return the gate's settings from a profile."""
    return Gate(
        fail_on=profile.text("SCAN_FAIL_ON"),
        only_fixed=profile.flag("SCAN_ONLY_FIXED"),
        offline=profile.text("SCAN_OFFLINE") == "allow",
    )


def sanitized(scan: Scan) -> Scan:
    """Return a scan with all texts printable, so that no control character reaches a terminal, and without duplicates.

    A scan that says it is clean but has findings becomes ``found``.
    """
    findings = merged(_plain(finding) for finding in scan.findings)
    outcome = FOUND if findings and scan.outcome == CLEAN else scan.outcome
    texts = {
        name: printable(value) for name, value in vars(scan).items() if isinstance(value, str) and name != "outcome"
    }
    return replace(scan, outcome=outcome, findings=findings, **texts)


def _plain(finding: Finding) -> Finding:
    return Finding(**{name: printable(str(value)) for name, value in vars(finding).items()})


def closes(finding: Finding, settings: Gate, vulnerability: bool) -> bool:
    """Whether a finding is severe enough to close the gate; one of unknown severity counts as low."""
    if settings.fail_on == NONE or (settings.only_fixed and vulnerability and not finding.fixed_in):
        return False
    severity = finding.severity if finding.severity in _WORST else _WORST[-1]
    return _WORST.index(severity) <= _WORST.index(settings.fail_on)


def judge(
    scans: Iterable[Scan],
    settings: Gate,
    accepted: Sequence[AcceptedFinding],
    today: str,
    before: Collection[str] | None = None,
    only_new: bool = False,
) -> ScanReport:
    """Return the report on scans: the outcome, and the judgement of every finding.

    ``before`` are the fingerprints of the last release's findings, None when there are none to compare with;
    ``only_new`` leaves those findings out. ``today`` is ``YYYY-MM-DD``.
    """
    cleaned = tuple(sanitized(scan) for scan in scans)
    vulnerable = {id(finding) for scan in cleaned if scan.name.endswith(VULNERABILITIES) for finding in scan.findings}
    valid = [entry for entry in accepted if not entry.expired(today)]
    judged, fingerprints = [], set()
    for finding in merged(finding for scan in cleaned for finding in scan.findings):
        entry = next((entry for entry in valid if entry.covers(finding)), None)
        fingerprints.add(key := fingerprint(finding.id, finding.where))
        new = before is None or key not in before
        if new or not only_new:
            is_closing = entry is None and closes(finding, settings, id(finding) in vulnerable)
            judged.append(JudgedFinding(finding, entry, new, is_closing))
    expired = tuple(entry for entry in accepted if entry.expired(today))
    used = {id(judged_finding.accepted) for judged_finding in judged}
    unused = tuple(entry for entry in valid if id(entry) not in used)
    outcome, reasons = _outcome(cleaned, judged, expired, settings)
    return ScanReport(outcome, cleaned, tuple(judged), settings, expired, unused, reasons, tuple(sorted(fingerprints)))


def _outcome(
    scans: Sequence[Scan], judged: Sequence[JudgedFinding], expired: Sequence[AcceptedFinding], settings: Gate
) -> tuple[str, tuple[str, ...]]:
    """Return the outcome and the reasons for it, the most important first."""
    reasons = []
    if count := sum(judged_finding.closes for judged_finding in judged):
        reasons.append(f"{count} finding{'s' if count > 1 else ''} of severity {settings.fail_on} or worse")
    reasons += [f"{scan.name}: invalid ({scan.reason})" for scan in scans if scan.outcome == INVALID]
    reasons += [f"{entry.origin}: {entry.id}: expired on {entry.expires} (owner {entry.owner})" for entry in expired]
    missing = [f"{scan.name}: not checked ({scan.reason})" for scan in scans if scan.outcome == UNCHECKED]
    if reasons:
        return FAILED, (*reasons, *missing)
    if missing and not settings.offline:
        return UNCHECKED, tuple(missing)
    return PASSED, tuple(missing)


def scan_of(document: Mapping[str, Any]) -> Scan:
    """Return a scan from data of ``scan_document``; raises KeyError or TypeError for other data."""
    return Scan(**{**document, "findings": tuple(Finding(**finding) for finding in document["findings"])})


def scan_document(scan: Scan) -> dict[str, Any]:
    """Return a scan with its findings as JSON data, which ``scan_of`` reads."""
    return {**vars(scan), "findings": [dict(vars(finding)) for finding in scan.findings]}


def scans(document: object) -> tuple[Scan, ...]:
    """Return the scans that a worker process or the cache wrote; none when the data has another format."""
    try:
        return tuple(scan_of(scan) for scan in document["scans"])  # type: ignore[index]
    except (KeyError, TypeError, AttributeError):
        return ()


def can_be_reused(scans: Sequence[Scan]) -> bool:
    """Whether results may be reused in later runs: none of them is invalid."""
    return bool(scans) and all(scan.outcome in (CLEAN, FOUND, SKIPPED, UNCHECKED) for scan in scans)
