"""The fingerprints of a release's findings, as its record stores them, to tell which findings are new since then."""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ...model.lazy_pattern import lazy_pattern
from ...release.plan.release import Release

EVIDENCE = "findings"  # the member of a release's evidence
_VERSION = "v1:"
_LENGTH = 12  # hexadecimal digits of a fingerprint: 48 bits
_LINE = lazy_pattern(r"(?::\d+)+\Z")


@dataclass(frozen=True)
class Base:
    """The earlier findings to compare with: ``known`` are their fingerprints, None when there are none to compare with.

    ``source`` is where they come from: ``release record``, ``reports`` or "". ``text`` says it in words for the user.
    """

    known: frozenset[str] | None
    text: str
    release: Release | None = None
    source: str = ""

    def document(self) -> dict[str, Any]:
        """Return the base as JSON data, without the fingerprints."""
        release = self.release
        return {
            "release": release.id if release else None,
            "version": release.version if release else None,
            "base": self.source or None,
            "text": self.text,
        }


def identity(id: str, where: str) -> tuple[str, str]:
    """Return what identifies a finding over time: its id and its place without line numbers, since lines move."""
    return id, _LINE.sub("", where)


def fingerprint(id: str, where: str) -> str:
    """Return the identity of a finding as a short hash."""
    return hashlib.sha256("\0".join(identity(id, where)).encode()).hexdigest()[:_LENGTH]


def pack(known: Collection[str]) -> str:
    """Return fingerprints as the text that a release record stores; ``unpacked`` reads it."""
    return _VERSION + "".join(sorted(known))


def unpack(text: str) -> frozenset[str] | None:
    """Return the fingerprints in a record's text, None when its format is unknown."""
    body = text.removeprefix(_VERSION)
    if not text.startswith(_VERSION) or len(body) % _LENGTH:
        return None
    return frozenset(body[start : start + _LENGTH] for start in range(0, len(body), _LENGTH))


def report_fingerprints(document: object) -> frozenset[str] | None:
    """Return the fingerprints of all findings of an earlier report, None when the report is incomplete."""
    if not isinstance(document, Mapping):
        return None
    try:
        if "fingerprints" in document:
            return frozenset(str(text) for text in document["fingerprints"])
        return frozenset(fingerprint(str(finding["id"]), str(finding["where"])) for finding in document["findings"])
    except (KeyError, TypeError):
        return None


def commit_fingerprints(documents: Iterable[object], schema: str, project: str, commit: str) -> frozenset[str] | None:
    """Return the fingerprints in the reports of a commit, from the newest report of each kind; None without a report.

    ``documents`` come newest first.
    """
    seen_kinds: set[str] = set()
    fingerprints: frozenset[str] | None = None
    for document in documents:
        if not isinstance(document, Mapping) or str(document.get("version", "")).endswith("-dirty"):
            continue
        if (document.get("schema"), document.get("project"), document.get("commit")) != (schema, project, commit):
            continue
        reported_now, kinds = report_fingerprints(document), {str(kind) for kind in document.get("kinds") or ("all",)}
        if reported_now is not None and not kinds <= seen_kinds:
            seen_kinds |= kinds
            fingerprints = (fingerprints or frozenset()) | reported_now
    return fingerprints


def choose_base(release: Release | None, reports: frozenset[str] | None) -> Base:
    """Return what to compare with: the record of the serving release, else the reports on this machine."""
    if release is None:
        return Base(None, "there is no release of this environment: every finding counts as new")
    name = f"new since release {release.id} ({release.version})"
    carried = unpack(release.evidence.get(EVIDENCE, ""))
    if carried is not None:
        return Base(carried, f"{name}, by its record", release, "release record")
    if reports is not None:
        return Base(reports, f"{name}, by the reports of its scan on this machine", release, "reports")
    return Base(None, f"{name}, of which no scan is known: every finding counts as new", release)
