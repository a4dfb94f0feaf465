"""Whether what the scanners found may go to production, and how that is told."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from .baseline import fingerprint
from .finding import CLEAN, FOUND, INVALID, SEVERITIES, SKIPPED, UNCHECKED, Finding, Scan, merged, printable
from .profile import Profile

SCHEMA = "slipway/scan/v1"
PASSED, FAILED = "passed", "failed"
KINDS = ("code", "dockerfiles", "images", "secrets")
VULNERABILITIES = "vulnerabilities"  # how the name of a scan ends whose findings may have a version that mends them
NONE = "none"
_WORST = SEVERITIES[:-1]


@dataclass(frozen=True)
class Accepted:
    """A finding that somebody answers for until a date (``expires``, ``YYYY-MM-DD``); ``origin`` is file and line."""

    id: str
    where: str
    owner: str
    reason: str
    expires: str
    origin: str

    def covers(self, found: Finding) -> bool:
        """Whether a finding is meant: its id, and its place where the entry names one."""
        return self.id == found.id and (not self.where or fnmatchcase(found.where, self.where))

    def expired(self, today: str) -> bool:
        """Whether the day has passed; the day itself still counts."""
        return self.expires < today


@dataclass(frozen=True)
class Gate:
    """What closes the gate, from the profile."""

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
class Judged:
    """One finding, and what is thought of it: who answers for it, whether it is new, whether it closes the gate."""

    finding: Finding
    accepted: Accepted | None = None
    new: bool = True
    closes: bool = False

    def document(self) -> dict[str, Any]:
        """Return it as JSON data."""
        entry = self.accepted
        answer = {"owner": entry.owner, "reason": entry.reason, "expires": entry.expires} if entry else None
        return {**self.finding.document(), "new": self.new, "closes": self.closes, "accepted": answer}


@dataclass(frozen=True)
class Report:
    """What a scan came to: ``outcome`` is passed, failed (the gate is closed) or not checked."""

    outcome: str
    scans: tuple[Scan, ...]
    findings: tuple[Judged, ...]
    gate: Gate
    expired: tuple[Accepted, ...] = ()
    unused: tuple[Accepted, ...] = ()
    reasons: tuple[str, ...] = ()
    fingerprints: tuple[str, ...] = ()  # of all that was found, not only of what is told

    def counts(self) -> dict[str, int]:
        """Return how many findings nobody answers for, by severity."""
        open_ = [one.finding.severity for one in self.findings if one.accepted is None]
        return {severity: open_.count(severity) for severity in SEVERITIES}

    def document(self) -> dict[str, Any]:
        """Return the report as JSON data."""
        return {
            "schema": SCHEMA,
            "outcome": self.outcome,
            "reasons": list(self.reasons),
            "gate": self.gate.document(),
            "counts": self.counts(),
            "scanners": [one.document() for one in self.scans],
            "findings": [one.document() for one in self.findings],
            "expired": [vars(one) for one in self.expired],
            "fingerprints": list(self.fingerprints),
        }


def gate(profile: Profile) -> Gate:
    """Return the gate that a profile sets."""
    return Gate(
        fail_on=profile.text("SCAN_FAIL_ON"),
        only_fixed=profile.flag("SCAN_ONLY_FIXED"),
        offline=profile.text("SCAN_OFFLINE") == "allow",
    )


def plain(scan: Scan) -> Scan:
    """Return a scan whose texts a terminal only shows, its findings without duplicates.

    A scanner that says it is clean and has findings has found something.
    """
    found = merged(_plain(one) for one in scan.findings)
    outcome = FOUND if found and scan.outcome == CLEAN else scan.outcome
    texts = {
        name: printable(value) for name, value in vars(scan).items() if isinstance(value, str) and name != "outcome"
    }
    return replace(scan, outcome=outcome, findings=found, **texts)


def _plain(one: Finding) -> Finding:
    return Finding(**{name: printable(str(value)) for name, value in vars(one).items()})


def closes(found: Finding, set_: Gate, vulnerability: bool) -> bool:
    """Whether a finding is severe enough to close the gate; one of unknown severity counts as low."""
    if set_.fail_on == NONE or (set_.only_fixed and vulnerability and not found.fixed_in):
        return False
    severity = found.severity if found.severity in _WORST else _WORST[-1]
    return _WORST.index(severity) <= _WORST.index(set_.fail_on)


def judge(
    scans: Iterable[Scan],
    set_: Gate,
    accepted: Sequence[Accepted],
    today: str,
    before: Collection[str] | None = None,
    only_new: bool = False,
) -> Report:
    """Judge what the scanners found.

    ``before`` is what the findings of the last release are known by, None when there is none to compare with;
    ``only_new`` leaves those out. ``today`` is ``YYYY-MM-DD``.
    """
    looked = tuple(plain(one) for one in scans)
    vulnerable = {id(found) for one in looked if one.name.endswith(VULNERABILITIES) for found in one.findings}
    alive = [one for one in accepted if not one.expired(today)]
    judged, seen = [], set()
    for found in merged(found for one in looked for found in one.findings):
        entry = next((one for one in alive if one.covers(found)), None)
        seen.add(mark := fingerprint(found.id, found.where))
        new = before is None or mark not in before
        if new or not only_new:
            shut = entry is None and closes(found, set_, id(found) in vulnerable)
            judged.append(Judged(found, entry, new, shut))
    expired = tuple(one for one in accepted if one.expired(today))
    used = {id(one.accepted) for one in judged}
    unused = tuple(one for one in alive if id(one) not in used)
    outcome, reasons = _outcome(looked, judged, expired, set_)
    return Report(outcome, looked, tuple(judged), set_, expired, unused, reasons, tuple(sorted(seen)))


def _outcome(
    scans: Sequence[Scan], judged: Sequence[Judged], expired: Sequence[Accepted], set_: Gate
) -> tuple[str, tuple[str, ...]]:
    """Return the outcome and why it is not better, the most important reason first."""
    failed = []
    if count := sum(one.closes for one in judged):
        failed.append(f"{count} finding{'s' if count > 1 else ''} of severity {set_.fail_on} or worse")
    failed += [f"{one.name}: invalid ({one.reason})" for one in scans if one.outcome == INVALID]
    failed += [f"{one.origin}: {one.id}: expired on {one.expires} (owner {one.owner})" for one in expired]
    missing = [f"{one.name}: not checked ({one.reason})" for one in scans if one.outcome == UNCHECKED]
    if failed:
        return FAILED, (*failed, *missing)
    if missing and not set_.offline:
        return UNCHECKED, tuple(missing)
    return PASSED, tuple(missing)


def scan_of(document: Mapping[str, Any]) -> Scan:
    """Return a scan from the data that ``scan_document`` made; raises KeyError or TypeError for others."""
    return Scan(**{**document, "findings": tuple(Finding(**one) for one in document["findings"])})


def scan_document(scan: Scan) -> dict[str, Any]:
    """Return a scan with its findings as JSON data, to be read back by ``scan_of``."""
    return {**vars(scan), "findings": [dict(vars(one)) for one in scan.findings]}


def scans(document: object) -> tuple[Scan, ...]:
    """Return the scans that a process or a cache wrote down, none when they are not understood."""
    try:
        return tuple(scan_of(one) for one in document["scans"])  # type: ignore[index]
    except (KeyError, TypeError, AttributeError):
        return ()


def holds(found: Sequence[Scan]) -> bool:
    """Whether results may stand for a scan that is not run again: none of them went wrong."""
    return bool(found) and all(one.outcome in (CLEAN, FOUND, SKIPPED, UNCHECKED) for one in found)
