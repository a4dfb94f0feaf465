"""Makes backups of the stack's database, proves each by restoring it, and restores them."""

import contextlib
import itertools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from ..host import lock as host_lock
from ..host.forwarding import signals_postponed
from ..host.output import confirm, emit, emit_json, note
from ..host.project import Project
from ..host.story.files import growing
from ..host.story.story import step
from ..host.story.telling import story
from ..model.command import Command
from ..model.errors import CheckError, CommandError, InputError, RefusedError
from ..model.lock import BACKUP, wait_seconds
from ..model.stack import backup as backup_model
from ..model.stack.stack import Service
from ..model.story.events import StoryBegun
from ..model.units import show_duration, show_size
from . import inside
from .plan import databases

_PATIENCE = 600.0  # seconds that a backup waits for another backup of the same project
_TRIES = 5  # a client that reconnects at once may be faster than the swap
_PART = ".part"
_READ_DUMPS = ("list", "restore")  # commands that get a dump on stdin
_ENDED = "command terminated with exit code"  # what kubectl adds to what a command said


@dataclass(frozen=True)
class BackupMade:
    """A backup that was made and checked: the rows of each table, its size in bytes, and what was removed for it."""

    path: Path
    tables: dict[str, int]
    size: int
    seconds: float
    removed: tuple[str, ...]


class Database:
    """A database of the stack and the commands that its service declares for backups."""

    def __init__(self, project: Project, service: str = "") -> None:
        self.project = project
        inside.keep_locks(project)
        self.service: Service = databases.chosen(project.stack, service)
        backup = self.service.slipway.backup
        if backup is None:
            raise InputError(
                f"service {self.service.name} does not say x-slipway.backup",
                "say x-slipway: {database: postgres}, or how it is dumped and restored: docs/databases.md",
            )
        self.backup = backup

    @property
    def directory(self) -> Path:
        """The directory for backups: that of the project, with several databases one of each in it."""
        directory = self.project.settings.backups_dir / self.project.stack.project
        return directory / self.service.name if len(databases.backed_up(self.project.stack)) > 1 else directory

    def require_running(self) -> None:
        """Raise RefusedError unless the database is running."""
        if self.project.clustered:
            inside.require_running(self.project, self.service)
            return
        name = self.project.stack.project
        states = {
            container.state: container.name
            for container in self.project.engine.containers(name)
            if container.service == self.service.name and not container.oneoff
        }
        if "running" in states:
            return
        environment = self.project.profile.environment
        if container := states.get("paused"):
            raise RefusedError(
                f"service {self.service.name} of {name} is paused",
                f"inv chaos.stop --env {environment} ends a fault; else docker unpause {container}",
            )
        raise RefusedError(
            f"service {self.service.name} of {name} is not running", f"start it: inv deploy.{environment}"
        )

    def command(self, name: str, scratch: str = "", snapshot: str = "", reason: str = "") -> Command:
        """Return the command that runs a declared command in the container."""
        words: Sequence[str] = self.backup.command(name, scratch, snapshot)
        if name in _READ_DUMPS and self.project.clustered:
            words = inside.to_the_end(words)
        command = inside.command(self.project, self.service.name, words, reason=reason)
        return replace(command, source=os.devnull)

    def run(self, command: Command) -> None:
        """Run a command; its last line of output becomes the message of a CommandError."""

        def explain(code: int, output: str) -> CommandError | None:
            said = [line.strip() for line in output.splitlines() if line.strip() and not line.startswith(_ENDED)]
            return CommandError(f"{self.service.name}: {said[-1]}", code, output=output) if said else None

        self.project.runner.run(command, explain)

    @contextmanager
    def scratch(self, name: str, reason: str) -> Iterator[None]:
        """Create an empty database for the time of a block; a leftover of a killed task is removed first."""
        self.run(self.command("drop", name))
        try:
            with signals_postponed():  # ending the client would not end the work of the server
                self.run(self.command("create", name, reason=reason))
            yield
        finally:
            with signals_postponed():
                self.run(self.command("drop", name))

    def tables(self, scratch: str) -> dict[str, int]:
        """Return the rows of each table of a scratch database."""
        return backup_model.counts(self.project.runner.lines(self.command("tables", scratch)))


