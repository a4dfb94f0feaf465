"""What the scan of a release found, in the short form that its record carries: to tell what is new since."""

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .release import Release

EVIDENCE = "findings"  # the member of a release's evidence
_VERSION = "v1:"
_LENGTH = 12  # hexadecimal digits of a fingerprint: 48 bits
_LINE = re.compile(r"(?::\d+)+\Z")


@dataclass(frozen=True)
class Base:
    """What findings are compared with: ``known`` are fingerprints, None when there is nothing to compare with.

    ``source`` is where they come from: ``release record``, ``reports`` or "". ``text`` says it all in words.
    """

    known: frozenset[str] | None
    text: str
    release: Release | None = None
    source: str = ""

    def document(self) -> dict[str, Any]:
        """Return it as JSON data, without the fingerprints."""
        one = self.release
        return {
            "release": one.id if one else None,
            "version": one.version if one else None,
            "base": self.source or None,
            "text": self.text,
        }


def identity(id: str, where: str) -> tuple[str, str]:
    """Return what a finding is known by over time: lines move, so its place counts without them."""
    return id, _LINE.sub("", where)


def fingerprint(id: str, where: str) -> str:
    """Return the identity of a finding as a short text."""
    return hashlib.sha256("\0".join(identity(id, where)).encode()).hexdigest()[:_LENGTH]


def packed(known: Collection[str]) -> str:
    """Return fingerprints as the text that a record carries."""
    return _VERSION + "".join(sorted(known))


def unpacked(text: str) -> frozenset[str] | None:
    """Return the fingerprints in a record's text, None when it is none that is understood."""
    body = text.removeprefix(_VERSION)
    if not text.startswith(_VERSION) or len(body) % _LENGTH:
        return None
    return frozenset(body[at : at + _LENGTH] for at in range(0, len(body), _LENGTH))


def known(document: object) -> frozenset[str] | None:
    """Return what the findings of an earlier report are known by, None when it does not tell them all."""
    if not isinstance(document, Mapping):
        return None
    try:
        if "fingerprints" in document:
            return frozenset(str(one) for one in document["fingerprints"])
        return frozenset(fingerprint(str(one["id"]), str(one["where"])) for one in document["findings"])
    except (KeyError, TypeError):
        return None


def reported(documents: Iterable[object], schema: str, project: str, commit: str) -> frozenset[str] | None:
    """Return what reports of the scans of a commit found, the newest of each kind; None without one.

    ``documents`` come newest first.
    """
    kinds: set[str] = set()
    found: frozenset[str] | None = None
    for one in documents:
        if not isinstance(one, Mapping) or str(one.get("version", "")).endswith("-dirty"):
            continue
        if (one.get("schema"), one.get("project"), one.get("commit")) != (schema, project, commit):
            continue
        fresh, looked = known(one), {str(kind) for kind in one.get("kinds") or ("all",)}
        if fresh is not None and not looked <= kinds:
            kinds |= looked
            found = (found or frozenset()) | fresh
    return found


def base(release: Release | None, reports: frozenset[str] | None) -> Base:
    """Return what to compare with: what the record of the serving release carries, else what reports here say."""
    if release is None:
        return Base(None, "there is no release of this environment: every finding counts as new")
    name = f"new since release {release.id} ({release.version})"
    carried = unpacked(release.evidence.get(EVIDENCE, ""))
    if carried is not None:
        return Base(carried, f"{name}, by its record", release, "release record")
    if reports is not None:
        return Base(reports, f"{name}, by the reports of its scan on this machine", release, "reports")
    return Base(None, f"{name}, of which no scan is known: every finding counts as new", release)
