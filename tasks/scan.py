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