def backup(project: Project, service: str = "") -> Path:
    """Make a backup of a database in the directory for backups, check it, and return its path.

    Raises CheckError when the dump cannot be restored as it was, and keeps it under a name that says so. In a dry run
    the path is that of the backup that would be made.
    """
    return _make(Database(project, service), None).path


def run_backup(project: Project, service: str, output: str, json: bool) -> None:
    """Make a backup and report it; ``output`` names a file instead of the directory for backups."""
    target = Path(output).absolute() if output else None
    if target and target.exists():
        raise InputError(f"{output}: exists already", "name another file: a backup never replaces a file")
    begun = StoryBegun("backup", project.stack.project, project.profile.environment)
    with story(project, begun, log=False):
        made = _make(Database(project, service), target)
    if project.runner.dry:
        return
    _tell(project)
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


def _tell(project: Project) -> None:
    """Tell monitoring that there is a new backup, where the environment is monitored."""
    from ..telemetry import textfiles
    from ..telemetry.plan import own_metrics

    if files := textfiles.find(project):
        textfiles.warned(files, {textfiles.BACKUP: own_metrics.backup(files.labels, time.time())})


def _make(database: Database, target: Path | None) -> BackupMade:
    project = database.project
    started = time.monotonic()
    if not project.runner.dry:
        database.require_running()
    with host_lock.project_lock(project, "backup", _PATIENCE, BACKUP):
        path = target or database.directory / datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ.dump")
        part = path.with_name(path.name + _PART)
        if project.runner.dry:
            _dump(database, part)
            _check(database, part, {})
            return BackupMade(path, {}, 0, 0.0, ())
        _prepare(path.parent, part, own=target is None)
        try:
            with step("dump the database"), growing(part):
                tables = _dump(database, part)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        with step("prove the dump by restoring it"):
            _accept(database, part, path, tables)
        removed = () if target else _prune(path, project.profile.integer("KEEP_BACKUPS"))
    return BackupMade(path, tables, path.stat().st_size, time.monotonic() - started, removed)


