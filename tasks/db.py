"""db.*: the stack's database, by what its services declare in x-slipway."""

from invoke import Context, task

_ENV = "environment profile (default: SLIPWAY_ENV, else dev)"
_YES = "answer the confirmation with yes"
_WAIT = "wait so long for whoever holds the deploy lock, such as 5m (default: not at all)"


@task(help={"env": _ENV, "yes": _YES, "wait": _WAIT}, auto_shortflags=False)
def migrate(c: Context, env: str = "", yes: bool = False, wait: str = "") -> None:
    """Apply the pending migrations: runs the service that says x-slipway.job: migrate."""
    from .host import operate
    from .host.project import Project

    operate.run_job(Project(c, env), "migrate", yes, wait)


@task(
    help={"env": _ENV, "file": "load this file of SQL instead, all of it or nothing", "yes": _YES, "wait": _WAIT},
    auto_shortflags=False,
)
def seed(c: Context, env: str = "", file: str | None = None, yes: bool = False, wait: str = "") -> None:
    """Load the sample data: runs the service that says x-slipway.job: seed."""
    from .host import operate
    from .host.project import Project

    project = Project(c, env)
    operate.run_job(project, "seed", yes, wait) if file is None else operate.load_file(project, file, yes, wait)


@task(help={"env": _ENV, "command": "run this statement and return"}, auto_shortflags=False)
def shell(c: Context, env: str = "", command: str = "") -> None:
    """Open the database's own client; reads statements from stdin in a pipeline."""
    from .host import operate
    from .host.project import Project

    operate.database_shell(Project(c, env), command)


@task(
    help={"env": _ENV, "output": "write this file, not one in backups/", "json": "one JSON document on stdout"},
    auto_shortflags=False,
)
def backup(c: Context, env: str = "", output: str = "", json: bool = False) -> None:
    """Dump the database, and prove the dump by restoring it beside."""
    from .host import backups
    from .host.project import Project

    backups.run(Project(c, env), output=output, json=json)


@task(
    help={"env": _ENV, "file": "the backup to restore", "yes": _YES, "wait": _WAIT},
    auto_shortflags=False,
)
def restore(c: Context, file: str, env: str = "", yes: bool = False, wait: str = "") -> None:
    """Put a backup in place of the database; if that fails, nothing changes."""
    from .host import backups
    from .host.project import Project

    backups.restore(Project(c, env), file=file, yes=yes, wait=wait)
