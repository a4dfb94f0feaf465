"""Presets of database servers: what they fill in, what the environment of the image says, what wins."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from support import profile, service, stack

from tasks.model.errors import InputError
from tasks.model.stack import foresight
from tasks.model.stack.extension import SlipwaySettings
from tasks.model.stack.presets.server import PRESETS

ENVIRONMENTS = {
    "postgres": {"POSTGRES_DB": "shop", "POSTGRES_USER": "keeper", "POSTGRES_PASSWORD": "s3cret"},
    "mysql": {"MYSQL_DATABASE": "shop", "MYSQL_ROOT_PASSWORD": "s3cret"},
    "mariadb": {"MARIADB_DATABASE": "shop", "MARIADB_ROOT_PASSWORD": "s3cret"},
    "mongo": {
        "MONGO_INITDB_DATABASE": "shop",
        "MONGO_INITDB_ROOT_USERNAME": "keeper",
        "MONGO_INITDB_ROOT_PASSWORD": "s3cret",
    },
    "redis": {"REDIS_PASSWORD": "s3cret"},
}
PLACEHOLDER = re.compile(r"\{(?:database|scratch|former|snapshot)\}")


def known(preset: str, environment: Mapping[str, str] | None = None, own: Any = None, **fields: Any) -> SlipwaySettings:
    """Return x-slipway of a service with a preset, ``own`` being further keys of it."""
    said = ENVIRONMENTS[preset] if environment is None else environment
    extension = {"database": preset, **(own or {})}
    settings: SlipwaySettings = service("store", **{"environment": said, "x-slipway": extension, **fields}).slipway
    return settings


def words(settings: SlipwaySettings) -> list[tuple[str, ...]]:
    """Return every command of a preset, with its placeholders replaced."""
    backup = settings.backup
    assert backup
    return [settings.client, *(backup.command(name, backup.check, "7-1") for name in backup.commands)]


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_says_all_that_the_tasks_of_a_database_need(preset: str) -> None:
    settings = known(preset)

    assert (settings.database, settings.role) == (preset, "database")
    assert settings.data.startswith("/")
    assert settings.backup
    assert settings.backup.database == ("redis" if preset == "redis" else "shop")
    left = {found for command in words(settings) for word in command for found in PLACEHOLDER.findall(word)}
    assert left == set()


@pytest.mark.parametrize("preset", PRESETS)
def test_no_password_is_in_a_command(preset: str) -> None:
    assert "s3cret" not in repr(words(known(preset)))


@pytest.mark.parametrize("preset", PRESETS)
def test_the_scripts_of_a_preset_are_understood_by_the_shell_that_runs_them(preset: str) -> None:
    extra = {"POSTGRES_USER_FILE": "/run/secrets/user"} if preset == "postgres" else {}
    environment = {key: value for key, value in ENVIRONMENTS[preset].items() if key != "POSTGRES_USER"} | extra
    settings = known(preset, environment, {"backup": {"name": "shop"}})
    assert settings.backup
    scripts = {command[:3] for command in (settings.client, *settings.backup.commands.values()) if command[1] == "-c"}
    assert scripts
    for shell, _, script in scripts:
        assert not PLACEHOLDER.search(script)
        done = subprocess.run([shell, "-n", "-c", script], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


def test_the_keys_that_a_service_says_itself_win() -> None:
    own = {"client": ["mine"], "data": "/elsewhere", "backup": {"name": "orders", "list": ["true"]}}
    settings, usual = known("postgres", own=own), known("postgres")

    assert (settings.client, settings.data) == (("mine",), "/elsewhere")
    assert settings.backup
    assert usual.backup
    assert (settings.backup.database, settings.backup.commands["list"]) == ("orders", ("true",))
    assert {**settings.backup.commands, "list": usual.backup.commands["list"]} == usual.backup.commands


def test_a_preset_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(InputError) as refused:
        known("postgres", own={"database": "postgre"})
    assert refused.value.message == (
        "services.store.x-slipway.database: expected one of postgres, mysql, mariadb, mongo, redis, got 'postgre'"
    )


@pytest.mark.parametrize("faulty", [{"dunp": ["x"]}, ["x"], {"name": "no'good"}, {"dump": "pg_dump"}])
def test_what_is_wrong_with_a_key_of_its_own_is_said_as_without_a_preset(faulty: object) -> None:
    with pytest.raises(InputError, match=r"services\.store\.x-slipway\.backup"):
        known("postgres", own={"backup": faulty})


@pytest.mark.parametrize(
    ("preset", "environment", "variable"),
    [
        ("mysql", {}, "MYSQL_DATABASE"),
        ("mysql", {"MARIADB_DATABASE": "shop"}, "MYSQL_DATABASE"),
        ("mariadb", {}, "MARIADB_DATABASE"),
        ("mongo", {}, "MONGO_INITDB_DATABASE"),
        ("postgres", {"POSTGRES_DB_FILE": "/run/secrets/name"}, "POSTGRES_DB"),
        ("postgres", {"POSTGRES_USER_FILE": "/run/secrets/user"}, "POSTGRES_DB"),
    ],
)
def test_a_database_without_a_name_is_refused_and_a_name_of_its_own_helps(
    preset: str, environment: dict[str, str], variable: str
) -> None:
    with pytest.raises(InputError) as refused:
        known(preset, environment)
    assert refused.value.message.startswith(f"services.store.x-slipway.database: {preset} does not know")
    assert variable in refused.value.hint
    settings = known(preset, environment, {"backup": {"name": "orders"}})
    assert settings.backup
    assert settings.backup.database == "orders"
    assert "orders" in " ".join(settings.client)


@pytest.mark.parametrize(
    ("environment", "user", "database"),
    [
        ({}, "postgres", "postgres"),
        ({"POSTGRES_USER": "shop"}, "shop", "shop"),
        ({"POSTGRES_USER": "", "POSTGRES_DB": "shop"}, "postgres", "shop"),
        ({"POSTGRES_USER": "keeper", "POSTGRES_DB": "shop", "POSTGRES_PASSWORD_FILE": "/x"}, "keeper", "shop"),
    ],
)
def test_postgres_names_are_those_of_the_image(environment: dict[str, str], user: str, database: str) -> None:
    settings = known("postgres", environment)

    assert settings.client == ("psql", f"--username={user}", f"--dbname={database}")
    assert settings.backup
    assert settings.backup.database == database
    assert settings.backup.command("dump", snapshot="7-1") == (
        "pg_dump", f"--username={user}", "--format=custom", "--snapshot=7-1", database,
    )  # fmt: skip


@pytest.mark.parametrize("arguments", ["--auth-local=scram-sha-256", "--encoding=UTF8 --auth=md5", "-A scram-sha-256"])
def test_postgres_that_asks_for_a_password_locally_gets_it_in_the_container(arguments: str) -> None:
    settings = known("postgres", {"POSTGRES_USER": "shop", "POSTGRES_INITDB_ARGS": arguments})

    assert settings.client[:2] == ("sh", "-c")
    assert "POSTGRES_PASSWORD_FILE" in settings.client[2]
    assert settings.client[3:] == ("psql", "--dbname=shop")


@pytest.mark.parametrize(
    ("fields", "data"),
    [
        ({}, "/var/lib/postgresql/data"),
        ({"environment": {"PGDATA": "/srv/pg"}}, "/srv/pg"),
        ({"volumes": [{"type": "volume", "source": "d", "target": "/var/lib/postgresql"}]}, "/var/lib/postgresql"),
        ({"tmpfs": ["/var/lib/postgresql:size=64m"]}, "/var/lib/postgresql"),
        (
            {"volumes": [{"type": "volume", "source": "d", "target": "/var/lib/postgresql/data"}]},
            "/var/lib/postgresql/data",
        ),
    ],
)
def test_the_files_of_postgres_are_where_its_volume_is(fields: dict[str, Any], data: str) -> None:
    assert known("postgres", **{"environment": {}, **fields}).data == data


def test_mariadb_takes_the_variables_of_mysql_after_its_own() -> None:
    both = known("mariadb", {"MYSQL_DATABASE": "old", "MARIADB_DATABASE": "new"}).backup
    only = known("mariadb", {"MYSQL_DATABASE": "old"}).backup
    assert both
    assert only
    assert (both.database, only.database) == ("new", "old")


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (None, ("", "6379")),
        (["redis-server", "/etc/redis/redis.conf"], ("/etc/redis/redis.conf", "6379")),
        (["/usr/bin/valkey-server", "/a.conf", "--port", "6380"], ("/a.conf", "6380")),
        (["redis-server", "--requirepass", "s3cret"], ("", "6379")),
    ],
)
def test_redis_is_asked_as_its_command_line_says(command: list[str] | None, expected: tuple[str, str]) -> None:
    settings = known("redis", command=command)

    assert settings.client[4:] == expected
    assert "s3cret" not in repr(words(settings))


def run_in(tmp_path: Path, command: tuple[str, ...], environment: Mapping[str, str], **programs: str) -> str:
    """Run a command of a preset with programs of a test in place of the server's; return what it printed."""
    for name, script in programs.items():
        program = tmp_path / name
        program.write_text(f"#!{shutil.which('bash')}\n{script}\n")
        program.chmod(0o755)
    said = {"PATH": f"{tmp_path}:{os.environ['PATH']}", **environment}
    return subprocess.run(
        command, env=said, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    ).stdout


