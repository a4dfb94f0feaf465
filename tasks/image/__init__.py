"""image.*: the images of the project, on the engine and in their registry."""

from invoke import Context, task

_ENV = "environment profile (default: SLIPWAY_ENV, else dev)"
_JSON = "one JSON document on stdout"
_SERVICE = "only this service; may be given several times"


@task(help={"env": _ENV, "service": _SERVICE, "json": _JSON}, iterable=["service"], auto_shortflags=False)
def push(c: Context, env: str = "", service: list[str] | None = None, json: bool = False) -> None:
    """Push all tags of the images to their registry; an exact version that is there keeps its content."""
    from ..host.project import Project
    from .registry import push

    push(Project(c, env), tuple(service or ()), json)


@task(help={"env": _ENV, "service": _SERVICE, "json": _JSON}, iterable=["service"], auto_shortflags=False)
def pull(c: Context, env: str = "", service: list[str] | None = None, json: bool = False) -> None:
    """Pull the images from their registry by digest."""
    from ..host.project import Project
    from .registry import pull

    pull(Project(c, env), tuple(service or ()), json)


@task(name="sign", help={"env": _ENV, "service": _SERVICE, "json": _JSON}, iterable=["service"], auto_shortflags=False)
def sign_(c: Context, env: str = "", service: list[str] | None = None, json: bool = False) -> None:
    """Sign the images that this engine has, by digest in their registry, with the key SIGN_KEY."""
    from ..host.project import Project
    from .verify import sign_here

    sign_here(Project(c, env), tuple(service or ()), json)


@task(
    name="verify", help={"env": _ENV, "service": _SERVICE, "json": _JSON}, iterable=["service"], auto_shortflags=False
)
def verify_(c: Context, env: str = "", service: list[str] | None = None, json: bool = False) -> None:
    """Show whether each image is signed by the key VERIFY_KEY; exit 5 when an image is not."""
    from ..host.project import Project
    from .verify import verify

    verify(Project(c, env), tuple(service or ()), json)


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
    """Give the images of an environment the names of another: the same digests, no rebuild."""
    from ..host.project import Project
    from .registry import promote

    promote(Project(c, from_), Project(c, to), tuple(service or ()), json)
