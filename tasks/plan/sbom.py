"""Bills of materials: the documents that say what an image consists of, the same for the same image."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import CheckError
from .trivy import ARCHIVE, TOOL, Subject

SCHEMA = "slipway/image.sbom/v1"
SPDX, CYCLONEDX = KINDS = ("spdx-json", "cyclonedx")  # as trivy calls them
_SUFFIXES = {SPDX: "spdx.json", CYCLONEDX: "cdx.json"}
_UUID = re.compile(r"(?:urn:uuid:)?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_EPOCH = "1970-01-01T00:00:00Z"


@dataclass(frozen=True)
class Document:
    """One document that was written: its format, its file as reports name it, the digest of its bytes."""

    format: str
    file: str
    digest: str


@dataclass(frozen=True)
class Bill:
    """What was written about one image; ``packages`` is how many it consists of, ``tool`` what it was made with."""

    services: tuple[str, ...]
    reference: str
    image: str
    packages: int
    tool: str
    documents: tuple[Document, ...]

    def document(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {**vars(self), "services": list(self.services), "documents": [vars(one) for one in self.documents]}


def file_name(subject: Subject, kind: str) -> str:
    """Return the name of a document: that of the first service that runs the image."""
    return f"{subject.services[0]}.{_SUFFIXES[kind]}"


def written(kind: str, data: bytes, subject: Subject, created: str) -> tuple[bytes, int]:
    """Return a document as it is kept, and how many packages it lists; raises CheckError for what is none.

    trivy puts the time and random identities into it. The image's own time ``created`` stands in their place, as
    SOURCE_DATE_EPOCH would have it, and identities that follow from the content: the same image, the same bytes.
    """
    try:
        found = json.loads(data)
        time = _seconds(created)
        packages = _spdx(found, subject, time) if kind == SPDX else _cyclonedx(found, subject, time)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise CheckError(f"{subject.reference}: {TOOL} wrote what is no {kind} document") from None
    return (json.dumps(found, indent=1, ensure_ascii=False) + "\n").encode(), packages


def _seconds(created: str) -> str:
    whole = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?Z", created)
    # Go's zero time is no date that other readers take.
    return f"{whole[1]}Z" if whole and not created.startswith("0001") else _EPOCH


def _spdx(found: Any, subject: Subject, time: str) -> int:
    if not str(found["spdxVersion"]).startswith("SPDX-2."):
        raise ValueError
    found["name"] = subject.reference
    found["documentNamespace"] = f"urn:uuid:{_identity(SPDX, subject.id, *found['creationInfo']['creators'])}"
    found["creationInfo"]["created"] = time
    for package in found["packages"]:
        if package.get("primaryPackagePurpose") == "CONTAINER":
            package["name"], package["versionInfo"] = subject.reference, subject.id
        for note in package.get("annotations") or ():
            note["annotationDate"] = time
    return sum(one.get("primaryPackagePurpose") == "LIBRARY" for one in found["packages"])


def _cyclonedx(found: Any, subject: Subject, time: str) -> int:
    if found["bomFormat"] != "CycloneDX":
        raise ValueError
    whole, parts = found["metadata"]["component"], found.get("components") or []
    names: dict[str, str] = {}
    for one in sorted((whole, *parts), key=_content):
        old = str(one["bom-ref"])
        if _UUID.fullmatch(old):
            names[old] = _identity(CYCLONEDX, subject.id, _content(one), str(len(names)))
    found["serialNumber"] = f"urn:uuid:{_identity(CYCLONEDX, subject.id, str(found['specVersion']))}"
    found["metadata"]["timestamp"] = time
    if whole["name"] == ARCHIVE:
        whole["name"], whole["version"] = subject.reference, subject.id
    for one in (whole, *parts):
        one["bom-ref"] = names.get(one["bom-ref"], one["bom-ref"])
    links = found.get("dependencies") or []
    for one in links:
        one["ref"] = names.get(one["ref"], one["ref"])
        one["dependsOn"] = sorted(names.get(ref, ref) for ref in one.get("dependsOn") or ())
    parts.sort(key=lambda one: str(one["bom-ref"]))
    links.sort(key=lambda one: str(one["ref"]))
    return sum(one.get("type") == "library" for one in parts)


def _content(component: Mapping[str, Any]) -> str:
    """Return what tells components apart, but for their random identity."""
    kept = {key: value for key, value in component.items() if key != "bom-ref"}
    return json.dumps(kept, sort_keys=True)


def _identity(*words: str) -> str:
    """Return a UUID that follows from words (version 8: https://www.rfc-editor.org/rfc/rfc9562#section-5.8)."""
    hex_ = hashlib.sha256(json.dumps(words).encode()).hexdigest()
    return f"{hex_[:8]}-{hex_[8:12]}-8{hex_[13:16]}-8{hex_[17:20]}-{hex_[20:32]}"


def digest(data: bytes) -> str:
    """Return the digest of a document."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def index(environment: str, bills: Iterable[Bill]) -> dict[str, Any]:
    """Return what image.sbom reports, and keeps beside the documents."""
    return {"schema": SCHEMA, "environment": environment, "images": [one.document() for one in bills]}


def bills(found: Any) -> tuple[Bill, ...]:
    """Return the bills that an index lists, none when it is not understood."""
    try:
        if found["schema"] != SCHEMA:
            return ()
        return tuple(
            Bill(
                **{
                    **one,
                    "services": tuple(one["services"]),
                    "documents": tuple(Document(**each) for each in one["documents"]),
                }
            )
            for one in found["images"]
        )
    except (KeyError, TypeError, ValueError):
        return ()


def rows(found: Iterable[Bill]) -> list[Sequence[object]]:
    """Return the table: one line for each document."""
    return [
        (", ".join(one.services), one.reference, one.packages, each.file, each.digest)
        for one in found
        for each in one.documents
    ]


def digests(found: Iterable[Bill], images: Iterable[str]) -> dict[str, str]:
    """Return the digests of the documents by file name, nothing unless they are about exactly these image ids."""
    listed = {one.image: one for one in found}
    wanted = set(images)
    if not wanted or not wanted <= set(listed):
        return {}
    return {each.file.rpartition("/")[2]: each.digest for name in sorted(wanted) for each in listed[name].documents}
