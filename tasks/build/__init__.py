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
    "why": "build nothing, and say what makes each image new",
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
    why: bool = False,
) -> None:
    """Build the images of all services in one parallel graph."""
    from ..host.project import Project
    from .plan.build import Options
    from .why import build_or_explain

    options = Options(
        tuple(service or ()),
        target,
        no_cache,
        pull,
        push,
        tuple(",".join(platform or ()).split(",")) if platform else (),
    )
    build_or_explain(Project(c, env), options, json, why)


@task(help={key: HELP[key] for key in ("env", "service", "json")}, iterable=["service"], auto_shortflags=False)
def size(c: Context, env: str = "", service: list[str] | None = None, json: bool = False) -> None:
    """Show image and layer sizes against their budget; exit 5 when an image is over it."""
    from ..host.project import Project
    from .build import size

    size(Project(c, env), tuple(service or ()), json)


@task(name="list", help={"env": HELP["env"], "json": HELP["json"]}, auto_shortflags=False)
def list_(c: Context, env: str = "", json: bool = False) -> None:
    """List the local images of the project."""
    from ..host.project import Project
    from .build import list_images

    list_images(Project(c, env), json)


@task(
    help={"env": HELP["env"], "service": HELP["service"], "json": HELP["json"]},
    iterable=["service"],
    auto_shortflags=False,
)
def tags(c: Context, env: str = "", service: list[str] | None = None, json: bool = False) -> None:
    """Show the tags that a build would carry now, and why."""
    from ..host.project import Project
    from .build import list_tags

    list_tags(Project(c, env), tuple(service or ()), json)