ODD = 'it is "odd" \\ $and %'


@pytest.mark.parametrize(
    ("preset", "environment", "program", "variable"),
    [
        ("mysql", {"MYSQL_DATABASE": "shop", "MYSQL_ROOT_PASSWORD": ODD}, "mysql", "MYSQL_PWD"),
        ("mysql", {"MYSQL_DATABASE": "shop", "MYSQL_ROOT_PASSWORD_FILE": "SECRET"}, "mysql", "MYSQL_PWD"),
        ("mariadb", {"MARIADB_DATABASE": "shop", "MARIADB_ROOT_PASSWORD_FILE": "SECRET"}, "mariadb", "MYSQL_PWD"),
        ("mariadb", {"MYSQL_DATABASE": "shop", "MYSQL_ROOT_PASSWORD": ODD}, "mariadb", "MYSQL_PWD"),
        ("mariadb", {"MYSQL_DATABASE": "shop", "MYSQL_PWD": ODD}, "mariadb", "MYSQL_PWD"),
        (
            "postgres",
            {"POSTGRES_DB": "shop", "POSTGRES_INITDB_ARGS": "--auth=md5", "POSTGRES_PASSWORD_FILE": "SECRET"},
            "psql",
            "PGPASSWORD",
        ),
        ("redis", {"REDIS_PASSWORD": ODD}, "redis-cli", "REDISCLI_AUTH"),
        ("redis", {"REDISCLI_AUTH": ODD}, "redis-cli", "REDISCLI_AUTH"),
        ("redis", {"REDIS_PASSWORD_FILE": "SECRET"}, "redis-cli", "REDISCLI_AUTH"),
        ("mongo", {**ENVIRONMENTS["mongo"], "MONGO_INITDB_ROOT_PASSWORD": ODD}, "mongosh", "SLIPWAY_PASSWORD"),
    ],
)
def test_a_client_gets_its_password_from_where_the_image_reads_it(
    tmp_path: Path, preset: str, environment: dict[str, str], program: str, variable: str
) -> None:
    (tmp_path / "secret").write_text(f"{ODD}\n")
    given = {key: value.replace("SECRET", str(tmp_path / "secret")) for key, value in environment.items()}
    out = run_in(tmp_path, known(preset, given).client, given, **{program: f'echo "$#|${variable}"; echo "$@"'})
    password, arguments = out.split("\n", 1)
    assert password.partition("|")[2] == ODD
    assert "odd" not in arguments


