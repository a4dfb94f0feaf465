"""Carries backups of the stack's database out, proves each by restoring it, and puts one back in place."""

import contextlib
import itertools
import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from ..plan import backup as planner
from ..plan.command import Command
from ..plan.compose import compose
from ..plan.errors import CheckError, CommandError, InputError, RefusedError
from ..plan.lock import BACKUP, waiting
from ..plan.stack import Service
from ..plan.units import show_duration, show_size
from . import locks
from .forwarding import postponed
from .output import confirm, emit, emit_json, note
from .project import Project

_PATIENCE = 600.0  # seconds that a backup waits for another one of the same project
_TRIES = 5  # a client that comes back at once may get in before the swap
_PART = ".part"


@dataclass(frozen=True)
class Made:
    """A backup that was made and checked: the rows of each table, its size in bytes, and what was removed for it."""

    path: Path
    tables: dict[str, int]
    size: int
    seconds: float
    removed: tuple[str, ...]


class Database:
    """The stack's database and the commands that its service declares for backups."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.service: Service = project.stack.role("database")
        backup = self.service.slipway.backup
        if backup is None:
            raise InputError(
                f"service {self.service.name} does not say x-slipway.backup",
                "the README shows how a database says how it is dumped and restored",
            )
        self.backup = backup

    def running(self) -> None:
        """Raise RefusedError unless the database runs."""
        name = self.project.stack.project
        found = self.project.engine.containers(name)
        if not any(one.service == self.service.name and one.state == "running" and not one.oneoff for one in found):
            raise RefusedError(
                f"service {self.service.name} of {name} is not running",
                f"start it: inv deploy.{self.project.profile.environment}",
            )

    def command(self, name: str, scratch: str = "", snapshot: str = "", reason: str = "") -> Command:
        """Return a declared command as one that runs in the container."""
        words = self.backup.command(name, scratch, snapshot)
        command = compose(
            self.project.profile, "exec", "--no-TTY", self.service.name, *words, cwd=self.project.cwd, reason=reason
        )
        return replace(command, source=os.devnull)

    def run(self, command: Command) -> None:
        """Run a command; what it says at last becomes the error's message."""

        def explain(code: int, output: str) -> CommandError | None:
            said = [line.strip() for line in output.splitlines() if line.strip()]
            return CommandError(f"{self.service.name}: {said[-1]}", code, output=output) if said else None

        self.project.runner.run(command, explain)

    @contextmanager
    def scratch(self, name: str, reason: str) -> Iterator[None]:
        """Have an empty database for as long as the block lasts; one that a killed task left is removed first."""
        self.run(self.command("drop", name))
        try:
            with postponed():  # ending the client would not end what the server does
                self.run(self.command("create", name, reason=reason))
            yield
        finally:
            with postponed():
                self.run(self.command("drop", name))

    def tables(self, scratch: str) -> dict[str, int]:
        """Return the rows of each table of a scratch database."""
        return planner.counts(self.project.runner.lines(self.command("tables", scratch)))


def backup(project: Project) -> Path:
    """Make a backup of the project's database in the directory for backups, check it, and return its path.

    Raises CheckError for one that cannot be restored as it was, and leaves it beside the good ones by a name that
    says so. In a dry run the path is that of a backup that would be made.
    """
    return _make(Database(project), None).path


def run(project: Project, output: str, json: bool) -> None:
    """Make a backup and report it; ``output`` names a file instead of the directory for backups."""
    target = Path(output).absolute() if output else None
    if target and target.exists():
        raise InputError(f"{output}: exists already", "name another file: a backup never replaces one")
    made = _make(Database(project), target)
    if project.runner.dry:
        return
    if json:
        emit_json(
            {
                "schema": "slipway/db.backup/v1",
                "environment": project.profile.environment,
                "file": str(made.path),
                "size": made.size,
                "seconds": round(made.seconds, 3),
                "tables": [{"name": name, "rows": rows} for name, rows in sorted(made.tables.items())],
                "removed": list(made.removed),
            }
        )
    else:
        emit(str(made.path))
    for name in made.removed:
        note(f"removed {name} (KEEP_BACKUPS={project.profile.text('KEEP_BACKUPS')})")
    rows = sum(made.tables.values())
    note(
        f"{made.path.name}: {show_size(made.size)}, {len(made.tables)} tables with {rows} rows, "
        f"restored and compared in {show_duration(made.seconds)}"
    )


def _make(database: Database, target: Path | None) -> Made:
    project = database.project
    started = time.monotonic()
    if not project.runner.dry:
        database.running()
    with locks.held(project, "backup", _PATIENCE, BACKUP):
        directory = project.settings.backups_dir / project.stack.project
        path = target or directory / datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ.dump")
        part = path.with_name(path.name + _PART)
        if project.runner.dry:
            _dump(database, part)
            _check(database, part, {})
            return Made(path, {}, 0, 0.0, ())
        _prepare(path.parent, part, own=target is None)
        try:
            tables = _dump(database, part)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        _accept(database, part, path, tables)
        removed = () if target else _prune(path, project.profile.integer("KEEP_BACKUPS"))
    return Made(path, tables, path.stat().st_size, time.monotonic() - started, removed)


