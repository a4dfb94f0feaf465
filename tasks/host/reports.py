"""Where test runs leave their reports: one directory each, `latest` pointing at the newest."""

import json
import os
import re
import secrets
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..plan.errors import CheckError, InputError
from .files import Settings

_LATEST = "latest"
_KEPT = 50  # runs whose reports stay
_RUN = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}")
_LIMIT = 64 * 2**20  # bytes of a report; one of this size was not written by tests


@dataclass(frozen=True)
class Run:
    """One run of tests: its id (time in UTC and four random hexadecimal digits) and its directory.

    ``attempt`` counts the times that a suite was run again; each has directories of its own.
    """

    id: str
    directory: Path
    attempt: int = 0

    def path(self, name: str) -> Path:
        """Return where the directory of one suite is."""
        return self.directory / (f"{name}.retry{self.attempt}" if self.attempt else name)

    def suite(self, name: str) -> Path:
        """Return the directory of one suite, made when it is not there; any container user can write to it."""
        path = self.path(name)
        path.mkdir(parents=True, exist_ok=True)
        # What runs in a container has a user of its own there, with no rights on what is ours.
        path.chmod(0o777)
        return path

    def relative(self, path: Path) -> str:
        """Return a path as reports name it: relative to the reports directory."""
        return str(path.relative_to(self.directory.parent))


def _identity() -> str:
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def planned_run(settings: Settings) -> Run:
    """Return a run whose directory is not made: what a dry run shows."""
    identity = _identity()
    return Run(identity, settings.reports_dir / identity)


def new_run(settings: Settings) -> Run:
    """Make the directory of a new run, let ``latest`` point at it, and remove the reports of old runs."""
    while True:
        run = planned_run(settings)
        try:
            run.directory.mkdir(parents=True)
        except FileExistsError:
            continue  # another run began in this second with the same digits
        _point(settings.reports_dir / _LATEST, run.id)
        _prune(settings.reports_dir)
        return run


def _prune(directory: Path) -> None:
    """Remove all but the newest runs; what cannot be removed (files of a container's user) stays."""
    runs = sorted(one.name for one in directory.iterdir() if _RUN.fullmatch(one.name))
    for name in runs[:-_KEPT]:
        shutil.rmtree(directory / name, ignore_errors=True)


def _point(link: Path, target: str) -> None:
    """Let a link point elsewhere in one step, so that whoever reads it never finds it missing."""
    fresh = link.with_name(f".{link.name}-{target}")
    fresh.symlink_to(target)
    fresh.replace(link)


def read_report(path: Path, where: str, limit: int = _LIMIT) -> bytes | None:
    """Return what a container wrote, None when it wrote nothing; raises CheckError for what is no report.

    The container chose what lies there: a link would show it files of ours, a pipe would never end.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CheckError(f"{where}: cannot be read: {error.strerror}", "let the tests write a plain file") from None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise CheckError(f"{where}: is not a plain file", "let the tests write a plain file")
        if status.st_size > limit:
            raise CheckError(f"{where}: {status.st_size} bytes are too many for a report", "let the tests write less")
        return file.read(limit)


def read_json(path: Path) -> Any:
    """Return a JSON document of ours, None when it is not there or not whole."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError, RecursionError):
        return None


def read_baseline(path: Path, member: str) -> dict[str, Any]:
    """Return a stored baseline with ``member`` in it, empty when there is none.

    Raises InputError for a file that is none: to measure against nothing would be to pass.
    """
    found = read_json(path)
    if isinstance(found, dict) and isinstance(found.get(member), dict):
        return found
    if path.exists():
        raise InputError(f"{path}: is not a baseline", "remove it, and keep a new one with --save-baseline")
    return {}


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a JSON document in one step: whoever reads it meanwhile gets the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    fresh.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    fresh.replace(path)


def append_json(path: Path, document: Mapping[str, Any]) -> None:
    """Append one JSON line; lines of several runs at once do not mix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = (json.dumps(document, ensure_ascii=False) + "\n").encode()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


def now() -> str:
    """Return the time, RFC 3339 UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