@pytest.mark.parametrize(
    ("lines", "password"),
    [
        ('requirepass "in quotes"', "in quotes"),
        ("requirepass 'single'\r", "single"),
        ("# requirepass no\nrequirepass first\n  requirepass last", "last"),
        ("appendonly yes", "none"),
    ],
)
def test_redis_gets_its_password_from_its_configuration(tmp_path: Path, lines: str, password: str) -> None:
    conf = tmp_path / "redis.conf"
    conf.write_text(f"{lines}\n")
    settings = known("redis", {}, command=["redis-server", str(conf)])
    assert run_in(tmp_path, settings.client, {}, **{"redis-cli": 'echo "${REDISCLI_AUTH-none}"'}) == f"{password}\n"


@pytest.mark.parametrize("in_file", [False, True])
def test_mongo_gets_its_password_neither_by_argument_nor_from_the_plan(tmp_path: Path, in_file: bool) -> None:
    secret = tmp_path / "secret"
    secret.write_text(ODD)
    name = "MONGO_INITDB_ROOT_PASSWORD"
    environment = {**ENVIRONMENTS["mongo"], f"{name}_FILE" if in_file else name: str(secret) if in_file else ODD}
    if in_file:
        del environment[name]
    backup = known("mongo", environment).backup
    assert backup
    said = 'for word; do case $word in --config=*) cat "${word#--config=}" ;; *) echo "$word" ;; esac; done'
    dumped = run_in(tmp_path, backup.command("dump"), environment, mongodump=said)
    assert dumped.splitlines() == [
        "--quiet", "--archive", "--gzip", "--db=shop", "--username=keeper", "--authenticationDatabase=admin",
        'password: "it is \\"odd\\" \\\\ $and %"',
    ]  # fmt: skip
    out = run_in(tmp_path, backup.command("tables", "shop_check"), environment, mongosh='echo "$*|$SLIPWAY_PASSWORD"')
    assert out.strip().endswith(f"shop_check|{ODD}")
    assert ODD not in out.rpartition("|")[0]


