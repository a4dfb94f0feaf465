"""helm.*: a Compose project as a Helm chart."""

from invoke import Context, task

_ENV = "environment profile (default: SLIPWAY_ENV, else dev)"


@task(
    name="package",
    help={"env": _ENV, "out": "directory to write the chart to, in a directory of its own name"},
    auto_shortflags=False,
)
def package_(c: Context, env: str = "", out: str = "") -> None:
    """Write the Helm chart of a stack, with a values file for each environment that runs on Kubernetes."""
    from ..host.project import Project

    project = Project(c, env)  # Compose works while the rest is loaded
    from .package import run

    run(project, out)


@task(name="push", help={"env": _ENV, "json": "one JSON document on stdout"}, auto_shortflags=False)
def push_(c: Context, env: str = "", json: bool = False) -> None:
    """Push the Helm chart of a stack to HELM_REPOSITORY, signed by SIGN_KEY; a version keeps its content."""
    from ..host.project import Project

    project = Project(c, env)  # Compose works while the rest is loaded
    from .push import run

    run(project, json)
