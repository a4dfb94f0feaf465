"""Backups of the sample's database: a dump is proved; a restore brings back what was dumped, or changes nothing."""

import contextlib
import itertools
import os
import re
import shutil
import signal
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .starting import Started
from .support import Sample, docker, until


class Backups:
    """The sample, with a directory for backups of its own and a table that tests may spoil."""

    def __init__(self, sample: Sample, directory: Path) -> None:
        self.sample = sample
        self.extra = {"SLIPWAY_BACKUPS_DIR": str(directory)}
        self.directory = directory / sample.project

    def sql(self, *statements: str) -> str:
        words = [f"--command={statement}" for statement in statements]
        container = f"{self.sample.project}-database-1"
        return docker("exec", container, "psql", "--username=slipway", "--dbname=slipway", "-XAtq", *words)

    def files(self) -> list[str]:
        return sorted(file.name for file in self.directory.iterdir()) if self.directory.exists() else []

    def databases(self) -> list[str]:
        return self.sql("SELECT datname FROM pg_database WHERE datname LIKE 'slipway%' ORDER BY 1").split()

    def make(self, *words: str) -> Path:
        return Path(self.sample.json("db.backup", *words, **self.extra)["file"])

    def total(self) -> int:
        """Return the number of users, as the service answers once it is connected again."""
        found: list[int] = []

        def answered() -> bool:
            with contextlib.suppress(OSError):
                found.append(int(self.sample.get("/api/users?limit=1")[1]["total"]))
            return bool(found)

        until(answered, "the service answers")
        return found[0]


@pytest.fixture
def backups(sample: Sample, tmp_path: Path) -> Iterator[Backups]:
    made = Backups(sample, tmp_path / "backups")
    made.sql('CREATE TABLE "Spoiled table" AS SELECT i, md5(i::text) AS text FROM generate_series(1, 20000) AS i')
    yield made
    made.sql('DROP TABLE IF EXISTS "Spoiled table"', "DROP DATABASE IF EXISTS slipway_before_restore WITH (FORCE)")
    assert made.databases() == ["slipway"]
    assert docker("ps", "-aq", "--filter", f"label=slipway.lock={sample.project}") == ""


def test_what_was_dumped_comes_back_after_a_destructive_change(backups: Backups) -> None:
    users = backups.total()
    report = backups.sample.json("db.backup", **backups.extra)
    tables = {table["name"]: table["rows"] for table in report["tables"]}
    assert tables['public."Spoiled table"'] == 20000
    assert tables["public.users"] == users
    file = Path(report["file"])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert report["size"] == file.stat().st_size
    assert backups.files() == [file.name]
    checksum = "SELECT md5(string_agg(text, ',' ORDER BY i)) FROM \"Spoiled table\""
    before = backups.sql(checksum)

    backups.sql('TRUNCATE "Spoiled table"', "DELETE FROM users", "DROP TABLE goose_db_version")
    assert backups.total() == 0
    assert "not confirmed" in backups.sample.inv("db.restore", str(file), code=3).stderr
    assert backups.total() == 0
    said = backups.sample.inv("db.restore", str(file), "--yes").stderr
    assert f"3 tables with {sum(tables.values())} rows" in said
    assert backups.total() == users
    assert backups.sql(checksum) == before
    assert backups.databases() == ["slipway", "slipway_before_restore"]
    backups.sample.inv("db.migrate")


def test_a_restore_takes_place_while_clients_ask_and_they_are_served_again_at_once(backups: Backups) -> None:
    file, users = backups.make(), backups.total()
    ended = threading.Event()
    answered: list[float] = []

    def ask() -> None:
        while not ended.is_set():
            with contextlib.suppress(OSError):
                backups.sample.get("/api/users?limit=1")
                answered.append(time.monotonic())

    clients = [threading.Thread(target=ask) for _ in range(4)]
    for client in clients:
        client.start()
    try:
        backups.sample.inv("db.restore", str(file), "--yes")
        before = len(answered)
        until(lambda: len(answered) >= before + 20, "clients are served again")
    finally:
        ended.set()
        for client in clients:
            client.join()
    times = sorted(answered)
    assert max(later - earlier for earlier, later in itertools.pairwise(times)) < 10, "a request waits so long at most"
    assert backups.total() == users


def test_a_dump_that_was_cut_off_is_refused_and_nothing_changes(backups: Backups, tmp_path: Path) -> None:
    whole = backups.make().read_bytes()
    cut = tmp_path / "cut.dump"
    users = backups.total()
    for kept in (0.0, 0.01, 0.5, 0.99):
        cut.write_bytes(whole[: int(len(whole) * kept)])
        said = backups.sample.inv("db.restore", str(cut), "--yes", code=2).stderr
        assert said.splitlines()[-2].startswith(f"{cut}: "), kept
        assert "nothing was changed" in said.splitlines()[-1], kept
        assert backups.total() == users, kept
        assert backups.databases() == ["slipway"], kept


def test_a_file_that_is_not_there_or_no_dump_is_bad_input(backups: Backups, tmp_path: Path) -> None:
    assert "no such file" in backups.sample.inv("db.restore", "nowhere.dump", "--yes", code=2).stderr
    other = tmp_path / "other.dump"
    other.write_text("CREATE TABLE x (i int);\n")
    assert "is no whole dump" in backups.sample.inv("db.restore", str(other), "--yes", code=2).stderr
    said = backups.sample.inv("db.backup", "--output", str(other), code=2).stderr
    assert "exists already" in said


