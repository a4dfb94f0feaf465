"""scan.*: may this go to production?"""

from invoke import Context, task

_ENV = "environment profile (default: SLIPWAY_ENV, else dev)"
_JSON = "one JSON document on stdout"


@task(help={"env": _ENV, "json": _JSON}, auto_shortflags=False)
def hardening(c: Context, env: str = "", json: bool = False) -> None:
    """Report what each running container may do, and what differs from the CIS benchmark; exit 5."""
    from .host import hardening as report
    from .host.project import Project

    report.run(Project(c, env), json)


@task(
    help={
        "env": _ENV,
        "import": "bring a database in: an archive, a directory, or a name in a registry",
        "update": "bring the official database in, where the network allows it",
        "json": _JSON,
    },
    auto_shortflags=False,
)
def db(c: Context, env: str = "", import_: str = "", update: bool = False, json: bool = False) -> None:
    """Show the vulnerability database that images are scanned with, or import another one."""
    from .host import advisories

    advisories.run(c, env, import_, update, json)
