"""monitor.*: metrics, traces and alerts of a stack, from a Compose project beside it."""

from invoke import Context, task

_ENV = "environment profile (default: SLIPWAY_ENV, else dev)"
_JSON = "one JSON document on stdout"


@task(name="up", help={"env": _ENV, "json": _JSON}, auto_shortflags=False)
def up_(c: Context, env: str = "", json: bool = False) -> None:
    """Start what monitors an environment, beside its stack, and wait until it is healthy."""
    from ..host.project import Project
    from .up import up

    up(Project(c, env), json)


@task(
    name="down",
    help={
        "env": _ENV,
        "volumes": "remove its history and its secrets too",
        "yes": "answer the confirmation with yes",
    },
    auto_shortflags=False,
)
def down_(c: Context, env: str = "", volumes: bool = False, yes: bool = False) -> None:
    """Remove what monitors an environment; its history is kept, and the stack goes on."""
    from ..host.project import Project
    from .down import down

    down(Project(c, env), volumes=volumes, yes=yes)


@task(
    name="open",
    help={
        "env": _ENV,
        "browser": "open the page of this service, such as prometheus, in the browser of this machine",
        "json": _JSON,
    },
    auto_shortflags=False,
)
def open_(c: Context, env: str = "", browser: str = "", json: bool = False) -> None:
    """Print where the pages of the monitoring are, and for a remote engine how to reach them."""
    from ..host.project import Project
    from .addresses import open_

    open_(Project(c, env), browser, json)


@task(
    name="check",
    help={
        "env": _ENV,
        "wait": "how long to look again for what is not seen yet, such as 30s (default: 1m)",
        "json": _JSON,
    },
    auto_shortflags=False,
)
def check_(c: Context, env: str = "", wait: str = "", json: bool = False) -> None:
    """Check that every target, rule and dashboard has data, and every alert a test; exit 5 otherwise."""
    from ..host.project import Project
    from .check import run

    run(Project(c, env), wait, json)


@task(
    name="status",
    help={
        "env": _ENV,
        "service": "only this service; may be given several times",
        "since": "how far to look back, such as 5m or 1h",
        "watch": "go on until Ctrl-C, drawn anew in place",
        "json": "one JSON document on stdout; with --watch one after another, each on a line",
    },
    iterable=["service"],
    auto_shortflags=False,
)
def status_(
    c: Context,
    env: str = "",
    service: list[str] | None = None,
    since: str = "5m",
    watch: bool = False,
    json: bool = False,
) -> None:
    """Show rate, errors, latency and saturation of the services in the last minutes, with sparklines."""
    from ..host.project import Project
    from .view.status import run

    run(Project(c, env), tuple(service or ()), since, watch, json)


@task(
    name="report",
    help={
        "env": _ENV,
        "since": "when it begins: 24h, 7d, 2026-11-29, or an RFC 3339 time",
        "until": "when it ends (default: now)",
        "out": "file of the page (default: monitor/PROJECT.html in the reports directory)",
        "json": _JSON,
    },
    auto_shortflags=False,
)
def report_(c: Context, env: str = "", since: str = "24h", until: str = "", out: str = "", json: bool = False) -> None:
    """Write one page with plots of what happened: services, releases, alerts, budgets, database, host."""
    from ..host.project import Project
    from .view.report import run

    run(Project(c, env), since, until, out, json)
