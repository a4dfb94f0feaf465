"""image.*: what the engine holds, and the stand-in base images."""

from invoke import Context, task

_ENV = "environment profile (default: SLIPWAY_ENV, else dev)"
_JSON = "one JSON document on stdout"
_SERVICE = "only this service; may be given several times"


@task(name="list", help={"env": _ENV, "json": _JSON}, auto_shortflags=False)
def list_(c: Context, env: str = "", json: bool = False) -> None:
    """List the local images of the project."""
    from .host import builds
    from .host.project import Project

    builds.list_images(Project(c, env), json)


@task(
    help={"env": _ENV, "service": _SERVICE, "json": _JSON},
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


@task(help={"env": _ENV, "service": _SERVICE, "json": _JSON}, iterable=["service"], auto_shortflags=False)
def push(c: Context, env: str = "", service: list[str] | None = None, json: bool = False) -> None:
    """Push all tags of the images to their registry; an exact version that is there keeps its content."""
    from .host import registry
    from .host.project import Project

    registry.push(Project(c, env), tuple(service or ()), json)


@task(help={"env": _ENV, "service": _SERVICE, "json": _JSON}, iterable=["service"], auto_shortflags=False)
def pull(c: Context, env: str = "", service: list[str] | None = None, json: bool = False) -> None:
    """Pull the images from their registry by digest."""
    from .host import registry
    from .host.project import Project

    registry.pull(Project(c, env), tuple(service or ()), json)


@task(help={"env": _ENV, "service": _SERVICE, "json": _JSON}, iterable=["service"], auto_shortflags=False)
def sign(c: Context, env: str = "", service: list[str] | None = None, json: bool = False) -> None:
    """Sign the images that this engine has, by digest in their registry, with the key SIGN_KEY."""
    from .host import verification
    from .host.project import Project

    verification.sign_here(Project(c, env), tuple(service or ()), json)


@task(help={"env": _ENV, "service": _SERVICE, "json": _JSON}, iterable=["service"], auto_shortflags=False)
def verify(c: Context, env: str = "", service: list[str] | None = None, json: bool = False) -> None:
    """Show whether each image is signed by the key VERIFY_KEY; exit 5 when one is not."""
    from .host import verification
    from .host.project import Project

    verification.verify(Project(c, env), tuple(service or ()), json)


@task(
    help={
        "from": "environment whose images are promoted",
        "to": "environment that gets them",
        "service": _SERVICE,
        "json": _JSON,
    },
    iterable=["service"],
    auto_shortflags=False,
)
def promote(c: Context, from_: str, to: str, service: list[str] | None = None, json: bool = False) -> None:
    """Give the images of one environment the names of another: the same digests, no rebuild."""
    from .host import registry
    from .host.project import Project

    registry.promote(Project(c, from_), Project(c, to), tuple(service or ()), json)


@task(help={"env": _ENV, "json": _JSON}, auto_shortflags=False)
def sbom(c: Context, env: str = "", json: bool = False) -> None:
    """Write what each image consists of, as SPDX and CycloneDX documents under the reports directory."""
    from .host import sboms
    from .host.project import Project

    sboms.write(Project(c, env), json)
