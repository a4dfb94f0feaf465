"""The scanner's database of vulnerabilities: what it says of itself, whether it is whole, how old it is."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from .command import Command
from .errors import InputError
from .secret import Secret

FILE, METADATA, ABOUT = "trivy.db", "metadata.json", "slipway.json"
SCHEMA = 2  # of the database, as this scanner reads it
HEADER = 1 << 17  # bytes at the beginning of the file that tell whether it is whole
# https://distribution.github.io/reference: host[:port]/path[:tag][@digest]
_REFERENCE = re.compile(r"\w[\w.-]*(?::\d+)?(?:/[\w.-]+)+(?::[\w.-]+)?(?:@sha256:[0-9a-f]{64})?", re.ASCII)
_MEND = "import another one: inv scan.db --import FILE|REGISTRY"

# bbolt's file format: https://github.com/etcd-io/bbolt/blob/v1.4.3/internal/common/meta.go
_MAGIC, _META_SIZE, _PAGE_HEADER = 0xED0CDAED, 64, 16
_PAGE_SIZES = (4096, 8192, 16384, 65536)


@dataclass(frozen=True)
class Database:
    """A database that was imported. ``version`` is its schema; the times are RFC 3339 UTC, "" when it does not say.

    ``digest`` is that of the file, ``size`` in bytes, ``source`` where it was imported from.
    """

    directory: str
    version: int
    updated: str
    next_update: str
    imported: str
    digest: str
    size: int
    source: str

    def age(self, now: str) -> float:
        """Return how old its advisories are, in seconds."""
        return max((_time(now) - _time(self.updated)).total_seconds(), 0.0)

    def document(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {key: value for key, value in vars(self).items() if key != "directory"}


def _time(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _utc(text: object) -> str:
    """Return a time in the form we show, "" when it is none."""
    try:
        # Nine digits of a second, as Go prints them, are more than Python reads.
        found = _time(re.sub(r"(\.\d{6})\d+", r"\1", str(text)))
    except ValueError:
        return ""
    return found.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def metadata(text: str, where: str) -> dict[str, Any]:
    """Return what the database's metadata.json says; raises InputError when it is none, or of another schema."""
    try:
        found = json.loads(text)
        version, updated = int(found["Version"]), _utc(found["UpdatedAt"])
    except (ValueError, TypeError, KeyError, RecursionError):
        raise InputError(f"{where}: {METADATA} is not that of a vulnerability database", _MEND) from None
    if version != SCHEMA:
        raise InputError(f"{where}: a database of schema {version}, and the scanner reads {SCHEMA}", _MEND)
    if not updated:
        raise InputError(f"{where}: {METADATA} does not say how old the database is", _MEND)
    return {"version": version, "updated": updated, "next_update": _utc(found.get("NextUpdate", ""))}


def known(text: str, directory: str) -> Database | None:
    """Return the database that a note of ours is about, None when the note is not understood."""
    try:
        return Database(**{**json.loads(text), "directory": directory})
    except (ValueError, TypeError, RecursionError):
        return None


def refuse_broken(header: bytes, size: int, where: str) -> None:
    """Raise InputError when a database file is none or is cut short: the scanner would read it and find nothing.

    ``header`` is the beginning of the file, ``size`` its length in bytes. One of the two meta pages has to be whole,
    and the file as long as the newer of them says.
    """
    metas = [meta for meta in (_meta(header, 0), *(_meta(header, size) for size in _PAGE_SIZES)) if meta]
    if not metas:
        raise InputError(f"{where}: {FILE} is not a vulnerability database", _MEND)
    _, pages, page_size = max(metas)
    if size < pages * page_size:
        raise InputError(f"{where}: {FILE} is cut short: {size} of {pages * page_size} bytes", _MEND)


def _meta(header: bytes, offset: int) -> tuple[int, int, int] | None:
    """Return (transaction, pages, size of a page) of a meta page, None when there is no whole one."""
    data = header[offset + _PAGE_HEADER : offset + _PAGE_HEADER + _META_SIZE]
    if len(data) < _META_SIZE or _number(data, 0, 4) != _MAGIC or _fnv(data[:56]) != _number(data, 56, 8):
        return None
    return _number(data, 48, 8), _number(data, 40, 8), _number(data, 8, 4)


def _number(data: bytes, offset: int, length: int) -> int:
    return int.from_bytes(data[offset : offset + length], "little")


def _fnv(data: bytes) -> int:
    """Return FNV-1a, 64 bits."""
    found = 0xCBF29CE484222325
    for byte in data:
        found = (found ^ byte) * 0x100000001B3 % 2**64
    return found


def is_reference(text: str) -> bool:
    """Whether a text names something in a registry."""
    return _REFERENCE.fullmatch(text) is not None


def fetch(tool: str, reference: str, directory: str, env: Mapping[str, str | Secret], timeout: float) -> Command:
    """Return the command that gets a database into a directory; without a reference the official one."""
    words = ("image", "--download-db-only", "--no-progress", "--skip-version-check", "--disable-telemetry")
    source = ("--db-repository", reference) if reference else ()
    return Command(
        (tool, *words, "--config", "", "--cache-dir", directory, *source), env=env, timeout=timeout,
        reason="get the vulnerability database",
    )  # fmt: skip


def probe(tool: str, directory: str, document: str, timeout: float) -> Command:
    """Return the command that lets the scanner look something up in a database: one that it cannot read fails."""
    words = (
        *("sbom", "--quiet", "--skip-db-update", "--skip-java-db-update", "--offline-scan", "--skip-version-check"),
        *("--disable-telemetry", "--config", "", "--cache-backend", "memory", "--format", "json"),
    )
    return Command((tool, *words, "--cache-dir", directory, document), timeout=timeout)


PROBE = json.dumps(
    {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "components": [
            {"type": "library", "name": "text", "version": "v0.0.1", "bom-ref": purl, "purl": purl}
            for purl in ("pkg:npm/text@0.0.1", "pkg:pypi/text@0.0.1")
        ],
    }
)


def fault(text: str) -> str:
    """Return the scanner's own last word on why it failed, in one line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    # Of several errors each is a point of a list, and the last one is of the last thing tried.
    points = [line[2:] for line in lines if line.startswith("* ")]
    last = next((line for line in reversed(lines) if "FATAL" in line), lines[-1] if lines else "it does not say why")
    words = points[-1] if points else re.sub(r"^\S+\s+FATAL\s+(?:Fatal error\s+)?(?:run error: )?", "", last)
    return words if len(words) <= 300 else f"…{words[-299:]}"


def old(database: Database, now: str, limit: float) -> str:
    """Return in words that a database is too old, "" when it is not; ``limit`` is in seconds."""
    age = database.age(now)
    words = f"{age / 86400:.0f} days" if age >= 2 * 86400 else f"{age / 3600:.0f} hours"
    return f"its advisories are {words} old (SCAN_DB_MAX_AGE)" if age > limit else ""


def identity(digest: str) -> str:
    """Return the name of the directory that keeps a database."""
    return hashlib.sha256(digest.encode()).hexdigest()[:16]
