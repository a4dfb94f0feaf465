"""Database servers that are known by name: what they back up comes back, on the servers themselves."""

import itertools
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .support import DOCKER, ROOT, Checkout, Sample, docker, leftovers, remove, until

SERVERS = Path(__file__).with_name("servers")
ODD = 'it is "odd" $and %'
PLAIN = "long-and-plain-41"


@dataclass
class Servers(Checkout):
    """A stack of databases, each known by a preset."""

    @property
    def project(self) -> str:
        """The name of the Compose project."""
        return self.projects[0]

    def ask(self, service: str, *statements: str) -> str:
        """Return what the database answers, as `inv db.shell` gives it statements on its stdin."""
        return self.inv("db.shell", "--service", service, stdin="".join(f"{line}\n" for line in statements)).stdout

    def backup(self, service: str) -> dict[str, Any]:
        """Make a backup and return its report, with the rows by table."""
        report = self.json("db.backup", "--service", service, SLIPWAY_BACKUPS_DIR=str(self.envs_dir / "backups"))
        return {**report, "tables": {table["name"]: table["rows"] for table in report["tables"]}}

    def files(self, service: str) -> list[str]:
        """Return what the tasks may have left in memory and among the files of a database."""
        container = f"{self.project}-{service}-1"
        return docker("exec", container, "sh", "-c", "ls /dev/shm; ls /data 2> /dev/null || :").split()


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory, sample: Sample) -> Iterator[Servers]:
    directory = tmp_path_factory.mktemp("servers") / "project"
    shutil.copytree(SERVERS, directory)
    name, envs = f"slipway-servers-{os.getpid()}", directory / "envs"
    envs.mkdir()
    machine = ROOT / "envs" / "base.local.env"
    if machine.exists():
        shutil.copy(machine, envs)
    (envs / "base.env").write_text(
        f"COMPOSE_PROJECT_NAME={name}\nBASE_IMAGES_OVERRIDE=bases.yaml\nPOSTGRES_IMAGE={sample.project}/database:dev\n"
    )
    (envs / "dev.env").write_text(f"HEALTH_TIMEOUT=240s\nMYSQL_PASSWORD={PLAIN}\n")
    for file, text in (("user", "keeper\n"), ("password", ODD), ("redis.conf", f'dir /data\nrequirepass "{PLAIN}"\n')):
        (directory / file).write_text(text)
    made = Servers(directory, envs, [name])
    try:
        made.inv("deploy.dev")
        yield made
    finally:
        remove(name)
    assert leftovers(name) == []


SQL = """CREATE TABLE users (id INT PRIMARY KEY, name VARCHAR(50), data BLOB);
CREATE TABLE `odd ``table` (id INT, owner INT, FOREIGN KEY (owner) REFERENCES users (id));
CREATE TABLE seen (what VARCHAR(50));
INSERT INTO users VALUES (1, 'Zoë', x'00ff0a'), (2, '名前', NULL), (3, 'it''s', 'x');
INSERT INTO `odd ``table` VALUES (1, 1), (2, 1);
CREATE VIEW names AS SELECT name FROM users;
CREATE FUNCTION twice(n INT) RETURNS INT DETERMINISTIC RETURN n * 2;
CREATE TRIGGER noted AFTER INSERT ON users FOR EACH ROW INSERT INTO seen VALUES (NEW.name);
"""
SPOIL = (
    "SET FOREIGN_KEY_CHECKS = 0; DELETE FROM users; DROP TABLE seen; DROP VIEW names; DROP FUNCTION twice;",
    "CREATE TABLE more (n INT); CREATE VIEW other AS SELECT n FROM more;",
    "CREATE TRIGGER first BEFORE INSERT ON more FOR EACH ROW SET NEW.n = NEW.n + 1;",
)
LOOK = (
    "SELECT id, name, HEX(data) FROM users; SELECT twice(21); SELECT * FROM names ORDER BY 1; SHOW FULL TABLES;",
    "SHOW CREATE TABLE `odd ``table`;",
    "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = 'shop';",
)


@pytest.mark.parametrize("service", ["maria", "mysql"])
def test_mariadb_and_mysql_bring_back_rows_and_code(servers: Servers, tmp_path: Path, service: str) -> None:
    file = tmp_path / "shop.sql"
    file.write_text(SQL)
    servers.inv("db.seed", "--service", service, "--file", str(file))
    report, before = servers.backup(service), servers.ask(service, *LOOK)
    assert report["tables"] == {"odd `table": 2, "seen": 0, "users": 3}

    servers.ask(service, *SPOIL)
    said = servers.inv("db.restore", report["file"], "--service", service, "--yes").stderr
    assert "shop is what" in said
    assert "3 tables with 5 rows" in said
    assert servers.ask(service, *LOOK) == before
    servers.ask(service, "INSERT INTO users VALUES (4, 'by trigger', NULL);")
    assert servers.ask(service, "SELECT what FROM seen;").split("\n")[1:] == ["by trigger", ""]
    former = servers.ask(service, "SHOW TABLES FROM shop_before_restore; SHOW TRIGGERS FROM shop_before_restore;")
    assert {"more", "other", "users", "first"} <= set(former.split())
    assert [name for name in servers.files(service) if name.startswith("slipway")] == []