def test_a_full_disk_leaves_no_half_file(backups: Backups, tmp_path: Path) -> None:
    if os.getuid():
        pytest.skip("only root can mount a small file system")
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)], check=True)
    try:
        said = backups.sample.inv("db.backup", "--output", str(small / "x.dump"), code=1).stderr
        assert said.splitlines()[-2] == f"{small}: the disk is full: no backup was made"
        assert list(small.iterdir()) == []
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_rows_that_are_written_meanwhile_do_not_spoil_the_check(backups: Backups) -> None:
    ended = threading.Event()

    def write() -> None:
        while not ended.is_set():
            backups.sql(
                "INSERT INTO \"Spoiled table\" SELECT i, 'new' FROM generate_series(1, 50) AS i",
                'DELETE FROM "Spoiled table" WHERE i % 1000 = 7',
            )

    def rows() -> int:
        return int(backups.sql('SELECT count(*) FROM "Spoiled table"'))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        until(lambda: rows() != 20000, "the first rows are written")
        tables = {table["name"]: table["rows"] for table in backups.sample.json("db.backup", **backups.extra)["tables"]}
        until(lambda: rows() > tables['public."Spoiled table"'], "more rows are written")
    finally:
        ended.set()
        writer.join()
    assert tables['public."Spoiled table"'] != 20000


def test_a_dump_that_lacks_a_table_does_not_pass_for_a_backup(backups: Backups, tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(backups.sample.project_dir, project)
    file = project / "docker-compose.yml"
    text = file.read_text()
    lacking = (
        'backup: {dump: [pg_dump, -U, slipway, -Fc, --exclude-table=users, "--snapshot={snapshot}", "{database}"]}'
    )
    assert "database: postgres\n" in text
    file.write_text(text.replace("database: postgres\n", f"database: postgres\n      {lacking}\n"))
    said = backups.sample.inv("db.backup", code=5, **backups.extra, SLIPWAY_PROJECT_DIR=str(project)).stderr
    assert "table public.users is missing" in said.splitlines()[-2]
    assert [re.sub("[0-9]", "9", name) for name in backups.files()] == ["99999999T999999Z.dump.failed"]


def test_old_backups_go_when_there_are_more_than_the_profile_keeps(backups: Backups) -> None:
    backups.directory.mkdir(parents=True)
    for name in ("20200101T000000Z.dump", "20200102T000000Z.dump", "before-the-move.dump"):
        (backups.directory / name).write_text("old")
    file = backups.sample.json("db.backup", **backups.extra, KEEP_BACKUPS="2")
    assert file["removed"] == ["20200101T000000Z.dump"]
    assert set(backups.files()) == {"20200102T000000Z.dump", "before-the-move.dump", Path(file["file"]).name}


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("locked", signal.SIGKILL),
        ("dumping", signal.SIGTERM),
        ("dumping", signal.SIGKILL),
        ("checking", signal.SIGTERM),
        ("checking", signal.SIGKILL),
    ],
)
def test_a_backup_that_is_stopped_leaves_nothing_that_the_next_one_trips_over(
    backups: Backups, number: signal.Signals, moment: str
) -> None:
    sample = backups.sample
    task = Started(
        sample.command("db.backup"), env=sample.environment(**backups.extra), stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    has_come: dict[str, Callable[[], bool]] = {
        "locked": lambda: docker("ps", "-aq", "--filter", f"label=slipway.lock={sample.project}") != "",
        "dumping": lambda: backups.files() != [],
        "checking": lambda: "slipway_check" in backups.databases(),
    }
    while task.poll() is None and not has_come[moment]():
        time.sleep(0.02)
    task.send_signal(number)
    said = task.communicate(timeout=120)[1]
    assert task.returncode in (128 + number, -number, 0), said  # 0: it ended before the signal
    # A backup that was whole when the signal came is kept.
    done = [name for name in backups.files() if name.endswith(".dump")]
    assert done == [] or task.returncode == 0 or moment == "checking"
    if number == signal.SIGTERM:
        assert backups.files() == done
        assert backups.databases() == ["slipway"]
    made = backups.make()
    assert backups.files() == sorted({*done, made.name})
    open_views = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'"
    until(lambda: backups.sql(open_views) == "0", "the database has noticed the end of its client")


def test_a_database_without_tables_is_backed_up_as_it_is(backups: Backups) -> None:
    """As left by a first deploy that was killed before its migrations."""

    def on_the_server(*statements: str) -> None:
        words = [f"--command={statement}" for statement in statements]
        container = f"{backups.sample.project}-database-1"
        docker("exec", container, "psql", "--username=slipway", "--dbname=postgres", "-Xqv", "ON_ERROR_STOP=1", *words)

    ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'slipway'"
    on_the_server("ALTER DATABASE slipway ALLOW_CONNECTIONS false", ended, "SELECT pg_sleep(0.3)")
    on_the_server("ALTER DATABASE slipway RENAME TO kept", "CREATE DATABASE slipway")
    try:
        assert backups.make().stat().st_size > 0
    finally:
        on_the_server("DROP DATABASE slipway WITH (FORCE)", "ALTER DATABASE kept RENAME TO slipway")
        on_the_server("ALTER DATABASE slipway ALLOW_CONNECTIONS true")
