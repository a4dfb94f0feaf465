"""Where runs of tests, scans and deploys leave their reports: one directory each, `latest` pointing at the newest."""

import json
import os
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..model.errors import CheckError, InputError
from ..model.lazy_pattern import lazy_pattern
from ..model.quoting import json_text
from .profile.settings import Settings

_LATEST = "latest"
_KEPT = 50  # runs whose reports stay
_RUN = lazy_pattern(r"\d{8}-\d{6}-[0-9a-f]{4}")
_LIMIT = 64 * 2**20  # bytes; a larger file was not written by tests


@dataclass(frozen=True)
class Run:
    """One run of tests: its id (time in UTC and four random hexadecimal digits) and its directory.

    ``attempt`` counts the times that a suite was run again; each has directories of its own.
    """

    id: str
    directory: Path
    attempt: int = 0

    def path(self, name: str) -> Path:
        """Return the path of the directory of a suite."""
        return self.directory / (f"{name}.retry{self.attempt}" if self.attempt else name)

    def suite(self, name: str) -> Path:
        """Return the directory of a suite, created when missing; any container user can write to it."""
        path = self.path(name)
        path.mkdir(parents=True, exist_ok=True)
        # A container has a user of its own, without rights on our files.
        path.chmod(0o777)
        return path

    def relative(self, path: Path) -> str:
        """Return a path as reports name it: relative to the reports directory."""
        return str(path.relative_to(self.directory.parent))


def _identity() -> str:
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{os.urandom(2).hex()}"


def planned_run(settings: Settings) -> Run:
    """Return a run whose directory is not created, for a dry run."""
    identity = _identity()
    return Run(identity, settings.reports_dir / identity)


def new_run(settings: Settings, latest: bool = True) -> Run:
    """Make the directory of a new run, let ``latest`` point at it, and remove the reports of old runs.

    ``latest`` is for runs of tests and scans; a run that has only logs leaves it as it is.
    """
    while True:
        run = planned_run(settings)
        try:
            run.directory.mkdir(parents=True)
        except FileExistsError:
            continue  # another run began in this second with the same digits
        if latest:
            _point(settings.reports_dir / _LATEST, run.id)
        _prune(settings.reports_dir, only_logs=not latest)
        return run


def _prune(directory: Path, only_logs: bool) -> None:
    """Remove all but the newest runs; what cannot be removed (files of a container's user) stays.

    Runs that have ``only_logs`` are counted apart: many deploys do not take the reports of tests away.
    """
    runs = [entry for entry in directory.iterdir() if _RUN.fullmatch(entry.name)]
    alike = sorted(entry for entry in runs if _has_only_logs(entry) == only_logs)
    for entry in alike[:-_KEPT]:
        shutil.rmtree(entry, ignore_errors=True)


def _has_only_logs(run: Path) -> bool:
    try:
        kinds = {entry.suffix for entry in run.iterdir()}
    except OSError:  # another process has just removed it
        return False
    return kinds == {".log"}


def _point(link: Path, target: str) -> None:
    """Let a link point elsewhere atomically, so that a reader never finds it missing."""
    fresh = link.with_name(f".{link.name}-{target}")
    fresh.symlink_to(target)
    fresh.replace(link)


def read_report(path: Path, where: str, limit: int = _LIMIT) -> bytes | None:
    """Return the report that a container wrote, None when there is none; raises CheckError for what is no report.

    The container controls what is there: a link could expose our own files, a pipe would never end.
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
    """Return a JSON document of ours, None when it is missing or incomplete."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError, RecursionError):
        return None


def read_baseline(path: Path, member: str) -> dict[str, Any]:
    """Return a stored baseline with ``member`` in it, empty when there is none.

    Raises InputError for a file that is no baseline: a comparison with nothing would always pass.
    """
    document = read_json(path)
    if isinstance(document, dict) and isinstance(document.get(member), dict):
        return document
    if path.exists():
        raise InputError(f"{path}: is not a baseline", "remove it, and keep a new one with --save-baseline")
    return {}


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a JSON document atomically: a reader gets the old document or the new one, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}-{os.urandom(4).hex()}")
    fresh.write_text(f"{json_text(document, 1)}\n", encoding="utf-8")
    fresh.replace(path)


def append_json(path: Path, document: Mapping[str, Any]) -> None:
    """Append a line of JSON; lines that runs append in parallel do not mix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = f"{json_text(document)}\n".encode()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


def now() -> str:
    """Return the time, RFC 3339 UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
