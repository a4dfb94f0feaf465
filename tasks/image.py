"""image.*: what the engine holds, and the stand-in base images."""

from invoke import Context, task

_ENV = "environment profile (default: SLIPWAY_ENV, else dev)"
_JSON = "one JSON document on stdout"


@task(name="list", help={"env": _ENV, "json": _JSON}, auto_shortflags=False)
def list_(c: Context, env: str = "", json: bool = False) -> None:
    """List the local images of the project."""
    from .host import builds
    from .host.project import Project

    builds.list_images(Project(c, env), json)


@task(
    help={"env": _ENV, "service": "only this service; may be given several times", "json": _JSON},
    iterable=["service"],
    auto_shortflags=False,
)
def tags(c: Context, env: str = "", service: list[str] | None = None, json: bool = False) -> None:
    """Show the tags that a build would carry now, and why."""
    from .host import builds
    from .host.project import Project

    builds.list_tags(Project(c, env), tuple(service or ()), json)


@task(help={"env": _ENV, "force": "make the root file system anew"}, auto_shortflags=False)
def bases(c: Context, env: str = "", force: bool = False) -> None:
    """Build stand-in base images from distribution packages, for a machine that reaches no registry."""
    from .host import provision
    from .host.project import Project

    provision.bases(Project(c, env), force)
