"""env.*: tasks for the profiles of the environments."""

from invoke import Context, task

_JSON = "one JSON document on stdout"


@task(name="list", help={"json": _JSON}, auto_shortflags=False)
def list_(c: Context, json: bool = False) -> None:
    """List the environments, and whether their profiles are valid."""
    from .profiles import list_environments

    list_environments(json)


@task(
    positional=["environment"],
    help={"environment": "environment whose profile to show", "json": _JSON},
    auto_shortflags=False,
)
def show(c: Context, environment: str, json: bool = False) -> None:
    """Show every value of a profile and the line it comes from; secrets are masked."""
    from .profiles import show

    show(environment, json)


@task(
    positional=["first", "second"],
    help={"first": "one environment", "second": "the other environment", "json": _JSON},
    auto_shortflags=False,
)
def diff(c: Context, first: str, second: str, json: bool = False) -> None:
    """Show what two profiles set differently; secrets are masked."""
    from .profiles import diff

    diff(first, second, json)


@task(
    help={
        "env": "check only this environment; may be given several times (default: all)",
        "fix": "first rewrite the lines that python-dotenv, Compose and sh would read differently",
        "json": _JSON,
    },
    iterable=["env"],
    auto_shortflags=False,
)
def check(c: Context, env: list[str] | None = None, fix: bool = False, json: bool = False) -> None:
    """Check the profiles and report every fault with its file and line."""
    from . import fix as fixing
    from .profiles import check

    if fix:
        fixing.fix(tuple(env or ()), dry=bool(c.config.run.dry))
    check(tuple(env or ()), json)


@task(
    name="new",
    positional=["name"],
    help={
        "name": "name of the new environment",
        "from": "environment to start from (default: dev, else the first; without any, the Compose files)",
    },
    auto_shortflags=False,
)
def new_(c: Context, name: str, from_: str = "") -> None:
    """Write envs/NAME.env: a commented copy of another profile, or the first one."""
    from .new import new

    new(name, from_, dry=bool(c.config.run.dry))


@task(
    positional=["environment"],
    help={"environment": "environment whose profile gets the values"},
    auto_shortflags=False,
)
def adopt(c: Context, environment: str) -> None:
    """Take over the values of the .env next to the Compose file into a profile."""
    from .new import adopt

    adopt(environment, dry=bool(c.config.run.dry))
