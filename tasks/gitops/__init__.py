"""gitops.*: deploy what is committed, signed, to a branch; tell how that went, and heal what drifts."""

from invoke import Context, task

_ENV = "environment profile (default: SLIPWAY_ENV, else dev)"
_JSON = "one JSON document on stdout"


@task(help={"env": _ENV}, auto_shortflags=False)
def run(c: Context, env: str = "") -> None:
    """Follow a branch: deploy each new commit that is signed, until a signal ends it."""
    from ..host.project import Project
    from .agent import run as follow

    follow(Project(c, env))


@task(help={"env": _ENV, "json": _JSON}, auto_shortflags=False)
def once(c: Context, env: str = "", json: bool = False) -> None:
    """Look at the branch once, and deploy its commit if it is new and signed."""
    from ..host.project import Project
    from .agent import once as look

    look(Project(c, env), json)


@task(name="status", help={"env": _ENV, "json": _JSON}, auto_shortflags=False)
def status_(c: Context, env: str = "", json: bool = False) -> None:
    """Show what the agent of an environment did last, what it waits for, and who it is."""
    from ..host.project import Project
    from .status import status

    status(Project(c, env), json)


@task(help={"env": _ENV, "reason": "why, for the others"}, auto_shortflags=False)
def suspend(c: Context, env: str = "", reason: str = "") -> None:
    """Let the agent of an environment do nothing until `gitops.resume`."""
    from ..host.project import Project
    from .status import suspend as tell

    tell(Project(c, env), reason)


@task(
    help={
        "env": _ENV,
        "again": "try the commit that failed once more, or deploy over what a person did",
        "rewritten": "accept once that the branch has another history (a force push)",
    },
    auto_shortflags=False,
)
def resume(c: Context, env: str = "", again: bool = False, rewritten: bool = False) -> None:
    """Let the agent of an environment go on, at its next look."""
    from ..host.project import Project
    from .status import resume as tell

    tell(Project(c, env), again=again, rewritten=rewritten)


@task(
    name="install",
    help={"env": _ENV, "user": "the user that it runs as (default: this one)", "out": "file to write it to"},
    auto_shortflags=False,
)
def install_(c: Context, env: str = "", user: str = "", out: str = "") -> None:
    """Print a systemd unit that runs the agent of an environment, or write it to a file."""
    from ..host.project import Project
    from .install import install

    install(Project(c, env), user, out)


@task(
    name="export",
    help={
        "env": _ENV,
        "branch": "branch of the repository to write to, which has nothing else",
        "push": "push it, never by force",
        "oci": "push an OCI artifact to GITOPS_OCI_REPOSITORY instead, signed by SIGN_KEY",
        "out": "with --oci: directory to write the objects for Flux to",
        "json": _JSON,
    },
    auto_shortflags=False,
)
def export_(
    c: Context,
    env: str = "",
    branch: str = "",
    push: bool = False,
    oci: bool = False,
    out: str = "",
    json: bool = False,
) -> None:
    """Write the objects of an environment into a branch for Argo CD and Flux, or into a registry."""
    from ..host.project import Project

    project = Project(c, env)  # Compose works while the rest is loaded
    from . import artifact, export
    from .plan.exported import refuse_mixed

    refuse_mixed(oci, branch, push, out)
    artifact.run(project, out, json) if oci else export.run(project, branch, push, json)
