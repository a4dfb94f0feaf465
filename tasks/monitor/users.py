"""Makes the users of the exporters in the databases of a stack, through the databases' own clients."""

import base64
import secrets
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from ..host.output import note
from ..host.project import Project
from ..host.readiness import running_container
from ..model.command import Command
from ..model.compose import compose
from ..model.errors import CommandError, RefusedError
from ..model.stack.stack import Service, Stack
from ..model.stack.telemetry.metrics import MYSQL, POSTGRES
from .plan.exporters import USER, Exporter
from .plan.scram import verifier
from .plan.users import mysql_statements, postgres_client, postgres_statements

_ROLE = Path("postgres", "role.sql")
_LIMIT = 60.0  # seconds: a lock in the database must not stop everything
_PATIENCE, _AGAIN = 30.0, 1.0  # seconds in which a database that was just started is asked again
_NO_CONNECTION = 2  # of psql: https://www.postgresql.org/docs/current/app-psql.html#APP-PSQL-EXIT-STATUS
_NO_SERVER = "ERROR 2002"  # of mysql: https://dev.mysql.com/doc/mysql-errors/8.4/en/client-error-reference.html


def with_users(exporters: Iterable[Exporter]) -> tuple[Exporter, ...]:
    """Return the exporters that log in as a user of their own."""
    return tuple(exporter for exporter in exporters if exporter.kind in (POSTGRES, MYSQL))


def make(project: Project, stack: Stack, exporter: Exporter, password: str, directory: Path) -> None:
    """Make the user of an exporter, with this password; one that is there gets it.

    ``directory`` is the one of the monitoring's Compose file. A database that accepts no connections yet is asked again
    for a while. One that does not run is noted, and so is one whose client refuses: the rest of the monitoring does not
    depend on it.
    """
    service = stack.service(exporter.service)
    if not service.slipway.client:
        note(f"{service.name}: no client is known for it: make the user {USER} by hand (docs/monitoring.md)")
        return
    command = _command(project, service, exporter.kind)
    if project.runner.dry:
        project.runner.show(f"make the user {USER} in {service.name}, by statements on stdin:")
        project.runner.run(command)
        return
    try:
        running_container(project, service)
        _run(project, replace(command, stdin=_statements(exporter.kind, password, directory)))
    except (RefusedError, CommandError) as error:
        note(f"{service.name}: its exporter has no user yet: {error.message}")
        note(f"  hint: inv monitor.up --env {project.profile.environment}, once it runs", level="info")


def _run(project: Project, command: Command) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            project.runner.run(command, lambda code, said: _failed(command, code, said))
            return
        except CommandError as error:
            starting = error.exit_code == _NO_CONNECTION or _NO_SERVER in error.output
            if not starting or time.monotonic() > deadline:
                raise
        time.sleep(_AGAIN)


def _failed(command: Command, code: int, said: str) -> CommandError:
    return CommandError(f"{command.title} failed with exit code {code}", code, output=said)


def _command(project: Project, service: Service, kind: str) -> Command:
    client = service.slipway.client
    words = postgres_client(client) if kind == POSTGRES else client
    made = compose(project.profile, *("exec", "--no-TTY", service.name, *words), cwd=project.cwd)
    return replace(made, timeout=_LIMIT)


def _statements(kind: str, password: str, directory: Path) -> str:
    if kind == MYSQL:
        return mysql_statements(password)
    kept = verifier(password, secrets.token_bytes(16), lambda data: base64.b64encode(data).decode())
    return postgres_statements(kept, (directory / _ROLE).read_text(encoding="utf-8"))
