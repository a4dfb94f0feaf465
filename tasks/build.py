"""build.*: the images of all services in one graph."""

from invoke import Context, task

HELP = {
    "env": "environment profile (default: SLIPWAY_ENV, else dev)",
    "service": "only this service; may be given several times",
    "target": "build this stage instead of the one the Compose file names; tagged <tag>-<target>",
    "no-cache": "ignore the build cache",
    "pull": "ask the registry for newer base images",
    "push": "push all tags to the registry after the build",
    "platform": "os/arch to build for; several with commas, or given several times",
    "json": "one JSON document on stdout",
}


@task(name="all", default=True, help=HELP, iterable=["service", "platform"], auto_shortflags=False)
def all_(
    c: Context,
    env: str = "",
    service: list[str] | None = None,
    target: str = "",
    no_cache: bool = False,
    pull: bool = False,
    push: bool = False,
    platform: list[str] | None = None,
    json: bool = False,
) -> None:
    """Build the images of all services in one parallel graph."""
    from .host import builds
    from .host.project import Project
    from .plan.build import Options

    options = Options(
        tuple(service or ()),
        target,
        no_cache,
        pull,
        push,
        tuple(",".join(platform or ()).split(",")) if platform else (),
    )
    builds.run(Project(c, env), options, json)


@task(help={key: HELP[key] for key in ("env", "service", "json")}, iterable=["service"], auto_shortflags=False)
def size(c: Context, env: str = "", service: list[str] | None = None, json: bool = False) -> None:
    """Show image and layer sizes against their budget; exit 5 when one is over it."""
    from .host import builds
    from .host.project import Project

    builds.size(Project(c, env), tuple(service or ()), json)