def _prepare(directory: Path, part: Path, own: bool) -> None:
    """Make the directory and the empty file, both for nobody else's eyes; what a killed backup left goes."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in directory.glob(f"*.dump{_PART}") if own else ():
            left.unlink(missing_ok=True)
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as error:
        raise RefusedError(
            f"{part}: cannot be written: {error.strerror}", "make room, or name another place: --output FILE"
        ) from None


def _dump(database: Database, part: Path) -> dict[str, int]:
    """Write the dump and return the rows of each table as the dump sees them."""
    with _view(database) as (snapshot, tables):
        dump = replace(database.command("dump", snapshot=snapshot, reason="the dump"), sink=str(part))
        try:
            database.run(dump)
        except CommandError as error:
            raise _unwritten(error, part) from None
    return tables


@contextmanager
def _view(database: Database) -> Iterator[tuple[str, dict[str, int]]]:
    """Keep a view of the data that the dump and the counting share; its name, and the rows of each table in it.

    It lasts until its stdin ends, so that it ends with this process, however that ends.
    """
    runner = database.project.runner
    command = database.command("snapshot", reason="a view of the data while its stdin is open; prints SNAPSHOT")
    if runner.dry:
        runner.run(command)
        yield "SNAPSHOT", {}
        return
    reading, writing = os.pipe()
    with closing(runner.lines(replace(command, source=f"/dev/fd/{reading}"))) as session:
        try:
            snapshot = next(session, "").strip()
            os.close(reading)
            tables = planner.counts(itertools.takewhile(str.strip, session))
            yield snapshot, tables
        finally:
            os.close(writing)
        for _ in session:  # until it has ended
            pass


def _unwritten(error: CommandError, part: Path) -> CommandError:
    """Tell a full disk from a database that cannot be dumped."""
    if "no space left" in f"{error.message} {error.output}".lower() or not _room(part):
        return CommandError(
            f"{part.parent}: the disk is full: no backup was made",
            error.exit_code,
            "make room, or name another place: --output FILE",
        )
    return CommandError(f"no backup was made: {error.message}", error.exit_code, "see `inv logs` of the database")


def _room(part: Path) -> bool:
    with contextlib.suppress(OSError):
        return os.statvfs(part.parent).f_bavail > 0
    return True


def _accept(database: Database, part: Path, path: Path, tables: dict[str, int]) -> None:
    """Give a dump its name once it has passed the check, and one that has not a name that says so."""
    with part.open("rb") as file:
        os.fsync(file.fileno())
    try:
        _check(database, part, tables)
    except CommandError as error:
        failed = path.with_name(path.name + planner.FAILED)
        part.rename(failed)
        raise CheckError(f"{failed}: cannot be restored: {error.message}", "do not rely on it; make another") from None
    except CheckError as error:
        failed = path.with_name(path.name + planner.FAILED)
        part.rename(failed)
        raise CheckError(f"{failed}: {error.message}", error.hint) from None
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    part.rename(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _check(database: Database, part: Path, tables: dict[str, int]) -> None:
    """Restore a dump beside the database; raises CheckError unless it has the tables and rows it was taken of."""
    name = database.backup.check
    if not _contents(database, part) and tables:
        raise CheckError("the dump has no contents", "do not rely on it; make another")
    with database.scratch(name, f"the check: restore it into {name} and count"):
        database.run(replace(database.command("restore", name), source=str(part)))
        found = planner.differences(tables, database.tables(name))
    if found:
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        raise CheckError(f"differs from what it was taken of: {found[0]}{more}", "do not rely on it; make another")


def _contents(database: Database, file: Path) -> list[str]:
    """Return the dump's own list of what is in it; raises CommandError for a file that is no dump."""
    command = replace(database.command("list", reason="what is in it"), source=str(file))
    return [line for line in database.project.runner.lines(command) if line.strip() and not line.startswith(";")]


def _prune(newest: Path, keep: int) -> tuple[str, ...]:
    names = planner.surplus([one.name for one in newest.parent.iterdir()], newest.name, keep)
    for name in names:
        newest.with_name(name).unlink(missing_ok=True)
    return names


def restore(project: Project, file: str, yes: bool, wait: str = "") -> None:
    """Put a backup in place of the database; whatever fails, the database in use stays as it is."""
    patience = waiting(wait)
    database = Database(project)
    path = Path(file).absolute()
    if not path.is_file():
        raise InputError(
            f"{file}: no such file", f"backups are in {project.settings.shown(project.settings.backups_dir)}"
        )
    name = database.backup.database
    if not project.runner.dry:
        database.running()
        _refuse_damaged(database, path, file)
        confirm(f"replace the database {name} of {project.stack.project} by {file}", yes)
    with locks.held(project, "restore", patience) as lock:
        tables = _restore(database, path, file, lock)
    if not project.runner.dry:
        note(f"{name} is what {file} holds: {len(tables)} tables with {sum(tables.values())} rows")
        note(f"  the database that it replaced is {database.backup.former} until the next restore")


def _refuse_damaged(database: Database, path: Path, file: str) -> None:
    try:
        contents = _contents(database, path)
    except CommandError:
        contents = []
    if not contents:
        raise InputError(f"{file}: is no whole dump of this kind of database", "nothing was changed; try another")


def _restore(database: Database, path: Path, file: str, lock: locks.Handle) -> dict[str, int]:
    name = database.backup.restored
    with database.scratch(name, f"restore beside the database, into {name}"):
        try:
            database.run(replace(database.command("restore", name), source=str(path)))
        except CommandError as error:
            raise InputError(
                f"{file}: cannot be restored: {error.message}", "nothing was changed; is the file whole?"
            ) from None
        tables = database.tables(name)
        lock.verify()
        _swap(database, database.command("swap", name, reason="both names change in one transaction"))
    return tables


def _swap(database: Database, command: Command) -> None:
    for left in reversed(range(_TRIES)):
        try:
            database.run(command)
            break
        except CommandError as error:
            if not left:
                raise CommandError(
                    f"the restored database could not take its place: {error.message}",
                    error.exit_code,
                    "nothing was changed; stop what holds connections, then try again",
                ) from None
            note("somebody is connected still: trying again")
