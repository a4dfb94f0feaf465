"""Tasks on a running environment that have no namespace of their own: logs, shell, ps, clean."""

from invoke import Context, task

_ENV = "environment profile (default: SLIPWAY_ENV, else dev)"


@task(
    help={
        "env": f"{_ENV}; may be given several times",
        "service": "only this service; may be given several times",
        "follow": "go on until Ctrl-C, also in containers that take over",
        "since": "only lines from then on: 10m, 2h, 2026-11-29, or an RFC 3339 time",
        "until": "only lines from before then",
        "tail": "only the last lines of all that are wanted",
        "grep": "only lines that match this regular expression",
        "level": "only lines of this level or a higher one: trace, debug, info, warn, error, fatal",
        "trace": "only lines of this trace: the id of W3C's traceparent",
        "raw": "as the containers wrote it: secrets of the profile are not masked",
        "json": "one JSON document on stdout; with --follow one after another, each on a line",
    },
    iterable=["env", "service"],
    auto_shortflags=False,
)
def logs(
    c: Context,
    env: list[str] | None = None,
    service: list[str] | None = None,
    follow: bool = False,
    since: str = "",
    until: str = "",
    tail: str = "",
    grep: str = "",
    level: str = "",
    trace: str = "",
    raw: bool = False,
    json: bool = False,
) -> None:
    """Show the logs of the services in order of time; --follow continues."""
    from ..host.project import Project
    from .read_logs import logs

    projects = [Project(c, name) for name in dict.fromkeys(env or ("",))]
    options = {"since": since, "until": until, "tail": tail, "grep": grep, "level": level, "trace": trace}
    logs(projects, tuple(service or ()), follow, raw, json, options)


@task(
    help={
        "env": _ENV,
        "service": "the service to enter",
        "command": "run this and return, instead of opening a shell",
    },
    auto_shortflags=False,
)
def shell(c: Context, env: str = "", service: str = "", command: str = "") -> None:
    """Open a shell in a service; in its debug stage next to it when the image has no shell."""
    from ..host.project import Project

    project = Project(c, env)
    if project.clustered:
        from .cluster import shell
    else:
        from .operate import shell
    shell(project, service, command)


@task(help={"env": _ENV, "json": "one JSON document on stdout"}, auto_shortflags=False)
def ps(c: Context, env: str = "", json: bool = False) -> None:
    """List the containers of the project, stopped ones too."""
    from ..host.project import Project

    project = Project(c, env)
    if project.clustered:
        from .cluster import ps
    else:
        from .operate import ps
    ps(project, json)


@task(
    help={
        "env": _ENV,
        "volumes": "remove the volumes too: their data is lost",
        "images": "remove the images too",
        "yes": "answer the confirmation with yes",
        "wait": "how long to wait for the deploy lock, such as 5m (default: not at all)",
    },
    auto_shortflags=False,
)
def clean(
    c: Context, env: str = "", volumes: bool = False, images: bool = False, yes: bool = False, wait: str = ""
) -> None:
    """Remove the containers and networks of the project; never another project's, never volumes unasked."""
    from ..host.project import Project

    project = Project(c, env)
    if project.clustered:
        from .cluster_clean import clean
    else:
        from .operate import clean
    clean(project, volumes, images, yes, wait)
