"""The users of the exporters: how their passwords reach the databases."""

import base64
import hashlib
import hmac
from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

import pytest

from tasks.host.project import Project
from tasks.model.command import Command
from tasks.model.errors import CommandError
from tasks.model.stack.presets.redis import password_command
from tasks.monitor import users
from tasks.monitor.plan.scram import verifier
from tasks.monitor.plan.users import (
    MYSQL_CLIENT,
    mysql_client_file,
    mysql_statements,
    password_in,
    postgres_client,
    postgres_statements,
)


def encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_postgresql_gets_a_verifier_of_the_password() -> None:
    """The proof of a client that knows the password is accepted by it: RFC 5802, section 3."""
    text = verifier("hunter2", b"0123456789abcdef", encode)
    method, rest, keys = text.split("$")
    rounds, salt = rest.split(":")
    stored, server = keys.split(":")

    assert (method, rounds, base64.b64decode(salt)) == ("SCRAM-SHA-256", "4096", b"0123456789abcdef")
    salted = hashlib.pbkdf2_hmac("sha256", b"hunter2", b"0123456789abcdef", 4096)
    message = b"n=monitoring,r=x,r=xy,s=z,i=4096,c=biws,r=xy"
    client_key = hmac.new(salted, b"Client Key", "sha256").digest()
    signature = hmac.new(base64.b64decode(stored), message, "sha256").digest()
    proof = bytes(one ^ other for one, other in zip(client_key, signature, strict=True))
    recovered = bytes(one ^ other for one, other in zip(proof, signature, strict=True))
    assert hashlib.sha256(recovered).digest() == base64.b64decode(stored)
    assert hmac.new(salted, b"Server Key", "sha256").digest() == base64.b64decode(server)


def test_the_password_itself_is_in_no_statement() -> None:
    statements = postgres_statements(verifier("hunter2", b"salt", encode), "ALTER ROLE …;\n")

    assert "hunter2" not in statements
    assert statements.startswith("\\set role monitoring\n\\set password 'SCRAM-SHA-256$")
    assert statements.endswith("ALTER ROLE …;\n")


def test_psql_reads_the_statements_from_its_stdin_and_stops_at_the_first_error() -> None:
    assert postgres_client(("psql", "--username=shop"))[-2:] == ("--set=ON_ERROR_STOP=1", "--file=-")


def test_mysql_makes_the_user_or_changes_its_password() -> None:
    lines = mysql_statements("s3cret").splitlines()

    assert lines[0] == "CREATE USER IF NOT EXISTS 'monitoring'@'%' IDENTIFIED BY 's3cret';"
    assert lines[1].startswith("ALTER USER 'monitoring'@'%' IDENTIFIED BY 's3cret'")
    assert not any("ALL" in line for line in lines)


def test_a_password_is_found_in_the_secret_that_was_written() -> None:
    assert password_in(MYSQL_CLIENT, mysql_client_file("s3cret")) == "s3cret"
    assert password_in("database_password", "s3cret") == "s3cret"
    assert password_in(MYSQL_CLIENT, "") == password_in("database_password", "") == ""


def test_only_the_client_of_the_preset_knows_the_password_of_redis() -> None:
    assert password_command(("redis-cli",)) == ()


class Starting:
    """A database that refuses its client so many times, with an exit code and the client's last words."""

    def __init__(self, *refusals: tuple[int, str]) -> None:
        self.refusals, self.asked = list(refusals), 0

    def run(self, _: Command, explain: Callable[[int, str], CommandError]) -> None:
        self.asked += 1
        if self.refusals:
            raise explain(*self.refusals.pop(0))


def made(database: Starting) -> None:
    users._run(cast(Project, SimpleNamespace(runner=database)), Command(("psql",)))


@pytest.mark.parametrize("refusal", [(2, ""), (1, "ERROR 2002 (HY000): Can't connect to local server")])
def test_a_database_that_was_just_started_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, refusal: tuple[int, str]
) -> None:
    monkeypatch.setattr(users, "_AGAIN", 0.0)
    database = Starting(refusal, refusal)

    made(database)

    assert database.asked == 3


def test_a_client_that_is_refused_is_not_asked_again() -> None:
    database = Starting((3, "ERROR: permission denied"))

    with pytest.raises(CommandError, match="exit code 3"):
        made(database)

    assert database.asked == 1
