"""scan.*: finds vulnerabilities, secrets and misconfigurations before a release goes to production."""

from invoke import Context, task

_ENV = "environment profile (default: SLIPWAY_ENV, else dev)"
HELP = {
    "env": "environment profile (default: SLIPWAY_ENV, else prod, or the last that promotes)",
    "new": "only findings that are new since the last release",
    "force": "scan again what has not changed since its last scan",
    "json": "one JSON document on stdout",
}


@task(name="all", default=True, help=HELP, auto_shortflags=False)
def all_(c: Context, env: str = "", new: bool = False, force: bool = False, json: bool = False) -> None:
    """Scan code, Dockerfiles, images and for secrets; exit 5 on a closed gate, 3 on a gap."""
    from .plan.gate import KINDS
    from .scan import run

    run(c, env, KINDS, new=new, force=force, json=json)


@task(name="code", help=HELP, auto_shortflags=False)
def code_(c: Context, env: str = "", new: bool = False, force: bool = False, json: bool = False) -> None:
    """Scan the sources: gosec, govulncheck, go vet and staticcheck in each service's stage security."""
    from .scan import run

    run(c, env, ("code",), new=new, force=force, json=json)


@task(name="hardening", help={"env": _ENV, "json": HELP["json"]}, auto_shortflags=False)
def hardening_(c: Context, env: str = "", json: bool = False) -> None:
    """Report what each running container may do, and what differs from the CIS benchmark; exit 5."""
    from ..host.project import Project
    from .hardening import run

    run(Project(c, env), json)


@task(
    help={
        "env": _ENV,
        "import": "import a database from an archive, a directory, or a registry",
        "update": "download and import the official database",
        "json": HELP["json"],
    },
    auto_shortflags=False,
)
def db(c: Context, env: str = "", import_: str = "", update: bool = False, json: bool = False) -> None:
    """Show the vulnerability database that images are scanned with, or import another one."""
    from .vulnerability_db import run

    run(c, env, import_, update, json)


@task(name="images", help=HELP, auto_shortflags=False)
def images_(c: Context, env: str = "", new: bool = False, force: bool = False, json: bool = False) -> None:
    """Scan every image of the profile with trivy: packages, Go modules in programs, secrets in any layer."""
    from .scan import run

    run(c, env, ("images",), new=new, force=force, json=json)


@task(name="dockerfiles", help=HELP, auto_shortflags=False)
def dockerfiles_(c: Context, env: str = "", new: bool = False, force: bool = False, json: bool = False) -> None:
    """Scan Dockerfiles (hadolint, trivy) and what the Compose model lets containers do."""
    from .scan import run

    run(c, env, ("dockerfiles",), new=new, force=force, json=json)


@task(name="secrets", help=HELP, auto_shortflags=False)
def secrets_(c: Context, env: str = "", new: bool = False, force: bool = False, json: bool = False) -> None:
    """Look for secrets in the working tree and in the git history since the last release."""
    from .scan import run

    run(c, env, ("secrets",), new=new, force=force, json=json)


@task(help=HELP, auto_shortflags=False)
def security_scan(c: Context, env: str = "", new: bool = False, force: bool = False, json: bool = False) -> None:
    """Scan everything: another name of `scan`."""
    all_.body(c, env, new=new, force=force, json=json)


@task(name="sbom", help={"env": _ENV, "json": HELP["json"]}, auto_shortflags=False)
def sbom_(c: Context, env: str = "", json: bool = False) -> None:
    """Write what each image consists of, as SPDX and CycloneDX documents under the reports directory."""
    from ..host.project import Project
    from .sbom import write

    write(Project(c, env), json)