def test_postgres_that_asks_for_passwords_brings_back_its_rows(servers: Servers) -> None:
    rules = "/var/lib/postgresql/data/pg_hba.conf"
    asking = f"sed -i 's/^local.*trust/local all all scram-sha-256/' {rules} && kill -HUP 1"
    docker("exec", f"{servers.project}-pg-1", "sh", "-c", asking)
    refused = docker("exec", f"{servers.project}-pg-1", "sh", "-c", "psql -wU keeper shop 2>&1 || :")
    assert "no password supplied" in refused
    servers.ask("pg", "CREATE TABLE users AS SELECT i FROM generate_series(1, 20) AS i;")
    report = servers.backup("pg")
    assert report["tables"] == {"public.users": 20}
    servers.ask("pg", "TRUNCATE users;")
    servers.inv("db.restore", report["file"], "--service", "pg", "--yes")
    assert (
        servers.inv("db.shell", "--service", "pg", "--command", "SELECT sum(i) FROM users").stdout.split()[2] == "210"
    )


def test_redis_brings_back_its_keys_and_keeps_them(servers: Servers) -> None:
    servers.ask("redis", "FLUSHALL", "MSET a 1 b 2", "SET gone x PX 300", "SELECT 3", "RPUSH list x y z")
    report = servers.backup("redis")
    assert report["tables"] == {"db0": 2, "db3": 1}

    servers.ask("redis", "FLUSHALL", "SET other 1")
    servers.inv("db.restore", report["file"], "--service", "redis", "--yes")
    look = ("GET b", "DBSIZE", "SELECT 3", "LRANGE list 0 -1")
    assert servers.ask("redis", *look).split() == ["2", "2", "OK", "x", "y", "z"]
    assert "role:master" in servers.inv("db.shell", "--service", "redis", "--command", "INFO replication").stdout
    assert set(servers.files("redis")) == {"dump.rdb", "redis_before_restore.rdb"}
    container = f"{servers.project}-redis-1"
    docker("kill", container)
    docker("start", container)
    until(lambda: docker("inspect", "--format", "{{.State.Health.Status}}", container) == "healthy", "redis is back")
    assert servers.ask("redis", *look).split() == ["2", "2", "OK", "x", "y", "z"]


@contextmanager
def writing(servers: Servers, service: str, client: list[str], line: str) -> Iterator[None]:
    """Have a client write without a pause, in the container of a database; NUMBER counts, LAST is a while ago."""
    login = ("-e", f"MYSQL_PWD={PLAIN}", "-e", f"REDISCLI_AUTH={PLAIN}", f"{servers.project}-{service}-1")
    ended = threading.Event()

    def write() -> None:
        assert writer.stdin
        for number in itertools.count(1):
            if ended.is_set():
                break
            writer.stdin.write(line.replace("NUMBER", str(number)).replace("LAST", str(number - 9)) + "\n")
            writer.stdin.flush()
            time.sleep(0.02)
        writer.stdin.close()

    command = [DOCKER, "exec", "-i", *login, *client]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as writer:
        thread = threading.Thread(target=write)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            assert writer.wait(60) == 0


@pytest.mark.parametrize(
    ("service", "client", "line", "count", "table"),
    [
        (
            "mysql",
            ["mariadb", "-u", "root", "shop"],
            "INSERT INTO t VALUES (NUMBER), (NUMBER); DELETE FROM t WHERE n = LAST LIMIT 1;",
            ("SELECT COUNT(*) FROM t;",),
            "t",
        ),
        (
            "redis",
            ["redis-cli", "-n", "5"],
            "MSET kNUMBER 1 lNUMBER 1\nSET eNUMBER 1 PX 40\nDEL kLAST",
            ("SELECT 5", "DBSIZE"),
            "db5",
        ),
    ],
    ids=["mysql", "redis"],
)
def test_rows_that_are_written_meanwhile_do_not_spoil_a_backup(
    servers: Servers, service: str, client: list[str], line: str, count: tuple[str, ...], table: str
) -> None:
    def rows() -> int:
        return int(servers.ask(service, *count).split()[-1])

    if service == "mysql":
        servers.ask(service, "CREATE OR REPLACE TABLE t (n INT, KEY (n));")
    with writing(servers, service, client, line):
        until(lambda: rows() > 0, "the first rows are written")
        first = servers.backup(service)["tables"][table]
        until(lambda: rows() > first + 9, "more rows are written")  # of redis some expire
        assert servers.backup(service)["tables"][table] > first > 0


@pytest.mark.parametrize("service", ["maria", "redis"])
def test_a_dump_that_was_cut_off_is_refused(servers: Servers, tmp_path: Path, service: str) -> None:
    servers.ask(service, "SET a 1" if service == "redis" else "CREATE OR REPLACE TABLE u AS SELECT 1;")
    whole = Path(servers.backup(service)["file"]).read_bytes()
    cut = tmp_path / "cut.dump"
    cut.write_bytes(whole[: len(whole) * 2 // 3])
    said = servers.inv("db.restore", str(cut), "--service", service, "--yes", code=2).stderr
    assert said.splitlines()[-2:] == [
        f"{cut}: is no whole dump of this kind of database",
        "  hint: nothing was changed; try another",
    ]


def test_no_plan_shows_a_password(servers: Servers) -> None:
    for service in ("maria", "mysql", "pg", "redis"):
        for task in (("db.backup",), ("db.shell", "--command", "x"), ("db.restore", "--yes", __file__)):
            done = servers.inv("--dry", *task, "--service", service)
            assert not [word for word in (PLAIN, ODD, '"odd"') if word in done.stdout + done.stderr]
    assert "several databases: maria, mysql, pg, redis" in servers.inv("db.backup", code=2).stderr
