"""scan.*: what keeps a release from production, found before it gets there."""

from invoke import Context, task

HELP = {
    "env": "environment profile (default: SLIPWAY_ENV, else dev)",
    "new": "only what is new since the last release",
    "force": "scan also what has not changed since it was scanned",
    "json": "one JSON document on stdout",
}


@task(name="all", default=True, help=HELP, auto_shortflags=False)
def all_(c: Context, env: str = "", new: bool = False, force: bool = False, json: bool = False) -> None:
    """Scan code, Dockerfiles, images and for secrets; exit 5 on a closed gate, 3 on a gap."""
    from .host import scans
    from .plan.scan import KINDS

    scans.run(c, env, KINDS, new=new, force=force, json=json)


@task(help=HELP, auto_shortflags=False)
def code(c: Context, env: str = "", new: bool = False, force: bool = False, json: bool = False) -> None:
    """Scan the sources: gosec, govulncheck, go vet and staticcheck in each service's stage security."""
    from .host import scans

    scans.run(c, env, ("code",), new=new, force=force, json=json)


@task(help={"env": HELP["env"], "json": HELP["json"]}, auto_shortflags=False)
def hardening(c: Context, env: str = "", json: bool = False) -> None:
    """Report what each running container may do, and what differs from the CIS benchmark; exit 5."""
    from .host import hardening as report
    from .host.project import Project

    report.run(Project(c, env), json)


@task(
    help={
        "env": HELP["env"],
        "import": "bring a database in: an archive, a directory, or a name in a registry",
        "update": "bring the official database in, where the network allows it",
        "json": HELP["json"],
    },
    auto_shortflags=False,
)
def db(c: Context, env: str = "", import_: str = "", update: bool = False, json: bool = False) -> None:
    """Show the vulnerability database that images are scanned with, or import another one."""
    from .host import advisories

    advisories.run(c, env, import_, update, json)


@task(help=HELP, auto_shortflags=False)
def images(c: Context, env: str = "", new: bool = False, force: bool = False, json: bool = False) -> None:
    """Scan every image of the profile with trivy: packages, Go modules in programs, secrets in any layer."""
    from .host import scans

    scans.run(c, env, ("images",), new=new, force=force, json=json)


@task(help=HELP, auto_shortflags=False)
def dockerfiles(c: Context, env: str = "", new: bool = False, force: bool = False, json: bool = False) -> None:
    """Scan Dockerfiles (hadolint, trivy) and what the Compose model lets containers do."""
    from .host import scans

    scans.run(c, env, ("dockerfiles",), new=new, force=force, json=json)


@task(help=HELP, auto_shortflags=False)
def secrets(c: Context, env: str = "", new: bool = False, force: bool = False, json: bool = False) -> None:
    """Look for secrets in the working tree and in the git history since the last release."""
    from .host import scans

    scans.run(c, env, ("secrets",), new=new, force=force, json=json)


@task(help=HELP, auto_shortflags=False)
def security_scan(c: Context, env: str = "", new: bool = False, force: bool = False, json: bool = False) -> None:
    """Scan everything: another name of `scan`."""
    all_.body(c, env, new=new, force=force, json=json)
