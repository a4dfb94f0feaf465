"""What ``scan.db`` does: shows the scanner's database of vulnerabilities, imports another one."""

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from invoke import Context

from ..plan import advisories as planner
from ..plan.advisories import Database
from ..plan.command import Command
from ..plan.errors import CommandError, InputError, RefusedError, SlipwayError
from ..plan.profile import Profile
from ..plan.registry import environment
from ..plan.units import show_size
from . import files, scan_tools
from .output import emit_json, emit_table, note
from .reports import now
from .runner import Result, Runner, capture

_CURRENT, _STAGING, _LOCK = "current", ".import-", ".lock"
_CHUNK = 1 << 20
_LIMIT = 16 << 30  # bytes of a database; the official one has less than one


def home(profile: Profile, root: Path) -> Path:
    """Return the directory that keeps databases: SCAN_DB_DIR, else one of this user."""
    if named := profile.text("SCAN_DB_DIR"):
        return root / named
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "slipway", "trivy-db")


def current(profile: Profile, root: Path) -> Database | None:
    """Return the database that scans use, None when there is none; raises InputError for one that is broken."""
    directory = home(profile, root) / _CURRENT
    try:
        # What it points at now: an import meanwhile makes no difference to whoever has begun.
        directory = directory.resolve(strict=True)
        found = planner.known((directory / planner.ABOUT).read_text(encoding="utf-8"), str(directory))
        size = (directory / "db" / planner.FILE).stat().st_size
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise InputError(f"{directory}: cannot be read: {error}", "inv scan.db --import FILE|REGISTRY") from None
    if found is None or found.size != size:
        raise InputError(f"{directory}: is not the database that was imported", "inv scan.db --import FILE|REGISTRY")
    _refuse_broken(directory / "db", str(directory))
    return found


def run(c: Context, env: str, source: str, update: bool, json: bool) -> None:
    """Show the database, or import another one first."""
    if source and update:
        raise InputError("--import and --update are two sources for one database", "give one of them")
    where, profile = files.settings(), files.load_profile(env)
    runner = Runner(dry=bool(c.config.run.dry), echo=bool(c.config.run.echo))
    directory = home(profile, where.root)
    if source or update:
        import_(runner, profile, directory, source)
    if not runner.dry:
        _report(current(profile, where.root), directory, profile, json)


def _report(found: Database | None, directory: Path, profile: Profile, json: bool) -> None:
    limit = profile.duration("SCAN_DB_MAX_AGE")
    stale = planner.old(found, now(), limit) if found else ""
    if json:
        shown = {**found.document(), "age": round(found.age(now())), "old": bool(stale)} if found else None
        emit_json({"schema": "slipway/scan.db/v1", "directory": str(directory), "advisories": shown})
        return
    if found is None:
        note(f"no vulnerability database in {directory}: inv scan.db --import FILE|REGISTRY, or --update")
        return
    if stale:
        note(f"the vulnerability database is old: {stale}")
    emit_table(
        ("VERSION", "ADVISORIES OF", "IMPORTED", "FROM", "SIZE", "WHERE"),
        [(found.version, found.updated, found.imported, found.source, show_size(found.size), directory)],
    )


def import_(runner: Runner, profile: Profile, directory: Path, source: str) -> None:
    """Bring a database in: from a file, a directory, a registry, or, without a source, the official one.

    The one that is there stays until the new one is whole and the scanner reads it.
    """
    shown = source or "the official repository"
    if runner.dry:
        _show(runner, profile, source, directory)
        return
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with _staging(directory) as staging:
            _fill(runner, profile, staging, source)
            about = _judged(staging, shown, profile)
            with _alone(directory):
                _put(directory, staging, about)
    except OSError as error:
        raise InputError(f"{error.filename or directory}: {error.strerror or error}", "set SCAN_DB_DIR") from None
    note(f"imported the vulnerability database of {about.updated} from {shown}")


def _show(runner: Runner, profile: Profile, source: str, directory: Path) -> None:
    if source and Path(source).exists():
        runner.show(f"import the vulnerability database {source} into {directory}")
    else:
        runner.run(_fetch(profile, source, directory))


