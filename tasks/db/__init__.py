"""db.*: tasks for the stack's database, as its services declare it in x-slipway."""

from invoke import Context, task

_ENV = "environment profile (default: SLIPWAY_ENV, else dev)"
_YES = "answer the confirmation with yes"
_SERVICE = "service of the database, where there are several"
_WAIT = "how long to wait for the deploy lock, such as 5m (default: not at all)"


@task(help={"env": _ENV, "yes": _YES, "wait": _WAIT}, auto_shortflags=False)
def migrate(c: Context, env: str = "", yes: bool = False, wait: str = "") -> None:
    """Apply the pending migrations: runs the service that says x-slipway.job: migrate."""
    from ..host.project import Project
    from .client import run_job

    run_job(Project(c, env), "migrate", yes, wait)


@task(
    help={
        "env": _ENV,
        "file": "load this file of SQL instead, all of it or nothing",
        "service": f"with --file: {_SERVICE}",
        "yes": _YES,
        "wait": _WAIT,
    },
    auto_shortflags=False,
)
def seed(
    c: Context, env: str = "", file: str | None = None, service: str = "", yes: bool = False, wait: str = ""
) -> None:
    """Load the sample data: runs the service that says x-slipway.job: seed."""
    from ..host.project import Project
    from .client import load_file, run_job

    project = Project(c, env)
    run_job(project, "seed", yes, wait) if file is None else load_file(project, service, file, yes, wait)


@task(
    help={"env": _ENV, "service": _SERVICE, "command": "run this statement and return"},
    auto_shortflags=False,
)
def shell(c: Context, env: str = "", service: str = "", command: str = "") -> None:
    """Open the database's own client; reads statements from stdin in a pipeline."""
    from ..host.project import Project
    from .client import database_shell

    database_shell(Project(c, env), service, command)


@task(
    name="backup",
    help={
        "env": _ENV,
        "service": _SERVICE,
        "output": "write this file, not one in backups/",
        "json": "one JSON document on stdout",
    },
    auto_shortflags=False,
)
def backup_(c: Context, env: str = "", service: str = "", output: str = "", json: bool = False) -> None:
    """Dump the database, and prove the dump by restoring it into a scratch database."""
    from ..host.project import Project
    from .backup import run_backup

    run_backup(Project(c, env), service, output=output, json=json)


@task(
    help={"env": _ENV, "service": _SERVICE, "file": "the backup to restore", "yes": _YES, "wait": _WAIT},
    auto_shortflags=False,
)
def restore(c: Context, file: str, env: str = "", service: str = "", yes: bool = False, wait: str = "") -> None:
    """Put a backup in place of the database; if that fails, nothing changes."""
    from ..host.project import Project
    from .backup import restore

    restore(Project(c, env), service, file=file, yes=yes, wait=wait)
