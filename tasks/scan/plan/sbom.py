"""Bills of materials: documents that list what an image consists of, with the same bytes for the same image."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...model.errors import CheckError
from ...model.lazy_pattern import lazy_pattern
from .images import ARCHIVE, TOOL, Subject

SCHEMA = "slipway/image.sbom/v1"
SPDX, CYCLONEDX = KINDS = ("spdx-json", "cyclonedx")  # trivy's names of the formats
_SUFFIXES = {SPDX: "spdx.json", CYCLONEDX: "cdx.json"}
_UUID = lazy_pattern(r"(?:urn:uuid:)?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_EPOCH = "1970-01-01T00:00:00Z"


@dataclass(frozen=True)
class Document:
    """A document that was written: its format, its file relative to the reports directory, the digest of its bytes."""

    format: str
    file: str
    digest: str


@dataclass(frozen=True)
class Bill:
    """The documents about an image; ``packages`` is their number of packages, ``tool`` the program that wrote them."""

    services: tuple[str, ...]
    reference: str
    image: str
    packages: int
    tool: str
    documents: tuple[Document, ...]

    def document(self) -> dict[str, Any]:
        """Return the bill as JSON data."""
        return {
            **vars(self),
            "services": list(self.services),
            "documents": [vars(document) for document in self.documents],
        }


def file_name(subject: Subject, kind: str) -> str:
    """Return the file name of a document, after the first service that runs the image."""
    return f"{subject.services[0]}.{_SUFFIXES[kind]}"


def reproducible(kind: str, data: bytes, subject: Subject, created: str) -> tuple[bytes, int]:
    """Return a document in reproducible form, and its number of packages; raises CheckError when it is no document.

    trivy writes the current time and random identities. They are replaced by the time the image was ``created``
    (https://reproducible-builds.org/docs/source-date-epoch/) and by identities derived from the content, so that the
    same image has the same bytes.
    """
    try:
        document = json.loads(data)
        epoch_time = _seconds(created)
        packages = _spdx(document, subject, epoch_time) if kind == SPDX else _cyclonedx(document, subject, epoch_time)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise CheckError(f"{subject.reference}: {TOOL} wrote no valid {kind} document") from None
    return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode(), packages


def _seconds(created: str) -> str:
    match = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?Z", created)
    # Go's zero time, in the year 1, is rejected by other readers.
    return f"{match[1]}Z" if match and not created.startswith("0001") else _EPOCH


def _spdx(document: Any, subject: Subject, time: str) -> int:
    if not str(document["spdxVersion"]).startswith("SPDX-2."):
        raise ValueError
    document["name"] = subject.reference
    document["documentNamespace"] = f"urn:uuid:{_identity(SPDX, subject.id, *document['creationInfo']['creators'])}"
    document["creationInfo"]["created"] = time
    for package in document["packages"]:
        if package.get("primaryPackagePurpose") == "CONTAINER":
            package["name"], package["versionInfo"] = subject.reference, subject.id
        for note in package.get("annotations") or ():
            note["annotationDate"] = time
    return sum(item.get("primaryPackagePurpose") == "LIBRARY" for item in document["packages"])


def _cyclonedx(document: Any, subject: Subject, time: str) -> int:
    if document["bomFormat"] != "CycloneDX":
        raise ValueError
    whole, parts = document["metadata"]["component"], document.get("components") or []
    names: dict[str, str] = {}
    for component in sorted((whole, *parts), key=_content):
        old = str(component["bom-ref"])
        if _UUID.fullmatch(old):
            names[old] = _identity(CYCLONEDX, subject.id, _content(component), str(len(names)))
    document["serialNumber"] = f"urn:uuid:{_identity(CYCLONEDX, subject.id, str(document['specVersion']))}"
    document["metadata"]["timestamp"] = time
    if whole["name"] == ARCHIVE:
        whole["name"], whole["version"] = subject.reference, subject.id
    for component in (whole, *parts):
        component["bom-ref"] = names.get(component["bom-ref"], component["bom-ref"])
    links = document.get("dependencies") or []
    for link in links:
        link["ref"] = names.get(link["ref"], link["ref"])
        link["dependsOn"] = sorted(names.get(ref, ref) for ref in link.get("dependsOn") or ())
    parts.sort(key=lambda component: str(component["bom-ref"]))
    links.sort(key=lambda link: str(link["ref"]))
    return sum(component.get("type") == "library" for component in parts)


def _content(component: Mapping[str, Any]) -> str:
    """Return the content of a component without its random identity, to sort and to identify components by."""
    kept = {key: value for key, value in component.items() if key != "bom-ref"}
    return json.dumps(kept, sort_keys=True)


def _identity(*words: str) -> str:
    """Return a UUID derived from words (version 8: https://www.rfc-editor.org/rfc/rfc9562#section-5.8)."""
    hex_ = hashlib.sha256(json.dumps(words).encode()).hexdigest()
    return f"{hex_[:8]}-{hex_[8:12]}-8{hex_[13:16]}-8{hex_[17:20]}-{hex_[20:32]}"


def digest(data: bytes) -> str:
    """Return the digest of a document."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def index(environment: str, bills: Iterable[Bill]) -> dict[str, Any]:
    """Return the JSON document of image.sbom, which is also stored next to the bills' documents."""
    return {"schema": SCHEMA, "environment": environment, "images": [bill.document() for bill in bills]}


def bills(index_: Any) -> tuple[Bill, ...]:
    """Return the bills that an index lists, none when its format is unknown."""
    try:
        if index_["schema"] != SCHEMA:
            return ()
        return tuple(
            Bill(
                **{
                    **entry,
                    "services": tuple(entry["services"]),
                    "documents": tuple(Document(**document) for document in entry["documents"]),
                }
            )
            for entry in index_["images"]
        )
    except (KeyError, TypeError, ValueError):
        return ()


def rows(bills: Iterable[Bill]) -> list[Sequence[object]]:
    """Return the rows of the table, one for each document."""
    return [
        (", ".join(bill.services), bill.reference, bill.packages, document.file, document.digest)
        for bill in bills
        for document in bill.documents
    ]


def digests(bills: Iterable[Bill], images: Iterable[str]) -> dict[str, str]:
    """Return the digests of these images' documents by file name, none unless every image id has documents."""
    listed = {bill.image: bill for bill in bills}
    wanted = set(images)
    if not wanted or not wanted <= set(listed):
        return {}
    return {
        document.file.rpartition("/")[2]: document.digest
        for name in sorted(wanted)
        for document in listed[name].documents
    }
