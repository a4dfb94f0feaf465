"""mesh.*: whether the services of an environment are in the service mesh of its cluster."""

from invoke import Context, task


@task(
    name="check",
    help={
        "env": "environment profile (default: SLIPWAY_ENV, else dev)",
        "json": "one JSON document on stdout",
    },
    auto_shortflags=False,
)
def check_(c: Context, env: str = "", json: bool = False) -> None:
    """Are sidecars, mTLS and policies as the Compose networks want them? Exit 5 when not."""
    from ..host.project import Project
    from .check import run

    run(Project(c, env), json)
