"""Works on the database of a running environment: its jobs, its client, files of SQL."""

from dataclasses import replace
from pathlib import Path

from ..host import lock, reasons
from ..host.confirmation import confirm_change
from ..host.output import interactive, note
from ..host.project import Project
from ..model.compose import compose
from ..model.errors import CommandError, InputError
from ..model.lock import wait_seconds
from ..model.stack.stack import Service
from . import inside
from .plan import client, databases


def run_job(project: Project, kind: str, yes: bool = False, wait: str = "") -> None:
    """Run the service that declares ``x-slipway.job: kind``, with its dependencies, under the deploy lock."""
    patience = wait_seconds(wait)
    service = project.stack.job(kind)
    if project.clustered:
        inside.keep_locks(project)
        confirm_change(project, kind, yes)
        with lock.project_lock(project, kind, patience, nested=True):
            inside.run_job(project, service.name, f"{kind} by service {service.name}")
        return
    if not project.runner.dry:
        project.engine.version()  # when no engine answers, our error and not Compose's
    command = compose(
        project.profile,
        *("run", "--rm", "--no-TTY", service.name),
        cwd=project.cwd,
        reason=f"{kind} by service {service.name}",
    )

    def explain(code: int, output: str) -> CommandError | None:
        if known := reasons.outdated_volume(project, project.stack, [output]):
            return CommandError(f"{kind}: {known.message}", code, known.hint)
        return reasons.error_explainer(project, command)(code, output)

    confirm_change(project, kind, yes)
    with lock.project_lock(project, kind, patience, nested=True):
        project.runner.run(command, explain)


def load_file(project: Project, database: str, name: str, yes: bool = False, wait: str = "") -> None:
    """Load a file of SQL through the database's client, all of it or nothing, under the deploy lock.

    Raises InputError for a file or a client that cannot be used, CommandError with the client's own code when a
    statement fails.
    """
    patience = wait_seconds(wait)
    text = _statements(name)
    service = _client_of(project, database)
    client.require_sql(service)
    inside.keep_locks(project)
    if not project.runner.dry:
        inside.require_running(project, service)
    words = client.load_command(service.slipway.client)
    reason = f"load {name} through the client of {service.name}"
    command = inside.command(project, service.name, words, reason=reason)

    def explain(code: int, output: str) -> CommandError:
        return CommandError(
            f"{name}: {client.sql_fault(output) or f'the client ended with exit code {code}'}",
            code,
            "nothing of the file was loaded; correct it and load it again",
        )

    confirm_change(project, f"load {name} into", yes)
    with lock.project_lock(project, f"load {name}", patience, nested=True):
        project.runner.run(replace(command, stdin=client.in_transaction(service.slipway.client, text)), explain)
    if not project.runner.dry:
        note(f"{name}: loaded into {service.name} of {project.stack.project}")


def _statements(name: str) -> str:
    """Return the content of a file of SQL; raises InputError when it cannot be used."""
    try:
        text = Path(name).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InputError(f"--file {name}: is not a text file in UTF-8", "name a file of SQL statements") from None
    except OSError as error:
        raise InputError(f"--file {name}: {error.strerror}", "name a file of SQL statements") from None
    if not text.strip():
        raise InputError(f"--file {name}: is empty", "name a file of SQL statements")
    if "\0" in text:
        raise InputError(f"--file {name}: is not a text file", "name a file of SQL statements")
    return text


def _client_of(project: Project, database: str) -> Service:
    service = databases.chosen(project.stack, database)
    if not service.slipway.client:
        raise InputError(
            f"service {service.name} does not say x-slipway.client",
            "say x-slipway: {database: postgres}, or for example {client: [psql, --username=app]}",
        )
    return service


def database_shell(project: Project, database: str, command: str) -> None:
    """Open the client that the database service declares as ``x-slipway.client``."""
    service = _client_of(project, database)
    if not project.runner.dry:
        inside.require_running(project, service)
    words = client.statement(service.slipway.client, command) if command else ()
    reason = f"client of {service.name}"
    project.runner.stream(
        inside.command(project, service.name, (*service.slipway.client, *words), interactive(), reason)
    )