def test_mongo_without_users_is_asked_without_a_password(tmp_path: Path) -> None:
    environment = {"MONGO_INITDB_DATABASE": "shop"}
    backup = known("mongo", environment).backup
    assert backup
    out = run_in(tmp_path, backup.command("dump"), environment, mongodump='echo "$*"')
    assert out == "--quiet --archive --gzip --db=shop\n"


@pytest.mark.parametrize("counting", ["true", "false"])
def test_mongo_is_written_to_again_whatever_becomes_of_the_snapshot(tmp_path: Path, counting: str) -> None:
    backup = known("mongo").backup
    assert backup
    log = tmp_path / "log"
    fake = f"case $* in *fsyncLock*) echo lock ;; *fsyncUnlock*) echo unlock ;; *) {counting} ;; esac >> {log}"
    if counting == "true":
        assert run_in(tmp_path, backup.command("snapshot"), {}, mongosh=fake) == "locked\n\n"
    else:
        with pytest.raises(subprocess.CalledProcessError):
            run_in(tmp_path, backup.command("snapshot"), {}, mongosh=fake)
    assert log.read_text().split() == ["lock", "unlock"]


@pytest.mark.parametrize(
    ("preset", "fields", "said"),
    [
        ("postgres", {}, ["stop_grace_period: 10.0 s: postgres may take longer"]),
        ("postgres", {"stop_grace_period": "1m0s"}, []),
        ("postgres", {"stop_grace_period": "1m0s", "stop_signal": "SIGINT"}, []),
        ("postgres", {"stop_grace_period": "1m0s", "stop_signal": "2"}, []),
        ("postgres", {"stop_grace_period": "1m0s", "stop_signal": "SIGTERM"}, ["stop_signal: SIGTERM: postgres stops"]),
        ("mariadb", {"stop_grace_period": "30s"}, ["stop_grace_period: 30.0 s: mariadb may take longer"]),
        ("mysql", {"stop_grace_period": "1m0s", "stop_signal": "term"}, []),
        ("mongo", {"stop_grace_period": "1m0s", "stop_signal": "KILL"}, ["stop_signal: KILL: mongo stops"]),
        ("redis", {"stop_grace_period": "30s"}, []),
        ("redis", {"stop_grace_period": "29s"}, ["stop_grace_period: 29.0 s: redis may take longer"]),
    ],
)
def test_what_would_kill_a_server_that_is_still_writing_is_noted(
    preset: str, fields: dict[str, str], said: list[str]
) -> None:
    services = {"store": {"environment": ENVIRONMENTS[preset], "x-slipway": {"database": preset}, **fields}}
    doubts = foresight.doubts(stack(services), profile())

    assert len(doubts) == len(said)
    assert all(text.startswith(f"services.store.{start}") for (text, _), start in zip(doubts, said, strict=True))
    assert all(hint.startswith("say stop_") for _, hint in doubts)


def test_a_service_without_a_preset_may_stop_as_it_likes() -> None:
    assert foresight.doubts(stack({"store": {"stop_grace_period": "1s", "stop_signal": "SIGKILL"}}), profile()) == []
