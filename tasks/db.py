"""db.*: the stack's database, by what its services declare in x-slipway."""

from invoke import Context, task

_ENV = "environment profile (default: SLIPWAY_ENV, else dev)"


@task(help={"env": _ENV}, auto_shortflags=False)
def migrate(c: Context, env: str = "") -> None:
    """Apply the pending migrations: runs the service that says x-slipway.job: migrate."""
    from .host import operate
    from .host.project import Project

    operate.run_job(Project(c, env), "migrate")


@task(
    help={"env": _ENV, "file": "load this file of SQL instead, all of it or nothing"},
    auto_shortflags=False,
)
def seed(c: Context, env: str = "", file: str | None = None) -> None:
    """Load the sample data: runs the service that says x-slipway.job: seed."""
    from .host import operate
    from .host.project import Project

    operate.run_job(Project(c, env), "seed") if file is None else operate.load_file(Project(c, env), file)


@task(help={"env": _ENV, "command": "run this statement and return"}, auto_shortflags=False)
def shell(c: Context, env: str = "", command: str = "") -> None:
    """Open the database's own client; reads statements from stdin in a pipeline."""
    from .host import operate
    from .host.project import Project

    operate.database_shell(Project(c, env), command)
