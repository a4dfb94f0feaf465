"""Tasks on a running environment that have no namespace of their own: logs, shell, ps, clean."""

from invoke import Context, task

_ENV = "environment profile (default: SLIPWAY_ENV, else dev)"


@task(
    help={
        "env": _ENV,
        "service": "only this service; may be given several times",
        "follow": "go on until Ctrl-C",
        "since": "only lines since then: 10m, 2h, or an RFC 3339 time",
        "tail": "only the last lines of each container",
        "grep": "only lines in which this regular expression is found",
    },
    iterable=["service"],
    auto_shortflags=False,
)
def logs(
    c: Context,
    env: str = "",
    service: list[str] | None = None,
    follow: bool = False,
    since: str = "",
    tail: str = "",
    grep: str = "",
) -> None:
    """Show the logs of the services; --follow goes on."""
    from .host import operate
    from .host.project import Project

    operate.logs(Project(c, env), tuple(service or ()), follow, since, tail, grep)


@task(
    help={
        "env": _ENV,
        "service": "the service to enter",
        "command": "run this and return, instead of opening a shell",
    },
    auto_shortflags=False,
)
def shell(c: Context, env: str = "", service: str = "", command: str = "") -> None:
    """Open a shell in a service; in its debug stage beside it when the image has none."""
    from .host import operate
    from .host.project import Project

    operate.shell(Project(c, env), service, command)


@task(help={"env": _ENV, "json": "one JSON document on stdout"}, auto_shortflags=False)
def ps(c: Context, env: str = "", json: bool = False) -> None:
    """List the containers of the project, stopped ones too."""
    from .host import operate
    from .host.project import Project

    operate.ps(Project(c, env), json)


@task(
    help={
        "env": _ENV,
        "volumes": "remove the volumes too: their data is lost",
        "images": "remove the images too",
        "yes": "answer the confirmation with yes",
        "wait": "wait so long for whoever holds the deploy lock, such as 5m (default: not at all)",
    },
    auto_shortflags=False,
)
def clean(
    c: Context, env: str = "", volumes: bool = False, images: bool = False, yes: bool = False, wait: str = ""
) -> None:
    """Remove the containers and networks of the project; never another project's, never volumes unasked."""
    from .host import operate
    from .host.project import Project

    operate.clean(Project(c, env), volumes, images, yes, wait)
