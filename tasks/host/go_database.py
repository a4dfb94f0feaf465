"""The Go vulnerability database as a directory that a container can read.

https://go.dev/doc/security/vuln/database: ``index/db.json``, ``index/modules.json`` and ``ID/<id>.json``.
"""

import json
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ..plan.code_scan import Database
from ..plan.finding import printable
from .project import Project
from .reports import write_json

_TIMEOUT = 5.0  # seconds for one answer of a database elsewhere
_LIMIT = 64 * 2**20  # bytes of one file of it
_ID = re.compile(r"GO-\d{4}-\d{1,8}", re.ASCII)
# What every program is made of, beside its modules.
_ALWAYS = ("stdlib", "toolchain")


def find(project: Project) -> Database:
    """Return the database that SCAN_GO_DB names, its directory empty where it is elsewhere; ``fetch`` brings that."""
    place = project.profile.text("SCAN_GO_DB")
    try:
        if _remote(place):
            return Database(date=_date(json.loads(_get(f"{place.rstrip('/')}/index/db.json"))))
        directory = Path(unquote(urlsplit(place).path) if place.startswith("file:") else place)
        directory = directory if directory.is_absolute() else project.settings.project_dir / directory
        if not directory.is_dir():
            return Database(missing=f"no database: SCAN_GO_DB={place}: no such directory")
        return Database(str(directory), _date(json.loads((directory / "index" / "db.json").read_bytes())))
    except (OSError, ValueError, KeyError, TypeError) as error:
        said = printable(str(getattr(error, "reason", None) or error))
        return Database(missing=f"no database: SCAN_GO_DB={place}: {said}")


def fetch(project: Project, found: Database, target: Path, modules: Iterable[str]) -> Database:
    """Return a database with a directory: one from elsewhere is fetched, as far as it speaks of these modules."""
    if found.directory or found.missing:
        return found
    place = project.profile.text("SCAN_GO_DB").rstrip("/")
    wanted = {*modules, *_ALWAYS}
    try:
        index = [one for one in json.loads(_get(f"{place}/index/modules.json")) if one["path"] in wanted]
        ids = sorted({str(vuln["id"]) for one in index for vuln in one["vulns"]})
        if bad := [one for one in ids if not _ID.fullmatch(one)]:
            raise ValueError(f"an id that is none: {printable(bad[0])!r}")
        with ThreadPoolExecutor(8) as pool:
            texts = list(pool.map(lambda one: json.loads(_get(f"{place}/ID/{one}.json")), ids))
        _write(target / "index" / "db.json", {"modified": found.date})
        _write(target / "index" / "modules.json", index)
        for id_, text in zip(ids, texts, strict=True):
            _write(target / "ID" / f"{id_}.json", text)
    except (OSError, ValueError, KeyError, TypeError) as error:
        return Database(missing=f"no database: SCAN_GO_DB={place}: {printable(str(error))}")
    return Database(str(target), found.date)


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

    with urlopen(url, timeout=_TIMEOUT) as answer:  # noqa: S310 - only called for http and https, see _remote
        data: bytes = answer.read(_LIMIT)
    return data


def modules(directory: Path) -> tuple[str, ...]:
    """Return the modules that ``go.sum`` files below a directory name."""
    found = set()
    for path in directory.rglob("go.sum"):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            found.add(line.partition(" ")[0])
    return tuple(sorted(found - {""}))