def _prepare(directory: Path, part: Path, own: bool) -> None:
    """Create the directory and the empty file, both for their owner only; remove what a killed backup left."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for leftover in directory.glob(f"*.dump{_PART}") if own else ():
            leftover.unlink(missing_ok=True)
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as error:
        raise RefusedError(
            f"{part}: cannot be written: {error.strerror}", "make room, or name another place: --output FILE"
        ) from None


def _dump(database: Database, part: Path) -> dict[str, int]:
    """Write the dump and return the number of rows of each table, as of the dump."""
    with _view(database) as (snapshot, counts):
        dump = replace(database.command("dump", snapshot=snapshot, reason="the dump"), sink=str(part))
        try:
            database.run(dump)
        except CommandError as error:
            raise _unwritten(error, part, database) from None
        return counts()


@contextmanager
def _view(database: Database) -> Iterator[tuple[str, Callable[[], dict[str, int]]]]:
    """Keep a snapshot that the dump and the count share; yields its name and what returns the rows of its tables.

    It lasts until its stdin is closed, so that it ends with this process, however that ends. The rows are counted while
    the dump is made: some servers can only begin both at the same moment.
    """
    runner = database.project.runner
    command = database.command("snapshot", reason="a view of the data while its stdin is open; prints SNAPSHOT")
    if runner.dry:
        runner.run(command)
        yield "SNAPSHOT", dict
        return
    reading, writing = os.pipe()
    with closing(runner.lines(replace(command, source=f"/dev/fd/{reading}"))) as session:
        try:
            snapshot = _first(session, database)
            os.close(reading)
            yield snapshot, lambda: backup_model.counts(itertools.takewhile(str.strip, session))
        finally:
            os.close(writing)
        for _ in session:  # until the command has ended
            pass


def _first(session: Iterator[str], database: Database) -> str:
    """Return the name of the snapshot; raises CommandError when the command ends without one."""
    try:
        return next(session, "").strip()
    except CommandError as error:
        environment = database.project.profile.environment
        raise CommandError(
            f"no backup was made: {database.service.name} gave no snapshot of its data ({error.message})",
            error.exit_code,
            f"what it said is above; see also: inv logs --env {environment} --service {database.service.name}",
        ) from None


def _unwritten(error: CommandError, part: Path, database: Database) -> CommandError:
    """Tell a full disk from a database that cannot be dumped."""
    if "no space left" in f"{error.message} {error.output}".lower() or not _room(part):
        return CommandError(
            f"{part.parent}: the disk is full: no backup was made",
            error.exit_code,
            "make room, or name another place: --output FILE",
        )
    environment, service = database.project.profile.environment, database.service.name
    return CommandError(
        f"no backup was made: {error.message}",
        error.exit_code,
        f"see also: inv logs --env {environment} --service {service}",
    )


def _room(part: Path) -> bool:
    with contextlib.suppress(OSError):
        return os.statvfs(part.parent).f_bavail > 0
    return True


def _accept(database: Database, part: Path, path: Path, tables: dict[str, int]) -> None:
    """Rename a dump that passes the check to ``path``; a dump that fails gets a name that says so."""
    with part.open("rb") as file:
        os.fsync(file.fileno())
    try:
        _check(database, part, tables)
    except CommandError as error:
        failed = path.with_name(path.name + backup_model.FAILED)
        part.rename(failed)
        raise CheckError(f"{failed}: cannot be restored: {error.message}", "do not rely on it; make another") from None
    except CheckError as error:
        failed = path.with_name(path.name + backup_model.FAILED)
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
    """Restore a dump into a scratch database; raises CheckError unless it has the tables and rows of the original."""
    name = database.backup.check
    if not _contents(database, part) and tables:
        raise CheckError("the dump has no contents", "do not rely on it; make another")
    with database.scratch(name, f"the check: restore it into {name} and count"):
        database.run(replace(database.command("restore", name), source=str(part)))
        differences = backup_model.differences(tables, database.tables(name))
    if differences:
        more = f" and {len(differences) - 1} more" if len(differences) > 1 else ""
        raise CheckError(
            f"differs from the database it was taken from: {differences[0]}{more}", "do not rely on it; make another"
        )


def _contents(database: Database, file: Path) -> list[str]:
    """Return the dump's own table of contents; raises CommandError for a file that is no dump."""
    command = replace(database.command("list", reason="what is in it"), source=str(file))
    return [line for line in database.project.runner.lines(command) if line.strip() and not line.startswith(";")]


def _prune(newest: Path, keep: int) -> tuple[str, ...]:
    names = backup_model.surplus([path.name for path in newest.parent.iterdir()], newest.name, keep)
    for name in names:
        newest.with_name(name).unlink(missing_ok=True)
    return names


def restore(project: Project, service: str, file: str, yes: bool, wait: str = "") -> None:
    """Replace the database by a backup; whatever fails, the database in use stays as it is."""
    patience = wait_seconds(wait)
    database = Database(project, service)
    path = Path(file).absolute()
    if not path.is_file():
        raise InputError(
            f"{file}: no such file", f"backups are in {project.settings.shown(project.settings.backups_dir)}"
        )
    name = database.backup.database
    if not project.runner.dry:
        database.require_running()
        _refuse_damaged(database, path, file)
        confirm(f"replace the database {name} of {project.stack.project} by {file}", yes)
    with host_lock.project_lock(project, "restore", patience) as lock:
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


def _restore(database: Database, path: Path, file: str, lock: host_lock.LockHandle) -> dict[str, int]:
    name = database.backup.restored
    with database.scratch(name, f"restore next to the database, into {name}"):
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
    for tries_left in reversed(range(_TRIES)):
        try:
            database.run(command)
            break
        except CommandError as error:
            if not tries_left:
                raise CommandError(
                    f"the restored database could not take its place: {error.message}",
                    error.exit_code,
                    "nothing was changed; stop what holds connections, then try again",
                ) from None
            note("a client is still connected: trying again")
