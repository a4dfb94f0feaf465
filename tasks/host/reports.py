"""Where test runs leave their reports: one directory each, `latest` pointing at the newest."""

import os
import secrets
import stat
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ..plan.errors import CheckError
from .files import Settings

_LATEST = "latest"
_LIMIT = 64 * 2**20  # bytes of a report; one of this size was not written by tests


@dataclass(frozen=True)
class Run:
    """One run of tests: its id (time in UTC and four random hexadecimal digits) and its directory."""

    id: str
    directory: Path

    def path(self, name: str) -> Path:
        """Return where the directory of one suite is."""
        return self.directory / name

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
    """Make the directory of a new run and let ``latest`` point at it."""
    while True:
        run = planned_run(settings)
        try:
            run.directory.mkdir(parents=True)
        except FileExistsError:
            continue  # another run began in this second with the same digits
        _point(settings.reports_dir / _LATEST, run.id)
        return run


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
