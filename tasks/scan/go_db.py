"""Finds or downloads the Go vulnerability database as a directory that a container can mount.

https://go.dev/doc/security/vuln/database: ``index/db.json``, ``index/modules.json`` and ``ID/<id>.json``.
"""

import json
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ..host.project import Project
from ..host.reports import write_json
from ..model.finding import printable
from ..model.lazy_pattern import lazy_pattern
from .plan.code import GoDatabase

_TIMEOUT = 5.0  # seconds for a response of a remote database
_LIMIT = 64 * 2**20  # bytes of a file of it
_ID = lazy_pattern(r"GO-\d{4}-\d{1,8}", re.ASCII)
# The modules that every Go program consists of, which no go.sum lists.
_ALWAYS = ("stdlib", "toolchain")


def find(project: Project) -> GoDatabase:
    """Return the database that SCAN_GO_DB names; a remote database has no directory until ``fetch`` downloads it.

    A database that cannot be read has its reason in ``missing``.
    """
    place = project.profile.text("SCAN_GO_DB")
    try:
        if _remote(place):
            return GoDatabase(date=_date(json.loads(_get(f"{place.rstrip('/')}/index/db.json"))))
        directory = Path(unquote(urlsplit(place).path) if place.startswith("file:") else place)
        directory = directory if directory.is_absolute() else project.settings.project_dir / directory
        if not directory.is_dir():
            return GoDatabase(missing=f"no database: SCAN_GO_DB={place}: no such directory")
        return GoDatabase(str(directory), _date(json.loads((directory / "index" / "db.json").read_bytes())))
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = printable(str(getattr(error, "reason", None) or error))
        return GoDatabase(missing=f"no database: SCAN_GO_DB={place}: {reason}")


def fetch(project: Project, database: GoDatabase, target: Path, modules: Iterable[str]) -> GoDatabase:
    """Return a database with a directory: of a remote database, download the advisories on these modules."""
    if database.directory or database.missing:
        return database
    place = project.profile.text("SCAN_GO_DB").rstrip("/")
    wanted = {*modules, *_ALWAYS}
    try:
        index = [module for module in json.loads(_get(f"{place}/index/modules.json")) if module["path"] in wanted]
        ids = sorted({str(vulnerability["id"]) for module in index for vulnerability in module["vulns"]})
        if invalid := [id_ for id_ in ids if not _ID.fullmatch(id_)]:
            raise ValueError(f"an invalid id: {printable(invalid[0])!r}")
        with ThreadPoolExecutor(8) as pool:
            texts = list(pool.map(lambda id_: json.loads(_get(f"{place}/ID/{id_}.json")), ids))
        _write(target / "index" / "db.json", {"modified": database.date})
        _write(target / "index" / "modules.json", index)
        for id_, text in zip(ids, texts, strict=True):
            _write(target / "ID" / f"{id_}.json", text)
    except (OSError, ValueError, KeyError, TypeError) as error:
        return GoDatabase(missing=f"no database: SCAN_GO_DB={place}: {printable(str(error))}")
    return GoDatabase(str(target), database.date)


def _write(path: Path, document: Any) -> None:
    write_json(path, document)
    path.chmod(0o644)
    path.parent.chmod(0o755)


def _remote(place: str) -> bool:
    return place.startswith(("https://", "http://"))


def _date(document: Any) -> str:
    return str(document["modified"])


def _get(url: str) -> bytes:
    from urllib.request import urlopen

    with urlopen(url, timeout=_TIMEOUT) as response:  # noqa: S310 - only called for http and https, see _remote
        data: bytes = response.read(_LIMIT)
    return data


def modules(directory: Path) -> tuple[str, ...]:
    """Return the modules in all ``go.sum`` files below a directory, sorted."""
    names = set()
    for path in directory.rglob("go.sum"):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            names.add(line.partition(" ")[0])
    return tuple(sorted(names - {""}))
