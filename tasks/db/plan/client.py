"""The client of a database: how it is given a statement, and how it loads a file of SQL, all of it or nothing."""

import re
import shlex
from pathlib import PurePosixPath

from ...model.errors import InputError
from ...model.lazy_pattern import lazy_pattern
from ...model.stack.stack import Service

# psql:<stdin>:3: ERROR:  …   and   ERROR 1064 (42000) at line 3: …
_FAULTS = (
    lazy_pattern(r"^psql:[^:]*:(?P<line>[0-9]+): (?:ERROR|FATAL|error):\s*(?P<what>.*)$", re.MULTILINE),
    lazy_pattern(r"^ERROR [0-9]+ \(\w+\) at line (?P<line>[0-9]+): (?P<what>.*)$", re.MULTILINE),
)
_PSQL = ("--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--single-transaction", "--file=-")


_SHELLS, _NO_SQL = ("sh", "bash"), ("mongosh", "mongo", "redis-cli", "valkey-cli")


def program(client: tuple[str, ...]) -> str:
    """Return the name of the client; that of a shell's command is its ``$0``."""
    shell = len(client) > 3 and PurePosixPath(client[0]).name in _SHELLS and client[1] == "-c"
    return PurePosixPath(client[3] if shell else client[0]).name


def _is_psql(client: tuple[str, ...]) -> bool:
    return program(client) == "psql"


def statement(client: tuple[str, ...], text: str) -> tuple[str, ...]:
    """Return the words that make the client run a statement and end; raises InputError for open quotes."""
    name = program(client)
    if name in ("mysql", "mariadb"):
        return ("--execute", text)
    if name in ("mongosh", "mongo"):
        return ("--eval", text)
    if name not in ("redis-cli", "valkey-cli"):
        return ("-c", text)
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise InputError(f"--command: {error}: {text!r}", "quote it as redis-cli expects it") from None


def require_sql(service: Service) -> None:
    """Raise InputError when the client of a database does not load files of SQL."""
    if (name := program(service.slipway.client)) in _NO_SQL:
        raise InputError(
            f"--file: {name}, the client of {service.name}, does not load files of SQL",
            f"give it its statements: inv db.shell --service {service.name} < FILE",
        )


def load_command(client: tuple[str, ...]) -> tuple[str, ...]:
    """Return the client's command line for loading a file of statements from its stdin."""
    return (*client, *_PSQL) if _is_psql(client) else client


def in_transaction(client: tuple[str, ...], statements: str) -> str:
    """Return statements as one transaction, which psql makes itself. Line numbers stay the same, for error messages."""
    return statements if _is_psql(client) else f"BEGIN; {statements.rstrip()}\nCOMMIT;\n"


def sql_fault(output: str) -> str:
    """Return the faulty line and the database's message about it, "" when the client's output has none."""
    fault = next((match for pattern in _FAULTS if (match := pattern.search(output))), None)
    return f"line {fault['line']}: {fault['what'].strip()}" if fault else ""