@contextlib.contextmanager
def _staging(directory: Path) -> Iterator[Path]:
    """Make a directory for what is not in use yet; those that a killed import left are removed."""
    for left in directory.glob(f"{_STAGING}*"):
        owner = left.name.removeprefix(_STAGING).partition("-")[0]
        if not Path("/proc", owner).exists():
            shutil.rmtree(left, ignore_errors=True)
    made = Path(tempfile.mkdtemp(dir=directory, prefix=f"{_STAGING}{os.getpid()}-"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextlib.contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Keep other imports from removing what this one has put there and does not use yet."""
    with (directory / _LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fill(runner: Runner, profile: Profile, staging: Path, source: str) -> None:
    target, path = staging / "db", Path(source)
    target.mkdir()
    if source and path.is_dir():
        there = path / "db" if (path / "db" / planner.FILE).exists() else path
        for name in (planner.FILE, planner.METADATA):
            if not (there / name).is_file():
                raise InputError(f"{source}: there is no {name} in it", "name the directory that holds both files")
            shutil.copyfile(there / name, target / name)
    elif source and path.exists():
        _unpack(path, target)
    elif source and not planner.is_reference(source):
        raise InputError(f"{source}: no such file, and no name of something in a registry", "inv scan.db --help")
    else:
        _download(runner, profile, staging, source)


def _unpack(path: Path, target: Path) -> None:
    """Take the two files out of an archive, and nothing else that may be in it."""
    try:
        with tarfile.open(path) as archive:
            for entry in archive:
                name = Path(entry.name).name
                if name in (planner.FILE, planner.METADATA) and entry.isreg() and entry.size < _LIMIT:
                    data = archive.extractfile(entry)
                    with (target / name).open("wb") as file:
                        shutil.copyfileobj(data, file, _CHUNK) if data else None
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise InputError(f"{path}: is not a whole archive: {error}", "get it again") from None
    for name in (planner.FILE, planner.METADATA):
        if not (target / name).exists():
            raise InputError(f"{path}: there is no {name} in it", "name the archive that holds both files")


def _fetch(profile: Profile, source: str, staging: Path) -> Command:
    return planner.fetch(
        scan_tools.locate(profile, files.settings().root, "trivy"),
        source,
        str(staging),
        environment(profile),
        profile.duration("PUSH_TIMEOUT"),
    )


def _download(runner: Runner, profile: Profile, staging: Path, source: str) -> None:
    shown = source or "the official repository"

    def explain(code: int, text: str) -> CommandError:
        return CommandError(
            f"the vulnerability database did not come from {shown}: {planner.fault(text)}",
            RefusedError.exit_code,
            "is the registry reachable from here? inv scan.db --import FILE takes a file that was brought along",
        )

    runner.run(_fetch(profile, source, staging), explain)


def _judged(staging: Path, shown: str, profile: Profile) -> Database:
    """Return what a database is; raises InputError when it is not whole, or when the scanner cannot read it."""
    directory = staging / "db"
    try:
        text = (directory / planner.METADATA).read_text(encoding="utf-8")
    except (FileNotFoundError, ValueError):
        raise InputError(f"{shown}: there is no {planner.METADATA} in it", "name another source") from None
    said = planner.metadata(text, shown)
    _refuse_broken(directory, shown)
    document = staging / "probe.cdx.json"
    document.write_text(planner.PROBE, encoding="utf-8")
    tool = scan_tools.locate(profile, files.settings().root, "trivy")
    answer = _captured(planner.probe(tool, str(staging), str(document), profile.duration("SCAN_TIMEOUT")))
    document.unlink()
    if answer.exit_code != 0:
        raise InputError(f"{shown}: the scanner cannot read it: {planner.fault(answer.stderr)}", "get it again")
    digest, size = _digest(directory / planner.FILE)
    return Database(str(staging), **said, imported=now(), digest=digest, size=size, source=shown)


def _captured(command: Command) -> Result:
    try:
        return capture(command)
    except CommandError as error:  # past its time limit
        return Result(error.exit_code, "", error.message)


def _refuse_broken(directory: Path, shown: str) -> None:
    path = directory / planner.FILE
    try:
        with path.open("rb") as file:
            planner.refuse_broken(file.read(planner.HEADER), path.stat().st_size, shown)
    except FileNotFoundError:
        raise InputError(f"{shown}: there is no {planner.FILE} in it", "name another source") from None


def _digest(path: Path) -> tuple[str, int]:
    found, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while data := file.read(_CHUNK):
            found.update(data)
            size += len(data)
    return f"sha256:{found.hexdigest()}", size


def _put(directory: Path, staging: Path, about: Database) -> None:
    """Let ``current`` stand for the new database in one step; the one before it stays for scans that have begun."""
    (staging / planner.ABOUT).write_text(json.dumps(asdict(about), indent=1) + "\n", encoding="utf-8")
    link = directory / _CURRENT
    before = link.resolve().name if link.exists() else ""
    name = f"{planner.identity(about.digest + about.updated)}-{secrets.token_hex(2)}"
    staging.chmod(0o755)
    staging.rename(directory / name)
    fresh = directory / f".{_CURRENT}-{name}"
    fresh.symlink_to(name)
    fresh.replace(link)
    for other in directory.iterdir():
        if (other / planner.ABOUT).exists() and other.name not in (name, before, _CURRENT):
            shutil.rmtree(other, ignore_errors=True)


def state(profile: Profile, root: Path) -> tuple[Database | None, str]:
    """Return the database, and in words why vulnerabilities cannot be looked up, or that it is old."""
    try:
        found = current(profile, root)
    except SlipwayError as error:
        return None, error.message
    if found is None:
        return None, "no database"
    return found, planner.old(found, now(), profile.duration("SCAN_DB_MAX_AGE"))


def described(found: Database | None) -> dict[str, Any]:
    """Return what a stored result says of the database that it was made with."""
    return found.document() if found else {}
